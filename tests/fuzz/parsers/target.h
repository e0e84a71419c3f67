// What the fuzz targets share. A target reads bytes as a file of its format: whatever they are, it ends in a value or in an
// error that a user can act on. Anything else that is thrown, a read out of bounds, a hang or a claim to memory that the
// file does not pay for is a finding. scripts/fuzz-parsers runs the targets; the unit tests run them over tests/fuzz/corpora.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

// The head of the target of a format: what libFuzzer calls in a program of its own, a function `fuzz_<format>` among the unit tests.
#ifdef BNC_FUZZ_PROGRAM
#define BNC_FUZZ_TARGET(format) extern "C" int LLVMFuzzerTestOneInput
#else
#define BNC_FUZZ_TARGET(format) extern "C" int fuzz_##format
#endif

namespace bnc::fuzz {

// A folder of this process for the files that a target's reader opens, in memory where the system has such a place.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;

  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }
  std::string write(const std::string& name, std::span<const uint8_t> bytes) const;

 private:
  std::string path_;
};

// Takes the first part off an input that holds several files: two bytes of length, lowest first, then so many bytes, or
// as many as there are.
std::span<const uint8_t> take_part(std::span<const uint8_t>& input);

// Throws std::logic_error where a property does not hold, which ends the fuzzer with a finding.
void expect(bool holds, const std::string& what);

// Checks that an error's text begins as errors do and names the place that it speaks of.
void expect_error(const std::string& text, const std::string& place);

}  // namespace bnc::fuzz
