// Charts as figures with inline SVG. Colours and fonts come from the page's style sheet; without its script they are only not interactive.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/distributions.h"
#include "runtime/report/answers.h"

namespace bnc {

struct Curve {
  std::string name;
  int colour = 0;               // see curve_style
  Points points;
  bool thin = false;            // the edge of a band
};

// The classes of the style sheet that draw the k-th curve: of eight colours, dashed from the fifth curve on, dotted from the ninth on.
// Curves drawn alike in this have colours that colour-blind readers tell apart.
std::string curve_style(int k);

// A place along the horizontal axis that has a name.
struct Mark {
  double at = 0;
  std::string name;
};

struct Chart {
  std::string title, x_title, y_title;
  std::vector<Curve> curves;
  std::vector<std::pair<size_t, size_t>> bands = {};   // filled between two curves that have the same x
  bool legend = true;
  bool from_zero = false;         // the vertical axis begins at 0 at the latest
  bool logarithmic = false;       // where the values span more than three powers of ten
  bool whole_steps = true;        // the horizontal axis counts something
  std::optional<Mark> mark = {};
  Points reference = {};          // a line to compare with
};

// Points that are not finite are left out; empty where nothing is left.
std::string render_chart(const Chart& chart);

// Shares of values as bars; empty for an empty histogram.
std::string render_histogram(const std::string& title, const Histogram& histogram, int colour, const std::string& x_title = "value");

// Single points, and a line to compare them with.
struct Scatter {
  std::string title, x_title, y_title;
  Points points, reference;
  int colour = 0;
};
std::string render_scatter(const Scatter& scatter);   // empty without points

}  // namespace bnc
