// What the compiler makes of the trained network: the graph before and after the passes, and what became of batch norms and biases.
#include <fmt/format.h>

#include "runtime/network.h"
#include "runtime/report/graph_drawing.h"
#include "runtime/report/html.h"
#include "runtime/report/sections.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

constexpr size_t most_boxes = 26;

std::string render_graph(const std::string& title, const Graph& graph, bool kernels) {
  const GraphDrawing operations = draw_graph(graph, false), whole = kernels ? draw_graph(graph, true) : operations;
  const GraphDrawing shown = operations.boxes.size() <= most_boxes ? operations : collapse(whole, most_boxes);
  std::vector<std::string> ops;
  size_t inputs = 0;
  for (const auto& box : whole.boxes) {
    if (box.ops.front() == "input") ++inputs;
    else ops.insert(ops.end(), box.ops.begin(), box.ops.end());
  }
  const size_t parts = whole.boxes.size() - inputs;
  const std::string counts = count_ops(ops), parts_text = kernels ? fmt::format("{} operations in {} kernel{}", ops.size(), parts, parts == 1 ? "" : "s") : fmt::format("{} operations", parts);
  return fmt::format("<figure class=\"drawing\">\n<figcaption>{}: {}</figcaption>\n<p class=\"small\">{}</p>\n{}</figure>\n", title, parts_text, counts,
                     render_drawing(shown, fmt::format("the graph {}: {}, namely {}", title, parts_text, counts)));
}

std::string render_legend() {
  std::string text = "<div class=\"legend drawing\">";
  for (const auto& [colour, name] : {std::pair("c0", "products and convolutions"), std::pair("c1", "normalization"), std::pair("c2", "activations"), std::pair("c4", "pooling"), std::pair("c7", "other")}) {
    text += fmt::format("<span class=\"key {}\"><i></i>{}</span>", colour, name);
  }
  return text + "</div>\n";
}

std::string render_entries(const std::string& caption, const std::vector<Explanation::Entry>& entries) {
  if (entries.empty()) return "";
  HtmlTable table{caption, "wide", {"layer", "what became of it"}, {}, {}};
  for (const Explanation::Entry& entry : entries) {
    const std::string source = entry.source_line.empty() ? "" : fmt::format("<br><span class=\"small\">{}: <code>{}</code></span>", escape_html(entry.place), escape_html(entry.source_line));
    table.rows.push_back({escape_html(entry.path), fmt::format("<span class=\"{}\">{}</span> {}{}", entry.folded ? "right" : "wrong", entry.folded ? "&#10003;" : "&#9679;", escape_html(entry.what), source)});
  }
  return render_table(table);
}

// "184.6 thousand"
std::string magnitude(double number) {
  for (const auto& [unit, name] : {std::pair(1e9, "billion"), std::pair(1e6, "million"), std::pair(1e3, "thousand")}) {
    if (number >= unit) return fmt::format("{:.4g} {}", number / unit, name);
  }
  return fmt::format("{:g}", number);
}

std::string render_totals(const Explanation& explanation) {
  const auto row = [](const char* name, double before, double after) { return std::vector<std::string>{name, magnitude(before), magnitude(after)}; };
  HtmlTable table{"cost of classifying one example", "number", {"", "as written", "compiled"}, {}, {}};
  table.rows = {row("floating-point operations", explanation.flops_before, explanation.flops_after), row("bytes moved", explanation.bytes_before, explanation.bytes_after),
                row("bytes of working memory", static_cast<double>(explanation.arena_before), static_cast<double>(explanation.arena_after))};
  std::string text = render_table(table);
  if (!explanation.predicted_difference) return text;
  const std::string measured = explanation.measured_difference ? fmt::format("{:.2g} measured", *explanation.measured_difference) : "not measured, as the network is large";
  return text + fmt::format("<p>Folding changes the outputs by about {:.2g}, relatively ({}).</p>\n", *explanation.predicted_difference, measured);
}

}  // namespace

std::string render_compilation(const RunRecord& run) {
  if (run.source.empty()) return "";
  const Network network = Network::from_text(run.source, run.source_path);
  const WeightStore* weights = run.weights ? &*run.weights : nullptr;
  const CompileOptions options;
  Compilation compilation(network.data(), options, weights ? &weights->data().weights : nullptr);
  compilation.context.assume_weights = true;
  compilation.run_passes(compilation.passes());
  const std::string pictures = render_legend() + "<div class=\"graphs\">\n" + render_graph("as written", network.data().graph(), false) + render_graph("compiled", compilation.graph, true) + "</div>\n";

  CompileOptions training;
  training.mode = Mode::train;
  const Explanation inference = network.explain(options, weights);
  const std::vector<Explanation::Entry> biases = network.trainable() ? network.explain(training).biases : inference.biases;
  return render_section("Graph", "Each box is an operation, or a whole block where there are many; behind its name stands the shape of its result.", pictures) +
         render_section("Folding", "", render_entries("batch norms of the frozen network", inference.batch_norms) + render_entries("biases in front of batch norms, in training", biases) + render_totals(inference));
}

}  // namespace bnc
