// What batch norms take in as training goes on, and what they make of it.
#include <algorithm>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/html.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

constexpr size_t shown_at_once = 8;

std::string render_bands(const std::vector<const DistributionRow*>& rows) {
  Chart chart{"Before normalization, over time", "training step", "value", {}, {{0, 4}, {1, 3}}, false};
  for (size_t k = 0; k < distribution_percentiles.size(); ++k) {
    Curve curve{distribution_percentiles[k] == 50 ? "median" : fmt::format("{}th percentile", distribution_percentiles[k]), 3, {}, distribution_percentiles[k] != 50};
    for (const DistributionRow* row : rows) curve.points.emplace_back(static_cast<double>(row->step), row->values[k]);
    chart.curves.push_back(std::move(curve));
  }
  return render_chart(chart);
}

std::string render_batch_norm(const RunRecord& run, const std::string& batch_norm) {
  std::vector<const DistributionRow*> rows;
  for (const DistributionRow& row : run.distributions) {
    if (row.batch_norm == batch_norm) rows.push_back(&row);
  }
  std::string charts = render_bands(rows);
  const auto found = std::find_if(run.histograms.begin(), run.histograms.end(), [&](const auto& each) { return each.batch_norm == batch_norm; });
  if (found != run.histograms.end()) charts += render_histogram("Before normalization, at the end", found->before, 3) + render_histogram("After it, scaled and shifted", found->after, 5);
  return fmt::format("<h3>{}</h3>\n<div class=\"charts\">\n{}</div>\n", escape_html(batch_norm), charts);
}

}  // namespace

std::string render_normalization(const RunRecord& run) {
  std::vector<std::string> names;
  for (const DistributionRow& row : run.distributions) {
    if (std::find(names.begin(), names.end(), row.batch_norm) == names.end()) names.push_back(row.batch_norm);
  }
  std::string text, more;
  for (size_t k = 0; k < names.size(); ++k) (k < shown_at_once ? text : more) += render_batch_norm(run, names[k]);
  if (!more.empty()) text += fmt::format("<details><summary>{} more batch norms</summary>\n{}</details>\n", names.size() - shown_at_once, more);
  return render_section("Batch norms",
                        "What each batch norm takes in, over all channels, for the same few training examples all along, normalized with their own statistics. "
                        "The line is the median, the dark band goes from the 15th to the 85th percentile, the light one from the 5th to the 95th.",
                        text);
}

}  // namespace bnc
