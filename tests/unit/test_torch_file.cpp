// PyTorch's files: what is read of them, and that nothing in them is executed or trusted.
#include <doctest/doctest.h>

#include <cmath>
#include <cmath>
#include <filesystem>

#include "bnc/state_dict.h"
#include "runtime/error.h"
#include "runtime/torch_file.h"
#include "support/files.h"
#include "support/pickles.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// The numbers 0 to 15 as T.
template <class T>
std::string sixteen() {
  std::string bytes;
  for (int k = 0; k < 16; ++k) {
    const T value = static_cast<T>(k);
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return bytes;
}

TorchFile read_archive(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = folder.write("w.pt", bytes);
  return parse_torch_file(open_file(path), path);
}

std::string refusal(const TemporaryFolder& folder, const std::string& bytes) {
  return message_of<Error>([&] { read_archive(folder, bytes); });
}

std::string refusal_of(const TemporaryFolder& folder, const PickledView& view) {
  return refusal(folder, torch_archive(pickled(PickledEntries{{"w", pickled(view)}}), sixteen<float>()));
}

std::vector<float> numbers_of(const StoredTensor& tensor) {
  const SharedNumbers numbers = tensor.numbers("w.pt");
  return {numbers.view().begin(), numbers.view().end()};
}

std::string small_archive() {
  return torch_archive(pickled(PickledEntries{{"a", pickled(PickledView{{2, 3}, {3, 1}, 1})}, {"b", pickled(PickledView{{3, 2}, {1, 3}})}}),
                       sixteen<float>(), {{"w/version", "3\n"}, {"w/byteorder", "little"}});
}

}  // namespace

TEST_CASE("torch file: tensors in the order of the state dict, with offsets and strides") {
  const TemporaryFolder folder;
  const TorchFile file = read_archive(folder, small_archive());
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.part.empty());
  CHECK(file.tensors[0].name == "a");
  CHECK(file.tensors[0].dims == std::vector<int64_t>{2, 3});
  CHECK(numbers_of(file.tensors[0]) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(file.tensors[1].dims == std::vector<int64_t>{3, 2});
  CHECK(numbers_of(file.tensors[1]) == std::vector<float>{0, 3, 1, 4, 2, 5});
}

TEST_CASE("torch file: every element type is rounded to f32") {
  const TemporaryFolder folder;
  const auto check = [&](const std::string& storage, const std::string& record, const std::vector<float>& expected) {
    CAPTURE(storage);
    PickledView view{{4}, {1}, 1};
    view.storage = storage;
    view.elements = 5;
    CHECK(numbers_of(read_archive(folder, torch_archive(pickled(PickledEntries{{"w", pickled(view)}}), record)).tensors[0]) == expected);
  };
  const std::vector<float> counted = {1, 2, 3, 4};
  check("FloatStorage", sixteen<float>(), counted);
  check("DoubleStorage", sixteen<double>(), counted);
  check("LongStorage", sixteen<int64_t>(), counted);
  check("IntStorage", sixteen<int32_t>(), counted);
  check("ShortStorage", sixteen<int16_t>(), counted);
  check("CharStorage", sixteen<int8_t>(), counted);
  check("ByteStorage", sixteen<uint8_t>(), counted);
  check("BoolStorage", std::string("\0\1\0\1\1", 5), {1, 0, 1, 1});
  // 1, -2, the smallest subnormal number, infinity
  check("HalfStorage", std::string("\0\0\x00\x3c\x00\xc0\x01\x00\x00\x7c", 10), {1, -2, 0x1p-24f, INFINITY});
  check("BFloat16Storage", std::string("\0\0\x80\x3f\x00\xc0\x20\x41\x80\xff", 10), {1, -2, 10, -INFINITY});
}

TEST_CASE("torch file: complex numbers are an error only where they are asked for") {
  const TemporaryFolder folder;
  PickledView view{{8}, {1}};
  view.storage = "ComplexFloatStorage";
  view.elements = 8;
  const TorchFile file = read_archive(folder, torch_archive(pickled(PickledEntries{{"w", pickled(view)}}), sixteen<float>()));
  CHECK(contains(message_of<Error>([&] { file.tensors[0].numbers("w.pt"); }), "w.pt: tensor `w` is C64"));
}

