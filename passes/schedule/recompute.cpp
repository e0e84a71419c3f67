#include "passes/schedule/recompute.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "ir/builder.h"
#include "passes/schedule/cost.h"
#include "passes/schedule/kernel_plan.h"

namespace bnc {
namespace {

// Whether a value is large: one element a row of an image or of a tall matrix, for each of its columns.
bool has_large_shape(const TensorType& type, std::optional<int64_t> batch) {
  const Shape& shape = type.shape;
  if (shape.size() < 2 || !shape.front().batch || type.dtype != DType::f32) return false;
  return shape.size() > 2 || (batch && shape.front().at(*batch) >= cost::many_rows);
}

// Of scalars, with all that they are computed from but for what a step does once; at most one more than what such may take.
std::unordered_map<const Node*, int> scalar_costs(const Graph& graph) {
  std::unordered_map<const Node*, int> costs;
  for (const auto& node : graph.nodes()) {
    if (!is_scalar_element(*node)) continue;
    int cost = node->op->lowering_as<ElementLowering>()->cost;
    for (const Value operand : node->operands) {
      const auto found = costs.find(operand.node);
      if (found != costs.end() && found->second <= cost::most_single_scalar_cost)
        cost = std::min(cost + found->second, cost::most_single_scalar_cost + 1);
    }
    costs[node.get()] = cost;
  }
  return costs;
}

class RecomputeChooser {
 public:
  RecomputeChooser(const Graph& graph, const PassContext& context)
      : graph_(graph), batch_(context.batch), uses_(graph), scalar_costs_(scalar_costs(graph)) {}

  std::unordered_set<const Node*> run() {
    for (auto node = graph_.nodes().rbegin(); node != graph_.nodes().rend(); ++node) count_readers(**node);
    for (const auto& node : graph_.nodes()) {
      if (is_candidate(*node)) decide(*node);
      else if (is_scalar_element(*node)) decide_scalar(*node);
    }
    return std::move(chosen_);
  }

 private:
  // What computing a value's element takes.
  struct Chain {
    std::vector<Value> reads;       // large stored values
    std::vector<Value> alone;       // those of them that nobody else reads
    int cost = 0;
  };

  bool is_candidate(Node& node) {
    const auto* element = node.op->lowering_as<ElementLowering>();
    if (!element || !(element->pointwise || merges_rows(node)) || uses_.is_output(node.result())) return false;
    if (!has_large_shape(element->pointwise ? node.results[0].type : node.operands[0].type(), batch_) && !scales_weights(node))
      return false;
    const auto& readers = uses_.of(node.result());
    return !readers.empty() &&
           std::all_of(readers.begin(), readers.end(), [&](const Node* reader) { return computes_operand(*reader, node); });
  }

  // Arithmetic on parameters and states alone, ready long before its one reader (an old velocity times the momentum). A
  // product's weight is packed before the product's kernel begins, from what is stored.
  bool scales_weights(const Node& node) const {
    const Shape& shape = node.results[0].type.shape;
    const bool from_sources = std::all_of(node.operands.begin(), node.operands.end(), [](Value operand) {
      return !operand || operand.node->op->lowering_as<SourceLowering>() || is_scalar_element(*operand.node);
    });
    const auto& readers = uses_.of(Value{const_cast<Node*>(&node), 0});
    const bool of_batch = std::any_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; });
    return !shape.empty() && !of_batch && from_sources && readers.size() == 1 && !readers.front()->op->lowering_as<ContractLowering>();
  }

  // The pixels of images as the rows of a matrix: copied as products read them, nothing moves.
  bool merges_rows(const Node& node) const {
    if (!node.is("reshape") || last_dim(node.results[0].type.shape) != last_dim(node.operands[0].type().shape)) return false;
    const auto& readers = uses_.of(Value{const_cast<Node*>(&node), 0});
    return std::all_of(readers.begin(), readers.end(), [&](const Node* reader) { return reader->op->lowering_as<ContractLowering>(); });
  }

  // Every kernel and task that needs a scalar computes it, but for what takes so long that a step does it once: bias
  // corrections and the learning rate.
  void decide_scalar(Node& node) {
    const int cost = scalar_costs_.at(&node);
    const auto& readers = uses_.of(node.result());
    const bool is_read_once = readers.size() == 1 &&
                              std::count(readers.front()->operands.begin(), readers.front()->operands.end(), node.result()) == 1;
    if (!uses_.is_output(node.result()) && !readers.empty() &&
        cost <= (is_read_once ? cost::most_single_scalar_cost : cost::most_scalar_cost))
      chosen_.insert(&node);
  }

