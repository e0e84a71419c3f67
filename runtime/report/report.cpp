#include "runtime/report/report.h"

#include <cmath>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/courses.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

std::string card(const std::string& title, const std::string& figure) {
  return fmt::format("<div class=\"card\">{}<b>{}</b></div>\n", title, figure);
}

std::string cards_of(const std::string& set, const EvaluationResult& result) {
  if (result.count == 0) return "";
  std::string text = (std::isnan(result.accuracy) ? "" : card(set + " accuracy", percent(result.accuracy))) +
                     card(set + " loss", loss_text(result.loss));
  for (const auto& [name, value] : result.metrics) text += card(breakable(set + " " + name), figure_text(value));
  return text;
}

// The figures of the networks that predict one number.
std::string cards_of(const RunRecord& run, const OutputAnswers& answers) {
  if (answers.numbers.size() != 1) return "";
  const NumberAnswers& numbers = answers.numbers.front();
  return card(run.answered + " RMSE", figure_text(numbers.root_mean_square_error)) +
         (std::isnan(numbers.r_squared) ? "" : card(run.answered + " R\u00b2", fmt::format("{:.4g}", numbers.r_squared)));
}

std::string cards_of(const ClassAnswers& answers, const std::string& set) {
  if (!answers.ranking || std::isnan(answers.ranking->auc)) return "";
  return card(set + " ROC AUC", fmt::format("{:.4f}", answers.ranking->auc));
}

std::string render_figures(const RunRecord& run) {
  std::string text = "<div class=\"cards\">\n" + cards_of("test", run.test) + cards_of("validation", run.validation);
  if (run.answers.size() == 1) {
    const OutputAnswers& answers = run.answers.front();
    text += answers.classes ? cards_of(*answers.classes, run.answered) : cards_of(run, answers);
  }
  text += cards_of("training", run.train);
  if (!run.history.empty()) text += card("steps", std::to_string(steps_done(run))) + card("time", duration(run.history.back().seconds));
  return text + "</div>\n";
}

std::string render_course_chart(const RunRecord& run, const FigureCourse& course) {
  Chart chart{capitalized(course.name), "training step", course.meaning,
              {{"training", 0, course.training}, {run.watched, 1, course.tests}}};
  chart.logarithmic = course.logarithmic;
  if (run.divergence) chart.mark = {static_cast<double>(run.divergence->step), "diverged"};
  return render_chart(chart);
}

Section render_course(const RunRecord& run) {
  std::string charts;
  for (const FigureCourse& course : courses_of(run)) charts += render_course_chart(run, course);
  Chart rates{"Learning rate", "training step", "rate", {{"learning rate", 2, rates_of(run)}}};
  rates.legend = false;
  rates.from_zero = true;
  if (run.divergence) rates.mark = {static_cast<double>(run.divergence->step), "diverged"};
  charts += render_chart(rates);
  const std::string last = run.train.count > 0 ? " Above stands the mean over the last epoch." : "";
  return {"Course", "Training figures are means over the steps since the point before." + last,
          charts.empty() ? "" : "<div class=\"charts\">\n" + charts + "</div>\n"};
}

// "started 2026-11-29 07:45 UTC on AMD EPYC, 4 processors, by bnc 0.1"
std::string render_origin(const RunRecord& run) {
  if (run.calls.empty()) return "";
  const RunCall& first = run.calls.front();
  return fmt::format("<p>Report of a training run, started {} on {}, by {}</p>\n", escape_html(first.started), escape_html(first.machine),
                     escape_html(first.version));
}

Section render_source(const RunRecord& run) {
  if (run.source.empty()) return {};
  return {"Network", "",
          fmt::format("<details><summary>{}</summary>\n<pre>{}</pre></details>\n", breakable(run.source_path), escape_html(run.source))};
}

}  // namespace

std::string render_report(const RunRecord& run) {
  const std::string name = run.network.empty() ? run.folder : run.network;
  std::vector<Section> sections = {render_course(run), render_normalization(run)};
  for (Section& section : render_answers(run)) sections.push_back(std::move(section));
  for (Section& section : render_compilation(run)) sections.push_back(std::move(section));
  sections.push_back(render_settings(run));
  sections.push_back(render_source(run));
  const std::string origin = render_origin(run);
  const std::string first = fmt::format("<h1>{}</h1>\n{}", breakable(name), origin.empty() ? "<p>Report of a training run</p>\n" : origin) +
                            render_state(run) + render_figures(run);
  return render_page(name + ": training report", first, sections, run.state == RunState::running);
}

}  // namespace bnc
