// What batch norms take in as training goes on, and what they make of it.
#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/html.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

constexpr size_t shown_at_once = 4;

using Rows = std::vector<const DistributionRow*>;

Rows rows_of(const RunRecord& run, const std::string& batch_norm) {
  Rows rows;
  for (const DistributionRow& row : run.distributions) {
    if (row.batch_norm == batch_norm) rows.push_back(&row);
  }
  return rows;
}

// Bands around the median over the places of the rows.
std::string render_bands(const std::string& title, const std::string& x_title, const Rows& rows,
                         const std::function<int64_t(size_t)>& place) {
  Chart chart{title, x_title, "value", {}, {{0, 4}, {1, 3}}, false};
  for (size_t k = 0; k < distribution_percentiles.size(); ++k) {
    const int percentile = distribution_percentiles[k];
    Curve curve{percentile == 50 ? "median" : fmt::format("{}th percentile", percentile), 3, {}, percentile != 50};
    for (size_t row = 0; row < rows.size(); ++row) curve.points.emplace_back(static_cast<double>(place(row)), rows[row]->values[k]);
    chart.curves.push_back(std::move(curve));
  }
  return render_chart(chart);
}

std::string render_charts(const RunRecord& run, const std::string& batch_norm) {
  const Rows rows = rows_of(run, batch_norm);
  std::string charts = render_bands("Before normalization, over time", "training step", rows, [&](size_t k) { return rows[k]->step; });
  const auto found = std::find_if(run.histograms.begin(), run.histograms.end(),
                                  [&](const auto& each) { return each.batch_norm == batch_norm; });
  if (found != run.histograms.end())
    charts += render_histogram("Before normalization, at the end", found->before, 3) +
              render_histogram("After it, scaled and shifted", found->after, 5);
  return "<div class=\"charts\">\n" + charts + "</div>\n";
}

// What all of them take in at the end, one beside the other.
std::string render_overview(const RunRecord& run, const std::vector<std::string>& names) {
  Rows last;
  for (const std::string& name : names) last.push_back(rows_of(run, name).back());
  const std::string chart = render_bands("Before normalization, at the end, all of them", "batch norm, in the order of the network", last,
                                         [](size_t k) { return static_cast<int64_t>(k) + 1; });
  return "<div class=\"charts\">\n" + chart + "</div>\n";
}

}  // namespace

Section render_normalization(const RunRecord& run) {
  std::vector<std::string> names;
  for (const DistributionRow& row : run.distributions) {
    if (std::find(names.begin(), names.end(), row.batch_norm) == names.end()) names.push_back(row.batch_norm);
  }
  std::string text = names.size() > shown_at_once ? render_overview(run, names) : "", more;
  for (size_t k = 0; k < names.size(); ++k) {
    const std::string name = breakable(names[k]), charts = render_charts(run, names[k]);
    if (k < shown_at_once) text += fmt::format("<h3>{}</h3>\n{}", name, charts);
    else more += fmt::format("<details><summary>{}: {}</summary>\n{}</details>\n", k + 1, name, charts);
  }
  if (!more.empty())
    text += fmt::format("<details><summary>{} more batch norms</summary>\n{}</details>\n", names.size() - shown_at_once, more);
  return {"Batch norms",
          "What each batch norm takes in, over all channels, for the same few training examples all along, normalized with their own "
          "statistics. The line is the median, the dark band goes from the 15th to the 85th percentile, the light one from the 5th to the "
          "95th.",
          text};
}

}  // namespace bnc
