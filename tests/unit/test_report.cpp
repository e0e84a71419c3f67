#include <cmath>

#include "bnc/bnc.h"
#include "runtime/network.h"
#include "runtime/report/chart.h"
#include "runtime/report/graph_drawing.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/report.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

RunRecord small_record() {
  RunRecord record;
  record.network = "net<1>";
  record.source_path = "net.bn";
  record.source = "network net(x: f32[N, 4]) {\n  return batch_norm(dense(x, 3))\n}\n";
  record.settings = {{"optimizer", "sgd(rate=0.1)"}, {"batch", "7"}};
  record.train = {0.25, 0.875, 70};
  record.test = {0.5, std::nan(""), 30};
  record.calls = {{"2026-11-29 07:45 UTC", "bnc train net.bn --data 'my data.csv'", "Some CPU, 4 processors", "bnc 0.1", 3, 0}};
  record.steps = 50;
  record.done = 47;
  record.answers = {{"y", "labels", ClassAnswers{.classes = 2, .names = {"cat & dog", "bird"}, .count = 30, .mistakes = 3}, {}}};
  ClassAnswers& answers = *record.answers[0].classes;
  answers.predictions = {{4, 1, 0, 0.75, 0.25, ""}, {0, 1, 1, 0.9, 0.9, ""}};
  answers.confusion = {{{0, 0}, 9}, {{0, 1}, 2}, {{1, 0}, 1}, {{1, 1}, 18}};
  answers.unanswered = {0, 0};
  answers.ranking = Ranking{30, 0.9375, {{0, 0}, {0.25, 1}, {1, 1}}, {{0, 0.5}, {1, 1}}, {{0, 1}, {1, 0}}};
  record.histograms = {{"batch_norm_1", {-1, 2, {1, 5, 3}}, {0, 1, {2, 2}}}};
  return record;
}

