#include "runtime/report/numbers.h"

#include <cmath>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace bnc {

std::string percent(double share) { return std::isnan(share) ? "none" : fmt::format("{:.2f}\u00a0%", 100 * share); }

std::string loss_text(double loss) {
  if (std::isnan(loss)) return "none";
  const double size = std::abs(loss);
  return size >= 1e-3 && size < 100 ? fmt::format("{:.4f}", loss) : size < 1e5 ? fmt::format("{:.5g}", loss) : fmt::format("{:.4g}", loss);
}

std::string magnitude(double number) {
  for (const auto& [unit, name] : {std::pair(1e9, "billion"), std::pair(1e6, "million"), std::pair(1e3, "thousand")}) {
    if (number >= unit) return fmt::format("{:#.4g} {}", number / unit, name);
  }
  return fmt::format("{:g}", number);
}

std::string duration(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} \u00b5s", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 60) return fmt::format("{:.3g} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds)), minutes = whole / 60;
  return minutes < 60 ? fmt::format("{} min {} s", minutes, whole % 60) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

}  // namespace bnc
