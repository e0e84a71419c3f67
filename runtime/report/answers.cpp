// Single predictions, and which classes are taken for which.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "runtime/report/html.h"
#include "runtime/report/sections.h"

namespace bnc {

namespace {

constexpr size_t most_columns = 20, shown_pairs = 20;

std::string certainty(double probability) { return fmt::format("{:.1f}&nbsp;%", 100 * probability); }

std::string numbered(const RunRecord& run, size_t label) {
  return label < run.class_names.size() ? fmt::format("{} {}", label, escape_html(run.class_names[label])) : std::to_string(label);
}

std::string render_matrix(const RunRecord& run) {
  std::string head, rows;
  for (size_t truth = 0; truth < run.confusion.size(); ++truth) {
    const std::vector<int64_t>& row = run.confusion[truth];
    const double total = static_cast<double>(std::accumulate(row.begin(), row.end(), int64_t{0}));
    head += fmt::format("<th scope=\"col\" title=\"{}\">{}</th>", escape_html(run.class_name(truth)), truth);
    rows += fmt::format("<tr><th scope=\"row\">{}</th>", numbered(run, truth));
    for (size_t answer = 0; answer < row.size(); ++answer) {
      const double share = total > 0 ? static_cast<double>(row[answer]) / total : 0;
      rows += fmt::format("<td{} style=\"--share:{:.2f}\">{}</td>", truth == answer ? " class=\"diagonal\"" : "", std::sqrt(share),
                          row[answer]);
    }
    rows += "</tr>\n";
  }
  return fmt::format(
      "<div class=\"scroll\"><table class=\"confusion\">\n<caption>rows: what the examples are; columns: the network's answers, by the "
      "number of the class</caption>\n<thead><tr><th scope=\"col\">truth</th>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
      head, rows);
}

// Where there are too many classes for a matrix: the most frequent mistakes.
std::string render_pairs(const RunRecord& run) {
  struct Pair {
    int64_t count;
    size_t truth, answer;
  };
  std::vector<Pair> pairs;
  for (size_t truth = 0; truth < run.confusion.size(); ++truth) {
    for (size_t answer = 0; answer < run.confusion[truth].size(); ++answer) {
      if (truth != answer && run.confusion[truth][answer] > 0) pairs.push_back({run.confusion[truth][answer], truth, answer});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  pairs.resize(std::min(pairs.size(), shown_pairs));
  HtmlTable table{
      fmt::format("the most frequent mistakes among {} classes", run.confusion.size()), "", {"truth", "answer", "how often"}, {}, {}};
  for (const Pair& pair : pairs) table.rows.push_back({numbered(run, pair.truth), numbered(run, pair.answer), std::to_string(pair.count)});
  return pairs.empty() ? "" : render_table(table);
}

}  // namespace

Section render_predictions(const RunRecord& run) {
  if (run.predictions.empty()) return {};
  const bool images = std::any_of(run.predictions.begin(), run.predictions.end(),
                                  [](const Prediction& each) { return !each.image.empty(); });
  HtmlTable table{fmt::format("single {} examples: the most certain mistakes, then the first right answers", run.final_set), "predictions",
                  {}, {}, {}};
  table.id = "predictions";
  if (images) table.head.push_back("image");
  for (const char* title : {"example", "answer", "truth"}) table.head.push_back(title);
  for (const Prediction& each : run.predictions) {
    const bool right = each.truth == each.answer;
    const bool finite = each.answer >= 0;
    const std::string truth = escape_html(run.class_name(static_cast<size_t>(each.truth)));
    const std::string answer = finite ? escape_html(run.class_name(static_cast<size_t>(each.answer))) : "not finite";
    const auto below = [&](double probability) {
      return finite ? fmt::format("<br><span class=\"small\">{}</span>", certainty(probability)) : "";
    };
    std::vector<std::string> row;
    if (images)
      row.push_back(fmt::format("<img alt=\"example {}, {}\" width=\"56\" height=\"56\" src=\"{}\">", each.example, truth, each.image));
    row.push_back(std::to_string(each.example));
    row.push_back(fmt::format("<span class=\"{}\">{}&nbsp;{}</span>{}", right ? "right" : "wrong", right ? "&#10003;" : "&#10007;", answer,
                              below(each.probability)));
    row.push_back(truth + below(each.truth_probability));
    table.rows.push_back(std::move(row));
    table.row_styles.push_back(right ? "right-row" : "wrong-row");
  }
  const std::string filter =
      "<div class=\"filter\" data-table=\"predictions\" role=\"group\" aria-label=\"which predictions to show\"><button type=\"button\" "
      "data-only=\"\" aria-pressed=\"true\">all</button><button type=\"button\" data-only=\"wrong-row\" "
      "aria-pressed=\"false\">mistakes</button><button type=\"button\" data-only=\"right-row\" aria-pressed=\"false\">right "
      "answers</button></div>\n";
  const std::string note = fmt::format(
      "{} of {} {} examples were answered wrong. Below each class stands the probability that the network gives it.", run.mistakes,
      run.test.count, run.final_set);
  return {"Predictions", note, filter + render_table(table)};
}

Section render_confusion(const RunRecord& run) {
  if (run.confusion.empty()) return {};
  int64_t counted = 0;
  for (const std::vector<int64_t>& row : run.confusion) counted = std::accumulate(row.begin(), row.end(), counted);
  const int64_t others = run.test.count - counted;
  const std::string note = others > 0 ? fmt::format("{} of {} answers are not finite numbers; they name no class, and count as wrong.",
                                                    others, run.test.count)
                                      : "";
  return {"Confusion", note, run.confusion.size() <= most_columns ? render_matrix(run) : render_pairs(run)};
}

}  // namespace bnc
