#include <cmath>
#include <cstring>
#include <limits>

#include "bnc/bnc.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

std::string with_header(const std::string& header, const std::string& data = "") {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string safetensors_error(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = folder.write("w.safetensors", bytes);
  return message_of<Error>([&] { WeightStore::load(path); });
}

WeightStore example_store() {
  WeightStore store;
  store.set("dense_1.weight", {2, 3}, {1, -2, 0.5f, std::numeric_limits<float>::denorm_min(), INFINITY, -0.0f});
  store.set("a.bias", {3}, {7, 8, 9});
  store.set("empty", {0, 4}, {});
  store.set("count", {}, {42});
  return store;
}

}  // namespace

TEST_CASE("safetensors: what is written reads back to the same bits, in the same order") {
  const TemporaryFolder folder;
  const WeightStore store = example_store();
  store.save(folder.path("w"));
  const WeightStore loaded = WeightStore::load(folder.path("w"));
  CHECK(loaded.names() == store.names());
  for (const std::string& name : store.names()) {
    CAPTURE(name);
    CHECK(loaded.dims(name) == store.dims(name));
    REQUIRE(loaded.values(name).size() == store.values(name).size());
    if (loaded.values(name).empty()) continue;
    CHECK(std::memcmp(loaded.values(name).data(), store.values(name).data(), loaded.values(name).size_bytes()) == 0);
  }
  loaded.save(folder.path("again"));
  CHECK(read_bytes(folder.path("again")) == read_bytes(folder.path("w")));
}

TEST_CASE("safetensors: a file cut short anywhere is refused, and so is one with a byte more") {
  const TemporaryFolder folder;
  example_store().save(folder.path("w"));
  const std::string bytes = read_bytes(folder.path("w"));
  for (size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK(contains(safetensors_error(folder, bytes.substr(0, length)), "w.safetensors"));
  }
  CHECK(contains(safetensors_error(folder, bytes + "x"), "oversized: 1 bytes behind the last tensor"));
}

TEST_CASE("safetensors: a changed byte never crashes the reader") {
  const TemporaryFolder folder;
  example_store().save(folder.path("w"));
  const std::string bytes = read_bytes(folder.path("w"));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const char change : {'\x01', '\x80', '\xff'}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      safetensors_error(folder, damaged);
    }
  }
}

TEST_CASE("safetensors: every malformed header has its message") {
  const TemporaryFolder folder;
  const std::string data(16, '\0');
  const auto error = [&](const std::string& header) { return safetensors_error(folder, with_header(header, data)); };
  CHECK(contains(error("[1]"), "no JSON object"));
  CHECK(contains(error("{\"a\": nope}"), "no valid JSON at byte"));
  CHECK(contains(error(R"({"a": 3})"), "tensor `a` is no JSON object"));
  CHECK(contains(error(R"({"a": {"shape": [4], "data_offsets": [0, 16]}})"), "`a` has no dtype"));
  CHECK(contains(error(R"({"a": {"dtype": "F17", "shape": [8], "data_offsets": [0, 16]}})"), "`a` is of the unknown type F17"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}})"), "`a` has no valid shape"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [4.5], "data_offsets": [0, 16]}})"), "`a` has no valid shape"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [4]}})"), "`a` has no valid data_offsets"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]}})"), "`a` has no valid data_offsets"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [5], "data_offsets": [0, 16]}})"),
                 "of shape [5] takes 20 bytes, but its data_offsets span 16"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [4611686018427387903, 8], "data_offsets": [0, 16]}})"),
                 "shape of tensor `a` is too large"));
  CHECK(contains(
      error(
          R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}})"),
      "`a` stands in the header twice"));
  CHECK(contains(
      error(
          R"({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
              "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}})"),
      "`a` and `b` overlap"));
  CHECK(contains(
      error(
          R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [8, 16]}})"),
      "4 bytes before tensor `b` belong to no tensor"));
  CHECK(contains(error(R"({"a": {"dtype": "F32", "shape": [8], "data_offsets": [0, 32]}})"),
                 "truncated: its header describes 32 bytes of data, but the file holds 16"));
  CHECK(error(R"({"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})").empty());
  CHECK(contains(safetensors_error(folder, std::string(8, '\xff')), "claims a header"));
}

TEST_CASE("safetensors: data at an odd address and in another order than the header's") {
  const TemporaryFolder folder;
  std::string data(12, '\0');
  const float values[] = {1.5f, -2.5f, 3.5f};
  std::memcpy(data.data(), values, 12);
  std::string header =
      R"({"late": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
          "early": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})";
  while (header.size() % 4 != 1) header += ' ';
  const WeightStore store = WeightStore::load(folder.write("odd", with_header(header, data)));
  CHECK(store.names() == std::vector<std::string>{"early", "late"});
  CHECK(store.values("early")[1] == -2.5f);
  CHECK(store.values("late")[0] == 3.5f);
}

TEST_CASE("weights: missing files, unknown names and full disks are told") {
  const TemporaryFolder folder;
  CHECK(contains(message_of<Error>([&] { WeightStore::load(folder.path("nothing")); }), "nothing: No such file"));
  CHECK(contains(message_of<Error>([&] { WeightStore::load(folder.path()); }), "Is a directory"));
  const WeightStore store = example_store();
  CHECK(contains(message_of<Error>([&] { store.values("dense_1.wieght"); }), "did you mean `dense_1.weight`?"));
  CHECK(contains(message_of<Error>([&] { store.save("/dev/full"); }), "No space left"));
  CHECK(contains(message_of<Error>([&] { store.save(folder.path("no/folder/w")); }), "cannot write"));
  CHECK_THROWS_AS(example_store().set("x", {2, 2}, {1, 2, 3}), Error);
}
