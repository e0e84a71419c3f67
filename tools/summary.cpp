// `bnc summary`: a table of a network's layers with shapes, parameters and operations.
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "tools/command.h"
#include "tools/terminal.h"

namespace bnc::tools {
namespace {

using Layer = NetworkSummary::Layer;

constexpr size_t readable_rows = 48;   // blocks are opened as long as the table has no more

struct SummaryRow {
  std::string name, output;
  int64_t parameters = 0;
  double operations = 0;
  bool opened = false;   // a block whose layers follow
  size_t layers = 1;
};

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// 1,234,567
std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (auto k = static_cast<int64_t>(text.size()) - 3; k > 0; k -= 3) text.insert(static_cast<size_t>(k), ",");
  return text;
}

// 3.87 G
std::string short_count(double number) {
  for (const auto& [unit, name] : {std::pair(1e12, "T"), std::pair(1e9, "G"), std::pair(1e6, "M"), std::pair(1e3, "k")})
    if (number >= unit) return fmt::format("{:.2f} {}", number / unit, name);
  return fmt::format("{:.0f}", number);
}

std::string layer_name(const Layer& layer) {
  return layer.name.starts_with(layer.op) ? layer.name : fmt::format("{} ({})", layer.name, layer.op);
}

// Blocks within `depth` others are opened, those within more are one row each.
std::vector<SummaryRow> rows_of(const NetworkSummary& summary, size_t depth) {
  std::vector<SummaryRow> rows;
  std::vector<std::string> open;   // the blocks that the row before stands in
  for (const Layer& layer : summary.layers) {
    const std::vector<std::string> blocks = parts_of(layer.block);
    const bool closed = blocks.size() >= depth;   // part of one row
    const size_t shown = std::min(blocks.size(), depth);
    size_t same = 0;
    while (same < std::min(shown, open.size()) && open[same] == blocks[same]) ++same;
    for (size_t k = same; k < shown; ++k) {
      rows.push_back(SummaryRow{std::string(2 * k, ' ') + blocks[k]});
      rows.back().opened = !closed || k + 1 < shown;
      rows.back().layers = 0;
    }
    open.assign(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(shown));
    if (!closed) rows.push_back(SummaryRow{std::string(2 * shown, ' ') + layer_name(layer)});
    SummaryRow& row = rows.back();
    row.output = fmt::format("{}", fmt::join(layer.outputs, ", "));
    row.parameters += layer.trainable + layer.fixed;
    row.operations += layer.operations;
    if (closed) ++row.layers;
  }
  for (SummaryRow& row : rows)
    if (!row.opened && row.layers > 1) row.name += fmt::format(" ({} layers)", row.layers);
  return rows;
}

size_t deepest(const NetworkSummary& summary) {
  size_t depth = 1;
  for (const Layer& layer : summary.layers) depth = std::max(depth, parts_of(layer.block).size() + 1);
  return depth;
}

std::vector<SummaryRow> readable(const NetworkSummary& summary) {
  size_t depth = deepest(summary);
  while (depth > 1 && rows_of(summary, depth).size() > readable_rows) --depth;
  return rows_of(summary, depth);
}

void print_table(const Network& network, const NetworkSummary& summary, std::vector<SummaryRow> rows) {
  std::vector<SummaryRow> inputs;
  for (const TensorInfo& input : summary.inputs) inputs.push_back(SummaryRow{input.name + " (input)", input.type});
  rows.insert(rows.begin(), inputs.begin(), inputs.end());
  size_t names = 5, outputs = 6;
  for (const SummaryRow& row : rows) {
    names = std::max(names, row.name.size());
    outputs = std::max(outputs, row.output.size());
  }
  names = std::max(names, network.name().size());
  const std::string header =
      fmt::format("{:<{}}  {:<{}}  {:>13}  {:>10}", network.name(), names, "output", outputs, "parameters", "operations");
  std::string text = styled(Style::bold, header) + "\n";
  for (const SummaryRow& row : rows) {
    if (row.opened) {
      text += row.name + "\n";
      continue;
    }
    const std::string parameters = row.parameters > 0 ? grouped(row.parameters) : "-";
    const std::string operations = row.operations > 0 ? short_count(row.operations) : "-";
    text += fmt::format("{:<{}}  {:<{}}  {:>13}  {:>10}\n", row.name, names, row.output, outputs, parameters, operations);
  }
  print(text);
}

void print_totals(const NetworkSummary& summary, std::optional<int64_t> batch) {
  std::string text = fmt::format("\nparameters  {}", grouped(summary.trainable + summary.fixed));
  text += summary.fixed > 0 ? fmt::format(": {} trainable, {} fixed\n", grouped(summary.trainable), grouped(summary.fixed))
                            : ", all trainable\n";
  text += fmt::format("statistics  {}\n", grouped(summary.statistics));
  text += fmt::format("weights     {}B as a file\n", short_count(static_cast<double>(summary.weight_bytes)) +
                                                       (summary.weight_bytes < 1000 ? " " : ""));
  text += fmt::format("operations  {} {}; a multiplication with its addition is two\n", short_count(summary.operations),
                      batch ? fmt::format("for {} example{}", *batch, *batch == 1 ? "" : "s") : "an example");
  print(text);
}

void print_objects(const Network& network, const NetworkSummary& summary, std::optional<int64_t> batch) {
  for (const Layer& layer : summary.layers) {
    print_json({{"block", layer.block}, {"layer", layer.name}, {"op", layer.op}, {"place", layer.place}, {"outputs", layer.outputs},
                {"trainable", layer.trainable}, {"fixed", layer.fixed}, {"statistics", layer.statistics},
                {"operations", layer.operations}});
  }
  Json inputs = Json::object();
  for (const TensorInfo& input : summary.inputs) inputs[input.name] = input.type;
  print_json({{"model", network.name()}, {"batch", batch ? Json(*batch) : Json()}, {"inputs", inputs}, {"layers", summary.layers.size()},
              {"parameters", summary.trainable + summary.fixed}, {"trainable", summary.trainable}, {"fixed", summary.fixed},
              {"statistics", summary.statistics}, {"weight_bytes", summary.weight_bytes}, {"operations", summary.operations}});
}

int run_summary(const Arguments& arguments) {
  const Network network = arguments.network();
  const std::optional<int64_t> batch = arguments.integer("batch"), depth = arguments.integer("depth");
  const NetworkSummary summary = network.summarize(batch);
  if (arguments.json()) {
    print_objects(network, summary, batch);
    return exit_done;
  }
  print_table(network, summary, depth ? rows_of(summary, static_cast<size_t>(*depth)) : readable(summary));
  print_totals(summary, batch);
  return exit_done;
}

}  // namespace

Command summary_command() {
  Command command{"summary",
                  "prints a table of a network's layers: shapes, parameters, operations",
                  "M.bn [--batch N] [--depth D]",
                  "bnc summary examples/mnist_mlp.bn",
                  {},
                  {"model"},
                  run_summary};
  po::options_description options("Options");
  options.add_options()
      ("batch", po::value<int64_t>()->value_name("N"), "shapes and operations of a batch of N examples")
      ("depth", po::value<int64_t>()->value_name("D"),
       "open blocks as deep as D, 1 for a row a block (default: as deep as the table stays readable)");
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
