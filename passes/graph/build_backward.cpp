#include <unordered_map>
#include <unordered_set>

#include "ir/op.h"
#include "passes/graph/rewrite.h"
#include "passes/passes.h"

namespace bnc {

namespace {

class Backward {
 public:
  explicit Backward(Graph& graph) : graph_(graph), builder_(graph) {}

  void run(Value loss) {
    find_dependents();
    refuse_second_derivatives(loss);
    std::vector<Node*> forward;
    for (const auto& node : graph_.nodes()) forward.push_back(node.get());
    accumulate(loss, builder_.constant(1.0));
    for (auto node = forward.rbegin(); node != forward.rend(); ++node) propagate(**node);
    for (Node* node : forward)
      if (is_wanted(*node)) graph_.outputs.push_back({Output::Role::gradient, node->results[0].name, gradient_or_zeros(node->result())});
  }

 private:
  static bool is_wanted(const Node& node) {
    return is_trainable(node) || (node.is("input") && node.results[0].type.dtype == DType::f32);
  }

  // Only what depends on a wanted tensor through differentiable operands needs a gradient.
  void find_dependents() {
    for (const auto& node : graph_.nodes()) {
      bool depends = is_wanted(*node);
      for (size_t i = 0; i < node->operands.size() && !depends; ++i) depends = flows_back(*node, i);
      if (depends) dependents_.insert(node.get());
    }
  }

  bool flows_back(const Node& node, size_t operand) const {
    if (!node.op->gradient || !node.operands[operand]) return false;
    const auto& specs = node.op->operands;
    return specs[std::min(operand, specs.size() - 1)].differentiable && dependents_.count(node.operands[operand].node);
  }

  // The parts of gradients have mostly no gradient themselves: to take one for 0 would be silently wrong.
  void refuse_second_derivatives(Value loss) const {
    std::unordered_set<const Node*> needed = {loss.node};
    for (auto node = graph_.nodes().rbegin(); node != graph_.nodes().rend(); ++node) {
      if (!needed.count(node->get())) continue;
      for (Value operand : (*node)->operands) {
        needed.insert(operand.node);
        if (!operand || (*node)->op->category != OpCategory::gradient || (*node)->op->gradient || !dependents_.count(operand.node))
          continue;
        Diagnostic diagnostic{
            Severity::error,
            (*node)->range,
            "build-backward: " + (*node)->op->name + " has no gradient, but the loss depends on `" + operand.name() + "` through it",
            {}};
        diagnostic.help("second derivatives are not supported");
        throw CompileError(std::move(diagnostic));
      }
    }
  }

  Value& gradient_of(Value value) {
    std::vector<Value>& gradients = gradients_[value.node];
    gradients.resize(value.node->results.size());
    return gradients[value.index];
  }

  // Contributions are added in the order in which the users stand in the graph, last user first.
  void accumulate(Value value, Value contribution) {
    BNC_CHECK(contribution.type() == value.type(), "the gradient of " + value.name() + " is " + to_string(contribution.type()));
    Value& total = gradient_of(value);
    total = total ? builder_.add(total, contribution) : contribution;
  }

  void propagate(Node& node) {
    const auto found = gradients_.find(&node);
    if (found == gradients_.end() || !dependents_.count(&node) || !node.op->gradient) return;
    builder_.at(node.range);
    GradientContext cx{builder_, node, found->second};
    const std::vector<Value> contributions = node.op->gradient(cx);
    BNC_CHECK(contributions.size() == node.operands.size(), node.op->name);
    for (size_t i = 0; i < contributions.size(); ++i)
      if (contributions[i] && flows_back(node, i)) accumulate(node.operands[i], contributions[i]);
  }

  Value gradient_or_zeros(Value value) {
    const Value gradient = gradient_of(value);
    return gradient ? gradient : builder_.constant(0.0, value.type());
  }

  Graph& graph_;
  GraphBuilder builder_;
  std::unordered_set<const Node*> dependents_;
  std::unordered_map<const Node*, std::vector<Value>> gradients_;
};

}  // namespace

bool build_backward(Graph& graph, PassContext&) {
  const Output* loss = graph.output(Output::Role::loss);
  if (!loss) {
    Diagnostic diagnostic{Severity::error, graph.range, "build-backward: the network " + graph.name + " has no loss", {}};
    diagnostic.help("run prepare-training before, on a file with a train section");
    throw CompileError(std::move(diagnostic));
  }
  if (graph.output(Output::Role::gradient)) return false;
  Backward(graph).run(loss->value);
  return true;
}

}  // namespace bnc
