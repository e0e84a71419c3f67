// Charts as figures with inline SVG. Colours and fonts come from the page's style sheet; without its script they are only not interactive.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/distributions.h"

namespace bnc {

struct Curve {
  std::string name;
  int colour = 0;               // of those of the style sheet, in a circle
  std::vector<std::pair<double, double>> points;
  bool thin = false;            // the edge of a band
};

struct Chart {
  std::string title, x_title, y_title;
  std::vector<Curve> curves;
  std::vector<std::pair<size_t, size_t>> bands = {};   // filled between two curves that have the same x
  bool legend = true, from_zero = false;   // from_zero: the vertical axis begins at 0 at the latest
};

// Points that are not finite are left out; empty where nothing is left.
std::string render_chart(const Chart& chart);

// Shares of values as bars; empty for an empty histogram.
std::string render_histogram(const std::string& title, const Histogram& histogram, int colour);

}  // namespace bnc
