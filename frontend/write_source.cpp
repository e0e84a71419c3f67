// The pipeline: name layers, find repeats, name blocks, write; then the text is read again, to see that it says the same.
#include "frontend/write_source.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "frontend/source/block_names.h"
#include "frontend/source/layers.h"
#include "frontend/source/repeats.h"
#include "frontend/source/sentences.h"
#include "frontend/source/words.h"
#include "ir/graph_hash.h"

namespace bnc {

namespace source {

namespace {

class SourceWriter {
 public:
  SourceWriter(Layers layers, const SourceOptions& options) : layers_(std::move(layers)), options_(options) {}

  std::string run() {
    if (options_.blocks) find_repeats(layers_.program);
    const std::vector<int> blocks = name_blocks(layers_.program, layers_.frame.name);
    reserved_.insert(layers_.frame.name);
    reserved_.insert(layers_.frame.batch_symbol);
    for (const int block : blocks) reserved_.insert(layers_.program.functions[block].name);
    comment();
    for (const int block : blocks) write_block(layers_.program.functions[block]);
    write_network();
    return std::move(text_);
  }

 private:
  void comment() {
    std::string line;
    for (const char c : options_.comment + "\n") {
      if (c != '\n') line += c;
      else if (!line.empty()) text_ += "# " + std::exchange(line, "") + "\n";
    }
    if (!text_.empty()) text_ += "\n";
  }

  void write_block(Function& block) {
    std::map<ValueId, std::string> names;
    std::set<std::string> taken = reserved_;
    for (Parameter& parameter : block.parameters)
      if (is_reserved(parameter.name) || taken.contains(parameter.name)) parameter.name += "_value";
    for (const Parameter& parameter : block.parameters) taken.insert(parameter.name);
    std::vector<std::string> head;
    for (const ValueId tensor : block.tensors) {
      std::string name = head.empty() ? "x" : block.hints[tensor];
      if (name.empty() || name == "h" || is_reserved(name)) name = "z";
      for (int k = 2; !taken.insert(name).second; ++k) name = fmt::format("{}{}", head.empty() ? "x" : "z", k);
      head.push_back(names[tensor] = name);
    }
    Sentences sentences(layers_.program, block, options_.width, reserved_, names, layers_.frame.batch_symbol);
    for (const int place : block.settings) {
      const Parameter& parameter = block.parameters[place];
      head.push_back(parameter.fallback ? fmt::format("{}={}", parameter.name, to_string(*parameter.fallback)) : parameter.name);
    }
    std::string lines;
    const std::string result = sentences.body({true}, lines)[0];
    const std::string signature = fmt::format("block {}({})", block.name, fmt::join(head, ", "));
    const std::string one_line = fmt::format("{} {{ return {} }}\n\n", signature, result);
    if (lines.empty() && static_cast<int>(one_line.size()) <= options_.width) text_ += one_line;
    else text_ += fmt::format("{} {{\n{}  return {}\n}}\n\n", signature, lines, result);
  }

  std::string typed(const Node& node, const std::string& name) const {
    return fmt::format("{}: {}", name, to_string(node.results[0].type, layers_.frame.batch_symbol));
  }

  void write_network() {
    const Frame& frame = layers_.frame;
    Function& network = layers_.program.network();
    std::map<ValueId, std::string> names;
    std::vector<std::string> head;
    size_t tensor = 0;
    for (const Frame::Input& input : frame.inputs) {
      names[network.tensors[tensor++]] = input.name;
      head.push_back(typed(*input.node, input.name) + (input.layout.empty() ? "" : " layout=" + input.layout));
    }
    std::string lines;
    for (const Frame::Declared& declared : frame.declared) {
      names[network.tensors[tensor++]] = declared.name;
      const Node& node = *declared.node;
      lines += fmt::format("  {} {} = {}\n", node.op->name, typed(node, declared.name), to_string(node.attribute("initializer")));
    }
    std::vector<bool> nested;
    for (const Frame::Returned& returned : frame.returned) nested.push_back(returned.role == Output::Role::output);
    Sentences sentences(layers_.program, network, options_.width, reserved_, names, frame.batch_symbol);
    const std::vector<std::string> outputs = sentences.body(nested, lines);
    text_ += fmt::format("network {}({}) {{\n{}", frame.name, fmt::join(head, ", "), lines);
    write_outputs(outputs);
    text_ += "}\n";
  }

