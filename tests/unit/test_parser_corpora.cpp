// The fuzz targets over what they began with and what they found, and over inputs too large to be kept in files.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>

#include "support/files.h"
#include "support/places.h"

#define BNC_TARGETS(of) of(bn) of(cifar) of(checkpoint) of(csv) of(idx) of(npz) of(onnx) of(safetensors) of(torch)
#define BNC_DECLARE(name) extern "C" int fuzz_##name(const uint8_t* data, size_t size);
BNC_TARGETS(BNC_DECLARE)

namespace bnc {

namespace {

using Target = int (*)(const uint8_t*, size_t);
#define BNC_ENTRY(name) {#name, fuzz_##name},
const std::map<std::string, Target> targets = {BNC_TARGETS(BNC_ENTRY)};

void run(Target target, const std::string& input) { target(reinterpret_cast<const uint8_t*>(input.data()), input.size()); }

std::string repeated(const std::string& text, size_t count) {
  std::string result;
  for (size_t k = 0; k < count; ++k) result += text;
  return result;
}

std::string network(const std::string& body) { return "network f(x: f32[N, 4]) {\n" + body + "\n}\n"; }

}  // namespace

TEST_CASE("every parser takes the inputs of its corpus") {
  for (const auto& [name, target] : targets) {
    CAPTURE(name);
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/tests/fuzz/corpora/" + name)) {
      CAPTURE(entry.path().string());
      CHECK_NOTHROW(run(target, test::read_bytes(entry.path().string())));
      ++count;
    }
    CHECK(count >= 12);
  }
  for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/tests/fuzz/corpora"))
    CHECK(targets.count(entry.path().filename().string()) == 1);
}

TEST_CASE("no depth or length of a source takes the parser down") {
  const size_t deep = 100'000;
  for (const auto& [open, close] : {std::pair("(", ")"),
                                    {"[", "]"},
                                    {"relu(", ")"},
                                    {"-", ""},
                                    {"not ", ""},
                                    {"x[", "]"},
                                    {"x + ", ""},
                                    {"if true { ", " } else { x }"}}) {
    CAPTURE(open);
    CHECK_NOTHROW(run(fuzz_bn, network("return " + repeated(open, deep) + "x" + repeated(close, deep))));
    CHECK_NOTHROW(run(fuzz_bn, network("return " + repeated(open, deep))));
  }
  for (const char* statement : {"repeat 1 {\n", "if true {\n", "if true { } else "}) {
    CAPTURE(statement);
    CHECK_NOTHROW(run(fuzz_bn, network(repeated(statement, deep))));
  }
  for (const char* text : {"a", "a.", "a, ", "1", "1.", "#", " ", "\n", "}", "network ", "\xf0\x9f\x98\x80"}) {
    CAPTURE(text);
    CHECK_NOTHROW(run(fuzz_bn, repeated(text, deep)));
    CHECK_NOTHROW(run(fuzz_bn, network("return " + repeated(text, deep))));
  }
}

TEST_CASE("no depth of brackets in a header takes its parser down") {
  const std::string brackets = repeated("[", 1'000'000), length("\x40\x42\x0f\0\0\0\0\0", 8);
  CHECK_NOTHROW(run(fuzz_safetensors, length + brackets));
  CHECK_NOTHROW(run(fuzz_checkpoint, "\xff\xff" + brackets.substr(0, 0xffff)));
}

}  // namespace bnc
