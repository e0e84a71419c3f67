// Splits a kernel's nodes into stages, and decides what is computed where it is read instead of being stored.
#include <algorithm>

#include "passes/lower/lowering.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {
namespace {

struct Dependence {
  const Node* node;
  bool pointwise;   // read at the very index being computed
};

class StageMaker {
 public:
  StageMaker(Lowering& lowering, const std::vector<Node*>& nodes, const Uses& uses) : lowering_(lowering), uses_(uses), nodes_(nodes) {
    for (Node* node : nodes) members_.insert(node);
  }

  std::vector<Stage> run() {
    for (auto it = nodes_.rbegin(); it != nodes_.rend(); ++it) {
      if (is_inline(**it)) lowering_.inlined.insert(*it);
    }
    store_what_is_large();
    for (Node* node : nodes_) {
      if (!lowering_.inlined.count(node)) assign(node);
    }
    return std::move(stages_);
  }

 private:
  bool is_inline(Node& node) const {
    const auto* element = node.op->lowering_as<ElementLowering>();
    if (!element || uses_.is_output(node.result()) || lowering_.long_scalars.count(&node)) return false;
    const auto& readers = uses_.of(node.result());
    if (readers.empty()) return false;
    const Shape& shape = node.results[0].type.shape;
    for (const Node* reader : readers) {
      if (!members_.count(reader)) return false;
      if (reader->op->lowering_as<ContractLowering>()) return readers.size() == 1 && is_prologue(node, *reader);
      if (element->cost > cost::cheap_as_a_load && !shape.empty() && is_repeated(node, *reader)) return false;
    }
    return readers.size() == 1 || element->cost <= cost::cheap_as_a_load || shape.empty();
  }

  // What is read several times and takes many operations, with all that is inlined into it, is stored; so is then an operand of
  // a product that is computed from it.
  void store_what_is_large() {
    struct Expression {
      int64_t cost;
      bool reads_stored;   // by this kernel
    };
    std::unordered_map<const Node*, Expression> expressions;   // of inlined nodes
    for (Node* node : nodes_) {
      if (!lowering_.inlined.count(node)) continue;
      Expression whole{0, false};
      int64_t taps = 0, inlined = 0;   // elements of its operands that an element reads; operations of those that are inlined
      for (size_t k = 0; k < node->operands.size(); ++k) {
        const Value operand = node->operands[k];
        if (!operand) continue;
        const int64_t times = lowering_.accesses.of(*node, static_cast<int>(k)).times;
        const auto inner = expressions.find(operand.node);
        taps += times;
        if (inner != expressions.end()) inlined += std::max<int64_t>(times, 1) * inner->second.cost;
        whole.reads_stored |= inner != expressions.end() ? inner->second.reads_stored : members_.count(operand.node) > 0;
      }
      whole.cost = std::max<int64_t>(node->op->lowering_as<ElementLowering>()->cost, taps) + inlined;
      if ((reads_of(*node) > 1 && whole.cost > cost::most_repeated_cost) || (whole.reads_stored && is_read_by_product(*node)))
        lowering_.inlined.erase(node);
      else expressions[node] = whole;
    }
  }

  bool is_read_by_product(Node& node) const {
    const auto& readers = uses_.of(node.result());
    return std::any_of(readers.begin(), readers.end(),
                       [](const Node* reader) { return reader->op->lowering_as<ContractLowering>() != nullptr; });
  }

  // How often an element is read, by all that reads it, windows included.
  int64_t reads_of(Node& node) const {
    int64_t reads = 0;
    std::set<const Node*> seen;
    for (const Node* reader : uses_.of(node.result())) {
      if (!seen.insert(reader).second) continue;
      for (size_t k = 0; k < reader->operands.size(); ++k)
        if (reader->operands[k] == node.result()) reads += std::max(1, lowering_.accesses.of(*reader, static_cast<int>(k)).times);
    }
    return reads;
  }

  // Whether a reader reads elements again and again: windows that overlap, or what is broadcast.
  bool is_repeated(Node& node, const Node& reader) const {
    const int k = static_cast<int>(std::find(reader.operands.begin(), reader.operands.end(), node.result()) - reader.operands.begin());
    const Access& access = lowering_.accesses.of(reader, k);
    if (iteration_shape(reader) == node.results[0].type.shape) return access.times > cost::about_once;
    return !reads_about_once(reader, k, access);
  }

