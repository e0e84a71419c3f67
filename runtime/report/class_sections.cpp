// Answers that are classes: single ones, which classes are taken for which, and how well each is told from the others.
#include <algorithm>
#include <cmath>
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
  for (size_t truth = 0; truth < answers.confusion.size(); ++truth) {
    const std::vector<int64_t>& row = answers.confusion[truth];
    const double total = static_cast<double>(std::accumulate(row.begin(), row.end(), int64_t{0}));
    head += fmt::format("<th scope=\"col\"><span>{}</span></th>", escape_html(answers.name(truth)));
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", breakable(answers.name(truth)));
    for (size_t answer = 0; answer < row.size(); ++answer) {
      const double share = total > 0 ? static_cast<double>(row[answer]) / total : 0;
      rows += fmt::format("<td{} style=\"--share:{:.2f}\">{}</td>", truth == answer ? " class=\"diagonal\"" : "", std::sqrt(share),
                          row[answer]);
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
  struct Pair {
    int64_t count;
    size_t truth, answer;
  };
  std::vector<Pair> pairs;
  for (size_t truth = 0; truth < answers.confusion.size(); ++truth) {
    for (size_t answer = 0; answer < answers.confusion[truth].size(); ++answer) {
      if (truth != answer && answers.confusion[truth][answer] > 0) pairs.push_back({answers.confusion[truth][answer], truth, answer});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  pairs.resize(std::min(pairs.size(), shown_pairs));
  HtmlTable table{
      fmt::format("the most frequent mistakes among {} classes", answers.confusion.size()), "", {"truth", "answer", "how often"}, {}, {}};
  for (const Pair& pair : pairs)
    table.rows.push_back({numbered(answers, pair.truth), numbered(answers, pair.answer), std::to_string(pair.count)});
  return pairs.empty() ? "" : render_table(table);
}

std::string render_filter() {
  return "<div class=\"filter\" data-table=\"predictions\" role=\"group\" aria-label=\"which predictions to show\"><button type=\"button\" "
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
  table.id = "predictions";
  if (images) table.head.push_back("image");
  for (const char* title : {"example", "answer", "truth"}) table.head.push_back(title);
  for (const Prediction& each : answers.predictions) {
    table.rows.push_back(prediction_row(answers, each, images));
    table.row_styles.push_back(each.truth == each.answer ? "right-row" : "wrong-row");
  }
  const std::string note = fmt::format(
      "{} of {} {} examples were answered wrong. Here are the most certain mistakes, then the first right answers. Below each class stands "
      "the probability that the network gives it.",
      answers.mistakes, answers.count, run.answered);
  return {"Predictions", note, render_filter() + render_table(table)};
}

Section render_confusion(const ClassAnswers& answers) {
  const int64_t others = std::accumulate(answers.unanswered.begin(), answers.unanswered.end(), int64_t{0});
  std::string note = answers.ranking ? "A probability above 0.5 is an answer. " : "";
  if (others > 0)
    note += fmt::format("{} of {} answers are not finite numbers; they name no class, and count as wrong.", others, answers.count);
  return {"Confusion", note, answers.confusion.size() <= most_columns ? render_matrix(answers) : render_pairs(answers)};
}

std::vector<std::string> quality_row(const std::string& name, const ClassQuality& quality) {
  return {name, percent(quality.precision), percent(quality.recall), percent(quality.f1), std::to_string(quality.examples)};
}

Section render_qualities(const ClassAnswers& answers) {
  const std::vector<ClassQuality> classes = qualities_of(answers);
  std::vector<size_t> order(classes.size());
  std::iota(order.begin(), order.end(), 0);
  HtmlTable means{"", "number", {"class", "precision", "recall", "F1", "examples"}, {}, {}}, worst = means, whole = means;
  means.rows = {quality_row("mean of the classes", mean_quality(classes, false)),
                quality_row("mean by examples", mean_quality(classes, true))};
  const auto add_rows = [&](HtmlTable& table, size_t count) {
    for (size_t k = 0; k < count; ++k) table.rows.push_back(quality_row(breakable(answers.name(order[k])), classes[order[k]]));
  };
  whole.caption = "each class";
  add_rows(whole, order.size());
  const std::string note =
      "Precision: how many of the answers that name a class are right. Recall: how many examples of a class are found. F1: the harmonic "
      "mean of both. A class that is never answered counts as precision 0 in the means.";
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
  Chart roc{fmt::format("ROC, area {:.4f}", ranking.auc), "false positive rate", "true positive rate", {{"ROC", 0, ranking.roc}}};
  roc.legend = false;
  roc.whole_steps = false;
  roc.reference = {{0, 0}, {1, 1}};
  Chart thresholds{
      "Precision and recall", "threshold", "share", {{"precision", 0, ranking.precision}, {"recall", 1, ranking.recall}}};
  thresholds.whole_steps = false;
  thresholds.from_zero = true;
  const std::string name = escape_html(answers.name(1));
  const std::string note = fmt::format(
      "What comes of other thresholds than 0.5: an example counts as {} where the network gives that a probability above the threshold. "
      "The area below the ROC is the chance that an example of {} has a higher one than an example of {}.",
      name, name, escape_html(answers.name(0)));
  return {"Thresholds", note, "<div class=\"charts\">\n" + render_chart(roc) + render_chart(thresholds) + "</div>\n"};
}

}  // namespace

std::vector<Section> render_classes(const RunRecord& run, const ClassAnswers& answers) {
  if (answers.count == 0) return {};
  return {render_predictions(run, answers), render_confusion(answers), render_qualities(answers), render_ranking(answers)};
}

}  // namespace bnc
