// From a network's graph to a model of ONNX: its inputs, its nodes one by one, its outputs.
#include "frontend/onnx/exporter.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/onnx/embedded_network.h"
#include "frontend/onnx/unread.h"
#include "ir/builder.h"
#include "ir/diagnostic.h"
#include "ir/print.h"

namespace bnc {

namespace {

// What the network returns, and what that is computed from. Inputs stay.
Graph returned(const Graph& original) {
  Graph graph = original.clone();
  std::erase_if(graph.outputs, [](const Output& output) { return output.role != Output::Role::output; });
  erase_unread(graph);
  return graph;
}

// Ops without a converter become those that they are made of.
Graph prepared_for_onnx(Graph graph) {
  for (auto at = graph.nodes().begin(); at != graph.nodes().end();) {
    Node* node = at->get();
    const auto* parts = node->op->lowering_as<DecomposeLowering>();
    if (!parts || find_onnx_converter(node->op->name)) {
      ++at;
      continue;
    }
    // What is inserted before the node is looked at next.
    const bool is_first = at == graph.nodes().begin();
    const auto before = is_first ? at : std::prev(at);
    GraphBuilder builder = GraphBuilder::before(graph, node);
    const std::vector<Value> replacements = parts->rewrite(builder, *node);
    if (replacements.empty()) {
      ++at;
      continue;
    }
    for (size_t k = 0; k < replacements.size(); ++k)
      if (replacements[k]) graph.replace_all_uses(node->result(static_cast<int>(k)), replacements[k]);
    at = is_first ? graph.nodes().begin() : std::next(before);
    const bool nothing_inserted = at->get() == node;
    if (nothing_inserted) ++at;
    graph.erase(node);
  }
  erase_unread(graph);
  return graph;
}

// The layer whose tensor that is: `stage1.conv2d_1` of `stage1.conv2d_1.weight.folded`.
std::string layer_of(const Node& source) {
  if (!source.is("parameter") && !source.is("state")) return "";
  std::string name = source.results[0].name;
  constexpr std::string_view folded = ".folded";
  if (name.ends_with(folded)) name.resize(name.size() - folded.size());
  const size_t dot = name.rfind('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

OnnxType onnx_type_of(DType type) { return type == DType::f32 ? OnnxType::f32 : OnnxType::i32; }

OnnxValue described(const std::string& name, const TensorType& type, const std::string& batch_symbol) {
  OnnxValue value{.name = name, .type = onnx_type_of(type.dtype), .dims = std::vector<OnnxDim>()};
  for (const Dim& dim : type.shape) {
    if (dim.batch) value.dims->push_back({.size = {}, .symbol = to_string(dim, batch_symbol)});
    else value.dims->push_back({.size = dim.factor, .symbol = {}});
  }
  return value;
}

}  // namespace

OnnxConverter find_onnx_converter(std::string_view op) {
  for (const auto* group : {&layer_converters(), &pooling_converters(), &normalization_converters(), &activation_converters(),
                            &arithmetic_converters(), &shape_converters(), &gradient_converters()})
    if (const auto found = group->find(op); found != group->end()) return found->second;
  return nullptr;
}

OnnxExporter::OnnxExporter(const Graph& graph, const Weights& weights, const std::string& version)
    : graph_(prepared_for_onnx(graph.clone())), weights_(weights), uses_(graph_) {
  OnnxModel& model = result_.model;
  model.file = std::make_shared<const std::string>(graph.name);
  model.ir_version = exported_ir_version;
  model.producer = "bnc";
  model.producer_version = version;
  model.opsets[""] = exported_opset;
  model.graph.name = graph.name;
}

OnnxExport OnnxExporter::run() {
  for (const Output& output : graph_.outputs) taken_.emplace(output.name, 1);
  for (Node* node : graph_.nodes_of("input")) add_input(*node);
  for (const auto& node : graph_.nodes()) convert(*node);
  if (!refused_.empty()) throw_refusals();
  for (const Output& output : graph_.outputs) add_output(output);
  apply_renames();
  return std::move(result_);
}

void OnnxExporter::add_input(Node& node) {
  const TensorType& type = node.results[0].type;
  const std::string& name = node.results[0].name;
  taken_.emplace(name, 1);
  result_.model.graph.inputs.push_back(described(name, type, graph_.batch_symbol));
  values_[{&node, 0}] = {name, logical_order(type.rank()), {}};
  for (int axis = 0; axis < type.rank(); ++axis) {
    if (!type.shape[static_cast<size_t>(axis)].batch || !batch_input_.empty()) continue;
    batch_input_ = name;
    batch_axis_ = axis;
    batch_factor_ = type.shape[static_cast<size_t>(axis)].factor;
  }
}

void OnnxExporter::convert(Node& node) {
  if (skipped_.contains(&node) || node.is("input") || is_leaf(node.result())) return;
  base_ = fresh_node(base_of(node));
  first_node_ = result_.model.graph.nodes.size();
  if (node.is("constant")) return set(node.result(), batch_shaped_constant(node));
  const OnnxConverter converter = find_onnx_converter(node.op->name);
  if (converter) return converter(*this, node);
  refuse(node, "ONNX has no op for it, nor a few that make it up");
}

void OnnxExporter::refuse(const Node& node, const std::string& reason) {
  refused_.emplace_back(&node, reason);
  for (size_t k = 0; k < node.results.size(); ++k)  // so that conversion goes on, to find all of them
    values_[{&node, static_cast<int>(k)}] = {node.results[k].name, logical_order(node.results[k].type.rank()), {}};
}

void OnnxExporter::throw_refusals() const {
  Diagnostic diagnostic{Severity::error, refused_.front().first->range,
                        fmt::format("network `{}` cannot be said in ONNX: {} of its nodes {}", graph_.name, refused_.size(),
                                    refused_.size() == 1 ? "has no counterpart" : "have no counterpart"), {}};
  for (const auto& [node, reason] : refused_)
    diagnostic.note(fmt::format("`{}` of `{}`: {}", node->op->name, node->results[0].name, reason), node->range);
  diagnostic.help("export a network without them, such as the part that is used after training");
  throw CompileError(std::move(diagnostic));
}

void OnnxExporter::note(const std::string& text) {
  auto& notes = result_.notes;
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(text);
}

std::string OnnxExporter::base_of(const Node& node) const {
  for (size_t k = 1; k < node.operands.size(); ++k) {
    if (!node.operands[k]) continue;
    if (std::string path = layer_of(*node.operands[k].node); !path.empty()) return path;
  }
  return node.results[0].name;
}

std::string OnnxExporter::fresh_in(Taken& taken, const std::string& stem) {
  if (taken.emplace(stem, 1).second) return stem;
  while (true) {
    std::string name = fmt::format("{}_{}", stem, ++taken.at(stem));
    if (taken.emplace(name, 1).second) return name;
  }
}

void OnnxExporter::add_output(const Output& output) {
  OnnxGraph& graph = result_.model.graph;
  base_ = output.name;
  first_node_ = graph.nodes.size();
  const std::string tensor = this->tensor(output.value);
  const auto has_name = [&](const auto& value) { return value.name == output.name; };
  std::string name = output.name;
  if (std::any_of(graph.inputs.begin(), graph.inputs.end(), has_name)) {
    name = fresh(output.name + "_output");
    note(fmt::format("output `{}` is called `{}`, because an input has its name", output.name, name));
  }
  const auto makes_it = [&](const OnnxNode& node) {
    return std::find(node.outputs.begin(), node.outputs.end(), tensor) != node.outputs.end();
  };
  if (renames_.contains(tensor) || std::none_of(graph.nodes.begin(), graph.nodes.end(), makes_it))
    graph.nodes.push_back({.op_type = "Identity", .name = fresh_node(output.name + "/Identity"), .inputs = {tensor}, .outputs = {name}});
  else renames_[tensor] = name;
  graph.outputs.push_back(described(name, output.value.type(), graph_.batch_symbol));
}

void OnnxExporter::apply_renames() {
  std::unordered_set<std::string> read;
  const auto apply = [&](std::string& name) {
    if (const auto found = renames_.find(name); found != renames_.end()) name = found->second;
  };
  OnnxGraph& graph = result_.model.graph;
  for (OnnxNode& node : graph.nodes) {
    std::for_each(node.inputs.begin(), node.inputs.end(), apply);
    std::for_each(node.outputs.begin(), node.outputs.end(), apply);
    read.insert(node.inputs.begin(), node.inputs.end());
  }
  std::erase_if(graph.initializers, [&](const OnnxTensor& tensor) { return !read.contains(tensor.name); });
}

namespace {

// Its text, with the numbers that inference does not read, as the count of a batch norm, for initializers.
std::string embedded_text(Graph network, const Weights& weights, const OnnxExport& exported) {
  std::unordered_set<std::string> stored;
  for (const auto& [initializer, parameter] : exported.parameters) stored.insert(parameter.name);
  for (const auto& node : network.nodes()) {
    if (!(node->is("parameter") || node->is("state")) || stored.contains(node->results[0].name)) continue;
    const Weight* weight = weights.find(node->results[0].name);
    if (!weight || weight->data.size() != 1 || !std::isfinite(weight->data[0])) continue;
    Symbol constant{"constant", {{"value", double{weight->data[0]}}}};
    if (node->is("parameter") && !is_trainable(*node)) constant.arguments.emplace_back("trainable", false);
    node->attributes["initializer"] = std::move(constant);
  }
  return print(network);
}

}  // namespace

OnnxExport export_onnx(const Graph& graph, const Weights& weights, const std::string& version) {
  Graph network = returned(graph);
  OnnxExport result = OnnxExporter(network, weights, version).run();
  std::string text = embedded_text(std::move(network), weights, result);
  if (text.size() <= largest_embedded_network) result.model.metadata[embedded_network_key] = std::move(text);
  return result;
}

}  // namespace bnc
