// fold-batch-norm: inference-mode batch norms vanish into the layers around them (bn-fold-producer, bn-fold-consumer, bn-fold-fixpoint).
#include <algorithm>
#include <list>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/check_variances.h"
#include "passes/fold_rules.h"
#include "passes/passes.h"

namespace bnc {

namespace {

bool is_map(const Node& node) { return node.is("batch_norm") || node.is("scale_shift"); }

// What became of a node that was an affine map when the pass began. One that merges with a neighbour lives on in it, and has
// vanished only when that one has.
struct Fate {
  Remark remark;              // `done` as long as nothing is left of it
  std::vector<std::string> stations;
};

// A map in the graph, by the name it had when last looked at, and those that live on in it.
struct Carrier {
  std::string name;
  std::vector<Fate*> fates;
};

class BatchNormFolder {
 public:
  BatchNormFolder(Graph& graph, PassContext& cx) : graph_(graph), cx_(cx) {
    for (const auto& node : graph.nodes()) {
      if (!is_map(*node)) continue;
      fates_.push_back({cx.about(node.get()), {}});
      carried_[node.get()] = {node->results[0].name, {&fates_.back()}};
    }
  }

  bool run() {
    bool changed = false;
    while (fold_one()) changed = true;
    explain_what_stays();
    for (Fate& fate : fates_) {
      if (fate.remark.text.empty()) fate.remark.text = fmt::format("folded {}", fmt::join(fate.stations, ", and with it "));
      cx_.remarks.push_back(std::move(fate.remark));
    }
    return changed;
  }

 private:
  bool is_candidate(const FoldScope& scope, const Node& node) const { return is_map(node) && !scope.is_constant(node.operands[0]) && why_not_affine(scope, node).empty(); }

  bool fold_one() {
    FoldScope scope(graph_, cx_.weights);
    for (const auto fold : {&BatchNormFolder::fold_backward, &BatchNormFolder::fold_forward})
      for (const auto& node : graph_.nodes()) {
        if (!is_candidate(scope, *node)) continue;
        scope.consider(*node);
        if (!(this->*fold)(scope, *node)) continue;
        bypass_statistics(*node);
        dead_code(graph_, cx_);
        hand_over();
        return true;
      }
    return false;
  }

  bool fold_backward(const FoldScope& scope, Node& node) {
    const ProducerFolding folding = fold_into_producer(scope, node.operands[0], ops::axis_of(node));
    if (!folding.refusal.empty()) return false;
    note(node, fmt::format("into {} before it", folding.place));
    GraphBuilder builder = GraphBuilder::before(graph_, &node);
    builder.at(node.range);
    replace(graph_, node.result(), folding.apply(builder, affine_of(builder, node)));
    return true;
  }

  bool fold_forward(const FoldScope& scope, Node& node) {
    const ConsumerFolding folding = fold_into_consumers(scope, node.result(), ops::axis_of(node));
    if (!folding.refusal.empty()) return false;
    note(node, fmt::format("into {} behind it", folding.place));
    GraphBuilder builder = GraphBuilder::before(graph_, &node);
    builder.at(node.range);
    folding.apply(graph_, node.operands[0], affine_of(builder, node));
    return true;
  }

  void note(const Node& node, const std::string& station) {
    for (Fate* fate : carried_.at(&node).fates) fate->stations.push_back(station);
  }

  // The statistics that an inference-mode batch norm hands out are those it was given.
  void bypass_statistics(Node& node) {
    if (!node.is("batch_norm")) return;
    graph_.replace_all_uses(node.result(1), node.operands[3]);
    graph_.replace_all_uses(node.result(2), node.operands[4]);
  }

  // Maps that the last folding made go on with the fates of those that it took away: the one that took over a name with that
  // one's, each of them with those whose name is gone.
  void hand_over() {
    std::unordered_map<const Node*, Carrier> before = std::move(carried_);
    carried_.clear();
    std::vector<Carrier*> made;
    for (const auto& node : graph_.nodes()) {
      if (!is_map(*node)) continue;
      Carrier& carrier = carried_[node.get()];
      const auto known = before.extract(node.get());
      if (known) carrier = std::move(known.mapped());
      else made.push_back(&carrier);
      carrier.name = node->results[0].name;
    }
    for (const auto& [gone, old] : before) {
      const auto heir = std::find_if(made.begin(), made.end(), [&old = old](const Carrier* carrier) { return carrier->name == old.name; });
      for (Carrier* carrier : made)
        if (heir == made.end() || carrier == *heir) carrier->fates.insert(carrier->fates.end(), old.fates.begin(), old.fates.end());
    }
  }

  void explain_what_stays() {
    FoldScope scope(graph_, cx_.weights);
    for (const auto& node : graph_.nodes()) {
      if (!is_map(*node)) continue;
      scope.consider(*node);
      const bool is_constant = why_not_affine(scope, *node).empty() && scope.is_constant(node->operands[0]);
      const std::string text = is_constant ? "computed when freezing, for its operand is a constant" : why_it_stays(scope, *node);
      for (Fate* fate : carried_.at(node.get()).fates) {
        if (!is_constant) fate->remark.kind = Remark::Kind::declined;
        fate->remark.text = fate->stations.empty() ? text : fmt::format("merged {}, and stays there: {}", fmt::join(fate->stations, ", and with it "), text);
      }
    }
  }

  static std::string why_it_stays(const FoldScope& scope, const Node& node) {
    if (std::string reason = why_not_affine(scope, node); !reason.empty()) return reason;
    const int axis = ops::axis_of(node);
    const std::string backward = fold_into_producer(scope, node.operands[0], axis).refusal;
    const std::string forward = fold_into_consumers(scope, Value{const_cast<Node*>(&node), 0}, axis).refusal;
    return fmt::format("not into its producer: {}; not into its consumers: {}", backward, forward);
  }

  Graph& graph_;
  PassContext& cx_;
  std::list<Fate> fates_;                                 // in the order of the graph
  std::unordered_map<const Node*, Carrier> carried_;
};

}  // namespace

bool fold_batch_norm(Graph& graph, PassContext& cx) {
  if (cx.weights)
    for (Diagnostic& warning : check_running_variances(graph, *cx.weights)) cx.warnings.push_back(std::move(warning));
  // A dead node would count as a reader.
  const bool cleaned = dead_code(graph, cx);
  return BatchNormFolder(graph, cx).run() || cleaned;
}

}  // namespace bnc
