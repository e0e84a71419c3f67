#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <unordered_map>

#include "ir/ops/common.h"
#include "passes/graph/ghost_batches.h"
#include "passes/graph/rewrite.h"
#include "passes/graph/score_warnings.h"
#include "passes/graph/single_element.h"
#include "passes/graph/train_loss.h"
#include "passes/optimizers/step_counter.h"
#include "passes/passes.h"

namespace bnc {

namespace {

// The axes a batch norm averages over.
std::vector<int> averaged_axes(const Node& batch_norm) {
  return ops::other_axes(batch_norm.operands[0].type().rank(), ops::axis_of(batch_norm));
}

// The new values of parameters and states among a graph's outputs.
class Updates {
 public:
  explicit Updates(Graph& graph) : outputs_(graph.outputs) {
    for (size_t k = 0; k < outputs_.size(); ++k)
      if (outputs_[k].role == Output::Role::update) places_.emplace(outputs_[k].name, k);
  }

  bool contains(Value state) const { return places_.count(state.name()) > 0; }
  Value next_value(Value state) const {
    const auto found = places_.find(state.name());
    return found == places_.end() ? state : outputs_[found->second].value;
  }
  void set(Value state, Value next) {
    const auto [found, added] = places_.emplace(state.name(), outputs_.size());
    if (added) outputs_.push_back({Output::Role::update, state.name(), next});
    else outputs_[found->second].value = next;
  }

 private:
  std::vector<Output>& outputs_;
  std::unordered_map<std::string, size_t> places_;
};

// Moves the running statistics of one training batch norm (bn-running, bn-variance, bn-ghost).
class RunningStatistics {
 public:
  // With `ghosts`, by as many steps as there are ghost batches, each with the mean of their statistics.
  RunningStatistics(Graph& graph, Updates& updates, Node& node, const std::optional<GhostBatchNorm>& ghosts)
      : updates_(updates), builder_(graph), node_(node), ghosts_(ghosts) {
    builder_.at(node.range);
  }

  void run() {
    const Value start = weight_of_start(), weight = weight_of_batch();
    const bool unbiased = node_.attribute("unbiased").boolean();
    for (const char* statistic : {"mean", "variance"}) {
      const Value stored = operand(statistic);
      if (!stored || !stored.node->is("state")) continue;
      const bool is_variance = stored == operand("variance");
      const Value batch = ghosts_ ? (is_variance ? ghosts_->variance : ghosts_->mean) : node_.result(is_variance ? 2 : 1);
      const Value target = is_variance && unbiased ? corrected(batch) : batch;
      if (!weight) {
        set_next(stored, target);
        continue;
      }
      Value current = next_value(stored);
      if (start) current = builder_.mul(current, start);
      set_next(stored, builder_.add(current, builder_.mul(builder_.sub(target, current), weight)));
    }
  }

 private:
  Value operand(const char* name) const { return node_.operands[node_.op->operand_index(name)]; }

  // Batch norms that share a state move it one after the other.
  Value next_value(Value state) const { return updates_.next_value(state); }
  void set_next(Value state, Value next) { updates_.set(state, next); }

  // 0 in the first step, then 1, where the rule forgets the start value at once: s + 1*(batch - s) would lose what of the batch is
  // small beside s. Nothing where the start value has a weight.
  Value weight_of_start() {
    const Symbol& stats = node_.attribute("stats").symbol();
    const bool forgets = stats.name == "cumulative" || stats.flag("corrected");
    return forgets ? builder_.value("clip", {next_value(operand("count"))}) : Value{};
  }

  // w in s + w*(batch - s): 1-d; (1-d)/(1-d^t), which makes s the average corrected for its start; or 1/t. For k steps at once
  // 1-d^k; (1-d^k)/(1-d^t); or k/t. Nothing where it is 1.
  Value weight_of_batch() {
    const Symbol& stats = node_.attribute("stats").symbol();
    if (stats.name == "cumulative") return builder_.div(steps(), count_steps());
    const double decay = stats.number("decay", 0.9);
    const Value counted = stats.flag("corrected") ? count_steps() : Value{};
    if (decay == 0) return {};
    const Value weight = ghosts_ ? one_minus_power(decay, steps()) : builder_.constant(rest_of(decay));
    return counted ? builder_.div(weight, one_minus_power(decay, counted)) : weight;
  }

  Value one_minus_power(double decay, Value steps) { return builder_.value("one_minus_power", {steps}, {{"decay", decay}}); }

  Value steps() { return ghosts_ ? ghosts_->batches : builder_.constant(1); }

  Value count_steps() {
    const Value count = operand("count");
    const Value next = builder_.add(next_value(count), steps());
    if (count.node->is("state")) set_next(count, next);
    return next;
  }

