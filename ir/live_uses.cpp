#include "ir/live_uses.h"

#include <algorithm>

namespace bnc {

namespace {

// Between two neighbours in the graph, and from one node to the next that is inserted before the same place.
constexpr uint64_t spacing = uint64_t{1} << 40, step = uint64_t{1} << 16;

}  // namespace

LiveUses::LiveUses(Graph& graph) : graph_(graph) {
  BNC_CHECK(!graph.live_uses_, "two LiveUses of one graph");
  for (const auto& node : graph.nodes()) {
    nodes_[node.get()].entries.resize(node->results.size());
    for (const Value& operand : node->operands) {
      if (!operand) continue;
      std::vector<Node*>& users = entry(operand).nodes;
      if (users.empty() || users.back() != node.get()) users.push_back(node.get());
    }
  }
  for (const Output& output : graph.outputs) ++entry(output.value).outputs;
  number_all();
  graph.live_uses_ = this;
}

LiveUses::~LiveUses() { graph_.live_uses_ = nullptr; }

void LiveUses::number_all() {
  uint64_t label = 0;
  for (const auto& node : graph_.nodes()) nodes_.at(node.get()).label = label += spacing;
}

void LiveUses::inserted(Graph::Nodes::iterator position) {
  Node* node = position->get();
  Known& known = nodes_[node] = {};
  known.entries.resize(node->results.size());
  const uint64_t before = position == graph_.nodes().begin() ? 0 : nodes_.at(std::prev(position)->get()).label;
  const uint64_t behind = std::next(position) == graph_.nodes().end() ? before + 2 * spacing : nodes_.at(std::next(position)->get()).label;
  known.label = before + std::min(step, (behind - before) / 2);
  if (known.label == before) number_all();
  for (const Value& operand : node->operands) reads(node, operand);
  changes_.inserted.push_back(node);
}

void LiveUses::erasing(Node* node) {
  for (const Value& operand : node->operands) no_longer_reads(node, operand);
  nodes_.erase(node);
}

std::vector<Node*>::iterator LiveUses::place(std::vector<Node*>& users, const Node* node) const {
  return std::lower_bound(users.begin(), users.end(), node, [this](const Node* a, const Node* b) { return stands_before(a, b); });
}

// A node that reads a value several times stands in its list once.
void LiveUses::reads(Node* node, Value operand) {
  if (!operand) return;
  std::vector<Node*>& users = entry(operand).nodes;
  if (const auto found = place(users, node); found == users.end() || *found != node) users.insert(found, node);
  touch(operand.node);
}

void LiveUses::no_longer_reads(Node* node, Value operand) {
  if (!operand) return;
  std::vector<Node*>& users = entry(operand).nodes;
  if (const auto found = place(users, node); found != users.end() && *found == node) users.erase(found);
  touch(operand.node);
}

}  // namespace bnc
