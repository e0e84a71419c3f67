// Several runs laid over one another.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/html.h"
#include "runtime/report/report.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

using Runs = std::span<const RunRecord>;

std::vector<HistoryRow> tests_of(const RunRecord& run) {
  std::vector<HistoryRow> tests;
  std::copy_if(run.history.begin(), run.history.end(), std::back_inserter(tests), [](const HistoryRow& row) { return row.tested && !std::isnan(row.test_accuracy); });
  return tests;
}

// A chart of one figure, a curve a run.
std::string render_figure(Runs runs, const std::string& title, const std::string& y_title, bool of_tests, double HistoryRow::*figure) {
  Chart chart{title, "training step", y_title, {}};
  chart.from_zero = figure == &HistoryRow::rate;
  for (size_t k = 0; k < runs.size(); ++k) {
    Curve curve{runs[k].folder, static_cast<int>(k), {}};
    for (const HistoryRow& row : runs[k].history) {
      if (row.tested || !of_tests) curve.points.emplace_back(static_cast<double>(row.step), row.*figure);
    }
    chart.curves.push_back(std::move(curve));
  }
  return render_chart(chart);
}

// What every run has reached at some time: the lowest of their best test accuracies; NaN where a run has no tests.
double common_accuracy(Runs runs) {
  double common = 1;
  for (const RunRecord& run : runs) {
    const std::vector<HistoryRow> tests = tests_of(run);
    if (tests.empty()) return std::nan("");
    common = std::min(common, std::max_element(tests.begin(), tests.end(), [](const auto& a, const auto& b) { return a.test_accuracy < b.test_accuracy; })->test_accuracy);
  }
  return common;
}

std::string render_results(Runs runs) {
  const double common = common_accuracy(runs);
  HtmlTable table{"the runs; their curves below have the same colours", "number", {"run", "steps", "last loss", "last accuracy", "last test loss", "last test accuracy", "best test accuracy"}, {}, {}};
  if (!std::isnan(common)) table.head.push_back(fmt::format("steps until {}", percent(common)));
  for (size_t k = 0; k < runs.size(); ++k) {
    const RunRecord& run = runs[k];
    const std::vector<HistoryRow> tests = tests_of(run);
    const HistoryRow last = run.history.empty() ? HistoryRow{} : run.history.back();
    double best = std::nan("");
    for (const HistoryRow& row : tests) best = std::fmax(best, row.test_accuracy);
    std::vector<std::string> cells = {fmt::format("<i class=\"swatch c{}\"></i>{}{}", k % 8, escape_html(run.folder), run.network.empty() ? "" : fmt::format("<br><span class=\"small\">{}</span>", escape_html(run.network))),
                                      std::to_string(last.step), fmt::format("{:.4f}", last.loss), percent(last.accuracy), tests.empty() ? "none" : fmt::format("{:.4f}", tests.back().test_loss),
                                      percent(tests.empty() ? std::nan("") : tests.back().test_accuracy), percent(best)};
    if (!std::isnan(common)) cells.push_back(std::to_string(std::find_if(tests.begin(), tests.end(), [&](const HistoryRow& row) { return row.test_accuracy >= common; })->step));
    table.rows.push_back(std::move(cells));
  }
  return render_table(table);
}

// Settings in which the runs differ.
std::string render_differences(Runs runs) {
  std::vector<std::string> names;
  std::map<std::string, std::map<size_t, std::string>> values;
  for (size_t k = 0; k < runs.size(); ++k) {
    for (const auto& [name, value] : runs[k].settings) {
      if (values.count(name) == 0) names.push_back(name);
      values[name][k] = value;
    }
  }
  HtmlTable table{"settings in which the runs differ", "wide", {"setting"}, {}, {}};
  for (const RunRecord& run : runs) table.head.push_back(escape_html(run.folder));
  for (const std::string& name : names) {
    std::set<std::string> different;
    std::vector<std::string> row = {escape_html(name)};
    for (size_t k = 0; k < runs.size(); ++k) {
      different.insert(values[name][k]);
      row.push_back(escape_html(values[name][k]));
    }
    if (different.size() > 1) table.rows.push_back(std::move(row));
  }
  return table.rows.empty() ? "" : render_section("Settings", "", render_table(table));
}

}  // namespace

std::string render_comparison(Runs runs) {
  const std::string charts = render_figure(runs, "Training loss", "loss an example", false, &HistoryRow::loss) +
                             render_figure(runs, "Test loss", "loss an example", true, &HistoryRow::test_loss) +
                             render_figure(runs, "Training accuracy", "share of right answers", false, &HistoryRow::accuracy) +
                             render_figure(runs, "Test accuracy", "share of right answers", true, &HistoryRow::test_accuracy) +
                             render_figure(runs, "Learning rate", "rate", false, &HistoryRow::rate);
  return render_page("training runs compared", fmt::format("<h1>{} training runs</h1>\n", runs.size()) + render_results(runs) +
                                                   render_section("Course", "A click on a run in a legend hides it or shows it again.", "<div class=\"charts\">\n" + charts + "</div>\n") + render_differences(runs));
}

}  // namespace bnc
