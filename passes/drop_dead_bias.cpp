// drop-dead-bias: a training batch norm subtracts the batch's mean, and with it any bias in front (bn-dead-bias).
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/channels.h"
#include "passes/fold_rules.h"
#include "passes/passes.h"

namespace bnc {

namespace {

// What stands in front of a batch norm: views, nearest first, and behind them the node that may add a dead bias.
struct Chain {
  std::vector<Node*> views;
  Node* source = nullptr;
};

Chain chain_before(const Node& batch_norm) {
  Chain chain;
  for (chain.source = batch_norm.operands[0].node; chain.source->is("reshape") || chain.source->is("transpose"); chain.source = chain.source->operands[0].node)
    chain.views.push_back(chain.source);
  return chain;
}

// Which operand of the node is the bias; -1 when the node adds none.
int bias_operand(const FoldScope& scope, const Node& node) {
  if (node.is("bias") && scope.is_constant(node.operands[1])) return 1;
  if (!node.is("add") || !(node.operands[0].type() == node.results[0].type || node.operands[1].type() == node.results[0].type)) return -1;
  const bool left = scope.is_constant(node.operands[0]), right = scope.is_constant(node.operands[1]);
  return left == right ? -1 : right ? 1 : 0;
}

// The channel axis that the batch norm's has at the far end of the chain; the views' blocks spread a vector on the way back.
struct Path {
  int axis = 0;
  std::vector<ChannelBlock> blocks;  // from the bias towards the batch norm
  std::string refusal;
};

Path follow(const Chain& chain, int axis) {
  Path path{axis, {}, {}};
  for (const Node* view : chain.views) {
    if (view->is("transpose")) {
      path.axis = transpose_source(*view, path.axis);
      continue;
    }
    const Shape &before = view->operands[0].type().shape, &after = view->results[0].type.shape;
    const std::optional<ChannelBlock> back = follow_channels(after, before, path.axis);
    if (back && back->one_to_one()) {
      path.axis = back->axis;
      continue;
    }
    // Channels merged with other axes: each of the batch norm's channels still lies in one of the bias's.
    std::optional<ChannelBlock> forth;
    for (int source = static_cast<int>(before.size()) - 1; source >= 0 && !forth; --source) {
      const std::optional<ChannelBlock> block = follow_channels(before, after, source);
      if (block && block->axis == path.axis && !before[source].is_one()) path.axis = source, forth = block;
    }
    if (!forth) return {axis, {}, fmt::format("{} spreads its channels over several of the batch norm's", describe(*view))};
    path.blocks.insert(path.blocks.begin(), *forth);
  }
  return path;
}

std::string why_not(const FoldScope& scope, const Chain& chain, const Path& path, const Node& batch_norm, int bias) {
  const Node& node = *chain.source;
  if (batch_norm.attribute("mode").symbol().name != "train")
    return fmt::format("{} behind it is in mode {}: with stored statistics the bias changes its result", describe(batch_norm), batch_norm.attribute("mode").symbol().name);
  if (std::string held = scope.held_by(chain.source->result()); !held.empty()) return held;
  for (Node* view : chain.views)
    if (std::string held = scope.held_by(view->result()); !held.empty()) return held;
  if (!path.refusal.empty()) return path.refusal;
  const TensorType& type = node.results[0].type;
  if (node.is("bias") && ops::axis_of(node) != path.axis)
    return fmt::format("it adds along axis {}, the channels of {} are on axis {}", ops::axis_of(node), describe(batch_norm), path.axis);
  if (node.is("add") && !is_channel_vector(node.operands[bias].type(), type, path.axis))
    return fmt::format("{} is not one number for each channel on axis {} of {}", describe(*node.operands[bias].node), path.axis, describe(batch_norm));
  return {};
}

// Takes the bias out of the chain; whoever reads the batch's mean gets it added back.
void drop(Graph& graph, const Chain& chain, const Path& path, Node& batch_norm, int bias) {
  Node& node = *chain.source;
  GraphBuilder builder = GraphBuilder::after(graph, &batch_norm);
  builder.at(node.range);
  Value vector = node.is("bias") ? node.operands[1] : channel_vector(builder, node.operands[bias], node.results[0].type, path.axis);
  for (const ChannelBlock& block : path.blocks) vector = repeat_channels(builder, vector, block);
  const Value mean = batch_norm.result(1), corrected = builder.add(mean, vector);
  graph.replace_all_uses(mean, corrected);
  corrected.node->operands[0] = mean;
  const Value raw = node.operands[node.is("bias") ? 0 : 1 - bias];
  graph.replace_all_uses(node.result(), raw);
  graph.erase(&node);
}

// A batch norm with a bias somewhere in front of it.
struct Candidate {
  Chain chain;
  int bias;   // the operand of chain.source
  Path path;
};

std::optional<Candidate> candidate_at(const FoldScope& scope, Node& node) {
  if (!node.is("batch_norm")) return std::nullopt;
  Chain chain = chain_before(node);
  const int bias = bias_operand(scope, *chain.source);
  if (bias < 0) return std::nullopt;
  Path path = follow(chain, ops::axis_of(node));
  return Candidate{std::move(chain), bias, std::move(path)};
}

// One round over the graph as it was at its beginning: what stands in front of two batch norms cannot be dropped, so no
// candidate is in another one's way. A bias in front of a dropped one is left to the next round.
bool drop_all(Graph& graph, PassContext& cx) {
  const FoldScope scope(graph);
  std::vector<std::pair<Node*, Candidate>> found;
  for (const auto& node : graph.nodes()) {
    std::optional<Candidate> candidate = candidate_at(scope, *node);
    if (candidate && why_not(scope, candidate->chain, candidate->path, *node, candidate->bias).empty()) found.emplace_back(node.get(), std::move(*candidate));
  }
  for (auto& [batch_norm, candidate] : found) {
    cx.done(candidate.chain.source, fmt::format("dropped: {} subtracts it again with the batch's mean; the running mean has it added back", describe(*batch_norm)));
    drop(graph, candidate.chain, candidate.path, *batch_norm, candidate.bias);
  }
  return !found.empty();
}

void explain_what_stays(const Graph& graph, PassContext& cx) {
  const FoldScope scope(graph);
  for (const auto& node : graph.nodes()) {
    if (const auto found = candidate_at(scope, *node)) cx.decline(found->chain.source, why_not(scope, found->chain, found->path, *node, found->bias));
  }
}

}  // namespace

bool drop_dead_bias(Graph& graph, PassContext& cx) {
  bool changed = dead_code(graph, cx);  // a dead node would count as a reader
  while (drop_all(graph, cx)) changed = true;
  explain_what_stays(graph, cx);
  return changed;
}

}  // namespace bnc
