#include "runtime/report.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "runtime/chart.h"

namespace bnc {

namespace {

constexpr const char* style = R"(
:root { color-scheme: light dark; --page: #fafaf8; --card: #ffffff; --text: #1d2024; --soft: #5c636b; --line: #e2e3e0; --train: #2f6fb3; --test: #c4572b; --hue: 47,111,179; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15171a; --card: #1d2024; --text: #e6e7e5; --soft: #9aa1a9; --line: #33373d; --train: #74b0ee; --test: #f0905f; --hue: 116,176,238; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 16px 48px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 32px 0 12px; }
p, figcaption, .legend, th { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 20px; }
.card, figure, .settings { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.card { padding: 12px 16px; } .card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 16px; }
figure { margin: 0; padding: 14px 16px; } figcaption b { color: var(--text); } .legend { float: right; }
.key { display: inline-block; width: 14px; height: 3px; margin: 0 6px 4px 14px; } .key.train { background: var(--train); } .key.test { background: var(--test); }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 12px; } .grid { stroke: var(--line); }
polyline { fill: none; stroke-width: 2; stroke-linejoin: round; } polyline.train { stroke: var(--train); } polyline.test { stroke: var(--test); }
circle.train { fill: var(--train); } circle.test { fill: var(--test); }
table { border-collapse: collapse; } td, th { padding: 5px 10px; text-align: left; font-weight: normal; vertical-align: top; }
.settings { padding: 8px 6px; overflow-x: auto; } .settings th { white-space: nowrap; }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 12px; }
.mistakes .card { padding: 10px; font-size: 13px; line-height: 1.4; } .mistakes img { width: 100%; image-rendering: pixelated; border-radius: 4px; display: block; margin-bottom: 6px; }
.wrong { color: var(--test); } .scroll { overflow-x: auto; }
.confusion td, .confusion th { text-align: right; font-variant-numeric: tabular-nums; font-size: 13px; padding: 4px 8px; white-space: nowrap; } .confusion td.diagonal { font-weight: 600; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 16px; overflow-x: auto; font-size: 13px; }
)";

std::string card(const std::string& title, const std::string& figure) { return fmt::format("<div class=\"card\">{}<b>{}</b></div>\n", title, figure); }

std::string percent(double share) { return std::isnan(share) ? "none" : fmt::format("{:.2f} %", 100 * share); }

std::string render_figures(const Report& report) {
  std::string text = "<div class=\"cards\">\n";
  if (report.test.count > 0) text += card("test accuracy", percent(report.test.accuracy)) + card("test loss", fmt::format("{:.4f}", report.test.loss));
  text += card("training accuracy", percent(report.train.accuracy)) + card("training loss", fmt::format("{:.4f}", report.train.loss));
  return text + "</div>\n";
}

std::string render_charts(const Report& report) {
  Curve loss{"training", "train", {}}, accuracy = loss, test_loss{"test", "test", {}}, test_accuracy = test_loss;
  for (const HistoryRow& row : report.history) {
    const double step = static_cast<double>(row.step);
    loss.points.emplace_back(step, row.loss);
    accuracy.points.emplace_back(step, row.accuracy);
    if (!row.tested) continue;
    test_loss.points.emplace_back(step, row.test_loss);
    test_accuracy.points.emplace_back(step, row.test_accuracy);
  }
  return "<h2>Course</h2>\n<div class=\"charts\">\n" + render_chart("loss an example", {loss, test_loss}) + render_chart("accuracy", {accuracy, test_accuracy}) + "</div>\n";
}

std::string render_settings(const Report& report) {
  std::string text = "<h2>Settings</h2>\n<div class=\"settings\"><table>\n";
  for (const auto& [name, value] : report.settings) text += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", escape_html(name), escape_html(value));
  return text + "</table></div>\n";
}

std::string class_name(const Report& report, size_t label) {
  return label < report.class_names.size() ? escape_html(report.class_names[label]) : std::to_string(label);
}

std::string render_mistakes(const Report& report) {
  if (report.mistakes.empty()) return "";
  std::string text = fmt::format("<h2>Mistakes</h2>\n<p>{} of {} test examples; those the network was most certain of.</p>\n<div class=\"mistakes\">\n", report.mistake_count, report.test.count);
  for (const Report::Mistake& mistake : report.mistakes) {
    const std::string image = mistake.image.empty() ? "" : fmt::format("<img alt=\"example {}\" src=\"{}\">", mistake.example, mistake.image);
    text += fmt::format("<div class=\"card\">{}<span class=\"wrong\">{}</span> {:.0f}&nbsp;%<br>is {}<br><span class=\"legend\" style=\"float:none\">example {}</span></div>\n", image,
                        class_name(report, static_cast<size_t>(mistake.answer)), 100 * mistake.probability, class_name(report, static_cast<size_t>(mistake.truth)), mistake.example);
  }
  return text + "</div>\n";
}

std::string render_confusion(const Report& report) {
  constexpr size_t most_classes = 20;
  if (report.confusion.empty() || report.confusion.size() > most_classes) return "";
  std::string text = "<h2>Answers by class</h2>\n<div class=\"scroll\"><table class=\"confusion\">\n<tr><th>is \\ answer</th>";
  for (size_t k = 0; k < report.confusion.size(); ++k) text += fmt::format("<th>{}</th>", class_name(report, k));
  text += "</tr>\n";
  for (size_t truth = 0; truth < report.confusion.size(); ++truth) {
    const std::vector<int64_t>& row = report.confusion[truth];
    int64_t total = 0;
    for (const int64_t count : row) total += count;
    text += fmt::format("<tr><th>{}</th>", class_name(report, truth));
    for (size_t answer = 0; answer < row.size(); ++answer) {
      const double share = total > 0 ? static_cast<double>(row[answer]) / static_cast<double>(total) : 0;
      text += fmt::format("<td{} style=\"background:rgba(var(--hue),{:.2f})\">{}</td>", truth == answer ? " class=\"diagonal\"" : "", 0.55 * std::sqrt(share), row[answer]);
    }
    text += "</tr>\n";
  }
  return text + "</table></div>\n";
}

}  // namespace

std::string render_report(const Report& report) {
  const std::string name = escape_html(report.network);
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<title>{0}: training report</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n<p>Training report</p>\n"
                     "{2}{3}{4}{5}{6}<h2>Network</h2>\n<pre>{7}</pre>\n</main>\n</body>\n</html>\n",
                     name, style, render_figures(report), render_charts(report), render_mistakes(report), render_confusion(report), render_settings(report), escape_html(report.source));
}

}  // namespace bnc
