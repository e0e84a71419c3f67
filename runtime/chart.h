// Line charts as inline SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace bnc {

struct Curve {
  std::string name, style;   // the style is a CSS class
  std::vector<std::pair<double, double>> points;
};

// Curves over training steps. Colours and fonts come from the page's style sheet.
std::string render_chart(const std::string& title, const std::vector<Curve>& curves);

// Text with the characters that HTML gives a meaning replaced.
std::string escape_html(const std::string& text);

}  // namespace bnc
