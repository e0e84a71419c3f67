#include "ir/graph.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "ir/live_uses.h"
#include "ir/op.h"

namespace bnc {

const TensorType& Value::type() const { return node->results[index].type; }
const std::string& Value::name() const { return node->results[index].name; }

bool Node::is(const char* op_name) const { return op->name == op_name; }

const Attribute& Node::attribute(const std::string& name) const {
  const auto position = attributes.find(name);
  BNC_CHECK(position != attributes.end(), fmt::format("{} has no attribute {}", op->name, name));
  return position->second;
}

bool is_trainable(const Node& parameter) {
  if (!parameter.is("parameter")) return false;
  const Attribute* flag = parameter.attribute("initializer").symbol().find("trainable");
  return !flag || flag->boolean();
}

Node* Graph::insert(Nodes::iterator position, std::unique_ptr<Node> node) {
  for (Result& result : node->results) {
    if (result.name.empty()) {
      int& last = taken_names_[""];   // no result is called so
      do result.name = fmt::format("t{}", ++last);
      while (taken_names_.count(result.name));
    }
    const bool is_new = taken_names_.emplace(result.name, 1).second;
    BNC_CHECK(is_new, fmt::format("the name {} is taken", result.name));
  }
  const auto inserted = nodes_.insert(position, std::move(node));
  positions_[inserted->get()] = inserted;
  if (live_uses_) live_uses_->inserted(inserted);
  return inserted->get();
}

Graph::Nodes::iterator Graph::position(const Node* node) {
  const auto found = positions_.find(node);
  BNC_CHECK(found != positions_.end(), "the node belongs to another graph");
  return found->second;
}

void Graph::replace_all_uses(Value from, Value to) {
  BNC_CHECK(from.type() == to.type(),
            fmt::format("{}: {} becomes {}: {}", from.name(), to_string(from.type()), to.name(), to_string(to.type())));
  if (from == to) return;
  if (live_uses_) {
    const std::vector<Node*> users = live_uses_->of(from);
    for (Node* user : users)
      for (size_t k = 0; k < user->operands.size(); ++k)
        if (user->operands[k] == from) set_operand(*user, k, to);
    if (!live_uses_->is_output(from)) return;
    live_uses_->entry(to).outputs += std::exchange(live_uses_->entry(from).outputs, 0);
  } else {
    for (const auto& node : nodes_)
      for (Value& operand : node->operands)
        if (operand == from) operand = to;
  }
  for (Output& output : outputs)
    if (output.value == from) output.value = to;
}

void Graph::set_operand(Node& node, size_t operand, Value value) {
  const Value old = std::exchange(node.operands[operand], value);
  if (!live_uses_) return;
  const bool still_reads = std::find(node.operands.begin(), node.operands.end(), old) != node.operands.end();
  if (!still_reads) live_uses_->no_longer_reads(&node, old);
  live_uses_->reads(&node, value);
  live_uses_->touch(&node);
}

void Graph::erase(Node* node) {
  const Nodes::iterator place = position(node);
  if (live_uses_) live_uses_->erasing(node);
  for (const Result& result : node->results) taken_names_.erase(result.name);
  positions_.erase(node);
  nodes_.erase(place);
}

void Graph::rename(Value value, const std::string& name) {
  const bool is_new = taken_names_.emplace(name, 1).second;
  BNC_CHECK(is_new, fmt::format("the name {} is taken", name));
  taken_names_.erase(value.name());
  value.node->results[value.index].name = name;
}

void Graph::swap_names(Value a, Value b) {
  std::swap(a.node->results[a.index].name, b.node->results[b.index].name);
  if (!live_uses_) return;
  live_uses_->touch(a.node);
  live_uses_->touch(b.node);
}

std::string Graph::fresh_name(const std::string& stem) {
  const auto taken = taken_names_.find(stem);
  if (taken == taken_names_.end()) return stem;
  std::string name;
  do name = fmt::format("{}_{}", stem, ++taken->second);
  while (taken_names_.count(name));
  return name;
}

Value Graph::find(const std::string& name) const {
  for (const auto& node : nodes_)
    for (size_t i = 0; i < node->results.size(); ++i)
      if (node->results[i].name == name) return node->result(static_cast<int>(i));
  return {};
}

std::vector<Node*> Graph::nodes_of(const char* op_name) const {
  std::vector<Node*> found;
  for (const auto& node : nodes_)
    if (node->is(op_name)) found.push_back(node.get());
  return found;
}

const Output* Graph::output(Output::Role role, const std::string& name) const {
  for (const Output& output : outputs)
    if (output.role == role && (name.empty() || output.name == name)) return &output;
  return nullptr;
}

Graph Graph::clone() const {
  Graph copy;
  copy.name = name;
  copy.batch_symbol = batch_symbol;
  copy.range = range;
  std::unordered_map<const Node*, Node*> copies;
  const auto translate = [&](Value value) { return value ? Value{copies.at(value.node), value.index} : value; };
  for (const auto& node : nodes_) {
    auto duplicate = std::make_unique<Node>(*node);
    for (Value& operand : duplicate->operands) operand = translate(operand);
    copies[node.get()] = copy.append(std::move(duplicate));
  }
  copy.outputs = outputs;
  for (Output& output : copy.outputs) output.value = translate(output.value);
  copy.taken_names_ = taken_names_;
  return copy;
}

Uses::Uses(const Graph& graph) {
  for (const auto& node : graph.nodes()) {
    entries_[node.get()].resize(node->results.size());
    for (const Value& operand : node->operands) {
      if (!operand) continue;
      std::vector<Node*>& users = entries_.at(operand.node)[operand.index].nodes;
      if (users.empty() || users.back() != node.get()) users.push_back(node.get());
    }
  }
  for (const Output& output : graph.outputs) entries_.at(output.value.node)[output.value.index].output = true;
}

const Uses::Entry* Uses::find(Value value) const {
  const auto found = entries_.find(value.node);
  return found == entries_.end() ? nullptr : &found->second[value.index];
}

const std::vector<Node*>& Uses::of(Value value) const {
  static const std::vector<Node*> none;
  const Entry* entry = find(value);
  return entry ? entry->nodes : none;
}

bool Uses::is_output(Value value) const {
  const Entry* entry = find(value);
  return entry && entry->output;
}

Graph& Module::main() {
  BNC_CHECK(!networks.empty(), "a module without networks");
  if (train)
    for (Graph& network : networks)
      if (network.name == train->network) return network;
  return networks.back();
}

}  // namespace bnc
