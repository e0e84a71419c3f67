// Answers that are numbers: predicted against true, and what is between them.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/report/axes.h"
#include "runtime/report/chart.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

std::string signed_text(double number) { return (number > 0 ? "+" : "") + figure_text(number); }

std::string render_number_charts(const NumberAnswers& answers) {
  if (answers.points.empty()) return "";
  Scatter against_truth{"Predicted against true", "true", "predicted", answers.points, {}, 0};
  Scatter residuals{"Residuals against predicted", "predicted", "predicted \u2212 true", {}, {}, 0};
  ChartRange range, predicted;
  for (const auto& [truth, prediction] : answers.points) {
    range.include(truth);
    range.include(prediction);
    predicted.include(prediction);
    residuals.points.emplace_back(prediction, prediction - truth);
  }
  against_truth.reference = {{range.low, range.low}, {range.high, range.high}};
  residuals.reference = {{predicted.low, 0}, {predicted.high, 0}};
  return "<div class=\"charts\">\n" + render_scatter(against_truth) +
         render_histogram("Residuals", answers.residuals, 0, "predicted \u2212 true") + render_scatter(residuals) + "</div>\n";
}

std::string render_worst(const NumberAnswers& answers) {
  if (answers.worst.empty()) return "";
  const bool images = std::any_of(answers.worst.begin(), answers.worst.end(), [](const WorstExample& each) { return !each.image.empty(); }),
             single = !std::isnan(answers.worst.front().truth);
  HtmlTable table{"the worst examples", "number", {}, {}, {}};
  if (images) table.head.push_back("image");
  table.head.push_back("example");
  if (single) table.head.insert(table.head.end(), {"predicted", "true", "predicted \u2212 true"});
  else table.head.push_back("RMSE");
  for (const WorstExample& each : answers.worst) {
    std::vector<std::string> row;
    if (images) row.push_back(fmt::format("<img alt=\"example {}\" width=\"56\" height=\"56\" src=\"{}\">", each.example, each.image));
    row.push_back(std::to_string(each.example));
    if (single)
      row.insert(row.end(), {figure_text(each.prediction), figure_text(each.truth), signed_text(each.prediction - each.truth)});
    else row.push_back(figure_text(each.error));
    table.rows.push_back(std::move(row));
  }
  return render_table(table);
}

std::string note_of(const RunRecord& run, const std::vector<NumberAnswers>& all) {
  int64_t count = 0, not_finite = 0;
  bool some = false;
  for (const NumberAnswers& each : all) {
    count += each.count;
    not_finite += each.not_finite;
    some |= static_cast<int64_t>(each.points.size()) < each.count - each.not_finite;
  }
  std::string note = fmt::format(
      "What the network predicts for the {} examples. MAE: the mean of the errors' sizes. RMSE: the root of their mean square. R\u00b2: "
      "the share of the true numbers' variance that the predictions explain; 0 is what their mean would reach.",
      run.answered);
  if (some) note += " Charts show some of the examples, the figures are of all; bars leave the outermost thousandth out on either side.";
  if (not_finite > 0) note += fmt::format(" {} of {} predictions are not finite and are left out.", not_finite, count);
  return note;
}

}  // namespace

Section render_numbers(const RunRecord& run, const OutputAnswers& answers) {
  const auto is_empty = [](const NumberAnswers& each) { return each.count == 0; };
  if (std::all_of(answers.numbers.begin(), answers.numbers.end(), is_empty)) return {};
  HtmlTable figures{"how far predictions are from the truth", "number", {"", "MAE", "RMSE", "R\u00b2", "count"}, {}, {}};
  std::string details;
  for (const NumberAnswers& each : answers.numbers) {
    figures.rows.push_back({breakable(each.name), figure_text(each.mean_absolute_error), figure_text(each.root_mean_square_error),
                            figure_text(each.r_squared), std::to_string(each.count)});
    if (answers.numbers.size() > 1) details += fmt::format("<h3>{}</h3>\n", breakable(each.name));
    details += render_number_charts(each) + render_worst(each);
  }
  return {"Predictions", note_of(run, answers.numbers), render_table(figures) + details};
}

}  // namespace bnc
