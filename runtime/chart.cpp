#include "runtime/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace bnc {

namespace {

constexpr double width = 560, height = 300, left = 56, right = 14, top = 14, bottom = 34;

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// 1, 2 or 5 times a power of ten, so that about `count` steps span the range.
double tick_step(double span, int count) {
  const double rough = span / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

std::string label(double value) {
  if (std::abs(value) >= 1e4 && std::fmod(value, 1000) == 0) return fmt::format("{:g}k", value / 1000);
  return fmt::format("{:g}", std::abs(value) < 1e-12 ? 0.0 : value);
}

class Axes {
 public:
  Axes(Range x, Range y) : x_(x), y_(y) {
    if (y_.high - y_.low < 1e-9) y_ = {y_.low - 0.5, y_.high + 0.5};
    if (x_.high - x_.low < 1e-9) x_ = {x_.low - 1, x_.high + 1};
    y_step_ = tick_step(y_.high - y_.low, 5);
    y_.low = std::floor(y_.low / y_step_ + 1e-9) * y_step_;
    y_.high = std::ceil(y_.high / y_step_ - 1e-9) * y_step_;
  }
  double across(double x) const { return left + (x - x_.low) / (x_.high - x_.low) * (width - left - right); }
  double down(double y) const { return top + (y_.high - y) / (y_.high - y_.low) * (height - top - bottom); }

  std::string render() const {
    std::string text;
    for (int k = 0; y_.low + k * y_step_ <= y_.high + y_step_ * 1e-6; ++k) {
      const double y = y_.low + k * y_step_;
      text += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left, width - right, down(y), down(y));
      text += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left - 8, down(y) + 4, label(y));
    }
    const double step = std::max(1.0, tick_step(x_.high - x_.low, 5));
    for (double x = std::ceil(x_.low / step) * step; x <= x_.high; x += step) {
      text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>", across(x), height - bottom + 20, label(x));
    }
    return text + "\n";
  }

 private:
  Range x_, y_;
  double y_step_ = 1;
};

std::string render_curve(const Axes& axes, const Curve& curve) {
  std::string points, dots;
  for (const auto& [x, y] : curve.points) {
    points += fmt::format("{:.1f},{:.1f} ", axes.across(x), axes.down(y));
    if (curve.points.size() <= 40) dots += fmt::format("<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"/>", curve.style, axes.across(x), axes.down(y));
  }
  return fmt::format("<polyline class=\"{}\" points=\"{}\"/>{}\n", curve.style, points, dots);
}

}  // namespace

std::string render_chart(const std::string& title, const std::vector<Curve>& curves) {
  Range x, y;
  std::vector<Curve> finite;
  for (const Curve& curve : curves) {
    finite.push_back({curve.name, curve.style, {}});
    for (const auto& point : curve.points) {
      if (!std::isfinite(point.second)) continue;
      finite.back().points.push_back(point);
      x.include(point.first);
      y.include(point.second);
    }
    if (finite.back().points.empty()) finite.pop_back();
  }
  if (finite.empty()) return "";
  const Axes axes(x, y);
  std::string legend, lines;
  for (const Curve& curve : finite) {
    legend += fmt::format("<span class=\"key {}\"></span>{} ", curve.style, curve.name);
    lines += render_curve(axes, curve);
  }
  return fmt::format("<figure><figcaption><b>{}</b> over steps <span class=\"legend\">{}</span></figcaption>\n"
                     "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} over steps\">\n{}{}</svg></figure>\n",
                     title, legend, width, height, title, axes.render(), lines);
}

std::string escape_html(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') escaped += "&amp;";
    else if (c == '<') escaped += "&lt;";
    else if (c == '>') escaped += "&gt;";
    else if (c == '"') escaped += "&quot;";
    else escaped.push_back(c);
  }
  return escaped;
}

}  // namespace bnc
