// The rules by which a per-channel affine map y = x * scale + shift disappears into its neighbours: one small function
// an op and direction, in a table by op name. A rule first decides, without touching the graph, and hands back either
// the reason why not or the function that does it; so a rule can ask others before it agrees.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "ir/builder.h"
#include "ir/live_uses.h"
#include "ir/tensor.h"

namespace bnc {

// One number a channel each: expressions of parameters, states and constants. An absent shift is zero.
struct Affine {
  Value scale, shift;
};

// What the rules may ask of the graph.
class FoldScope {
 public:
  // With weights, the signs of scales are known too.
  explicit FoldScope(Graph& graph, const Weights* weights = nullptr);

  Graph& graph;
  LiveUses uses;

  // The node whose map is being folded from now on ...
  void consider(const Node& affine);
  // ... and why its scales are not all known to be positive; empty when they are.
  std::string why_not_positive() const;
  // What the rules have looked at since: their answer stands as long as `seen` keep operands and readers, and as long as those
  // of `held` have several readers.
  const std::vector<const Node*>& seen() const { return seen_; }
  const std::vector<const Node*>& held() const { return held_; }
  // Why no rule looks further: where ways part and meet again there are ever more of them, and each node on one takes stack. Empty
  // when there is no reason.
  std::string too_far() const;

  // Known when freezing: depends on parameters, states and constants only.
  bool is_constant(Value value) const { return constant_.at(value.node); }
  // Why the value must stay as it is although one reader wants it changed: others read it, or it is an output. Empty
  // when it is free to change.
  std::string held_by(Value value) const;
  bool has_several_readers(Value value) const;
  // Those who read a value, for whom a map is to be changed.
  const std::vector<Node*>& readers(Value value) const;

  // Called for each node that is inserted, in their order, and for each that is erased.
  void add(const Node& node);
  void remove(const Node& node) { constant_.erase(&node); }

 private:
  const Weights* weights_;
  const Node* affine_ = nullptr;
  std::unordered_map<const Node*, bool> constant_;
  mutable std::vector<const Node*> seen_, held_;
};

// How an affine map vanishes into what computes a value (`apply` returns the value with the map applied) ...
struct ProducerFolding {
  std::string refusal;  // why not; empty when it can be done
  std::string place;    // the nodes that take it up
  std::function<Value(GraphBuilder&, const Affine&)> apply;
};
// ... or into everything that reads one: `apply` rewrites all readers of the map's result to read its operand `x`.
struct ConsumerFolding {
  std::string refusal;
  std::string place;
  std::function<void(Graph&, Value x, const Affine&)> apply;
};

// `axis` is the channel axis of the value, counted from the front.
ProducerFolding fold_into_producer(const FoldScope& scope, Value value, int axis);
ConsumerFolding fold_into_consumers(const FoldScope& scope, Value value, int axis);

// A rule's node computes the value with channels on `axis`; or reads it as operand number `operand`.
using ProducerRule = ProducerFolding (*)(const FoldScope&, Node& node, int axis);
using ConsumerRule = ConsumerFolding (*)(const FoldScope&, Node& node, int operand, int axis);
const std::map<std::string, ProducerRule>& producer_rules();
const std::map<std::string, ConsumerRule>& consumer_rules();

// Rules with a file of their own (fold_convolution.cpp).
ProducerFolding into_convolution(const FoldScope& scope, Node& node, int axis);
ProducerFolding into_transposed_convolution(const FoldScope& scope, Node& node, int axis);
ProducerFolding into_border_bias(const FoldScope& scope, Node& node, int axis);
ConsumerFolding into_convolution_behind(const FoldScope& scope, Node& node, int operand, int axis);
ConsumerFolding into_transposed_convolution_behind(const FoldScope& scope, Node& node, int operand, int axis);

// The affine map that an inference-mode batch_norm or a scale_shift is, built at the builder's place ...
Affine affine_of(GraphBuilder& builder, const Node& node);
// ... and why the node is none that freezing could know; empty when it is one.
std::string why_not_affine(const FoldScope& scope, const Node& node);

// A node in the stead of `node`: it takes over its place in the source and its name.
Value rebuild(GraphBuilder& builder, Node& node, const std::string& op, std::vector<Value> operands, AttributeMap attributes = {});
// All that read `from` read `to`, which takes over its name.
void replace(Graph& graph, Value from, Value to);

// An average_pool in whose windows padding counts as zeros.
bool counts_padding(const Node& average_pool);

// Why no rule carries a channel-wise map across this node.
std::string why_no_rule(const Node& node);

// The constant bias behind a product, along its last axis, where nothing else reads the product ...
Node* bias_behind(const FoldScope& scope, Node& node);
// ... which takes up the shift of `raw`, in the stead of the product `node`; without one (null), a bias is made. A shift that
// differs near the border goes into a `border_bias`.
void put_shift_behind(Graph& graph, GraphBuilder& builder, Node& node, Value raw, Node* bias, Value shift, const char* op = "bias",
                      AttributeMap attributes = {});

// `value` with the shift added, if there is one.
Value add_shift(GraphBuilder& builder, Value value, Value shift, int axis);

}  // namespace bnc
