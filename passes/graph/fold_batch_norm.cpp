// fold-batch-norm: inference-mode batch norms vanish into the layers around them (bn-fold-producer, bn-fold-consumer, bn-fold-fixpoint).
#include <algorithm>
#include <array>
#include <list>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "ir/ops/common.h"
#include "passes/graph/check_variances.h"
#include "passes/graph/fold_rules.h"
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

// Folds the first map in the graph that goes into its producer, else the first that goes into its consumers, until none does.
// A map that was refused is looked at again only where something has changed that the answer depended on.
class BatchNormFolder {
 public:
  BatchNormFolder(Graph& graph, PassContext& cx)
      : graph_(graph), cx_(cx), scope_(graph, cx.weights), pending_{Pending(Earlier{&scope_.uses}), Pending(Earlier{&scope_.uses})} {
    for (const auto& node : graph.nodes()) {
      if (!is_map(*node)) continue;
      fates_.push_back({cx.about(node.get()), {}});
      carried_[node.get()] = {node->results[0].name, {&fates_.back()}};
      look_at(node.get());
    }
    for (const Output& output : graph.outputs)
      if (output.role == Output::Role::gradient || output.role == Output::Role::update) named_.insert(output.name);
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
  struct Earlier {
    const LiveUses* uses;
    bool operator()(const Node* a, const Node* b) const { return a != b && uses->stands_before(a, b); }
  };
  using Pending = std::set<Node*, Earlier>;

  bool is_candidate(const Node& node) const { return !scope_.is_constant(node.operands[0]) && why_not_affine(scope_, node).empty(); }

  bool fold_one() {
    for (const auto direction : {backward, forward}) {
      for (Pending& pending = pending_[direction]; !pending.empty();) {
        Node& node = **pending.begin();
        pending.erase(pending.begin());
        scope_.consider(node);
        if (!is_candidate(node) || !(direction == backward ? fold_backward(node) : fold_forward(node))) {
          wait_for_changes(node);
          continue;
        }
        bypass_statistics(node);
        follow_changes();
        return true;
      }
    }
    return false;
  }

  void look_at(Node* map) {
    for (Pending& pending : pending_) pending.insert(map);
  }

  void wait_for_changes(Node& map) {
    for (const Node* node : scope_.seen()) watchers_[node].push_back(&map);
    for (const Node* node : scope_.held()) reader_watchers_[node].push_back(&map);
  }

  bool fold_backward(Node& node) {
    const ProducerFolding folding = fold_into_producer(scope_, node.operands[0], ops::axis_of(node));
    if (!folding.refusal.empty()) return false;
    note(node, fmt::format("into {} before it", folding.place));
    GraphBuilder builder = GraphBuilder::before(graph_, &node);
    builder.at(node.range);
    replace(graph_, node.result(), folding.apply(builder, affine_of(builder, node)));
    return true;
  }

  bool fold_forward(Node& node) {
    const ConsumerFolding folding = fold_into_consumers(scope_, node.result(), ops::axis_of(node));
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

  // What the last folding left unused goes; maps that it made or came near are looked at.
  void follow_changes() {
    LiveUses::Changes changes = scope_.uses.take_changes();
    std::sort(changes.inserted.begin(), changes.inserted.end(), Earlier{&scope_.uses});
    for (const Node* node : changes.inserted) scope_.add(*node);
    std::vector<Node*> unused = changes.inserted;
    unused.insert(unused.end(), changes.touched.begin(), changes.touched.end());
    std::vector<Carrier> gone;
    while (!unused.empty()) {
      Node* node = unused.back();
      unused.pop_back();
      if (!scope_.uses.contains(node) || is_needed(*node)) continue;
      const std::vector<Value> operands = node->operands;
      erase(node, gone);
      for (const Value& operand : operands)
        if (operand) unused.push_back(operand.node);
    }
    hand_over(changes, gone);
    std::vector<Node*> touched_by_erasing = scope_.uses.take_changes().touched;
    for (auto* nodes : {&changes.inserted, &changes.touched, &touched_by_erasing})
      for (Node* node : *nodes) wake_watchers(node);
  }

  bool is_needed(Node& node) const {
    if (node.is("input") || named_.count(node.results[0].name)) return true;
    for (size_t k = 0; k < node.results.size(); ++k)
      if (scope_.uses.count(node.result(static_cast<int>(k))) > 0) return true;
    return false;
  }

  void erase(Node* node, std::vector<Carrier>& gone) {
    for (Pending& pending : pending_) pending.erase(node);
    if (auto carried = carried_.extract(node)) gone.push_back(std::move(carried.mapped()));
    wake_watchers(node);
    scope_.remove(*node);
    graph_.erase(node);
  }

  void wake_watchers(Node* node) {
    const bool is_there = scope_.uses.contains(node);
    if (is_there && carried_.count(node)) look_at(node);
    wake(watchers_, node);
    if (!is_there || !scope_.has_several_readers(node->result())) wake(reader_watchers_, node);
  }

  using Watchers = std::unordered_map<const Node*, std::vector<Node*>>;
  void wake(Watchers& watchers, const Node* node) {
    const auto found = watchers.extract(node);
    if (!found) return;
    for (Node* map : found.mapped())
      if (carried_.count(map)) look_at(map);
  }

  // Maps that the last folding made go on with the fates of those that it took away: the one that took over a name with that
  // one's, each of them with those whose name is gone.
  void hand_over(const LiveUses::Changes& changes, const std::vector<Carrier>& gone) {
    std::vector<Carrier*> made;
    for (const Node* node : changes.inserted) {
      if (!scope_.uses.contains(node) || !is_map(*node)) continue;
      Carrier& carrier = carried_[node];
      carrier.name = node->results[0].name;
      made.push_back(&carrier);
    }
    for (const Node* node : changes.touched)
      if (const auto carried = carried_.find(node); carried != carried_.end()) carried->second.name = node->results[0].name;
    for (const Carrier& old : gone) {
      const auto heir = std::find_if(made.begin(), made.end(), [&](const Carrier* carrier) { return carrier->name == old.name; });
      for (Carrier* carrier : made)
        if (heir == made.end() || carrier == *heir) carrier->fates.insert(carrier->fates.end(), old.fates.begin(), old.fates.end());
    }
  }

  void explain_what_stays() {
    for (const auto& node : graph_.nodes()) {
      if (!is_map(*node)) continue;
      scope_.consider(*node);
      const bool is_constant = why_not_affine(scope_, *node).empty() && scope_.is_constant(node->operands[0]);
      const std::string text = is_constant ? "computed when freezing, for its operand is a constant" : why_it_stays(*node);
      for (Fate* fate : carried_.at(node.get()).fates) {
        if (!is_constant) fate->remark.kind = Remark::Kind::declined;
        fate->remark.text = fate->stations.empty()
                                ? text
                                : fmt::format("merged {}, and stays there: {}", fmt::join(fate->stations, ", and with it "), text);
      }
    }
  }

  std::string why_it_stays(Node& node) const {
    if (std::string reason = why_not_affine(scope_, node); !reason.empty()) return reason;
    const int axis = ops::axis_of(node);
    const std::string backward = fold_into_producer(scope_, node.operands[0], axis).refusal;
    const std::string forward = fold_into_consumers(scope_, node.result(), axis).refusal;
    return fmt::format("not into its producer: {}; not into its consumers: {}", backward, forward);
  }

  enum Direction { backward, forward };
  Graph& graph_;
  PassContext& cx_;
  FoldScope scope_;
  std::list<Fate> fates_;                                 // in the order of the graph
  std::unordered_map<const Node*, Carrier> carried_;      // by each map in the graph
  std::unordered_set<std::string> named_;                 // what outputs name stays
  std::array<Pending, 2> pending_;                        // the maps to be looked at, by direction
  // The maps that were refused after a look at a node: to be looked at again when it changes, or when it has one reader left.
  Watchers watchers_, reader_watchers_;
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
