// `bnc compile`: a network to an object file with its C header, or to any stage before that.
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tools/command.h"

extern char** environ;

namespace bnc::tools {
namespace {

// A folder of its own under the system's one for temporary files, removed in the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = std::filesystem::temp_directory_path() / "bnc.XXXXXX";
    if (!::mkdtemp(pattern.data())) throw Error(fmt::format("error: cannot make a temporary folder {}: {}", pattern, std::strerror(errno)));
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    for (const std::filesystem::path& file : files_) std::filesystem::remove(file, ignored);
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  std::string file(const std::string& name) { return files_.emplace_back(path_ / name); }

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> files_;
};

std::string read_whole(const std::string& path) {
  std::string bytes(std::filesystem::file_size(path), '\0');
  std::FILE* file = std::fopen(path.c_str(), "rb");
  const bool complete = file && std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const int error = errno;
  if (file) std::fclose(file);
  if (!complete) throw Error(fmt::format("error: cannot read {}: {}", path, std::strerror(error)));
  return bytes;
}

// The object as a shared library, linked by the system's C compiler.
std::string link_shared(const std::string& object) {
  TemporaryFolder folder;
  const std::string object_path = folder.file("network.o"), shared_path = folder.file("network.so");
  write_file(object_path, object);
  std::vector<std::string> words = {"cc", "-shared", "-o", shared_path, object_path, "-lm"};
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  const int error = ::posix_spawnp(&child, "cc", nullptr, nullptr, pointers.data(), environ);
  if (error == ENOENT)
    throw Error("error: cannot link a shared library: there is no C compiler `cc`\nhelp: apt-get install gcc, or use --emit obj");
  if (error != 0) throw Error(fmt::format("error: cannot start the C compiler `cc`: {}", std::strerror(error)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw Error(fmt::format("error: `{}` failed", fmt::join(words, " ")));
  return read_whole(shared_path);
}

// Those of the stages' files. A graph's text is a network's source; loops have no format of their own.
const std::map<std::string, std::vector<std::string>> stage_extensions = {
    {"obj", {".o", ".obj"}}, {"shared", {".so"}}, {"llvm", {".ll"}}, {"graph", {".bn"}}, {"asm", {".s", ".asm"}}};

bool is_text(const std::string& stage) { return stage != "obj" && stage != "shared"; }

// Of an object: M.o in the current folder.
std::string default_output(const Arguments& arguments) {
  if (arguments.model_is_stdin()) throw UsageError("a network from stdin has no file name: say with `--output` where the object goes");
  const std::string extension = arguments.choice("emit") == "shared" ? ".so" : ".o";
  return std::filesystem::path(arguments.required("model")).filename().replace_extension(extension).string();
}

std::vector<ImpliedOutput> compile_outputs(const Arguments& arguments) {
  if (arguments.has("output") || is_text(arguments.choice("emit"))) return {};
  return {{"the object", default_output(arguments)}};
}

// The first stages come before any pass: what an option asks about passes would go unanswered.
void check_pass_options(const Arguments& arguments, const std::string& stage, const CompileOptions& options) {
  const bool parsed = stage == "graph" && options.mode == Mode::infer && !arguments.has("weights") && options.stop_after.empty();
  if (stage != "ast" && !parsed) return;
  for (const char* option : {"print-changed", "verify-each", "time-passes", "stop-after"}) {
    if (!arguments.has(option)) continue;
    throw UsageError(fmt::format("`--{}` is about passes, but `--emit {}` prints the network before any pass; give {}a later stage", option,
                                 stage, parsed ? "`--weights W`, `--stop-after PASS` or `--mode train` too, or " : ""));
  }
}

int compile_text(const Arguments& arguments, const Network& network, const std::string& stage, const CompileOptions& options) {
  static const std::map<std::string, Stage> text_stages = {
      {"ast", Stage::ast}, {"graph", Stage::graph}, {"loops", Stage::loops}, {"llvm", Stage::llvm}, {"asm", Stage::assembly}};
  if (arguments.has("header"))
    throw UsageError(fmt::format("`--header` goes with `--emit obj` or `--emit shared`, not `--emit {}`", stage));
  check_pass_options(arguments, stage, options);
  const std::optional<WeightStore> weights = arguments.weights(network);
  const std::string text = network.emit(text_stages.at(stage), options, weights ? &*weights : nullptr);
  if (arguments.has("output")) write_file(arguments.output("output"), text);
  else if (!arguments.json()) print(text);
  if (arguments.json()) {
    Json object = {{"model", network.name()}, {"stage", stage}};
    if (arguments.has("output")) object["output"] = arguments.text("output");
    else object["text"] = text;
    print_json(object);
  }
  return exit_done;
}

int compile_object(const Arguments& arguments, const Network& network, const std::string& stage, const CompileOptions& options) {
  if (options.mode == Mode::train)
    throw UsageError(
        fmt::format("`--emit {}` makes inference code only; look at a training step with --emit graph, loops, llvm or asm", stage));
  std::optional<WeightStore> weights = arguments.weights(network);
  if (!weights) {
    if (!network.parameters().empty()) message("warning: no `--weights`: the object gets freshly initialized ones (seed 0)");
    weights = network.initialize(0);
  }
  ObjectFiles files = network.compile_object(options, *weights);
  if (stage == "shared") files.object = link_shared(files.object);
  const std::string output = arguments.has("output") ? arguments.output("output") : default_output(arguments);
  write_file(output, files.object);
  if (arguments.has("header")) write_file(arguments.output("header"), files.header);
  if (arguments.json()) {
    Json object = {{"model", network.name()}, {"stage", stage}, {"output", output}, {"bytes", files.object.size()}};
    if (arguments.has("header")) object["header"] = arguments.text("header");
    print_json(object);
  } else {
    message(
        fmt::format("{}: {} bytes{}", output, files.object.size(), arguments.has("header") ? ", header " + arguments.text("header") : ""));
  }
  return exit_done;
}

int run_compile(const Arguments& arguments) {
  const std::string stage = arguments.choice("emit");
  if (const auto found = stage_extensions.find(stage); found != stage_extensions.end())
    check_extension("output", arguments.text("output"), found->second);
  const Network network = arguments.network();
  CompileOptions options = arguments.compile_options();
  options.object_name = arguments.text("name");
  if (is_text(stage) && arguments.has("name"))
    throw UsageError(fmt::format("`--name` goes with `--emit obj` or `--emit shared`, not `--emit {}`", stage));
  return is_text(stage) ? compile_text(arguments, network, stage, options) : compile_object(arguments, network, stage, options);
}

}  // namespace

Command compile_command() {
  Command command{"compile",
                  "compiles a network to an object file and C header, or to an earlier stage",
                  "M.bn [-o OUT] [--emit STAGE] [--weights W] [--header H.h] [options]",
                  "bnc compile examples/mnist_mlp.bn --weights run/weights.safetensors -o mlp.o --header mlp.h",
                  {},
                  {"model"},
                  run_compile};
  po::options_description options("Options");
  options.add_options()("output,o", output_file("OUT"), "where to write, `-` for stdout; text stages go there without it")(
      "emit", one_of("STAGE", {"obj", "ast", "graph", "loops", "llvm", "asm", "shared"}),
      "ast: the syntax tree; graph: the network as parsed or, with --weights, --stop-after or --mode train, what the passes make of it; "
      "loops, llvm, asm, obj (default) or shared: what the passes make of it, lowered")(
      "mode", one_of("MODE", {"infer", "train"}), "infer (default): frozen inference; train: a training step (text stages)")(
      "weights,w", input_file("W"), "the weights (safetensors), embedded in the object")(
      "name", po::value<std::string>()->value_name("NAME"),
      "call the object's functions NAME_infer and NAME_workspace_bytes (default: the network's name)")(
      "header", output_file("H.h", {".h", ".hh", ".hpp"}), "write the object's C header too, with what the weights know of their data")(
      "batch", po::value<int64_t>()->value_name("N"), "fix the batch size (default: any); the header then has NAME_WORKSPACE_BYTES");
  add_cpu_option(options);
  command.options.add(options).add(pass_options());
  command.implied_outputs = compile_outputs;
  return command;
}

}  // namespace bnc::tools
