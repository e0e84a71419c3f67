#include "runtime/report/report.h"

#include <cmath>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/html.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

std::string card(const std::string& title, const std::string& figure) { return fmt::format("<div class=\"card\">{}<b>{}</b></div>\n", title, figure); }

std::string render_settings(const RunRecord& run) {
  HtmlTable table{"how this run was made", "wide", {}, {}, {}};
  for (const auto& [name, value] : run.settings) table.rows.push_back({escape_html(name), fmt::format("<span class=\"words\">{}</span>", escape_html(value))});
  return table.rows.empty() ? "" : render_section("Settings", "", render_table(table));
}

}  // namespace

std::string percent(double share) { return std::isnan(share) ? "none" : fmt::format("{:.2f} %", 100 * share); }

std::string render_figures(const RunRecord& run) {
  std::string text = "<div class=\"cards\">\n";
  if (run.test.count > 0) text += card("test accuracy", percent(run.test.accuracy)) + card("test loss", fmt::format("{:.4f}", run.test.loss));
  if (run.train.count > 0) text += card("training accuracy", percent(run.train.accuracy)) + card("training loss", fmt::format("{:.4f}", run.train.loss));
  if (!run.history.empty()) text += card("steps", std::to_string(run.history.back().step)) + card("seconds", fmt::format("{:.3g}", run.history.back().seconds));
  return text + "</div>\n";
}

std::string render_course(const RunRecord& run) {
  Curve loss{"training", 0, {}}, accuracy = loss, rate{"learning rate", 2, {}}, test_loss{"test", 1, {}}, test_accuracy = test_loss;
  for (const HistoryRow& row : run.history) {
    const double step = static_cast<double>(row.step);
    loss.points.emplace_back(step, row.loss);
    accuracy.points.emplace_back(step, row.accuracy);
    rate.points.emplace_back(step, row.rate);
    if (!row.tested) continue;
    test_loss.points.emplace_back(step, row.test_loss);
    test_accuracy.points.emplace_back(step, row.test_accuracy);
  }
  const std::string charts = render_chart({"Loss", "training step", "loss an example", {loss, test_loss}}) +
                             render_chart({"Accuracy", "training step", "share of right answers", {accuracy, test_accuracy}}) +
                             render_chart({"Learning rate", "training step", "rate", {rate}, {}, false, true});
  return charts.empty() ? "" : render_section("Course", "Training figures are means over the steps since the point before.", "<div class=\"charts\">\n" + charts + "</div>\n");
}

std::string render_report(const RunRecord& run) {
  const std::string name = run.network.empty() ? run.folder : run.network;
  const std::string source = run.source.empty() ? "" : fmt::format("<details><summary>{}</summary>\n<pre>{}</pre></details>\n", escape_html(run.source_path), escape_html(run.source));
  return render_page(name + ": training report",
                     fmt::format("<h1>{}</h1>\n<p>Report of a training run</p>\n", escape_html(name)) + render_figures(run) + render_course(run) + render_normalization(run) +
                         render_predictions(run) + render_confusion(run) + render_compilation(run) + render_settings(run) + render_section("Network", "", source));
}

}  // namespace bnc
