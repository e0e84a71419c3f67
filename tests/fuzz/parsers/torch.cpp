// PyTorch's archives of state dicts. An input that is no archive is the pickle of one, put into it with a record of 64 bytes and the right
// checksums, so that the fuzzer need not find those.
#include "runtime/torch_file.h"

#include <set>
#include <string_view>

#include "runtime/error.h"
#include "runtime/layer_matching.h"
#include "runtime/state_layers.h"
#include "runtime/zip.h"
#include "tests/fuzz/parsers/target.h"

namespace {

using namespace bnc;

void check_tensor(const StoredTensor& tensor, const std::string& path) {
  uint64_t count = 1;
  for (const int64_t dim : tensor.dims)
    fuzz::expect(dim >= 0 && !__builtin_mul_overflow(count, static_cast<uint64_t>(dim), &count), "a shape has a size: " + tensor.name);
  fuzz::expect(count <= tensor.data.size(), "no tensor has more elements than bytes: " + tensor.name);
  if (tensor.is_readable()) fuzz::expect(tensor.numbers(path).size() == count, "all elements are read: " + tensor.name);
}

// Names of any kind make layers, and these find one another.
void check_layers(const std::vector<StoredTensor>& tensors) {
  for (const Dialect dialect : {Dialect::pytorch, Dialect::keras})
    for (const bool in_order : {true, false}) {
      const std::vector<Layer> layers = saved_layers(tensors, dialect, in_order, {}, {});
      std::set<size_t> parts;
      for (const Layer& layer : layers)
        for (const auto& [role, tensor] : layer.parts) fuzz::expect(parts.insert(tensor).second, "a tensor is part of one layer");
      fuzz::expect(parts.size() == tensors.size(), "every tensor is part of a layer");
      std::set<size_t> matched;
      for (const LayerMatch& match : match_layers(layers, layers, in_order).layers)
        if (match.saved) fuzz::expect(matched.insert(*match.saved).second, "a layer is matched once");
    }
}

}  // namespace

BNC_FUZZ_TARGET(torch)(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  std::string_view archive(reinterpret_cast<const char*>(data), size);
  std::string wrapped;
  if (!archive.starts_with("PK"))
    archive = wrapped = write_zip({{"w/data.pkl", std::string(archive)}, {"w/data/0", std::string(64, '\x3e')}, {"w/version", "3\n"}});
  const std::string path = folder.write("w.pt", {reinterpret_cast<const uint8_t*>(archive.data()), archive.size()});
  try {
    const TorchFile read = parse_torch_file(open_file(path), path);
    std::set<std::string> names;
    for (const StoredTensor& tensor : read.tensors) {
      fuzz::expect(names.insert(tensor.name).second, "names are unique: " + tensor.name);
      check_tensor(tensor, path);
    }
    check_layers(read.tensors);
  } catch (const Error& error) {
    fuzz::expect_error(error.what(), path);
  }
  return 0;
}
