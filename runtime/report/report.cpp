#include "runtime/report/report.h"

#include <cmath>

#include <fmt/format.h>

#include "runtime/report/chart.h"
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
  return (std::isnan(result.accuracy) ? "" : card(set + " accuracy", percent(result.accuracy))) +
         card(set + " loss", loss_text(result.loss));
}

std::string render_figures(const RunRecord& run) {
  std::string text = "<div class=\"cards\">\n" + cards_of(run.final_set, run.test) + cards_of("training", run.train);
  if (!run.history.empty())
    text += card("steps", std::to_string(run.history.back().step)) + card("time", duration(run.history.back().seconds));
  return text + "</div>\n";
}

Section render_course(const RunRecord& run) {
  Curve loss{"training", 0, {}}, accuracy = loss, rate{"learning rate", 2, {}}, test_loss{run.course_set, 1, {}}, test_accuracy = test_loss;
  for (const HistoryRow& row : run.history) {
    const double step = static_cast<double>(row.step);
    loss.points.emplace_back(step, row.loss);
    accuracy.points.emplace_back(step, row.accuracy);
    rate.points.emplace_back(step, row.rate);
    if (!row.tested) continue;
    test_loss.points.emplace_back(step, row.test_loss);
    test_accuracy.points.emplace_back(step, row.test_accuracy);
  }
  Chart losses{"Loss", "training step", "loss an example", {loss, test_loss}}, rates{"Learning rate", "training step", "rate", {rate}};
  losses.logarithmic = true;
  rates.legend = false;
  rates.from_zero = true;
  const std::string charts = render_chart(losses) +
                             render_chart({"Accuracy", "training step", "share of right answers", {accuracy, test_accuracy}}) +
                             render_chart(rates);
  return {"Course", "Training figures are means over the steps since the point before.",
          charts.empty() ? "" : "<div class=\"charts\">\n" + charts + "</div>\n"};
}

Section render_settings(const RunRecord& run) {
  HtmlTable table{"how this run was made", "wide", {}, {}, {}};
  for (const auto& [name, value] : run.settings) table.rows.push_back({breakable(name), breakable(value)});
  return {"Settings", "", table.rows.empty() ? "" : render_table(table)};
}

Section render_source(const RunRecord& run) {
  if (run.source.empty()) return {};
  return {"Network", "",
          fmt::format("<details><summary>{}</summary>\n<pre>{}</pre></details>\n", breakable(run.source_path), escape_html(run.source))};
}

}  // namespace

std::string render_report(const RunRecord& run) {
  const std::string name = run.network.empty() ? run.folder : run.network;
  std::vector<Section> sections = {render_course(run), render_normalization(run), render_predictions(run), render_confusion(run)};
  for (Section& section : render_compilation(run)) sections.push_back(std::move(section));
  sections.push_back(render_settings(run));
  sections.push_back(render_source(run));
  return render_page(name + ": training report",
                     fmt::format("<h1>{}</h1>\n<p>Report of a training run</p>\n", breakable(name)) + render_figures(run), sections);
}

}  // namespace bnc
