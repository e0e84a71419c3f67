// The frame of a chart: a range of numbers each way, ticks and labels, as SVG.
#pragma once

#include <limits>
#include <string>

namespace bnc {

struct ChartRange {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void include(double value);
  bool empty() const { return !(low <= high); }
};

class Axes {
 public:
  // Rounds `y` to whole ticks; widens what is a single point.
  Axes(ChartRange x, ChartRange y, std::string x_title, std::string y_title);

  // In units of the drawing, which is `width` by `height`.
  static constexpr double width = 380, height = 250;
  static constexpr double left = 54, right = 24, top = 28, bottom = 42;
  double across(double x) const { return left + (x - x_.low) / (x_.high - x_.low) * (width - left - right); }
  double down(double y) const { return top + (y_.high - y) / (y_.high - y_.low) * (height - top - bottom); }

  std::string render() const;

 private:
  ChartRange x_, y_;
  std::string x_title_, y_title_;
  double y_step_ = 1;
};

}  // namespace bnc
