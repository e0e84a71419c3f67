// NumPy archives, as arrays and as data sets. An input that does not begin as an archive is one array, put into an archive
// with the right checksum, so that the fuzzer need not find that.
#include "runtime/npz.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/zip.h"
#include "tests/fuzz/parsers/target.h"

namespace {

using namespace bnc;

bool same_values(const Array& a, const Array& b) {
  if (a.dims() != b.dims() || a.is_float() != b.is_float()) return false;
  if (!a.is_float()) return std::ranges::equal(a.integers(), b.integers());
  return a.size() == 0 || std::memcmp(a.floats().data(), b.floats().data(), a.floats().size_bytes()) == 0;
}

void check_arrays(const fuzz::Folder& folder, const std::string& path) {
  const NamedArrays arrays = load_npz(path);
  save_npz(folder.path("copy.npz"), arrays);
  const NamedArrays again = load_npz(folder.path("copy.npz"));
  fuzz::expect(arrays.size() == again.size(), "as many arrays are read as were written");
  for (size_t k = 0; k < arrays.size(); ++k) {
    fuzz::expect(arrays[k].first == again[k].first && same_values(arrays[k].second, again[k].second),
                 "an array survives: " + arrays[k].first);
  }
}

}  // namespace

BNC_FUZZ_TARGET(npz)(const uint8_t* data, size_t size) {
  static const fuzz::Folder folder;
  std::string_view archive(reinterpret_cast<const char*>(data), size);
  std::string wrapped;
  if (!archive.starts_with("PK")) archive = wrapped = write_zip({{"x.npy", std::string(archive)}, {"y.npy", std::string(archive)}});
  const std::string path = folder.write("data.npz", {reinterpret_cast<const uint8_t*>(archive.data()), archive.size()});
  const auto attempt = [&](const auto& body) {
    try {
      body();
    } catch (const Error& error) {
      fuzz::expect_error(error.what(), path);
    }
  };
  attempt([&] { check_arrays(folder, path); });
  attempt([&] { Dataset::open(path, "train"); });
  return 0;
}
