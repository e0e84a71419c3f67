#include "runtime/report/graph_drawing.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "ir/op.h"

namespace bnc {

namespace {

using BoxKind = GraphDrawing::Kind;
using Box = GraphDrawing::Box;

BoxKind kind_of(const Node& node) {
  switch (node.op->category) {
    case OpCategory::linear: return BoxKind::contraction;
    case OpCategory::normalization: return BoxKind::normalization;
    case OpCategory::activation: return BoxKind::activation;
    case OpCategory::pooling: return BoxKind::pooling;
    default: return BoxKind::other;
  }
}

std::string shape_of(const Node& node, const std::string& batch) {
  std::vector<std::string> dims;
  for (const Dim& dim : node.results[0].type.shape) dims.push_back(to_string(dim, batch));
  return fmt::format("{}", fmt::join(dims, "\u00d7"));
}

// The layer of a parameter that the node reads: of `stage1.conv_1.weight.folded`, `stage1.conv_1`. One of a block counts more than one
// of the whole network, which is handed to the block.
std::string layer_of(const Node& node) {
  std::string layer;
  for (const Value& operand : node.operands) {
    if (!operand || !(operand.node->is("parameter") || operand.node->is("state"))) continue;
    std::string name = operand.name();
    constexpr std::string_view folded = ".folded";
    if (name.ends_with(folded)) name.resize(name.size() - folded.size());
    name.resize(std::min(name.rfind('.'), name.size()));
    if (layer.empty() || (layer.find('.') == std::string::npos && name.find('.') != std::string::npos)) layer = name;
  }
  return layer;
}

class Drawer {
 public:
  Drawer(const Graph& graph, bool kernels) : graph_(graph), kernels_(kernels) {}

  GraphDrawing draw() {
    for (const auto& node : graph_.nodes()) {
      if (node->is("input")) place(*node, new_box());
      else if (depends_on_input(*node)) place(*node, box_for(*node));
    }
    for (size_t k = boxes_.size(); k-- > 1;) {
      if (begins_block_.count(k - 1) > 0) boxes_[k - 1].block = boxes_[k].block;
    }
    GraphDrawing drawing{std::move(boxes_), {edges_.begin(), edges_.end()}};
    for (Box& box : drawing.boxes) {
      if (box.name.empty()) box.name = summary(box.ops);
    }
    return drawing;
  }

 private:
  bool depends_on_input(const Node& node) const {
    return std::any_of(node.operands.begin(), node.operands.end(),
                       [&](const Value& operand) { return operand && box_of_.count(operand.node) > 0; });
  }

  size_t new_box() {
    boxes_.emplace_back();
    return boxes_.size() - 1;
  }

  size_t box_for(const Node& node) {
    if (!kernels_ || node.kernel < 0) return new_box();
    const auto [found, fresh] = box_of_kernel_.emplace(node.kernel, boxes_.size());
    return fresh ? new_box() : found->second;
  }

  void place(const Node& node, size_t box) {
    box_of_[&node] = box;
    Box& into = boxes_[box];
    into.ops.push_back(node.op->name);
    into.shape = shape_of(node, graph_.batch_symbol);
    if (into.kind == BoxKind::other || kind_of(node) == BoxKind::contraction) into.kind = kind_of(node);
    if (node.is("input")) into.name = node.results[0].name;
    const std::string path = layer_of(node), block = path.substr(0, path.find('.') == std::string::npos ? 0 : path.find('.'));
    if (into.detail.empty()) into.detail = node.is("input") ? "input" : path;
    for (const Value& operand : node.operands) {
      const auto from = operand ? box_of_.find(operand.node) : box_of_.end();
      if (from != box_of_.end() && from->second != box) edges_.emplace(from->second, box);
    }
    if (!kernels_ && node.kernel >= 0) into.detail += fmt::format("{}kernel {}", into.detail.empty() ? "" : " \u00b7 ", node.kernel);
    // What has no parameters of its own belongs to the block before it, unless it stands in the network's own lines; what begins a block,
    // to the block behind it.
    const bool known = node.range.known() && graph_.range.known(), outside = known && node.range.line >= graph_.range.line,
               inside = known ? !outside : path.empty();
    if (!into.block.empty()) return;
    const bool alone = into.ops.size() == 1;
    into.block = !block.empty() ? block : inside && alone && box > 0 ? boxes_[box - 1].block : "";
    if (known && inside && alone && into.block.empty()) begins_block_.insert(box);
  }

