#include "runtime/tensorboard.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "runtime/error.h"

namespace bnc {

namespace {

constexpr std::array<uint32_t, 256> crc_table = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
    table[byte] = crc;
  }
  return table;
}();

template <class T>
std::string little_endian(T value) {
  std::string bytes;
  for (size_t k = 0; k < sizeof(T); ++k) bytes.push_back(static_cast<char>(value >> 8 * k & 0xff));
  return bytes;
}

// The parts of a protocol buffer: a field's number and kind, then its value.
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes.push_back(static_cast<char>(value | 0x80));
  return bytes + static_cast<char>(value);
}
std::string integer_field(int number, int64_t value) { return varint(number << 3 | 0) + varint(static_cast<uint64_t>(value)); }
std::string double_field(int number, double value) { return varint(number << 3 | 1) + little_endian(std::bit_cast<uint64_t>(value)); }
std::string float_field(int number, float value) { return varint(number << 3 | 5) + little_endian(std::bit_cast<uint32_t>(value)); }
std::string bytes_field(int number, const std::string& value) { return varint(number << 3 | 2) + varint(value.size()) + value; }

// message Event { double wall_time = 1; int64 step = 2; oneof { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
// }
std::string event(int64_t step, const std::string& what) {
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  return double_field(1, now) + integer_field(2, step) + what;
}

std::string file_version() { return bytes_field(3, "brain.Event:2"); }

// message SessionLog { enum { START = 1; } status = 1; }
std::string session_start() { return bytes_field(7, integer_field(1, 1)); }

// message Summary { repeated Value value = 1; }, message Value { string tag = 1; float simple_value = 2; }
std::string summary(const std::vector<std::pair<std::string, double>>& scalars) {
  std::string values;
  for (const auto& [tag, value] : scalars) values += bytes_field(1, bytes_field(1, tag) + float_field(2, static_cast<float>(value)));
  return bytes_field(5, values);
}

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] ? name.data() : "localhost";
}

}  // namespace

uint32_t masked_crc32c(const std::string& bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = crc >> 8 ^ crc_table[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

EventFile::EventFile(const std::string& folder, int64_t first_step) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  path_ = std::filesystem::path(folder) / fmt::format("events.out.tfevents.{:010}.{}.{}", now, host_name(), ::getpid());
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot write {}: {}", path_, std::strerror(errno));
  write(event(0, file_version()));
  if (first_step > 0) write(event(first_step, session_start()));
}

EventFile::~EventFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void EventFile::add(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) { write(event(step, summary(scalars))); }

void EventFile::write(const std::string& event) {
  const std::string length = little_endian(static_cast<uint64_t>(event.size()));
  const std::string record = length + little_endian(masked_crc32c(length)) + event + little_endian(masked_crc32c(event));
  for (std::string_view rest = record; !rest.empty();) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) fail("cannot write {}: {}", path_, std::strerror(errno));
    if (written > 0) rest.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace bnc
