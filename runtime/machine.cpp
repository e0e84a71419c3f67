#include "runtime/machine.h"

#include <sys/utsname.h>

#include <chrono>
#include <fstream>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace bnc {

namespace {

// By the kernel's list of processors, which has no names on some architectures.
std::string processor_name() {
  std::ifstream list("/proc/cpuinfo");
  for (std::string line; std::getline(list, line);) {
    const size_t value = line.find(": ");
    if (line.starts_with("model name") && value != std::string::npos) return line.substr(value + 2);
  }
  utsname system{};
  return uname(&system) == 0 ? system.machine : "unknown";
}

}  // namespace

std::string machine_name() {
  const unsigned count = std::thread::hardware_concurrency();
  return fmt::format("{}, {} processor{}", processor_name(), count, count == 1 ? "" : "s");
}

std::string utc_time() {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

}  // namespace bnc
