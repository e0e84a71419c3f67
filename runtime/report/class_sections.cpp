// Answers that are classes: single ones, which classes are taken for which, and how well each is told from the others.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

#include "runtime/report/chart.h"
#include "runtime/report/class_quality.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

constexpr size_t most_columns = 20, shown_pairs = 20, shown_classes = 20;

std::string certainty(double probability) { return fmt::format("{:.1f}&nbsp;%", 100 * probability); }

// The name, behind the number where it is another.
std::string numbered(const ClassAnswers& answers, size_t label) {
  return label < answers.names.size() && answers.names[label] != std::to_string(label)
             ? fmt::format("<span class=\"soft\">{}</span> {}", label, breakable(answers.names[label]))
             : std::to_string(label);
}

std::string render_matrix(const ClassAnswers& answers) {
  const bool named = !answers.names.empty();
  std::string head, rows;
  for (size_t truth = 0; truth < answers.classes; ++truth) {
    int64_t total = 0;
    for (size_t answer = 0; answer < answers.classes; ++answer) total += answers.confused(truth, answer);
    head += fmt::format("<th scope=\"col\"><span>{}</span></th>", escape_html(answers.name(truth)));
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", breakable(answers.name(truth)));
    for (size_t answer = 0; answer < answers.classes; ++answer) {
      const int64_t count = answers.confused(truth, answer);
      const double share = total > 0 ? static_cast<double>(count) / static_cast<double>(total) : 0;
      rows += fmt::format("<td{} style=\"--share:{:.2f}\">{}</td>", truth == answer ? " class=\"diagonal\"" : "", std::sqrt(share), count);
    }
    rows += "</tr>\n";
  }
  return fmt::format(
      "<div class=\"scroll\"><table class=\"confusion{}\">\n<caption>rows: what the examples are; columns: the network's "
      "answers</caption>\n<thead><tr><td></td>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
      named ? " named" : "", head, rows);
}