  // Bessel's m/(m-1). Where m may be 1 the divisor is max(m-1, 1): a variance of 0 stays 0.
  Value corrected(Value variance) {
    if (ghosts_) return builder_.scale(variance, static_cast<double>(ghosts_->elements) / static_cast<double>(ghosts_->elements - 1));
    const Value m = builder_.value("element_count", {node_.operands[0]}, {{"axes", ops::to_attribute(averaged_axes(node_))}});
    Value divisor = builder_.sub(m, builder_.constant(1));
    if (node_.attribute("allow_single").boolean())
      divisor = builder_.add(builder_.value("relu", {builder_.sub(divisor, builder_.constant(1))}), builder_.constant(1));
    return builder_.mul(variance, builder_.div(m, divisor));
  }

  Updates& updates_;
  GraphBuilder builder_;
  Node& node_;
  const std::optional<GhostBatchNorm>& ghosts_;
};

// Batch norms go, and what became of each takes its place.
void replace(Graph& graph, const std::vector<std::pair<Node*, GhostBatchNorm>>& replaced) {
  std::unordered_map<const Node*, const GhostBatchNorm*> by_node;
  for (const auto& [node, ghosts] : replaced) by_node.emplace(node, &ghosts);
  const auto follow = [&](Value& read) {
    const auto found = by_node.find(read.node);
    if (found == by_node.end()) return;
    const Value results[] = {found->second->y, found->second->mean, found->second->variance};
    read = results[read.index];
  };
  for (const auto& node : graph.nodes()) std::for_each(node->operands.begin(), node->operands.end(), follow);
  for (Output& output : graph.outputs) follow(output.value);
  for (const auto& [node, ghosts] : replaced) {
    graph.swap_names(node->result(), ghosts.y);
    graph.erase(node);
  }
}

// Those of mode `auto` train from here on; each that trains moves its statistics, unless something did so before.
bool prepare_batch_norms(Graph& graph, PassContext& cx) {
  struct Training {
    Node* node;
    bool moves;
  };
  std::vector<Training> training;
  Updates updates(graph);
  bool changed = false;
  for (Node* node : graph.nodes_of("batch_norm")) {
    Attribute& mode = node->attributes["mode"];
    if (mode.symbol().name == "infer") continue;
    changed |= mode.symbol().name == "auto";
    mode = "train";
  }
  refuse_single_elements(graph, cx.batch);
  for (Node* node : graph.nodes_of("batch_norm")) {
    if (node->attribute("mode").symbol().name == "infer") continue;
    // The shape rule refuses more in training: stats that need a count without one.
    node->op->infer(InferContext(*node->op, node->operands, node->attributes, node->range, graph.batch_symbol));
    const Value mean = node->operands[node->op->operand_index("mean")];
    training.push_back({node, mean.node->is("state") && !updates.contains(mean)});
  }
  count_batch_by(graph, cx, ghost_batch_size(graph));
  std::vector<std::pair<Node*, GhostBatchNorm>> replaced;
  for (const auto& [node, moves] : training) {
    std::optional<GhostBatchNorm> ghosts;
    if (node->attribute("ghost").integer() > 0) ghosts = split_into_ghost_batches(graph, *node);
    if (moves) RunningStatistics(graph, updates, *node, ghosts).run();
    changed |= moves || ghosts;
    if (ghosts) replaced.emplace_back(node, *ghosts);
  }
  replace(graph, replaced);
  return changed;
}

// Each dropout draws from a stream of its own, anew in each step and run.
bool prepare_dropouts(Graph& graph, const PassContext& cx) {
  std::vector<Node*> dropouts;
  for (Node* node : graph.nodes_of("dropout"))
    if (!node->operands[1]) dropouts.push_back(node);
  if (dropouts.empty()) return false;
  const Value step = step_counter(graph, dropouts.front());
  for (size_t i = 0; i < dropouts.size(); ++i) {
    dropouts[i]->operands[1] = step;
    dropouts[i]->attributes["stream"] = static_cast<int64_t>(i);
    dropouts[i]->attributes["seed"] = cx.seed ? static_cast<int64_t>(*cx.seed) : cx.train ? cx.train->seed : 0;
  }
  return true;
}

}  // namespace

bool prepare_training(Graph& graph, PassContext& cx) {
  bool changed = prepare_batch_norms(graph, cx);
  changed |= prepare_dropouts(graph, cx);
  if (!graph.output(Output::Role::loss)) append_loss(graph, cx.train), changed = true;
  for (Diagnostic& warning : warnings_of_scores(graph)) cx.warnings.push_back(std::move(warning));
  return changed;
}

}  // namespace bnc
