#include "tools/files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {

namespace fs = std::filesystem;

namespace {

struct File {
  std::string what;   // "`--output`", "the model"
  std::string path;
  bool is_named = true;   // by an option
};

// What an extension says of a file.
const std::map<std::string, std::string> format_names = {
    {".npz", "a NumPy archive"},      {".npy", "a NumPy array"},  {".safetensors", "weights in safetensors"},
    {".csv", "a table"},              {".tsv", "a table"},        {".xlsx", "a spreadsheet"},
    {".json", "JSON"},                {".html", "an HTML page"},  {".htm", "an HTML page"},
    {".bn", "a network's source"},    {".o", "an object file"},   {".obj", "an object file"},
    {".a", "a library"},              {".so", "a shared library"}, {".h", "a C header"},
    {".hh", "a C++ header"},          {".hpp", "a C++ header"},   {".c", "a C source"},
    {".cc", "a C++ source"},          {".cpp", "a C++ source"},   {".s", "assembly"},
    {".asm", "assembly"},             {".ll", "LLVM IR"},         {".bc", "LLVM bitcode"},
    {".onnx", "an ONNX network"},     {".pt", "a PyTorch file"},  {".pth", "a PyTorch file"},
    {".gz", "a gzipped file"},        {".zip", "a zip archive"},  {".png", "an image"},
    {".jpg", "an image"},             {".jpeg", "an image"},      {".svg", "an image"},
    {".pdf", "a PDF document"},       {".py", "a Python program"},
};

// What a positional argument names.
std::string what_is(const std::string& positional) { return positional == "model" ? "the network's source" : "the input"; }

// A folder of a training run stands for the files that a page is made of.
void add_run(const std::string& folder, std::vector<File>& inputs) {
  for (const std::string& name : run_files()) {
    if (name != "report.html") inputs.push_back({"a file of the run " + folder, (fs::path(folder) / name).string()});
  }
}

std::vector<File> inputs_of(const Command& command, const Arguments& arguments) {
  std::vector<File> inputs;
  for (const std::string& name : command.positional) {
    if (!command.several) inputs.push_back({what_is(name), arguments.text(name) == "-" ? "/dev/stdin" : arguments.text(name)});
    else for (const std::string& folder : arguments.texts(name)) add_run(folder, inputs);
  }
  for (const auto& option : command.options.options()) {
    const auto* value = dynamic_cast<const FileValue*>(option->semantic().get());
    const std::string& name = option->long_name();
    if (!value || !arguments.has(name)) continue;
    if (value->use == FileUse::input) inputs.push_back({fmt::format("the file of `--{}`", name), arguments.text(name)});
    if (value->use != FileUse::data) continue;
    for (const std::string& file : Dataset::files(arguments.text(name))) inputs.push_back({fmt::format("a file of `--{}`", name), file});
  }
  return inputs;
}

std::vector<File> outputs_of(const Command& command, const Arguments& arguments) {
  std::vector<File> outputs;
  for (const auto& option : command.options.options()) {
    const auto* value = dynamic_cast<const FileValue*>(option->semantic().get());
    const std::string& name = option->long_name();
    if (value && value->use == FileUse::output && arguments.has(name))
      outputs.push_back({fmt::format("`--{}`", name), arguments.output(name)});
  }
  if (command.implied_outputs) {
    for (const ImpliedOutput& output : command.implied_outputs(arguments)) outputs.push_back({output.what, output.path, false});
  }
  return outputs;
}

// In full, also of a file that is not there yet.
fs::path full_path(const std::string& path) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(written_file(path), ignored), ignored);
}

// The same file under whatever name. A device (/dev/null, a terminal) takes any number of outputs.
bool same_file(const std::string& a, const std::string& b) {
  struct stat first {}, second {};
  if (::stat(a.c_str(), &first) != 0) return full_path(a) == full_path(b);
  return !S_ISCHR(first.st_mode) && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// What is there and would be replaced: no pipe, from which nothing is lost.
bool destroys(const File& output, const File& input) {
  std::error_code ignored;
  return fs::is_regular_file(output.path, ignored) && same_file(output.path, input.path);
}

void check_place(const File& output) {
  if (output.path.empty()) throw UsageError(fmt::format("give {} the name of a file", output.what));
  std::error_code ignored;
  const fs::path path(output.path), folder = path.parent_path();
  if (fs::is_directory(path, ignored))
    throw Error(fmt::format("error: cannot write {}: Is a directory\nhelp: give {} the name of a file in it", output.path, output.what));
  if (folder.empty() || fs::is_directory(folder, ignored)) return;
  if (fs::exists(folder, ignored)) throw Error(fmt::format("error: cannot write {}: {} is no folder", output.path, folder.string()));
  throw Error(fmt::format("error: cannot write {0}: No such file or directory\nhelp: there is no folder {1}: `mkdir -p {1}` makes it",
                          output.path, folder.string()));
}

}  // namespace

po::value_semantic* input_file(const char* placeholder) { return new FileValue(FileUse::input, placeholder); }
po::value_semantic* input_data(const char* placeholder) { return new FileValue(FileUse::data, placeholder); }
po::value_semantic* output_file(const char* placeholder, std::vector<std::string> extensions) {
  return new FileValue(FileUse::output, placeholder, std::move(extensions));
}

void check_extension(const std::string& option, const std::string& path, const std::vector<std::string>& extensions) {
  std::string extension = fs::path(path).extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (extensions.empty() || std::find(extensions.begin(), extensions.end(), extension) != extensions.end()) return;
  const auto format = format_names.find(extension);
  if (format == format_names.end()) return;
  const auto wanted = format_names.find(extensions.front());
  throw UsageError(fmt::format("`--{}` {} would be {}, but its name says {}; call it *{}", option, path,
                               wanted == format_names.end() ? "a " + extensions.front() + " file" : wanted->second, format->second,
                               fmt::join(extensions, " or *")));
}

namespace {

void check_extensions(const Command& command, const Arguments& arguments) {
  for (const auto& option : command.options.options()) {
    const auto* value = dynamic_cast<const FileValue*>(option->semantic().get());
    const std::string& name = option->long_name();
    if (value && arguments.has(name)) check_extension(name, arguments.text(name), value->extensions);
  }
}

}  // namespace

void check_files(const Command& command, const Arguments& arguments) {
  const std::vector<File> inputs = inputs_of(command, arguments), outputs = outputs_of(command, arguments);
  if (std::count_if(inputs.begin(), inputs.end(), [](const File& input) { return input.path == "/dev/stdin"; }) > 1)
    throw UsageError("`-` is stdin, which can be read once: give a file for one of the two");
  for (const File& output : outputs) {
    if (output.is_named) check_place(output);
    if (output.path == "/dev/stdout" && arguments.json())
      throw UsageError(fmt::format("`--json` prints to stdout: give {} a file", output.what));
    for (const File& input : inputs) {
      if (!destroys(output, input)) continue;
      throw Error(
          fmt::format("error: {} is {}, which would be lost: {}\nhelp: write to another file", output.what, input.what, output.path));
    }
    for (const File& other : outputs) {
      if (&other == &output) break;
      if (!same_file(output.path, other.path)) continue;
      throw Error(fmt::format("error: {} and {} are one file, which can hold one of them: {}\nhelp: write to two files", other.what,
                              output.what, output.path));
    }
  }
  check_extensions(command, arguments);
}

}  // namespace bnc::tools