// Where there are too many classes for a matrix: the most frequent mistakes.
std::string render_pairs(const ClassAnswers& answers) {
  std::vector<std::pair<std::pair<size_t, size_t>, int64_t>> pairs;
  std::copy_if(answers.confusion.begin(), answers.confusion.end(), std::back_inserter(pairs),
               [](const auto& each) { return each.first.first != each.first.second; });
  std::stable_sort(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (pairs.size() > shown_pairs) pairs.erase(pairs.begin() + shown_pairs, pairs.end());
  HtmlTable table{
      fmt::format("the most frequent mistakes among {} classes", answers.classes), "", {"truth", "answer", "how often"}, {}, {}};
  for (const auto& [pair, count] : pairs)
    table.rows.push_back({numbered(answers, pair.first), numbered(answers, pair.second), std::to_string(count)});
  return pairs.empty() ? "" : render_table(table);
}

std::string render_filter() {
  return "<div class=\"filter\" role=\"group\" aria-label=\"which predictions to show\"><button type=\"button\" "
         "data-only=\"\" aria-pressed=\"true\">all</button><button type=\"button\" data-only=\"wrong-row\" "
         "aria-pressed=\"false\">mistakes</button><button type=\"button\" data-only=\"right-row\" aria-pressed=\"false\">right "
         "answers</button></div>\n";
}

std::vector<std::string> prediction_row(const ClassAnswers& answers, const Prediction& each, bool images) {
  const bool right = each.truth == each.answer, finite = each.answer >= 0;
  const std::string truth = breakable(answers.name(static_cast<size_t>(each.truth)));
  const std::string answer = finite ? breakable(answers.name(static_cast<size_t>(each.answer))) : "not finite";
  const auto below = [&](double probability) {
    return finite ? fmt::format("<br><span class=\"small\">{}</span>", certainty(probability)) : "";
  };
  std::vector<std::string> row;
  if (images)
    row.push_back(fmt::format("<img alt=\"example {}, {}\" width=\"56\" height=\"56\" src=\"{}\">", each.example,
                              escape_html(answers.name(static_cast<size_t>(each.truth))), each.image));
  row.push_back(std::to_string(each.example));
  row.push_back(fmt::format("<span class=\"{}\">{}&nbsp;{}</span>{}", right ? "right" : "wrong", right ? "&#10003;" : "&#10007;", answer,
                            below(each.probability)));
  row.push_back(truth + below(each.truth_probability));
  return row;
}

Section render_predictions(const RunRecord& run, const ClassAnswers& answers) {
  if (answers.predictions.empty()) return {};
  const bool images = std::any_of(answers.predictions.begin(), answers.predictions.end(),
                                  [](const Prediction& each) { return !each.image.empty(); });
  HtmlTable table{"single examples", "predictions", {}, {}, {}};
  if (images) table.head.push_back("image");
  for (const char* title : {"example", "answer", "truth"}) table.head.push_back(title);
  for (const Prediction& each : answers.predictions) {
    table.rows.push_back(prediction_row(answers, each, images));
    table.row_styles.push_back(each.truth == each.answer ? "right-row" : "wrong-row");
  }
  const std::string note = fmt::format(
      "{} of {} {} examples were misclassified. Here are the most certain mistakes, then the first right answers. Below each class stands "
      "the probability that the network gives it.",
      answers.mistakes, answers.count, run.answered);
  return {"Predictions", note, render_filter() + render_table(table)};
}

Section render_confusion(const ClassAnswers& answers) {
  const int64_t others = std::accumulate(answers.unanswered.begin(), answers.unanswered.end(), int64_t{0});
  std::string note = answers.ranking
                         ? fmt::format("An example counts as {} where its probability is above 0.5. ", escape_html(answers.name(1)))
                         : "";
  if (others > 0)
    note += fmt::format("{} of {} answers are not finite numbers; they name no class, and count as wrong.", others, answers.count);
  return {"Confusion", note, answers.classes <= most_columns ? render_matrix(answers) : render_pairs(answers)};
}

std::vector<std::string> quality_row(const std::string& name, const ClassQuality& quality) {
  return {name, percent(quality.precision), percent(quality.recall), percent(quality.f1), std::to_string(quality.examples)};
}

Section render_qualities(const ClassAnswers& answers) {
  const std::vector<ClassQuality> classes = qualities_of(answers);
  std::vector<size_t> order(classes.size());
  std::iota(order.begin(), order.end(), 0);
  HtmlTable means{"", "number", {"class", "precision", "recall", "F1", "count"}, {}, {}}, worst = means, whole = means;
  means.rows = {quality_row("macro average", mean_quality(classes, false)),
                quality_row("weighted average", mean_quality(classes, true))};
  const auto add_rows = [&](HtmlTable& table, size_t count) {
    for (size_t k = 0; k < count; ++k) table.rows.push_back(quality_row(breakable(answers.name(order[k])), classes[order[k]]));
  };
  whole.caption = "each class";
  add_rows(whole, order.size());
  const std::string note =
      "Precision: how many of the answers that name a class are right. Recall: how many examples of a class are found. F1: the harmonic "
      "mean of both. Averages are over the classes that occur, equally or weighted by their examples; what a class has none of counts as "
      "0.";
  if (classes.size() <= shown_classes) {
    whole.rows.insert(whole.rows.end(), means.rows.begin(), means.rows.end());
    return {"Classes", note, render_table(whole)};
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return classes[a].f1 < classes[b].f1; });
  worst.caption = fmt::format("the {} of {} classes with the lowest F1", shown_classes, classes.size());
  add_rows(worst, shown_classes);
  worst.rows.insert(worst.rows.end(), means.rows.begin(), means.rows.end());
  return {"Classes", note,
          render_table(worst) + fmt::format("<details><summary>all {} classes</summary>\n{}</details>\n", classes.size(),
                                            render_table(whole))};
}

// How well the second class is told from the first one, over thresholds.
Section render_ranking(const ClassAnswers& answers) {
  if (!answers.ranking || std::isnan(answers.ranking->auc)) return {};
  const Ranking& ranking = *answers.ranking;
  Chart roc{fmt::format("ROC, AUC {:.4f}", ranking.auc), "false positive rate", "true positive rate", {{"ROC", 0, ranking.roc}}};
  roc.legend = false;
  roc.whole_steps = false;
  roc.reference = {{0, 0}, {1, 1}};
  Chart thresholds{
      "Precision and recall", "threshold", "share", {{"precision", 0, ranking.precision}, {"recall", 1, ranking.recall}}};
  thresholds.whole_steps = false;
  thresholds.from_zero = true;
  const std::string name = escape_html(answers.name(1));
  std::string note = fmt::format(
      "What comes of other thresholds than 0.5: an example counts as {} where the network gives that a probability above the threshold. "
      "The area under the ROC curve is the chance that an example of {} has a higher one than an example of {}.",
      name, name, escape_html(answers.name(0)));
  const int64_t finite = answers.count - std::accumulate(answers.unanswered.begin(), answers.unanswered.end(), int64_t{0});
  if (ranking.examples < finite) note += fmt::format(" Curves and area are of {} examples, evenly picked.", ranking.examples);
  return {"Thresholds", note, "<div class=\"charts\">\n" + render_chart(roc) + render_chart(thresholds) + "</div>\n"};
}

}  // namespace

std::vector<Section> render_classes(const RunRecord& run, const ClassAnswers& answers) {
  if (answers.count == 0) return {};
  return {render_predictions(run, answers), render_confusion(answers), render_qualities(answers), render_ranking(answers)};
}

}  // namespace bnc
