// Weights: what is read writes a file that reads to the same.
#include "runtime/safetensors.h"

#include <algorithm>
#include <cstring>

#include "runtime/error.h"
#include "tests/fuzz/parsers/target.h"

namespace {

using namespace bnc;

void check_equal(const Weights& before, const Weights& after) {
  fuzz::expect(before.entries().size() == after.entries().size(), "as many tensors are read as were written");
  for (const auto& [name, weight] : before.entries()) {
    const Weight* same = after.find(name);
    fuzz::expect(same && same->dims == weight.dims && same->data.size() == weight.data.size(), "the shape of a tensor survives: " + name);
    fuzz::expect(weight.data.empty() || std::memcmp(same->data.data(), weight.data.data(), weight.data.size_bytes()) == 0,
                 "the values of a tensor survive: " + name);
  }
}

}  // namespace

BNC_FUZZ_TARGET(safetensors)(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  const std::string path = folder.write("weights.safetensors", {data, size});
  try {
    const WeightStore::Data read = parse_safetensors(open_file(path), path);
    const std::string written = write_safetensors(read.weights, read.metadata);
    const std::string copy = folder.write("copy.safetensors", {reinterpret_cast<const uint8_t*>(written.data()), written.size()});
    const WeightStore::Data again = parse_safetensors(open_file(copy), copy);
    check_equal(read.weights, again.weights);
    fuzz::expect(read.metadata.entries() == again.metadata.entries(), "the metadata survive");
  } catch (const Error& error) {
    fuzz::expect_error(error.what(), path);
  }
  return 0;
}