  // Whether a product's operand is computed while it is copied for the product: from nothing that this kernel stores.
  bool is_prologue(const Node& node, const Node& product) const {
    const bool activation = !node.results[0].type.shape.empty() && node.results[0].type.shape.front().batch;
    return activation && has_many_rows(product, lowering_.context.batch) && computed_before(node);
  }

  bool computed_before(const Node& node) const {
    if (!node.op->lowering_as<ElementLowering>()) return false;
    for (auto operand = node.operands.begin(); operand != node.operands.end(); ++operand) {
      if (!*operand || !members_.count(operand->node) || std::find(node.operands.begin(), operand, *operand) != operand) continue;
      if (uses_.count(*operand) != 1 || !computed_before(*operand->node)) return false;
    }
    return true;
  }

  // The stored nodes of this kernel that computing `node` reads, through what is inlined.
  void dependences(const Node& node, bool pointwise, std::vector<Dependence>& found) const {
    for (size_t k = 0; k < node.operands.size(); ++k) {
      const Value operand = node.operands[k];
      if (!operand || !members_.count(operand.node)) continue;
      const Access& access = lowering_.accesses.of(node, static_cast<int>(k));
      if (!access.reads) continue;
      const bool same = pointwise && access.pointwise && operand.type().shape == iteration_shape(node);
      if (lowering_.inlined.count(operand.node)) dependences(*operand.node, same, found);
      else found.push_back({operand.node, same});
    }
  }

  void assign(Node* node) {
    const bool element = node->op->lowering_as<ElementLowering>() != nullptr;
    std::vector<Dependence> found;
    dependences(*node, element, found);
    size_t first = 0;
    for (const Dependence& dependence : found) {
      const size_t stage = stage_of_.at(dependence.node);
      first = std::max(first, stage + (dependence.pointwise && joins(stages_[stage], *node) ? 0 : 1));
    }
    size_t stage = first;
    while (stage < stages_.size() && !joins(stages_[stage], *node)) ++stage;
    if (stage == stages_.size()) stages_.push_back({kind_of(*node), {}});
    stages_[stage].roots.push_back(node);
    stage_of_[node] = stage;
  }

  static bool finds_number(const Node& node) {
    return node.op->lowering_as<ReduceLowering>()->kind == ReduceLowering::Kind::first_maximum;
  }

  static Stage::Kind kind_of(const Node& node) {
    if (node.op->lowering_as<ContractLowering>()) return Stage::Kind::contract;
    return node.op->lowering_as<ReduceLowering>() ? Stage::Kind::reduce : Stage::Kind::map;
  }

  // The cost of one element with what is inlined into it: of all of it, and of its most expensive op.
  struct Cost {
    int total, most;
  };
  Cost cost_of(const Node& node) const {
    const int own = node.op->lowering_as<ElementLowering>()->cost;
    Cost cost{own, own};
    for (Value operand : node.operands) {
      if (!operand || !lowering_.inlined.count(operand.node)) continue;
      const Cost inner = cost_of(*operand.node);
      cost = {cost.total + inner.total, std::max(cost.most, inner.most)};
    }
    return cost;
  }

  bool rides_in_epilogue(const Node& node) const {
    const Cost cost = cost_of(node);
    return cost.total <= (cost.most >= cost::function_cost ? cost::most_epilogue_cost_with_function : cost::most_epilogue_cost);
  }

  bool joins(const Stage& stage, const Node& node) const {
    const Node& head = *stage.roots.front();
    if (iteration_shape(head) != iteration_shape(node)) return false;
    switch (kind_of(node)) {
      case Stage::Kind::contract: return false;
      case Stage::Kind::reduce:
        if (stage.kind != Stage::Kind::reduce || finds_number(head) || finds_number(node)) return false;
        return head.op->lowering_as<ReduceLowering>()->axes(head) == node.op->lowering_as<ReduceLowering>()->axes(node);
      case Stage::Kind::map:
        return stage.kind == Stage::Kind::map || (stage.kind == Stage::Kind::contract && rides_in_epilogue(node));
    }
    return false;
  }

  Lowering& lowering_;
  const Uses& uses_;
  const std::vector<Node*>& nodes_;
  std::set<const Node*> members_;
  std::vector<Stage> stages_;
  std::unordered_map<const Node*, size_t> stage_of_;
};

}  // namespace

std::vector<Stage> make_stages(Lowering& lowering, const std::vector<Node*>& nodes, const Uses& uses) {
  return StageMaker(lowering, nodes, uses).run();
}

}  // namespace bnc::lower
