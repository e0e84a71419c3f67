// Several runs laid over one another.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/courses.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/report.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

using Runs = std::span<const RunRecord>;

// What the tests of all the runs are of.
std::string watched_by(Runs runs) {
  std::set<std::string> names;
  for (const RunRecord& run : runs) names.insert(run.watched);
  return names.size() == 1 ? *names.begin() : "test or validation";
}

FigureCourse course_named(const RunRecord& run, const std::string& name) {
  for (FigureCourse& course : courses_of(run))
    if (course.name == name) return std::move(course);
  return {};
}

// All figures that a run has, in order.
std::vector<FigureCourse> figures_of(Runs runs) {
  std::vector<FigureCourse> figures;
  for (const RunRecord& run : runs) {
    for (const FigureCourse& course : courses_of(run)) {
      const auto same = [&](const FigureCourse& other) { return other.name == course.name; };
      if (std::none_of(figures.begin(), figures.end(), same)) figures.push_back({course.name, course.meaning, course.logarithmic, {}, {}});
    }
  }
  return figures;
}

// A chart of one figure, a curve a run.
std::string render_figure(Runs runs, Chart chart, const std::function<Points(const RunRecord&)>& points) {
  chart.x_title = "training step";
  for (size_t k = 0; k < runs.size(); ++k) chart.curves.push_back({runs[k].folder, static_cast<int>(k), points(runs[k])});
  return render_chart(chart);
}

std::string render_figures(Runs runs) {
  std::string charts;
  for (const FigureCourse& figure : figures_of(runs)) {
    for (Points FigureCourse::*points : {&FigureCourse::training, &FigureCourse::tests}) {
      const std::string of = points == &FigureCourse::training ? "training" : watched_by(runs);
      Chart chart{capitalized(of) + " " + figure.name, "", figure.meaning, {}};
      chart.logarithmic = figure.logarithmic;
      charts += render_figure(runs, chart, [&](const RunRecord& run) { return course_named(run, figure.name).*points; });
    }
  }
  Chart rates{"Learning rate", "", "rate", {}};
  rates.from_zero = true;
  return charts + render_figure(runs, rates, rates_of);
}

double last_of(const Points& points) { return points.empty() ? std::nan("") : points.back().second; }

// The figures of a run, as its own page has them; where it has not ended, the last ones of its history.
struct FinalFigures {
  double train_loss, train_accuracy, test_loss, test_accuracy, best_loss, best_accuracy;
};

FinalFigures result_of(const RunRecord& run) {
  const FigureCourse loss = course_named(run, "loss"), accuracy = course_named(run, "accuracy");
  FinalFigures result{last_of(loss.training), last_of(accuracy.training), last_of(loss.tests),
                last_of(accuracy.tests), std::nan(""), std::nan("")};
  for (const auto& [step, value] : loss.tests) result.best_loss = std::fmin(result.best_loss, value);
  for (const auto& [step, value] : accuracy.tests) result.best_accuracy = std::fmax(result.best_accuracy, value);
  if (run.train.count > 0) std::tie(result.train_loss, result.train_accuracy) = std::tie(run.train.loss, run.train.accuracy);
  const EvaluationResult& test = run.watched == "validation" ? run.validation : run.test;
  if (test.count > 0) std::tie(result.test_loss, result.test_accuracy) = std::tie(test.loss, test.accuracy);
  result.best_loss = std::fmin(result.best_loss, result.test_loss);
  result.best_accuracy = std::fmax(result.best_accuracy, result.test_accuracy);
  return result;
}

// What every run has reached at some time: the lowest of their best test accuracies; NaN where a run has no tests.
double common_accuracy(Runs runs) {
  double common = 1;
  for (const RunRecord& run : runs) {
    double best = std::nan("");
    for (const auto& [step, accuracy] : course_named(run, "accuracy").tests) best = std::fmax(best, accuracy);
    if (std::isnan(best)) return best;
    common = std::min(common, best);
  }
  return common;
}

std::string steps_until(const RunRecord& run, double accuracy) {
  const Points tests = course_named(run, "accuracy").tests;
  return fmt::format("{}", std::find_if(tests.begin(), tests.end(), [&](const auto& test) { return test.second >= accuracy; })->first);
}

std::string render_results(Runs runs) {
  const double common = common_accuracy(runs);
  const bool accuracies = std::any_of(runs.begin(), runs.end(),
                                      [](const RunRecord& run) { return !std::isnan(result_of(run).train_accuracy); });
  const std::string watched = watched_by(runs);
  HtmlTable table{"the runs; their curves below have the same colours",
                  "number stack",
                  {"run", "steps", "training loss", watched + " loss", "best " + watched + " loss"},
                  {},
                  {}};
  if (accuracies) table.head.insert(table.head.end(), {"training accuracy", watched + " accuracy", "best " + watched + " accuracy"});
  if (!std::isnan(common)) table.head.push_back(fmt::format("steps until {}", percent(common)));
  for (size_t k = 0; k < runs.size(); ++k) {
    const RunRecord& run = runs[k];
    const FinalFigures result = result_of(run);
    const std::string network = run.network.empty() ? "" : fmt::format("<br><span class=\"small\">{}</span>", breakable(run.network));
    std::vector<std::string> cells = {
        fmt::format("<i class=\"swatch {}\"></i>{}{}", curve_style(static_cast<int>(k)), breakable(run.folder), network),
        std::to_string(steps_done(run)), loss_text(result.train_loss), loss_text(result.test_loss),
        loss_text(result.best_loss)};
    if (accuracies)
      cells.insert(cells.end(), {percent(result.train_accuracy), percent(result.test_accuracy), percent(result.best_accuracy)});
    if (!std::isnan(common)) cells.push_back(steps_until(run, common));
    table.rows.push_back(std::move(cells));
  }
  return render_table(table) +
         "<p>The training figures of a run that was finished are those of its last epoch, as on its own page; of another run those of the "
         "last row of its history.</p>\n";
}

// Settings in which the runs differ.
Section render_differences(Runs runs) {
  std::vector<std::string> names;
  std::map<std::string, std::map<size_t, std::string>> values;
  for (size_t k = 0; k < runs.size(); ++k) {
    std::vector<std::pair<std::string, std::string>> settings = runs[k].settings;
    if (!runs[k].calls.empty()) {
      const RunCall& call = runs[k].calls.back();
      settings.insert(settings.end(), {{"machine", call.machine}, {"threads", std::to_string(call.threads)}, {"version", call.version}});
    }
    for (const auto& [name, value] : settings) {
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
  const Section course{"Course",
                       "Training figures are means over the steps since the point before. A click on a run in a legend hides it or shows "
                       "it again.",
                       "<div class=\"charts\">\n" + render_figures(runs) + "</div>\n"};
  return render_page("training runs compared", fmt::format("<h1>{} training runs</h1>\n", runs.size()) + render_results(runs),
                     {course, render_differences(runs)});
}

}  // namespace bnc