TEST_CASE("torch file: the state dict of a checkpoint is found under its key") {
  const TemporaryFolder folder;
  const std::string tensors = pickled(PickledEntries{{"a", pickled(PickledView{{2}, {1}})}});
  const auto read = [&](const PickledEntries& entries) { return read_archive(folder, torch_archive(pickled(entries), sixteen<float>())); };
  CHECK(read({{"epoch", pickled(3)}, {"net_g", tensors}}).part == "net_g");
  CHECK(read({{"ema", tensors}, {"model", tensors}}).part == "model");
  CHECK(contains(message_of<Error>([&] { read({{"g", tensors}, {"d", tensors}}); }), "several state dicts, under `d`, `g`\nhelp: "));
  CHECK(contains(message_of<Error>([&] { read({{"epoch", pickled(3)}}); }), "no dict of tensors"));
  CHECK(contains(refusal(folder, torch_archive(pickled(3), "")), "no dict of tensors"));
}

TEST_CASE("torch file: cut short anywhere it is refused; a changed byte never crashes the reader") {
  const TemporaryFolder folder;
  const std::string bytes = small_archive();
  for (size_t length = 0; length < bytes.size(); ++length) {
    CAPTURE(length);
    CHECK(contains(refusal(folder, bytes.substr(0, length)), "w.pt"));
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    refusal(folder, damaged);
  }
}

TEST_CASE("torch file: a pickle cut short or changed anywhere, in an archive that is whole") {
  const TemporaryFolder folder;
  const std::string pickle = "\x80\x02" + pickled(PickledEntries{{"a", pickled(PickledView{{2, 3}, {3, 1}, 1})}}) + ".";
  const auto with = [&](const std::string& data) { return write_zip({{"w/data.pkl", data}, {"w/data/0", sixteen<float>()}}); };
  REQUIRE(refusal(folder, with(pickle)).empty());
  for (size_t length = 0; length < pickle.size(); ++length) {
    CAPTURE(length);
    CHECK(contains(refusal(folder, with(pickle.substr(0, length))), "w.pt"));
  }
  for (size_t at = 0; at < pickle.size(); ++at)
    for (const int change : {1, 0x20, 0x80, 0xff}) {
      std::string damaged = pickle;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      refusal(folder, with(damaged));
    }
  CHECK(contains(refusal(folder, with(pickle + ".")), "damaged at byte"));
}

TEST_CASE("torch file: a pickle that would run a command is refused by the name of what it calls") {
  const TemporaryFolder folder;
  const std::string witness = folder.path("ran");
  const std::string call = pickled_global("posix", "system") + pickled("touch " + witness) + "\x85R";
  const std::string text = refusal(folder, torch_archive(pickled(PickledEntries{{"w", call}}), ""));
  CHECK(contains(text, "an object of `posix.system`"));
  CHECK(contains(text, "nothing of the file is executed"));
  CHECK(contains(text, "help: "));
  // By protocol 4, and by what calls whatever it finds.
  CHECK(contains(refusal(folder, torch_archive(pickled("os") + pickled("system") + "\x93", "")), "`os.system`"));
  CHECK(contains(refusal(folder, torch_archive(pickled_global("torch.storage", "_load_from_bytes"), "")),
                 "`torch.storage._load_from_bytes`"));
  CHECK(contains(refusal(folder, torch_archive("(" + pickled("x") + "ios\nsystem\n", "")), "opcode 0x69"));
  CHECK_FALSE(std::filesystem::exists(witness));
}

