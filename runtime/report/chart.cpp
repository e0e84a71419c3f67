#include "runtime/report/chart.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/report/axes.h"
#include "runtime/report/html.h"

namespace bnc {

namespace {

constexpr int colours = 8;
constexpr size_t most_dots = 40;
constexpr double wide = 1000;

std::string svg(const std::string& description, const std::string& x_title, const std::string& inside) {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" data-across=\"{}\">\n{}</svg>", Axes::width, Axes::height,
                     escape_html(description), escape_html(x_title), inside);
}

std::string figure(const std::string& title, const std::string& legend, const std::string& drawing) {
  return fmt::format("<figure class=\"chart\">\n<figcaption>{}</figcaption>\n{}{}\n</figure>\n", escape_html(title), legend, drawing);
}

std::string render_points(const Axes& axes, const Points& points) {
  std::string text;
  for (const auto& [x, y] : points) text += fmt::format("{:.1f},{:.1f} ", axes.across(x), axes.down(y));
  return text;
}

// The numbers themselves stand beside the line, for the page's script.
std::string render_curve(const Axes& axes, const Curve& curve) {
  std::string xs, ys, dots;
  for (const auto& [x, y] : curve.points) {
    xs += fmt::format("{:.12g} ", x);
    ys += fmt::format("{:.4g} ", y);
    if (curve.points.size() > most_dots || curve.thin) continue;
    dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"/>", axes.across(x), axes.down(y), curve.points.size() == 1 ? 4 : 2.5);
  }
  return fmt::format("<g class=\"curve {}{}\" data-name=\"{}\" data-x=\"{}\" data-y=\"{}\"><polyline points=\"{}\"/>{}</g>\n",
                     curve_style(curve.colour), curve.thin ? " thin" : "", escape_html(curve.name), xs, ys,
                     render_points(axes, curve.points), dots);
}

std::string render_band(const Axes& axes, const Curve& low, const Curve& high) {
  Points outline = high.points;
  outline.insert(outline.end(), low.points.rbegin(), low.points.rend());
  return fmt::format("<polygon class=\"band c{}\" points=\"{}\"/>\n", low.colour % colours, render_points(axes, outline));
}

std::string render_reference(const Axes& axes, const Points& points) {
  return points.empty() ? "" : fmt::format("<polyline class=\"reference\" points=\"{}\"/>\n", render_points(axes, points));
}

// A line across the chart, with its name on the side where there is room.
std::string render_mark(const Axes& axes, const Mark& mark) {
  const double x = axes.across(mark.at);
  const bool right = x > Axes::width / 2;
  return fmt::format(
      "<line class=\"mark\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/><text class=\"mark-name\" x=\"{3:.1f}\" y=\"{4}\" "
      "text-anchor=\"{5}\">{6}</text>\n",
      x, Axes::top, Axes::height - Axes::bottom, right ? x - 6 : x + 6, Axes::top + 12, right ? "end" : "start", escape_html(mark.name));
}

// "loss over training steps. training: 2.3 to 0.41; test: 2.2 to 0.52"
std::string describe(const Chart& chart) {
  std::vector<std::string> parts;
  for (const Curve& curve : chart.curves) {
    if (!curve.points.empty())
      parts.push_back(fmt::format("{}: {:.4g} to {:.4g}", curve.name, curve.points.front().second, curve.points.back().second));
  }
  return fmt::format("{}: {} over {}. {}", chart.title, chart.y_title, chart.x_title, fmt::join(parts, "; "));
}

std::string render_legend(const Chart& chart) {
  if (!chart.legend) return "";
  std::string text = "<div class=\"legend\">";
  for (const Curve& curve : chart.curves) {
    if (curve.points.empty()) continue;
    text += fmt::format("<button type=\"button\" class=\"key {}\" aria-pressed=\"true\" data-name=\"{}\"><i></i><span>{}</span></button>",
                        curve_style(curve.colour), escape_html(curve.name), breakable(curve.name));
  }
  return text + "</div>\n";
}

}  // namespace

