#include "tests/fuzz/parsers/target.h"

#include <stdlib.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace bnc::fuzz {

namespace fs = std::filesystem;

Folder::Folder() {
  std::error_code ignored;
  std::string pattern = (fs::is_directory("/dev/shm", ignored) ? fs::path("/dev/shm") : fs::temp_directory_path()) / "bnc-fuzz.XXXXXX";
  expect(::mkdtemp(pattern.data()) != nullptr, "a temporary folder can be made");
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string Folder::write(const std::string& name, std::span<const uint8_t> bytes) const {
  std::FILE* file = std::fopen(path(name).c_str(), "wb");
  expect(file != nullptr, "a temporary file can be made");
  const size_t written = bytes.empty() ? 0 : std::fwrite(bytes.data(), 1, bytes.size(), file);  // fwrite takes no null pointer
  expect(std::fclose(file) == 0 && written == bytes.size(), "a temporary file can be written");
  return path(name);
}

std::span<const uint8_t> take_part(std::span<const uint8_t>& input) {
  if (input.size() < 2) return std::exchange(input, {});
  const size_t length = std::min<size_t>(input[0] | input[1] << 8, input.size() - 2);
  const std::span<const uint8_t> part = input.subspan(2, length);
  input = input.subspan(2 + length);
  return part;
}

void expect(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error("does not hold: " + what);
}

void expect_error(const std::string& text, const std::string& place) {
  expect(text.find("error: ") != std::string::npos, "an error begins with `error: `: " + text);
  expect(text.find(place) != std::string::npos, "an error names " + place + ": " + text);
}

}  // namespace bnc::fuzz