  // "convolution + bias + relu", each once.
  static std::string summary(const std::vector<std::string>& ops) {
    std::vector<std::string> different;
    for (const std::string& op : ops) {
      if (std::find(different.begin(), different.end(), op) == different.end()) different.push_back(op);
    }
    return fmt::format("{}", fmt::join(different, " + "));
  }

  const Graph& graph_;
  const bool kernels_;
  std::vector<Box> boxes_;
  std::set<std::pair<size_t, size_t>> edges_;
  std::map<const Node*, size_t> box_of_;
  std::map<int, size_t> box_of_kernel_;
  std::set<size_t> begins_block_;
};

// A drawing whose boxes are groups of boxes: `group` tells the one of each, ascending.
GraphDrawing merge(const GraphDrawing& drawing, const std::vector<size_t>& group, const std::function<std::string(const Box&)>& name) {
  GraphDrawing merged;
  for (size_t k = 0; k < drawing.boxes.size(); ++k) {
    const Box& box = drawing.boxes[k];
    if (group[k] == merged.boxes.size()) {
      merged.boxes.push_back(box);
      continue;
    }
    Box& into = merged.boxes[group[k]];
    into.ops.insert(into.ops.end(), box.ops.begin(), box.ops.end());
    into.name = name(box);
    into.detail = count_ops(into.ops);
    into.shape = box.shape;
    if (box.kind == BoxKind::contraction) into.kind = box.kind;
  }
  std::set<std::pair<size_t, size_t>> edges;
  for (const auto& [from, to] : drawing.edges) {
    if (group[from] != group[to]) edges.emplace(group[from], group[to]);
  }
  merged.edges.assign(edges.begin(), edges.end());
  return merged;
}

}  // namespace

std::string count_ops(const std::vector<std::string>& ops) {
  std::vector<std::pair<std::string, int>> counts;
  for (const std::string& op : ops) {
    const auto found = std::find_if(counts.begin(), counts.end(), [&](const auto& entry) { return entry.first == op; });
    if (found == counts.end()) counts.emplace_back(op, 1);
    else ++found->second;
  }
  std::string text;
  for (const auto& [op, count] : counts) text += (text.empty() ? "" : ", ") + (count > 1 ? fmt::format("{} {}", count, op) : op);
  return text;
}

GraphDrawing draw_graph(const Graph& graph, bool kernels) { return Drawer(graph, kernels).draw(); }

GraphDrawing collapse(const GraphDrawing& drawing, size_t most) {
  if (drawing.boxes.size() <= most) return drawing;
  std::vector<size_t> group;
  for (size_t k = 0; k < drawing.boxes.size(); ++k) {
    const std::string& block = drawing.boxes[k].block;
    const bool joins = k > 0 && !block.empty() && block == drawing.boxes[k - 1].block;
    group.push_back(k == 0 ? 0 : group.back() + !joins);
  }
  const GraphDrawing blocks = merge(drawing, group, [](const Box& box) { return box.block; });
  if (blocks.boxes.size() <= most) return blocks;
  const size_t left_out = blocks.boxes.size() - most, first = most / 2;
  group.clear();
  for (size_t k = 0; k < blocks.boxes.size(); ++k) group.push_back(k <= first ? k : k <= first + left_out ? first : k - left_out);
  return merge(blocks, group, [&](const Box&) { return fmt::format("{} more", left_out + 1); });
}

}  // namespace bnc
