// What the compiler makes of the trained network: the graph before and after the passes, and what became of batch norms and biases.
#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>

#include <fmt/format.h>

#include "runtime/network.h"
#include "runtime/report/graph_drawing.h"
#include "runtime/report/html.h"
#include "runtime/report/numbers.h"
#include "runtime/report/sections.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

constexpr size_t most_boxes = 26, most_operations = 500;

std::string render_graph(const std::string& title, const Graph& graph, bool kernels) {
  const GraphDrawing operations = draw_graph(graph, false), whole = kernels ? draw_graph(graph, true) : operations;
  const bool few = operations.boxes.size() <= most_boxes;
  std::vector<std::string> ops;
  size_t inputs = 0;
  for (const auto& box : whole.boxes) {
    if (box.ops.front() == "input") ++inputs;
    else ops.insert(ops.end(), box.ops.begin(), box.ops.end());
  }
  const size_t parts = whole.boxes.size() - inputs;
  const std::string in_kernels = kernels ? fmt::format(" in {} kernel{}", parts, parts == 1 ? "" : "s") : "";
  const std::string counts = count_ops(ops), parts_text = fmt::format("{} operations{}", ops.size(), in_kernels);
  const std::string description = fmt::format("the graph {}: {}, namely {}", title, parts_text, counts);
  std::string picture = render_drawing(few ? operations : collapse(whole, most_boxes), description);
  if (!few && operations.boxes.size() <= most_operations) {
    picture += fmt::format("<details><summary>each of the {} operations</summary>\n{}</details>\n", ops.size(),
                           render_drawing(operations, description));
  }
  return fmt::format("<figure class=\"drawing\">\n<figcaption>{}: {}</figcaption>\n<p class=\"small\">{}</p>\n{}</figure>\n", title,
                     parts_text, counts, picture);
}

std::string render_legend() {
  std::string text = "<div class=\"legend drawing\">";
  for (const auto& [colour, name] : {std::pair("c0", "products and convolutions"), std::pair("c1", "normalization"),
                                     std::pair("c2", "activations"), std::pair("c4", "pooling"), std::pair("c7", "other")}) {
    text += fmt::format("<span class=\"key {}\"><i></i>{}</span>", colour, name);
  }
  return text + "</div>\n";
}

using Entry = Explanation::Entry;

// Entries to which the same happened for the same reason, at one place of the source: only names differ. In order of their first ones.
std::vector<std::vector<const Entry*>> groups_of(const std::vector<Entry>& entries) {
  std::vector<std::vector<const Entry*>> groups;
  std::map<std::string, size_t> group_of;
  for (const Entry& entry : entries) {
    static const std::regex name("`[^`]*`");
    const auto [found, fresh] = group_of.emplace(entry.place + std::regex_replace(entry.what, name, ""), groups.size());
    if (fresh) groups.emplace_back();
    groups[found->second].push_back(&entry);
  }
  return groups;
}

// "densenet.bn:9: return conv2d(...)"
std::string render_place(const Entry& entry) {
  if (entry.source_line.empty()) return "";
  const std::string place = std::filesystem::path(entry.place).filename().string();
  return fmt::format("<div class=\"small\">{}: <code>{}</code></div>", breakable(place), breakable(entry.source_line));
}

std::string render_entries(const std::string& caption, const char* gone, const std::vector<Entry>& entries) {
  if (entries.empty()) return "";
  const auto count = std::count_if(entries.begin(), entries.end(), [](const Entry& entry) { return entry.folded; });
  HtmlTable table{
      fmt::format("{}: {} of {} {}", caption, count, entries.size(), gone), "wide stack", {"layer", "what became of it"}, {}, {}};
  for (const auto& group : groups_of(entries)) {
    const Entry& first = *group.front();
    const char* mark = first.folded ? "<span class=\"right\">&#10003;</span>" : "<span class=\"wrong\">&#9679;</span>";
    std::string text = fmt::format("<div>{} {}</div>{}", mark, with_code(first.what), render_place(first));
    if (group.size() > 1) {
      text += fmt::format("<details><summary>{} more like it</summary>\n<ul>\n", group.size() - 1);
      for (size_t k = 1; k < group.size(); ++k)
        text += fmt::format("<li><b>{}</b> {}</li>\n", breakable(group[k]->path), with_code(group[k]->what));
      text += "</ul></details>\n";
    }
    table.rows.push_back({breakable(first.path), text});
  }
  return render_table(table);
}

std::string render_totals(const Explanation& explanation) {
  const auto bytes = [](const char* name, double before, double after) {
    return std::vector<std::string>{name, bytes_text(before), bytes_text(after)};
  };
  HtmlTable table{"cost of one example", "number", {"", "as written", "compiled"}, {}, {}};
  table.rows = {{"floating-point operations", magnitude(explanation.flops_before), magnitude(explanation.flops_after)},
                bytes("memory moved", explanation.bytes_before, explanation.bytes_after),
                bytes("working memory", static_cast<double>(explanation.arena_before), static_cast<double>(explanation.arena_after))};
  const std::string text = render_table(table);
  if (!explanation.predicted_difference) return text;
  const std::string measured = explanation.measured_difference ? fmt::format("{:.2g}", *explanation.measured_difference)
                                                               : "none, as the network is large";
  return text + fmt::format("<p>Relative change of the outputs by folding: {:.2g} expected; measured: {}.</p>\n",
                            *explanation.predicted_difference, measured);
}

}  // namespace

std::vector<Section> render_compilation(const RunRecord& run) {
  if (run.source.empty()) return {};
  const Network network = Network::from_text(run.source, run.source_path);
  const WeightStore* weights = run.weights ? &*run.weights : nullptr;
  const CompileOptions options;
  Compilation compilation(network.data(), options, weights ? &weights->data().weights : nullptr);
  compilation.context.assume_weights = true;
  compilation.run_passes(compilation.passes());
  const std::string pictures = render_legend() + "<div class=\"graphs\">\n" + render_graph("as written", network.data().graph(), false) +
                               render_graph("compiled", compilation.graph, true) + "</div>\n";

  CompileOptions training;
  training.mode = Mode::train;
  const Explanation inference = network.explain(options, weights);
  const std::vector<Explanation::Entry> biases = network.trainable() ? network.explain(training).biases : inference.biases;
  return {{"Graph", "Each box is an operation, or a whole block where there are many; behind its name stands the shape of its result.",
           pictures},
          {"Folding", "",
           render_entries("batch norms of the frozen network", "folded", inference.batch_norms) +
               render_entries("biases in front of batch norms, in training", "dropped", biases) + render_totals(inference)}};
}

}  // namespace bnc
