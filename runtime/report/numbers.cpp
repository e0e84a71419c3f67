#include "runtime/report/numbers.h"

#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include <fmt/format.h>

namespace bnc {

namespace {

using Unit = std::pair<double, const char*>;

// In the largest unit that it reaches, also by rounding up; with three digits.
std::string in_units(double number, std::span<const Unit> units, const char* single) {
  for (const auto& [unit, name] : units)
    if (number >= 0.9995 * unit) return fmt::format("{:.3g}\u00a0{}", number / unit, name);
  return fmt::format("{:g}{}", number, single);
}

}  // namespace

std::string percent(double share) { return std::isnan(share) ? "none" : fmt::format("{:.2f}\u00a0%", 100 * share); }

std::string loss_text(double loss) {
  if (std::isnan(loss)) return "none";
  const double size = std::abs(loss);
  return size >= 1e-3 && size < 100 ? fmt::format("{:.4f}", loss) : size < 1e5 ? fmt::format("{:.5g}", loss) : fmt::format("{:.4g}", loss);
}

std::string figure_text(double number) {
  if (std::isnan(number)) return "none";
  const double size = std::abs(number);
  return fmt::format("{:.{}g}", number, number != 0 && (size < 1e-4 || size >= 1e7) ? 3 : size < 1e5 ? 5 : 7);
}

std::string magnitude(double number) {
  static constexpr Unit units[] = {{1e12, "trillion"}, {1e9, "billion"}, {1e6, "million"}, {1e3, "thousand"}};
  return in_units(number, units, "");
}

std::string bytes_text(double bytes) {
  static constexpr Unit units[] = {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}};
  return in_units(bytes, units, "\u00a0B");
}

std::string duration(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} \u00b5s", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.3g} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds)), minutes = whole / 60;
  return minutes < 60 ? fmt::format("{} min {} s", minutes, whole % 60) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

}  // namespace bnc
