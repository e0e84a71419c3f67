// Several runs laid over one another.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/report.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

using Runs = std::span<const RunRecord>;

std::vector<HistoryRow> tests_of(const RunRecord& run) {
  std::vector<HistoryRow> tests;
  std::copy_if(run.history.begin(), run.history.end(), std::back_inserter(tests), [](const HistoryRow& row) { return row.tested; });
  return tests;
}

// A chart of one figure, a curve a run.
std::string render_figure(Runs runs, const std::string& title, const std::string& y_title, bool of_tests, double HistoryRow::*figure) {
  Chart chart{title, "training step", y_title, {}};
  chart.from_zero = figure == &HistoryRow::rate;
  chart.logarithmic = figure == &HistoryRow::loss || figure == &HistoryRow::test_loss;
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
    double best = std::nan("");
    for (const HistoryRow& row : tests_of(run)) best = std::fmax(best, row.test_accuracy);
    if (std::isnan(best)) return best;
    common = std::min(common, best);
  }
  return common;
}

std::string render_results(Runs runs) {
  const double common = common_accuracy(runs);
  const bool accuracies = std::any_of(
      runs.begin(), runs.end(), [](const RunRecord& run) { return !run.history.empty() && !std::isnan(run.history.back().accuracy); });
  HtmlTable table{"the runs; their curves below have the same colours",
                  "number stack",
                  {"run", "steps", "last loss", "last test loss", "best test loss"},
                  {},
                  {}};
  if (accuracies) table.head.insert(table.head.end(), {"last accuracy", "last test accuracy", "best test accuracy"});
  if (!std::isnan(common)) table.head.push_back(fmt::format("steps until {}", percent(common)));
  for (size_t k = 0; k < runs.size(); ++k) {
    const RunRecord& run = runs[k];
    const std::vector<HistoryRow> tests = tests_of(run);
    const HistoryRow last = run.history.empty() ? HistoryRow{} : run.history.back(),
                     none{0, 0, 0, 0, false, std::nan(""), std::nan(""), 0, 0};
    const HistoryRow& last_test = tests.empty() ? none : tests.back();
    HistoryRow best = none;
    for (const HistoryRow& row : tests) {
      best.test_loss = std::fmin(best.test_loss, row.test_loss);
      best.test_accuracy = std::fmax(best.test_accuracy, row.test_accuracy);
    }
    const std::string network = run.network.empty() ? "" : fmt::format("<br><span class=\"small\">{}</span>", breakable(run.network));
    std::vector<std::string> cells = {
        fmt::format("<i class=\"swatch {}\"></i>{}{}", curve_style(static_cast<int>(k)), breakable(run.folder), network),
        std::to_string(last.step), loss_text(last.loss), loss_text(last_test.test_loss), loss_text(best.test_loss)};
    if (accuracies) cells.insert(cells.end(), {percent(last.accuracy), percent(last_test.test_accuracy), percent(best.test_accuracy)});
    if (!std::isnan(common))
      cells.push_back(std::to_string(
          std::find_if(tests.begin(), tests.end(), [&](const HistoryRow& row) { return row.test_accuracy >= common; })->step));
    table.rows.push_back(std::move(cells));
  }
  return render_table(table);
}

// Settings in which the runs differ.
Section render_differences(Runs runs) {
  std::vector<std::string> names;
  std::map<std::string, std::map<size_t, std::string>> values;
  for (size_t k = 0; k < runs.size(); ++k) {
    for (const auto& [name, value] : runs[k].settings) {
      if (values.count(name) == 0) names.push_back(name);
      values[name][k] = value;
    }
  }
  HtmlTable table{"settings in which the runs differ", "wide stack", {"setting"}, {}, {}};
  for (const RunRecord& run : runs) table.head.push_back(run.folder);
  for (const std::string& name : names) {
    std::set<std::string> different;
    std::vector<std::string> row = {breakable(name)};
    for (size_t k = 0; k < runs.size(); ++k) {
      different.insert(values[name][k]);
      row.push_back(breakable(values[name][k]));
    }
    if (different.size() > 1) table.rows.push_back(std::move(row));
  }
  return {"Settings", "", table.rows.empty() ? "" : render_table(table)};
}

}  // namespace

std::string render_comparison(Runs runs) {
  const std::string charts = render_figure(runs, "Training loss", "loss an example", false, &HistoryRow::loss) +
                             render_figure(runs, "Test loss", "loss an example", true, &HistoryRow::test_loss) +
                             render_figure(runs, "Training accuracy", "share of right answers", false, &HistoryRow::accuracy) +
                             render_figure(runs, "Test accuracy", "share of right answers", true, &HistoryRow::test_accuracy) +
                             render_figure(runs, "Learning rate", "rate", false, &HistoryRow::rate);
  const Section course{"Course", "A click on a run in a legend hides it or shows it again.",
                       "<div class=\"charts\">\n" + charts + "</div>\n"};
  return render_page("training runs compared", fmt::format("<h1>{} training runs</h1>\n", runs.size()) + render_results(runs),
                     {course, render_differences(runs)});
}

}  // namespace bnc
