#include "runtime/report/axes.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/report/html.h"

namespace bnc {

namespace {

// 1, 2 or 5 times a power of ten, so that at most `count` steps span the range.
double tick_step(double span, int count, bool whole) {
  const double rough = span / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.0, 1.0}) {
    if (factor * power >= rough) step = factor * power;
  }
  return whole ? std::max(1.0, step) : step;
}

std::string label(double value, double step) {
  const double size = std::abs(value);
  if (size < step * 1e-6) return "0";
  if (size >= 1e9) return fmt::format("{:.3g}", value);
  if (size >= 1e6 && std::fmod(value, 1e4) == 0) return fmt::format("{:g}M", value / 1e6);
  if (size >= 1e4 && std::fmod(value, 100) == 0) return fmt::format("{:g}k", value / 1e3);
  return fmt::format("{:.6g}", value);
}

}  // namespace

void ChartRange::include(double value) {
  low = std::min(low, value);
  high = std::max(high, value);
}

Axes::Axes(Axis x, Axis y) : x_(std::move(x)), y_(std::move(y)) {
  const auto widen = [](ChartRange& range, double by) {
    if (range.high - range.low > 1e-9 * std::max(std::abs(range.low), std::abs(range.high))) return;
    range = {range.low - by, range.high + by};
  };
  ChartRange& range = y_.range;
  range = {scaled(range.low), scaled(range.high)};
  widen(x_.range, 1);
  widen(range, range.low != 0 ? std::abs(range.low) / 2 : 0.5);
  y_step_ = tick_step(range.high - range.low, 5, y_.whole || y_.logarithmic);
  range.low = std::floor(range.low / y_step_ + 1e-9) * y_step_;
  range.high = std::ceil(range.high / y_step_ - 1e-9) * y_step_;
}

double Axes::scaled(double y) const { return y_.logarithmic ? std::log10(y) : y; }

double Axes::down(double y) const { return top + (y_.range.high - scaled(y)) / (y_.range.high - y_.range.low) * (height - top - bottom); }

std::string Axes::render() const {
  std::string text;
  for (int k = 0; y_.range.low + k * y_step_ <= y_.range.high + y_step_ * 1e-6; ++k) {
    const double place = y_.range.low + k * y_step_, y = y_.logarithmic ? std::pow(10.0, place) : place;
    text += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left, width - right, down(y), down(y));
    text += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 7, down(y) + 4,
                        label(y, y_.logarithmic ? y : y_step_));
  }
  const double step = tick_step(x_.range.high - x_.range.low, 5, x_.whole);
  for (int k = 0; k <= 6; ++k) {
    const double x = (std::ceil(x_.range.low / step - 1e-9) + k) * step;
    if (x > x_.range.high + step * 1e-6) break;
    text += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>", across(x), height - bottom,
                        height - bottom + 4);
    text += fmt::format("<text class=\"across\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", across(x), height - bottom + 18,
                        label(x, step));
  }
  text += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", (left + width - right) / 2,
                      height - 6, escape_html(x_.title));
  return text + fmt::format("<text class=\"title\" x=\"{}\" y=\"14\">{}</text>\n", 6, escape_html(y_.title));
}

}  // namespace bnc
