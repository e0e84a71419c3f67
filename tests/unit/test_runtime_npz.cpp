#include <cmath>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "runtime/zip.h"
#include "support/files.h"
#include "support/places.h"

using namespace bnc;
using namespace bnc::test;

namespace {

NamedArrays example_arrays() {
  return {{"x", Array({2, 3}, std::vector<float>{1, 2, 3, -0.0f, INFINITY, 1e-40f})},
          {"grad/dense_1.weight", Array({3}, std::vector<int32_t>{-1, 0, 2147483647})},
          {"loss", Array({}, std::vector<float>{2.5f})},
          {"empty", Array({0, 5}, std::vector<int32_t>{})}};
}

std::string npz_error(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = folder.write("a.npz", bytes);
  return message_of<Error>([&] { load_npz(path); });
}

// A .npy file of version 1 with that header and data.
std::string npy(const std::string& header, const std::string& data) {
  std::string bytes = "\x93NUMPY";
  bytes += {'\x01', '\0', static_cast<char>(header.size()), static_cast<char>(header.size() >> 8)};
  return bytes + header + data;
}

std::string error_of_array(const TemporaryFolder& folder, const std::string& file) {
  return npz_error(folder, write_zip({{"a.npy", file}}));
}

bool run_python(const std::string& program) {
  return std::system(fmt::format("{} -c '{}'", test::python(), program).c_str()) == 0;
}

void check_same(const NamedArrays& a, const NamedArrays& b) {
  REQUIRE(a.size() == b.size());
  for (size_t k = 0; k < a.size(); ++k) {
    CAPTURE(a[k].first);
    CHECK(a[k].first == b[k].first);
    CHECK(a[k].second.dims() == b[k].second.dims());
    REQUIRE(a[k].second.is_float() == b[k].second.is_float());
    if (a[k].second.size() == 0) continue;
    if (a[k].second.is_float())
      CHECK(std::memcmp(a[k].second.floats().data(), b[k].second.floats().data(), a[k].second.floats().size_bytes()) == 0);
    else CHECK(std::memcmp(a[k].second.integers().data(), b[k].second.integers().data(), a[k].second.integers().size_bytes()) == 0);
  }
}

}  // namespace

TEST_CASE("npz: what is written reads back, and the same arrays give the same bytes") {
  const TemporaryFolder folder;
  save_npz(folder.path("a"), example_arrays());
  check_same(load_npz(folder.path("a")), example_arrays());
  save_npz(folder.path("b"), load_npz(folder.path("a")));
  CHECK(read_bytes(folder.path("a")) == read_bytes(folder.path("b")));
}

TEST_CASE("npz: a file cut short anywhere is refused; a changed byte never crashes the reader") {
  const TemporaryFolder folder;
  save_npz(folder.path("a"), example_arrays());
  const std::string bytes = read_bytes(folder.path("a"));
  for (size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK(contains(npz_error(folder, bytes.substr(0, length)), "a.npz"));
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    npz_error(folder, damaged);
  }
}

TEST_CASE("npz: a damaged value is found by its checksum") {
  const TemporaryFolder folder;
  save_npz(folder.path("a"), {{"x", Array({2}, std::vector<float>{1.25f, 2.25f})}});
  std::string bytes = read_bytes(folder.path("a"));
  const float value = 2.25f;
  const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&value), 4));
  REQUIRE(at != std::string::npos);
  bytes[at] ^= 1;
  CHECK(contains(npz_error(folder, bytes), "`x.npy` is damaged: its checksum is wrong"));
}

// A directory of many entries with the data of one would claim any amount of memory.
TEST_CASE("npz: entries that share their data are refused") {
  const TemporaryFolder folder;
  std::string one = write_zip({{"a.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }", "x")}});
  const size_t begin = one.find("PK\x01\x02"), end = one.find("PK\x05\x06");
  const std::string entry = one.substr(begin, end - begin);
  std::string other = entry;
  other[other.find("a.npy")] = 'b';
  std::string record = one.substr(end);
  record[8] = record[10] = 2;
  record[12] = static_cast<char>(2 * entry.size());
  CHECK(contains(npz_error(folder, one.substr(0, begin) + entry + other + record), "the entries of the zip archive overlap"));
}

