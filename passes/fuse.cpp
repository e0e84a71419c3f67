// fuse: puts the nodes in the order in which they run and groups them into kernels (Node::kernel).
//
// A greedy list scheduler: it opens a kernel with the first node that is ready, then takes in whatever is ready and fits
// (KernelPlan), preferring nodes that continue what the kernel computes, until nothing more fits.
#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "ir/builder.h"
#include "passes/kernel_plan.h"
#include "passes/passes.h"

namespace bnc {
namespace {

bool is_source(const Node& node) { return node.op->lowering_as<SourceLowering>() != nullptr; }

// Scalar arithmetic is cheaper to repeat than to hand over: each reader gets a copy of its own.
bool duplicate_scalars(Graph& graph) {
  bool changed = false;
  std::optional<Uses> uses_now;
  for (auto it = graph.nodes().rbegin(); it != graph.nodes().rend(); ++it) {
    Node* node = it->get();
    if (!is_scalar_element(*node)) continue;
    if (!uses_now) uses_now.emplace(graph);
    const Uses& uses = *uses_now;
    std::vector<Node*> readers;
    for (Node* reader : uses.of(node->result())) {
      if (std::find(readers.begin(), readers.end(), reader) == readers.end()) readers.push_back(reader);
    }
    if (!uses.is_output(node->result()) && !readers.empty()) readers.pop_back();
    for (Node* reader : readers) {
      GraphBuilder builder = GraphBuilder::before(graph, reader);
      builder.at(node->range);
      const Value copy = builder.value(node->op->name, node->operands, node->attributes);
      for (Value& operand : reader->operands) {
        if (operand == node->result()) operand = copy;
      }
      changed = true;
      uses_now.reset();
    }
  }
  return changed;
}

class Scheduler {
 public:
  Scheduler(Graph& graph, PassContext& context) : graph_(graph), context_(context) {
    const Uses uses(graph);
    for (const auto& node : graph.nodes()) {
      if (is_source(*node)) done_.insert(node.get());
      else if (is_scalar_element(*node) && !uses.is_output(node->result())) attached_.insert(node.get());
      else waiting_.push_back(node.get());
    }
    order_updates_after_readers();
  }

  std::vector<Node*> run() {
    while (!waiting_.empty()) {
      KernelPlan kernel(accesses_, context_.batch, context_.target.float_lanes(), [this](const Node* node) { return attached_.count(node) != 0; });
      while (Node* next = pick(kernel)) take(kernel, next);
      BNC_CHECK(!kernel.empty(), "a cycle in the schedule of " + graph_.name);
      ++kernels_;
    }
    return order_;
  }

 private:
  // A parameter's new value is written over the old one, so whoever reads the old one goes first, also before what is
  // computed for the new value alone, which would have to be kept otherwise. Where a reader needs the new value, lowering
  // writes it elsewhere and copies it at the end.
  void order_updates_after_readers() {
    const Uses uses(graph_);
    for (const Output& output : graph_.outputs) {
      if (output.role != Output::Role::update || is_source(*output.value.node)) continue;
      const Value old = graph_.find(output.name);
      for (Node* node = output.value.node; node; node = only_feeder(uses, *node)) {
        for (Node* reader : uses.of(old)) {
          if (reader == node || reaches(node, reader) || reaches(reader, node)) continue;
          after_[node].push_back({reader, old});
        }
      }
    }
  }

  // The one computed operand that nobody but `node` reads.
  static Node* only_feeder(const Uses& uses, const Node& node) {
    Node* feeder = nullptr;
    for (Value operand : node.operands) {
      if (!operand || is_source(*operand.node) || is_scalar_element(*operand.node)) continue;
      if (feeder || uses.count(operand) != 1 || operand.node->results.size() != 1) return nullptr;
      feeder = operand.node;
    }
    return feeder;
  }

  // Whether `to` depends on `from`, also by the order already decided.
  bool reaches(const Node* from, const Node* to) const {
    std::unordered_set<const Node*> seen;
    std::vector<const Node*> stack{to};
    while (!stack.empty()) {
      const Node* node = stack.back();
      stack.pop_back();
      if (node == from) return true;
      if (!seen.insert(node).second) continue;
      for (Value operand : node->operands) {
        if (operand) stack.push_back(operand.node);
      }
      if (auto it = after_.find(node); it != after_.end()) {
        for (const Wait& wait : it->second) stack.push_back(wait.reader);
      }
    }
    return false;
  }

  bool ready(const Node* node) const {
    auto is_done = [&](const Node* other) { return done_.count(other) || (attached_.count(other) && ready(other)); };
    for (Value operand : node->operands) {
      if (operand && !is_done(operand.node)) return false;
    }
    auto it = after_.find(node);
    return it == after_.end() || std::all_of(it->second.begin(), it->second.end(), [&](const Wait& wait) { return is_done(wait.reader); });
  }

  // The next node for this kernel: one that continues it, else one that leaves all ways to split it open.
  Node* pick(const KernelPlan& kernel) {
    Node* unrelated = nullptr;
    for (Node* node : waiting_) {
      if (!ready(node)) continue;
      if (kernel.empty()) return node;
      bool narrows = false;
      if (!kernel.fits(*node, &narrows) || overwrites_what_it_reads(kernel, node)) continue;
      if (kernel.feeds(*node)) return node;
      if (!narrows && !unrelated) unrelated = node;
    }
    return unrelated;
  }

  // Whether one task of the kernel may still read of a parameter what another, ahead of it, overwrites with `node`.
  bool overwrites_what_it_reads(const KernelPlan& kernel, const Node* node) {
    auto it = after_.find(node);
    if (it == after_.end()) return false;
    return std::any_of(it->second.begin(), it->second.end(), [&](const Wait& wait) {
      if (!kernel.contains(wait.reader)) return false;
      for (size_t k = 0; k < wait.reader->operands.size(); ++k) {
        if (wait.reader->operands[k] == wait.value && !kernel.stays_in_task(accesses_.of(*wait.reader, static_cast<int>(k)))) return true;
      }
      return false;
    });
  }

  void take(KernelPlan& kernel, Node* node) {
    kernel.add(node);
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), node));
    place(node);
  }

  void place(Node* node) {
    for (Value operand : node->operands) {
      if (operand && attached_.erase(operand.node)) place(operand.node);
    }
    node->kernel = kernels_;
    done_.insert(node);
    order_.push_back(node);
  }

  // A node that must run after another has read the old value of a parameter.
  struct Wait {
    const Node* reader;
    Value value;
  };

  Graph& graph_;
  PassContext& context_;
  Accesses accesses_;
  std::vector<Node*> waiting_, order_;
  std::unordered_set<const Node*> done_;
  std::unordered_set<const Node*> attached_;  // scalar arithmetic that goes where its one reader goes
  std::unordered_map<const Node*, std::vector<Wait>> after_;
  int kernels_ = 0;
};

}  // namespace

bool fuse(Graph& graph, PassContext& context) {
  duplicate_scalars(graph);
  const std::vector<Node*> order = Scheduler(graph, context).run();
  std::unordered_map<const Node*, size_t> rank;
  for (size_t i = 0; i < order.size(); ++i) rank[order[i]] = i + 1;  // sources, of rank 0, stay in front
  graph.nodes().sort([&](const auto& a, const auto& b) {
    auto of = [&](const Node* node) { auto it = rank.find(node); return it == rank.end() ? 0 : it->second; };
    return of(a.get()) < of(b.get());
  });
  return true;
}

}  // namespace bnc
