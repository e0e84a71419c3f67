// drop-dead-bias: a training batch norm subtracts the batch's mean, and with it any bias in front (bn-dead-bias). So does the instance
// norm that ghost batches become (passes/graph/ghost_batches.h).
#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/graph/channels.h"
#include "passes/graph/fold_rules.h"
#include "passes/passes.h"

namespace bnc {

namespace {

// What stands in front of a norm: views, nearest first, and behind them the node that may add a dead bias.
struct Chain {
  std::vector<Node*> views;
  Node* source = nullptr;
};

Chain chain_before(const Node& norm) {
  Chain chain;
  for (chain.source = norm.operands[0].node; chain.source->is("reshape") || chain.source->is("transpose");
       chain.source = chain.source->operands[0].node)
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

// The channel axis that the norm's has at the far end of the chain; the views' blocks spread a vector on the way back.
struct Path {
  int axis = 0;
  std::vector<ChannelBlock> blocks;  // from the bias towards the norm
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
    // Channels merged with other axes: each of the norm's channels still lies in one of the bias's.
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

// A norm with a bias somewhere in front of it.
struct Candidate {
  Chain chain;
  int bias;   // the operand of chain.source
  Path path;
  std::vector<Value> means;         // hand the bias on to others
  std::vector<Node*> differences;   // from means, of what the norm reads: there is no bias in them
  bool others = false;              // whether still others read what an instance norm reads
};

// What moves the stored statistics of ghost batches stands beside their instance norm and reads the same value: means over everything
// but the channels, and differences from them.
void find_readers(const FoldScope& scope, const Node& norm, Candidate& candidate) {
  const Value x = norm.operands[0];
  const auto is_mean = [&](const Node& node) {
    if (!node.is("reduce_mean") || !(node.operands[0] == x)) return false;
    const IntList& axes = node.attribute("axes").integers();
    return std::find(axes.begin(), axes.end(), x.type().rank() - 1) == axes.end();
  };
  const auto is_difference = [&](const Node& node) { return node.is("sub") && node.operands[0] == x && is_mean(*node.operands[1].node); };
  candidate.others = scope.uses.is_output(x);
  for (Node* user : scope.uses.of(x)) {
    if (is_difference(*user)) {
      candidate.differences.push_back(user);
    } else if (is_mean(*user)) {
      const auto& readers = scope.uses.of(user->result());
      const bool is_read = std::any_of(readers.begin(), readers.end(), [&](const Node* reader) { return !is_difference(*reader); });
      if (is_read || scope.uses.is_output(user->result())) candidate.means.push_back(user->result());
    } else {
      candidate.others |= user != &norm && !user->is("element_count");
    }
  }
}

// An instance norm without a mean that is read beside it keeps its bias: nothing in the graph would use that parameter any more.
std::optional<Candidate> candidate_at(const FoldScope& scope, Node& node) {
  const bool is_batch_norm = node.is("batch_norm");
  if (!is_batch_norm && !node.is("instance_norm")) return std::nullopt;
  Chain chain = chain_before(node);
  const int bias = bias_operand(scope, *chain.source);
  if (bias < 0) return std::nullopt;
  Path path = follow(chain, is_batch_norm ? ops::axis_of(node) : node.operands[0].type().rank() - 1);
  Candidate candidate{std::move(chain), bias, std::move(path), {}, {}};
  if (is_batch_norm) candidate.means = {node.result(1)};
  else find_readers(scope, node, candidate);
  if (candidate.means.empty()) return std::nullopt;
  return candidate;
}

std::string why_not(const FoldScope& scope, const Candidate& candidate, const Node& norm) {
  const Chain& chain = candidate.chain;
  const Path& path = candidate.path;
  const Node& node = *chain.source;
  const bool is_batch_norm = norm.is("batch_norm");
  if (is_batch_norm && norm.attribute("mode").symbol().name != "train")
    return fmt::format("{} behind it is in mode {}: with stored statistics the bias changes its result", describe(norm),
                       norm.attribute("mode").symbol().name);
  std::vector<Value> between = {chain.source->result()};
  for (Node* view : chain.views) between.push_back(view->result());
  for (const Value value : between) {
    const bool readers_are_known = !is_batch_norm && value == norm.operands[0] && !candidate.others;
    if (std::string held = scope.held_by(value); !held.empty() && !readers_are_known) return held;
  }
  if (!path.refusal.empty()) return path.refusal;
  const TensorType& type = node.results[0].type;
  if (node.is("bias") && ops::axis_of(node) != path.axis)
    return fmt::format("it adds along axis {}, the channels of {} are on axis {}", ops::axis_of(node), describe(norm), path.axis);
  if (node.is("add") && !is_channel_vector(node.operands[candidate.bias].type(), type, path.axis))
    return fmt::format("{} is not one number for each channel on axis {} of {}", describe(*node.operands[candidate.bias].node), path.axis,
                       describe(norm));
  return {};
}

// Takes the bias out of the chain; whoever reads a mean gets it added back.
void drop(FoldScope& scope, const Candidate& candidate) {
  Graph& graph = scope.graph;
  Node& node = *candidate.chain.source;
  for (const Value mean : candidate.means) {
    GraphBuilder builder = GraphBuilder::after(graph, mean.node);
    builder.at(node.range);
    Value vector = node.is("bias") ? node.operands[1]
                                   : channel_vector(builder, node.operands[candidate.bias], node.results[0].type, candidate.path.axis);
    for (const ChannelBlock& block : candidate.path.blocks) vector = repeat_channels(builder, vector, block);
    const Value corrected = builder.add(mean, vector);
    graph.replace_all_uses(mean, corrected);
    graph.set_operand(*corrected.node, 0, mean);
    for (Node* difference : candidate.differences)
      if (difference->operands[1] == corrected) graph.set_operand(*difference, 1, mean);
  }
  const Value raw = node.operands[node.is("bias") ? 0 : 1 - candidate.bias];
  graph.replace_all_uses(node.result(), raw);
  scope.remove(node);
  graph.erase(&node);
  for (const Node* created : scope.uses.take_changes().inserted) scope.add(*created);
}

// One round over norms, all of them looked at before anything is dropped: what stands in front of two norms cannot be dropped, so no
// candidate is in another one's way. Returns the norms in front of which a bias was dropped: there may be another one.
std::vector<Node*> drop_all(FoldScope& scope, const std::vector<Node*>& norms, PassContext& cx) {
  std::vector<std::pair<Node*, Candidate>> found;
  for (Node* norm : norms) {
    std::optional<Candidate> candidate = candidate_at(scope, *norm);
    if (candidate && why_not(scope, *candidate, *norm).empty()) found.emplace_back(norm, std::move(*candidate));
  }
  std::vector<Node*> changed;
  for (const auto& [norm, candidate] : found) {
    const char* whose = norm->is("batch_norm") ? "the batch's mean" : "the mean of each of its instances";
    cx.done(candidate.chain.source,
            fmt::format("dropped: {} subtracts it again with {}; the running mean has it added back", describe(*norm), whose));
    drop(scope, candidate);
    changed.push_back(norm);
  }
  return changed;
}

void explain_what_stays(const FoldScope& scope, const std::vector<Node*>& norms, PassContext& cx) {
  for (Node* norm : norms) {
    if (const auto found = candidate_at(scope, *norm)) cx.decline(found->chain.source, why_not(scope, *found, *norm));
  }
}

}  // namespace

bool drop_dead_bias(Graph& graph, PassContext& cx) {
  bool changed = dead_code(graph, cx);  // a dead node would count as a reader
  FoldScope scope(graph);
  std::vector<Node*> norms;
  for (const auto& node : graph.nodes())
    if (node->is("batch_norm") || node->is("instance_norm")) norms.push_back(node.get());
  for (std::vector<Node*> open = norms; !open.empty(); changed |= !open.empty()) open = drop_all(scope, open, cx);
  explain_what_stays(scope, norms, cx);
  return changed;
}

}  // namespace bnc