TEST_CASE("npz: every malformed array has its message") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& header, const std::string& data) { return error_of_array(folder, npy(header, data)); };
  const std::string four(16, '\0');
  CHECK(error("{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", four).empty());
  CHECK(error("{'shape': (2, 2), 'descr': \"<f4\", 'fortran_order': False}\n", four).empty());
  CHECK(contains(error("{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }", four),
                 "array `a`: shape (5) of <f4 takes 20 bytes, but 16 are there"));
  CHECK(contains(error("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", four), "takes 12 bytes, but 16 are there"));
  CHECK(contains(error("{'descr': '>f4', 'fortran_order': False, 'shape': (4,), }", four), "big-endian"));
  CHECK(contains(error("{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }", four), "type `<c8` cannot be read"));
  CHECK(contains(error("{'descr': '<f4', 'shape': (4,), }", four), "header of the array is not understood"));
  CHECK(contains(error("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (4,), }", four), "not understood"));
  CHECK(contains(error("{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }", four), "not understood"));
  CHECK(contains(error("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", four), "not understood"));
  CHECK(contains(error("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", four), "too large"));
  CHECK(contains(error_of_array(folder, "not an array"), "not a NumPy array"));
  CHECK(contains(npz_error(folder, write_zip({{"readme.txt", "hello"}})), "`readme.txt` is no .npy array"));
  const int64_t large = int64_t{1} << 31;
  CHECK(contains(error("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", std::string(reinterpret_cast<const char*>(&large), 8)),
                 "2147483648 at position 0 does not fit in 32 bits"));
}

TEST_CASE("npz: column-major arrays come out row-major") {
  const TemporaryFolder folder;
  const int16_t stored[] = {1, 4, 2, 5, 3, 6};  // [[1, 2, 3], [4, 5, 6]] by columns
  const std::string file = npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }",
                               std::string(reinterpret_cast<const char*>(stored), 12));
  folder.write("f.npz", write_zip({{"a.npy", file}}));
  const Array array = load_npz(folder.path("f.npz"))[0].second;
  CHECK(std::vector<int32_t>(array.integers().begin(), array.integers().end()) == std::vector<int32_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("npz: NumPy reads ours, and we read NumPy's in every type, stored and deflated") {
  const TemporaryFolder folder;
  save_npz(folder.path("ours.npz"), example_arrays());
  CHECK(run_python(
      fmt::format("import numpy as n; a = n.load(\"{}\"); assert list(a) == [\"x\", \"grad/dense_1.weight\", \"loss\", \"empty\"]; assert "
                  "a[\"x\"].dtype == n.float32; assert a[\"x\"].tolist()[0] == [1, 2, 3]; assert a[\"grad/dense_1.weight\"].tolist() == "
                  "[-1, 0, 2147483647]; assert a[\"loss\"].shape == () and a[\"loss\"] == 2.5; assert a[\"empty\"].shape == (0, 5)",
                  folder.path("ours.npz"))));
  for (const char* writer : {"savez", "savez_compressed"}) {
    CAPTURE(writer);
    REQUIRE(run_python(fmt::format("import numpy as n; n.{}(\"{}\", **{{t: n.asfortranarray(n.arange(6).reshape(2, 3).astype(t)) for t in "
                                   "(\"f4\", \"f8\", \"i1\", \"i2\", \"i4\", \"i8\", \"u1\", \"u2\", \"u4\", \"u8\", \"?\")}})",
                                   writer, folder.path("theirs.npz"))));
    const NamedArrays arrays = load_npz(folder.path("theirs.npz"));
    REQUIRE(arrays.size() == 11);
    for (const auto& [name, array] : arrays) {
      CAPTURE(name);
      CHECK(array.dims() == std::vector<int64_t>{2, 3});
      CHECK(array.is_float() == (name[0] == 'f'));
      for (size_t k = 0; k < 6; ++k)
        CHECK((array.is_float() ? array.floats()[k] : static_cast<float>(array.integers()[k])) ==
              (name == "?" ? static_cast<float>(k > 0) : static_cast<float>(k)));
    }
  }
}

TEST_CASE("npz: deflated arrays cut short are refused") {
  const TemporaryFolder folder;
  REQUIRE(run_python(fmt::format("import numpy as n; n.savez_compressed(\"{}\", x=n.arange(50))", folder.path("z.npz"))));
  const std::string bytes = read_bytes(folder.path("z.npz"));
  for (size_t length = 0; length < bytes.size(); ++length) CHECK_FALSE(npz_error(folder, bytes.substr(0, length)).empty());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    npz_error(folder, damaged);
  }
}
