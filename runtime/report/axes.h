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

struct Axis {
  std::string title;
  ChartRange range = {};
  bool whole = false;         // its numbers count something: no ticks between them
  bool logarithmic = false;   // of a range above 0; only upwards
};

class Axes {
 public:
  // Rounds the range of `y` to whole ticks; widens what is a single point.
  Axes(Axis x, Axis y);

  // In units of the drawing, which is `width` by `height`.
  static constexpr double width = 380, height = 250;
  static constexpr double left = 62, right = 20, top = 28, bottom = 42;
  double across(double x) const { return left + (x - x_.range.low) / (x_.range.high - x_.range.low) * (width - left - right); }
  double down(double y) const;

  std::string render() const;

 private:
  double scaled(double y) const;   // a logarithmic axis counts powers of ten

  Axis x_, y_;
  double y_step_ = 1;
};

}  // namespace bnc