std::string curve_style(int k) { return fmt::format("c{}{}", k % colours, k < colours / 2 ? "" : k < colours ? " dashed" : " dotted"); }

std::string render_chart(const Chart& given) {
  Chart chart = given;
  Axis across{chart.x_title, {}, chart.whole_steps}, up{chart.y_title};
  ChartRange &x = across.range, &y = up.range;
  for (Curve& curve : chart.curves) {
    std::erase_if(curve.points, [](const auto& point) { return !std::isfinite(point.second); });
    for (const auto& [along, value] : curve.points) {
      x.include(along);
      y.include(value);
    }
  }
  if (x.empty()) return "";
  if (chart.mark) x.include(chart.mark->at);
  for (const auto& [along, value] : chart.reference) {
    x.include(along);
    y.include(value);
  }
  if (chart.from_zero) y.include(0);
  up.logarithmic = chart.logarithmic && y.low > 0 && y.high > wide * y.low;
  if (up.logarithmic) up.title += ", logarithmic";
  const Axes axes(across, up);
  std::string inside = axes.render() + render_reference(axes, chart.reference);
  if (chart.mark) inside += render_mark(axes, *chart.mark);
  for (const auto& [low, high] : chart.bands) inside += render_band(axes, chart.curves[low], chart.curves[high]);
  for (const Curve& curve : chart.curves) {
    if (!curve.points.empty()) inside += render_curve(axes, curve);
  }
  return figure(chart.title, render_legend(chart), svg(describe(chart), chart.x_title, inside));
}

std::string render_histogram(const std::string& title, const Histogram& histogram, int colour, const std::string& x_title) {
  if (histogram.counts.empty()) return "";
  double total = 0;
  for (const int64_t count : histogram.counts) total += static_cast<double>(count);
  const Axis values{x_title, {histogram.low, histogram.high}};
  Axis shares{"% of the values", {0, 0}};
  for (const int64_t count : histogram.counts) shares.range.include(100 * static_cast<double>(count) / total);
  const Axes axes(values, shares);
  const double width = (histogram.high - histogram.low) / static_cast<double>(histogram.counts.size());
  std::string bars;
  for (size_t k = 0; k < histogram.counts.size(); ++k) {
    const double share = 100 * static_cast<double>(histogram.counts[k]) / total,
                 left = axes.across(histogram.low + static_cast<double>(k) * width);
    const double right = std::max(axes.across(histogram.low + static_cast<double>(k + 1) * width) - 0.5, left + 1);
    if (share > 0) bars += fmt::format("M{:.1f} {:.1f}H{:.1f}V{:.1f}H{:.1f}z", left, axes.down(0), right, axes.down(share), left);
  }
  const std::string description = fmt::format("{}: histogram from {:.3g} to {:.3g}", title, histogram.low, histogram.high);
  return figure(
      title, "",
      svg(description, values.title, axes.render() + fmt::format("<path class=\"bars c{}\" d=\"{}\"/>\n", colour % colours, bars)));
}

std::string render_scatter(const Scatter& scatter) {
  if (scatter.points.empty()) return "";
  Axis along{scatter.x_title}, up{scatter.y_title};
  for (const Points& points : {scatter.points, scatter.reference}) {
    for (const auto& [x, y] : points) {
      along.range.include(x);
      up.range.include(y);
    }
  }
  const Axes axes(along, up);
  std::string dots;
  for (const auto& [x, y] : scatter.points) dots += fmt::format("M{:.1f} {:.1f}h0", axes.across(x), axes.down(y));
  const std::string inside = axes.render() + render_reference(axes, scatter.reference) +
                             fmt::format("<path class=\"points c{}\" d=\"{}\"/>\n", scatter.colour % colours, dots);
  const std::string description =
      fmt::format("{}: {} over {}, {} points", scatter.title, scatter.y_title, scatter.x_title, scatter.points.size());
  return figure(scatter.title, "", svg(description, scatter.x_title, inside));
}

}  // namespace bnc
