// A frozen network as an object file, linked with a few lines of C into a shared library that is loaded and called.
#include <dlfcn.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "runtime/weight_store.h"
#include "tests/fuzz/failure.h"
#include "tests/fuzz/run.h"

namespace bnc::fuzz {

namespace {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "bnc-fuzz.XXXXXX").string();
    BNC_CHECK(::mkdtemp(pattern.data()), "no temporary folder");
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Calls the network's function with its arguments from an array.
std::string caller(const Network& network) {
  const std::string& name = network.name();
  std::string arguments;
  for (size_t k = 0; k < network.inputs().size() + network.outputs().size(); ++k) arguments += fmt::format(", arguments[{}]", k);
  return fmt::format(
      "#include \"net.h\"\nint64_t fuzz_bytes(int64_t n) {{ return {0}_workspace_bytes(n); }}\n"
      "int fuzz_call(int64_t n, void **arguments, void *workspace) {{ return {0}_infer(n{1}, workspace); }}\n",
      name, arguments);
}

}  // namespace

Tensors run_object(const std::string& bn_text, const Weights& weights, const Bindings& bindings, int64_t batch, const Variant& variant) {
  const Network network = Network::from_text(bn_text, "net.bn");
  CompileOptions options{.cpu = variant.cpu};
  if (variant.fixed_batch) options.batch = batch;
  const ObjectFiles files = network.compile_object(options, make_store(weights));
  const Folder folder;
  folder.write("net.h", files.header);
  const std::string object = folder.write("net.o", files.object), source = folder.write("caller.c", caller(network)),
                    library = folder.path("net.so");
  const std::string command = fmt::format("cc -std=c11 -shared -fPIC -o {} {} {} -lm 2>{}", library, source, object, folder.path("errors"));
  if (std::system(command.c_str()) != 0) {
    std::ifstream errors(folder.path("errors"));
    throw Failure("object", "the object does not link:\n" + std::string(std::istreambuf_iterator<char>(errors), {}));
  }
  void* loaded = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded) throw Failure("object", fmt::format("the library does not load: {}", ::dlerror()));
  const auto bytes_of = reinterpret_cast<int64_t (*)(int64_t)>(::dlsym(loaded, "fuzz_bytes"));
  const auto call = reinterpret_cast<int (*)(int64_t, void**, void*)>(::dlsym(loaded, "fuzz_call"));
  BNC_CHECK(bytes_of && call, "the caller's functions");

  std::vector<std::vector<float>> memory;   // of integers too
  for (const TensorInfo& input : network.inputs()) {
    const Array array = array_of(bindings.at(input.name));
    memory.emplace_back(static_cast<size_t>(array.size()));
    std::memcpy(memory.back().data(), array.is_float() ? static_cast<const void*>(array.floats().data()) : array.integers().data(),
                memory.back().size() * 4);
  }
  for (const TensorInfo& output : network.outputs()) {
    int64_t size = 1;
    for (const int64_t dim : output.dims) size *= dim < 0 ? -dim * batch : dim;
    memory.emplace_back(static_cast<size_t>(size));
  }
  std::vector<void*> arguments;
  for (std::vector<float>& each : memory) arguments.push_back(each.data());
  std::vector<float> workspace(static_cast<size_t>(bytes_of(batch)) / 4 + 1, std::nanf(""));
  const int status = call(batch, arguments.data(), workspace.data());
  ::dlclose(loaded);
  if (status != 0) throw Failure("object", fmt::format("the object's function returns {}", status));

  Tensors results;
  size_t next = network.inputs().size();
  for (const TensorInfo& output : network.outputs()) {
    const std::vector<float>& numbers = memory[next++];
    Tensor tensor{output.type.starts_with("i32") ? DType::i32 : DType::f32, {}, {}};
    for (const float& number : numbers) {
      int32_t whole;
      std::memcpy(&whole, &number, 4);
      tensor.data.push_back(tensor.dtype == DType::i32 ? whole : number);
    }
    results["output/" + output.name] = std::move(tensor);
  }
  return results;
}

}  // namespace bnc::fuzz