TEST_CASE("torch file: views that do not lie in their storage") {
  const TemporaryFolder folder;
  CHECK(refusal_of(folder, {{4, 4}, {4, 1}}).empty());
  CHECK(contains(refusal_of(folder, {{4, 4}, {4, 1}, 1}), "tensor `w` reaches beyond its storage of 16 elements"));
  CHECK(contains(refusal_of(folder, {{2}, {16}}), "reaches beyond"));
  CHECK(contains(refusal_of(folder, {{1}, {1}, -1}), "reaches beyond"));
  CHECK(contains(refusal_of(folder, {{1}, {1}, int64_t{1} << 62}), "reaches beyond"));
  CHECK(contains(refusal_of(folder, {{int64_t{1} << 40, int64_t{1} << 40}, {1, 1}}), "reaches beyond"));
  CHECK(contains(refusal_of(folder, {{int64_t{1} << 40}, {0}}), "overlap"));
  CHECK(contains(refusal_of(folder, {{8, 3}, {1, 1}}), "overlap"));
  CHECK(contains(refusal_of(folder, {{-1}, {1}}), "damaged"));
  CHECK(contains(refusal_of(folder, {{2}, {-1}, 4}), "damaged"));
  CHECK(contains(refusal_of(folder, {{2, 2}, {1}}), "damaged"));
  CHECK(contains(refusal_of(folder, {{int64_t{1} << 62, 4, 0}, {0, 0, 0}}), "reaches beyond"));
  PickledView view{{2}, {1}};
  view.elements = 17;
  CHECK(contains(refusal_of(folder, view), "is to hold 17 elements, but has 64 bytes"));
  view.elements = -1;
  CHECK(contains(refusal_of(folder, view), "is to hold -1 elements"));
  view.elements = 16;
  view.key = "../../../../etc/passwd";
  CHECK(contains(refusal_of(folder, view), "lacks the record `w/data/../../../../etc/passwd`"));
  view.key = "0";
  view.storage = "QInt8Storage";
  CHECK(contains(refusal_of(folder, view), "`torch.QInt8Storage`"));
}

TEST_CASE("torch file: names that stand twice, and names that are no text") {
  const TemporaryFolder folder;
  const std::string tensor = pickled(PickledView{{2}, {1}});
  CHECK(contains(refusal(folder, torch_archive(pickled(PickledEntries{{"a", tensor}, {"a", tensor}}), sixteen<float>())),
                 "`a` stands in the state dict twice"));
  CHECK(contains(refusal(folder, torch_archive("}(" + pickled(1) + tensor + "u", sixteen<float>())), "no dict of tensors"));
  CHECK(contains(refusal(folder, torch_archive(pickled(PickledEntries{{"\xff", tensor}}), sixteen<float>())), "damaged at byte"));
}

TEST_CASE("torch file: objects without end are bounded") {
  const TemporaryFolder folder;
  const auto repeated = [](const std::string& text, size_t count) {
    std::string result;
    for (size_t k = 0; k < count; ++k) result += text;
    return result;
  };
  CHECK(contains(refusal(folder, torch_archive(repeated("]", 1'000'000), "")), "too many objects"));
  CHECK(contains(refusal(folder, torch_archive(repeated("(", 1'000'000), "")), "too many objects"));
  CHECK(contains(refusal(folder, torch_archive("]" + repeated("}a", 2'000'000), "")), "too many objects"));
  CHECK(contains(refusal(folder, torch_archive(std::string(17 << 20, '}'), "")), "more than a state dict has"));
  std::string lists = "]";   // each in the one before
  for (int k = 0; k < 90'000; ++k) lists += "]";
  CHECK(contains(refusal(folder, torch_archive(lists + repeated("a", 90'000), "")), "no dict of tensors"));
}

TEST_CASE("torch file: other formats are refused with advice") {
  const TemporaryFolder folder;
  const std::string tensors = pickled(PickledEntries{{"a", pickled(PickledView{{2}, {1}})}});
  const auto load_error = [&](const std::string& bytes) {
    const std::string path = folder.write("w.pt", bytes);
    return message_of<Error>([&] { StateDict::load(path); });
  };
  CHECK(contains(load_error("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19."), "before 1.6"));
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  CHECK(contains(load_error(tar), "before 1.6"));
  CHECK(contains(load_error(torch_archive(tensors, sixteen<float>(), {{"w/constants.pkl", ""}})), "TorchScript"));
  CHECK(contains(load_error(torch_archive(tensors, sixteen<float>(), {{"w/byteorder", "big"}})), "big-endian"));
  CHECK(contains(load_error(write_zip({{"x.npy", "no array"}})), "none of PyTorch's"));
  CHECK(contains(load_error("\x89HDF\r\n\x1a\n"), "HDF5"));
  CHECK(contains(load_error("{}"), "not a safetensors file"));
}