  void write_outputs(const std::vector<std::string>& outputs) {
    std::vector<std::string> values;
    for (const Frame::Returned& returned : layers_.frame.returned) {
      const std::string& value = outputs[returned.output];
      if (returned.role == Output::Role::loss) text_ += fmt::format("  objective {}\n", value);
      if (returned.role == Output::Role::gradient) text_ += fmt::format("  gradient {} = {}\n", returned.name, value);
      if (returned.role == Output::Role::update) text_ += fmt::format("  update {} = {}\n", returned.name, value);
      if (returned.role != Output::Role::output) continue;
      const bool is_name = value.find_first_of(" (-") == std::string::npos;
      const std::string usual = is_name ? value : values.empty() ? "y" : fmt::format("y_{}", values.size() + 1);
      const std::string layout = returned.layout.empty() ? "" : " layout=" + returned.layout;
      values.push_back((usual == returned.name ? "" : returned.name + " = ") + value + layout);
    }
    if (!values.empty()) text_ += fmt::format("  return {}\n", fmt::join(values, ", "));
  }

  Layers layers_;
  const SourceOptions& options_;
  std::set<std::string> reserved_;
  std::string text_;
};

// Parameters are made in the order in which they are read, those declared first.
SourceNames names_in(const Layers& layers, const Graph& written) {
  std::vector<std::string> before;
  for (const Frame::Declared& declared : layers.frame.declared) before.push_back(declared.node->results[0].name);
  for (const Piece& piece : layers.program.network().body) before.insert(before.end(), piece.made.begin(), piece.made.end());
  SourceNames names;
  size_t next = 0;
  for (const auto& node : written.nodes()) {
    if (!node->is("parameter") && !node->is("state")) continue;
    BNC_CHECK(next < before.size(), "a written network has other parameters than its graph");
    names[before[next++]] = node->results[0].name;
  }
  BNC_CHECK(next == before.size(), "a written network has other parameters than its graph");
  return names;
}

std::string comparable(Graph graph) {
  std::stable_sort(graph.outputs.begin(), graph.outputs.end(), [](const Output& a, const Output& b) { return a.role < b.role; });
  return graph_hash(graph);
}

}  // namespace

}  // namespace source

Graph renamed(const Graph& graph, const SourceNames& names) {
  Graph copy = graph.clone();
  std::map<std::string, Value> sources;
  for (const auto& node : copy.nodes())
    if (node->is("parameter") || node->is("state")) sources[node->results[0].name] = node->result();
  for (Output& output : copy.outputs)
    if (const auto found = names.find(output.name); output.role != Output::Role::output && found != names.end())
      output.name = found->second;
  for (const auto& node : copy.nodes()) copy.rename(node->result(), copy.fresh_name("before." + node->results[0].name));
  for (const auto& [from, to] : names)
    if (const auto found = sources.find(from); found != sources.end()) found->second.node->results[0].name = to;
  return copy;
}

std::string write_source(const Graph& graph, const SourceOptions& options, SourceNames* names) {
  const source::Layers layers = source::name_layers(graph, options);
  std::string text = format_source(make_source(source::SourceWriter(layers, options).run(), graph.name + ".bn"));
  const bnc::Module written = parse_module(make_source(text, graph.name + ".bn"));
  SourceNames found = source::names_in(layers, written.main());
  BNC_CHECK(source::comparable(renamed(graph, found)) == source::comparable(written.main().clone()),
            "a network was not written as it is:\n" + text);
  if (names) *names = std::move(found);
  return text;
}

}  // namespace bnc