History rising_history(int64_t rows, double end) {
  History history;
  for (int64_t k = 1; k <= rows; ++k) {
    const double share = static_cast<double>(k) / static_cast<double>(rows);
    history.push_back({k * 10, 1, 2 - share, end * share, k % 2 == 0, 2.5 - share, end * share - 0.01, 0.1, share});
  }
  return history;
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("percentiles and histograms of values, and of none") {
  std::vector<float> values;
  for (int k = 1000; k >= 0; --k) values.push_back(static_cast<float>(k));
  CHECK(percentiles_of(values) == std::array<double, 5>{50, 150, 500, 850, 950});
  const Histogram histogram = histogram_of(values);
  CHECK(histogram.low == 1);
  CHECK(histogram.high == 999);
  int64_t total = 0;
  for (const int64_t count : histogram.counts) total += count;
  CHECK(total == 999);
  std::vector<float> same(7, 3.0f), none;
  CHECK(histogram_of(same).counts.front() == 7);
  CHECK(std::isnan(percentiles_of(none)[2]));
  CHECK(histogram_of(none).counts.empty());
}

TEST_CASE("distributions.csv reads back to the same bits; what is none is refused") {
  const Distributions rows = {{0, "stage1.batch_norm_1", {-1.0 / 3, 0, 0.1, 1e-30, 7}},
                              {50, "batch_norm_2", {std::nan(""), std::nan(""), 0, 1, 2}}};
  const Distributions again = parse_distributions(to_csv(rows), "d.csv");
  REQUIRE(again.size() == 2);
  CHECK(again[0].values == rows[0].values);
  CHECK(again[0].batch_norm == "stage1.batch_norm_1");
  CHECK(again[1].step == 50);
  CHECK(std::isnan(again[1].values[1]));
  CHECK(again[1].values[4] == 2);
  CHECK(contains(message_of<Error>([] { parse_distributions("step,loss\n", "d.csv"); }), "d.csv: not the distributions"));
  CHECK(contains(message_of<Error>([] { parse_distributions("step,batch_norm,p5,p15,p50,p85,p95\n1,a,x,1,1,1,1\n", "d.csv"); }),
                 "`x` is no number"));
}

TEST_CASE("numbers of a report are short, and have their units") {
  CHECK(loss_text(0.42534) == "0.4253");
  CHECK(loss_text(965269602) == "9.653e+08");
  CHECK(loss_text(2451.2561) == "2451.3");
  CHECK(loss_text(0) == "0");
  CHECK(loss_text(0.000012345) == "1.2345e-05");
  CHECK(loss_text(std::nan("")) == "none");
  CHECK(duration(5.28e-6) == "5.28 \u00b5s");
  CHECK(duration(0.0952) == "95.2 ms");
  CHECK(duration(31.58) == "31.6 s");
  CHECK(duration(725.4) == "12 min 5 s");
  CHECK(duration(12345) == "3 h 25 min");
  CHECK(magnitude(1000) == "1\u00a0thousand");
  CHECK(magnitude(819) == "819");
  CHECK(magnitude(184612) == "185\u00a0thousand");
  CHECK(magnitude(999700) == "1\u00a0million");
  CHECK(bytes_text(2240) == "2.24\u00a0kB");
  CHECK(bytes_text(64) == "64\u00a0B");
  CHECK(bytes_text(12.5e6) == "12.5\u00a0MB");
  CHECK(figure_text(23) == "23");
  CHECK(figure_text(213456) == "213456");
  CHECK(figure_text(-1.23456e25) == "-1.23e+25");
  CHECK(breakable("a.b_1/c(d=2, e<f)") == "a.<wbr>b_1/<wbr>c(<wbr>d=<wbr>2, e&lt;f)");
  CHECK(with_code("into `a_b` & `c`") == "into <code>a_<wbr>b</code> &amp; <code>c</code>");
}

TEST_CASE("axes of few steps have ticks at whole numbers, those of a wide range of losses at powers of ten") {
  const Curve few{"a", 0, {{1, 0.5}, {2, 2}, {3, 3}}}, wide{"b", 1, {{1, 0.02}, {2, 40}, {3, 2e6}}};
  const std::string plain = render_chart({"t", "step", "loss", {few}});
  CHECK(contains(plain, ">1</text>"));
  CHECK(count_of(plain, "class=\"across\"") == 3);
  Chart chart{"t", "step", "loss", {few, wide}};
  CHECK_FALSE(contains(render_chart(chart), "logarithmic"));
  chart.logarithmic = true;
  const std::string logarithmic = render_chart(chart);
  for (const char* part : {"loss, logarithmic", ">0.01</text>", ">1</text>", ">100</text>", ">10k</text>", ">1M</text>"})
    CHECK_MESSAGE(contains(logarithmic, part), part);
  chart.curves = {few};
  CHECK_FALSE(contains(render_chart(chart), "logarithmic"));
}

TEST_CASE("a chart leaves out what is not finite, and is nothing without points") {
  CHECK(render_chart({"t", "x", "y", {{"a", 0, {{1, std::nan("")}, {2, HUGE_VAL}}}}}).empty());
  const std::string chart =
      render_chart({"loss & more", "step", "loss", {{"a<b", 0, {{1, 2}, {2, std::nan("")}, {3, 4}}}, {"empty", 1, {}}}});
  CHECK(contains(chart, "data-name=\"a&lt;b\" data-x=\"1 3 \" data-y=\"2 4 \""));
  CHECK(contains(chart, "aria-label=\"loss &amp; more: loss over step. a&lt;b: 2 to 4\""));
  CHECK_FALSE(contains(chart, "empty"));
  CHECK_FALSE(contains(chart, "nan"));
  CHECK(contains(render_chart({"one", "x", "y", {{"a", 0, {{5, 0}}}}}), "<circle"));
  CHECK(render_histogram("h", {}, 0).empty());
  CHECK(contains(render_histogram("h", {3, 3, {7, 0}}, 0), "<path class=\"bars"));
}

TEST_CASE("the drawing of a graph: operations, kernels, blocks, and the middle left out") {
  const Network network = Network::from_text(R"(
block residual(x) { return relu(batch_norm(conv2d(x, 3, 3)) + x) }
network net(x: f32[N, 5, 5, 3]) {
  h = x
  repeat 4 { h = residual(h) }
  return dense(flatten(h), 2)
}
)");
  const GraphDrawing whole = draw_graph(network.data().graph(), false);
  REQUIRE(whole.boxes.size() == 1 + 4 * 4 + 2);
  CHECK(whole.boxes[0].detail == "input");
  CHECK(whole.boxes[1].name == "conv2d");
  CHECK(whole.boxes[1].detail == "residual1.conv_1");
  CHECK(whole.boxes[1].shape == "N\u00d75\u00d75\u00d73");
  for (const auto& [from, to] : whole.edges) CHECK(from < to);
  CHECK(count_of(render_drawing(whole, "d"), "<g class=\"box") == whole.boxes.size());

  const GraphDrawing blocks = collapse(whole, 10);
  REQUIRE(blocks.boxes.size() == 1 + 4 + 2);
  CHECK(blocks.boxes[2].name == "residual2");
  CHECK(blocks.boxes[2].detail == "conv2d, batch_norm, add, relu");
  CHECK(blocks.edges.size() == 6);
  CHECK(collapse(whole, 40).boxes.size() == whole.boxes.size());

  const GraphDrawing cut = collapse(whole, 5);
  REQUIRE(cut.boxes.size() == 5);
  CHECK(cut.boxes[2].name == "3 more");
  CHECK(cut.boxes.back().name == "dense");
  for (const auto& [from, to] : cut.edges) CHECK(from < to);

  Compilation compilation(network.data(), {}, nullptr);
  compilation.context.assume_weights = true;
  compilation.run_passes(compilation.passes());
  const GraphDrawing kernels = draw_graph(compilation.graph, true);
  CHECK(kernels.boxes.size() < draw_graph(compilation.graph, false).boxes.size());
  for (const auto& box : kernels.boxes) CHECK_FALSE(contains(box.name, "batch_norm"));
  CHECK(count_ops({"a", "b", "a"}) == "2 a, b");
}

TEST_CASE("the drawing of a graph: a block begins where it reads a parameter that the network hands to it") {
  const Network network = Network::from_text(R"(
block cell(x, weight) { return tanh(batch_norm(matmul(x, weight))) }
network net(x: f32[N, 3]) {
  parameter weight: f32[3, 3] = xavier
  h = x
  repeat 5 { h = cell(h * 2, weight) }
  return dense(h, 2)
}
)");
  const GraphDrawing blocks = collapse(draw_graph(network.data().graph(), false), 12);
  REQUIRE(blocks.boxes.size() == 1 + 5 * 2 + 1);
  CHECK(blocks.boxes[4].name == "cell2");
  CHECK(blocks.boxes[4].detail == "matmul, batch_norm, tanh");
  CHECK(blocks.boxes[3].detail.empty());   // the product, in the lines of the network
}

TEST_CASE("report.json holds all that the page shows, and a folder is read back") {
  const TemporaryFolder folder;
  const RunRecord record = small_record();
  write_record(folder.path(), record);
  CHECK(contains(message_of<Error>([&] { read_record(folder.path()); }), "holds no history.csv"));
  folder.write("history.csv", to_csv(rising_history(4, 0.9)));
  folder.write("distributions.csv", to_csv(Distributions{{0, "batch_norm_1", {-2, -1, 0, 1, 2}}, {40, "batch_norm_1", {-3, -1, 0, 1, 3}}}));
  const RunRecord again = read_record(folder.path());
  CHECK(again.settings == record.settings);
  CHECK(again.test.loss == 0.5);
  CHECK(std::isnan(again.test.accuracy));
  CHECK(again.calls[0].command == record.calls[0].command);
  CHECK(again.state == RunState::done);
  REQUIRE(again.answers.size() == 1);
  const ClassAnswers& answers = *again.answers[0].classes;
  CHECK(answers.confusion == record.answers[0].classes->confusion);
  CHECK(answers.predictions[0].truth_probability == 0.25);
  CHECK(answers.ranking->roc == record.answers[0].classes->ranking->roc);
  CHECK(again.histograms[0].before.counts == record.histograms[0].before.counts);
  const std::string page = render_report(again);
  for (const char* part : {"<h1>net&lt;1&gt;</h1>", "cat &amp; dog", "75.0&nbsp;%", "Confusion", "polygon class=\"band",
                           "Before normalization, at the end", "batch_norm_1", "sgd(<wbr>rate=<wbr>0.1)", "3 of 30 test",
                           "started 2026-11-29 07:45 UTC on Some CPU, 4 processors, by bnc 0.1", "<th scope=\"row\">threads</th><td>3</td>",
                           "--data 'my data.<wbr>csv'", "ROC, AUC 0.9375", "<b>0.9375</b>"}) {
    CHECK_MESSAGE(contains(page, part), part);
  }
  CHECK_FALSE(contains(page, "http-equiv"));
  CHECK(page.find("&#10007;&nbsp;cat") < page.find("&#10003;&nbsp;bird"));
  folder.write("report.json", "{\"network\": 1}");
  CHECK(contains(message_of<Error>([&] { read_record(folder.path()); }), "report.json: damaged"));
}

TEST_CASE("the page of a run that goes on reloads itself; one that was stopped or diverged says so, and where") {
  const TemporaryFolder folder;
  folder.write("history.csv", to_csv(rising_history(4, 0.9)));
  RunRecord record = small_record();
  const auto page_in = [&](RunState state) {
    record.state = state;
    write_record(folder.path(), record);
    return render_report(read_record(folder.path()));
  };
  const std::string running = page_in(RunState::running);
  CHECK(contains(running, "<body data-reload=\"10\">"));
  CHECK(contains(running, "had not ended when this page was written: step 47 of 50, after 1 s."));
  const std::string stopped = page_in(RunState::stopped);
  CHECK_FALSE(contains(stopped, "data-reload=\""));
  CHECK(contains(stopped, "The run was stopped after step 47 of 50"));
  CHECK_FALSE(contains(stopped, "<line class=\"mark\""));
  record.divergence = {37, "dense_1", "net.bn:2"};
  const std::string diverged = page_in(RunState::diverged);
  CHECK(contains(diverged, "diverged in step 37: the first tensor that was not finite was <code>dense_1</code> at net.bn:2."));
  CHECK(count_of(diverged, "<line class=\"mark\"") == 3);   // loss, accuracy and learning rate
  CHECK(contains(diverged, ">diverged</text>"));
}

TEST_CASE("a run's history may be of validation examples, and what is not known stays away") {
  const TemporaryFolder folder;
  folder.write("history.csv", to_csv(rising_history(4, 0.9)));
  folder.write("report.json", R"({"network": "n", "source_path": "", "source": "", "settings": {}, "watched": "validation",
    "train": {"loss": 0.2759, "accuracy": null, "count": 5}, "validation": {"loss": 0.3, "accuracy": null, "count": 5},
    "test": {"loss": 0, "accuracy": 0, "count": 0}, "histograms": []})");
  const std::string page = report({folder.path()});
  CHECK(contains(page, "data-name=\"validation\""));
  CHECK(contains(page, "validation loss<b>0.3000</b>"));
  CHECK_FALSE(contains(page, "test loss"));
  const std::string comparison = report({folder.path(), folder.path()});
  CHECK(contains(comparison, "<td data-title=\"training loss\">0.2759</td>"));   // as on its page, not the last row's
  CHECK(contains(page, "training loss<b>0.2759</b>"));
  CHECK(contains(comparison, "<td data-title=\"validation loss\">0.3000</td>"));
  CHECK(contains(comparison, "Validation loss"));
}

TEST_CASE("several runs laid over one another: a curve each, and the steps to what all have reached") {
  const TemporaryFolder folder;
  for (const auto& [name, rows, end] : {std::tuple("fast", 8, 0.95), std::tuple("slow", 10, 0.7)}) {
    std::filesystem::create_directory(folder.path(name));
    folder.write(std::string(name) + "/history.csv", to_csv(rising_history(rows, end)));   // all that a run shown elsewhere needs
  }
  const std::string page = report({folder.path("fast"), folder.path("slow")});
  CHECK(count_of(page, "<g class=\"curve c0\"") == 5);
  CHECK(count_of(page, "<g class=\"curve c1\"") == 5);
  CHECK(contains(page, "steps until 69.00\u00a0%"));
  CHECK(contains(page, ">94.00\u00a0%</td><td data-title=\"steps until 69.00\u00a0%\">60</td>"));
  CHECK(contains(page, ">69.00\u00a0%</td><td data-title=\"steps until 69.00\u00a0%\">100</td>"));
  CHECK(message_of<Error>([&] { report({folder.path("fast"), folder.path("none")}); }).starts_with("error: "));
}