  // Whether a reader can compute the operand where it reads it.
  bool computes_operand(const Node& reader, Node& node) {
    const auto first = std::find(reader.operands.begin(), reader.operands.end(), node.result());
    const int k = static_cast<int>(first - reader.operands.begin());
    if (reader.op->lowering_as<ContractLowering>()) {
      return has_many_rows(reader, batch_) && std::count(first, reader.operands.end(), node.result()) == 1;
    }
    if (merges_rows(reader) || reader.op->lowering_as<ReduceLowering>()) return true;
    return reader.op->lowering_as<ElementLowering>() && reads_about_once(reader, k, accesses_.of(reader, k));
  }

  // How many readers a copy would cost a further reading.
  void count_readers(Node& node) {
    if (node.results.empty() || !node.op->lowering_as<ElementLowering>()) return;
    double& count = readers_[&node];
    const auto size = element_count(node.results[0].type.shape);
    for (Node* reader : distinct(uses_.of(node.result()))) {
      auto further = readers_.find(reader);
      if (reader->op->lowering_as<ContractLowering>() && size) {
        const bool hides = work_of(*reader, batch_) >=
                           cost::hiding_work * static_cast<double>(size->at(batch_.value_or(cost::nominal_batch)));
        count += hides ? 0 : 1;
      } else {
        count += further != readers_.end() && is_candidate(*reader) ? std::max(1.0, further->second) : 1;
      }
    }
  }

  static std::vector<Node*> distinct(std::vector<Node*> nodes) {
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());   // a reader's uses stand side by side
    return nodes;
  }

  void decide(Node& node) {
    Chain chain;
    chain.cost = node.op->lowering_as<ElementLowering>()->cost;
    for (const Value operand : node.operands) {
      if (!operand) continue;
      auto found = chains_.find(operand.node);
      const bool alone = uses_.count(operand) == 1;
      if (found == chains_.end()) {
        if (!has_large_shape(operand.type(), batch_) && !merges_rows(node)) continue;
        add(chain.reads, operand);
        if (alone) add(chain.alone, operand);
        continue;
      }
      chain.cost += found->second.cost;
      for (const Value read : found->second.reads) add(chain.reads, read);
      for (const Value read : found->second.alone) {
        if (alone) add(chain.alone, read);
      }
    }
    auto replaces = [](Value read) {
      return read.node->op->lowering_as<ContractLowering>() || read.node->op->lowering_as<ElementLowering>();
    };
    if (std::any_of(chain.alone.begin(), chain.alone.end(), replaces)) return;
    if (chain.cost > cost::most_chain_cost || chain.reads.size() > cost::most_chain_reads ||
        (chain.reads.size() == cost::most_chain_reads && readers_[&node] > cost::most_chain_readers))
      return;
    chosen_.insert(&node);
    chains_[&node] = std::move(chain);
  }

  static void add(std::vector<Value>& values, Value value) {
    if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
  }

  const Graph& graph_;
  std::optional<int64_t> batch_;
  Uses uses_;
  const std::unordered_map<const Node*, int> scalar_costs_;
  Accesses accesses_;
  std::unordered_map<const Node*, double> readers_;
  std::unordered_map<const Node*, Chain> chains_;           // of the chosen nodes that are no scalars
  std::unordered_set<const Node*> chosen_;
};

// Gives each reader of the chosen nodes a copy of its own, which is chosen as well. Readers come before what they read.
void copy_for_readers(Graph& graph, std::unordered_set<const Node*>& chosen) {
  std::unordered_map<const Node*, std::vector<Node*>> readers;   // of chosen nodes, last one first
  auto note = [&](Node* reader) {
    for (const Value operand : reader->operands) {
      if (!operand || !chosen.count(operand.node)) continue;
      auto& known = readers[operand.node];
      if (known.empty() || known.back() != reader) known.push_back(reader);
    }
  };
  std::vector<Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
    Node* node = *it;
    note(node);
    if (!chosen.count(node)) continue;
    const std::vector<Node*> all = readers[node];
    for (size_t i = all.size(); i-- > 1;) {
      Node* reader = all[i];
      GraphBuilder builder = GraphBuilder::before(graph, reader);
      builder.at(node->range);
      const Value copy = builder.value(node->op->name, node->operands, node->attributes);
      for (Value& operand : reader->operands) {
        if (operand == node->result()) operand = copy;
      }
      chosen.insert(copy.node);
      note(copy.node);
    }
  }
}

}  // namespace

std::unordered_set<const Node*> long_scalars(const Graph& graph) {
  std::unordered_set<const Node*> found;
  for (const auto& [node, cost] : scalar_costs(graph))
    if (cost > cost::most_single_scalar_cost) found.insert(node);
  return found;
}

std::unordered_set<const Node*> recompute(Graph& graph, const PassContext& context) {
  std::unordered_set<const Node*> chosen = RecomputeChooser(graph, context).run();
  copy_for_readers(graph, chosen);
  return chosen;
}

}  // namespace bnc
