#include "runtime/report/axes.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/report/html.h"

namespace bnc {

namespace {

// 1, 2 or 5 times a power of ten, so that at most `count` steps span the range.
double tick_step(double span, int count) {
  const double rough = span / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string label(double value, double step) {
  if (std::abs(value) < step * 1e-6) return "0";
  if (std::abs(value) >= 1e4 && std::fmod(value, 100) == 0) return fmt::format("{:g}k", value / 1000);
  return fmt::format("{:.6g}", value);
}

}  // namespace

void ChartRange::include(double value) {
  low = std::min(low, value);
  high = std::max(high, value);
}

Axes::Axes(ChartRange x, ChartRange y, std::string x_title, std::string y_title) : x_(x), y_(y), x_title_(std::move(x_title)), y_title_(std::move(y_title)) {
  const auto widen = [](ChartRange& range, double by) {
    if (range.high - range.low > 1e-9 * std::max(std::abs(range.low), std::abs(range.high))) return;
    range = {range.low - by, range.high + by};
  };
  widen(x_, 1);
  widen(y_, y_.low != 0 ? std::abs(y_.low) / 2 : 0.5);
  y_step_ = tick_step(y_.high - y_.low, 5);
  y_.low = std::floor(y_.low / y_step_ + 1e-9) * y_step_;
  y_.high = std::ceil(y_.high / y_step_ - 1e-9) * y_step_;
}

std::string Axes::render() const {
  std::string text;
  for (int k = 0; y_.low + k * y_step_ <= y_.high + y_step_ * 1e-6; ++k) {
    const double y = y_.low + k * y_step_;
    text += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left, width - right, down(y), down(y));
    text += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 7, down(y) + 4, label(y, y_step_));
  }
  const double step = tick_step(x_.high - x_.low, 5);
  for (int k = 0; k <= 6; ++k) {
    const double x = (std::ceil(x_.low / step - 1e-9) + k) * step;
    if (x > x_.high + step * 1e-6) break;
    text += fmt::format("<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>", across(x), height - bottom, height - bottom + 4);
    text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", across(x), height - bottom + 18, label(x, step));
  }
  text += fmt::format("<text class=\"title\" x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", (left + width - right) / 2, height - 6, escape_html(x_title_));
  return text + fmt::format("<text class=\"title\" x=\"{}\" y=\"14\">{}</text>\n", 6, escape_html(y_title_));
}

}  // namespace bnc
