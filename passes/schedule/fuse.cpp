// fuse: puts the nodes in the order in which they run and groups them into kernels (Node::kernel).
//
// A greedy list scheduler: it opens a kernel with the first node that is ready, then takes in whatever is ready and fits
// (KernelPlan), preferring nodes that continue what the kernel computes, until nothing more fits.
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "ir/builder.h"
#include "passes/passes.h"
#include "passes/schedule/cost.h"
#include "passes/schedule/kernel_plan.h"
#include "passes/schedule/recompute.h"

namespace bnc {
namespace {


bool is_source(const Node& node) { return node.op->lowering_as<SourceLowering>() != nullptr; }

// A node that must run after another has read the old value of a parameter.
struct Wait {
  Node* reader;
  Value value;
};

// What must run before what. A node that is computed where its one reader reads it (`attached`) stands for that reader.
class Order {
 public:
  Order(const Graph& graph, const std::unordered_set<const Node*>& attached) : graph_(graph), uses_(graph) {
    for (const auto& node : graph.nodes()) {
      number_.emplace(node.get(), number_.size());
      host_[node.get()] = node.get();
    }
    for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
      if (attached.count(node->get())) host_[node->get()] = host_.at(uses_.of((*node)->result()).front());
    }
    for (const Output& output : graph.outputs) {
      if (output.role != Output::Role::update) handed_out_.insert(output.value.node);
    }
    for (const auto& node : graph.nodes()) {
      if (!tree_.count(node.get())) span(node.get());
    }
    order_updates_after_readers();
  }

  // What a node waits for beside its operands.
  const std::vector<Wait>& waits(const Node* node) const {
    static const std::vector<Wait> none;
    auto it = waits_.find(node);
    return it == waits_.end() ? none : it->second;
  }

  // Those computed for the update of the same parameter alone, best all in one kernel; empty where there are none.
  const std::vector<Node*>& group_of(const Node* node) const {
    static const std::vector<Node*> none;
    auto it = group_.find(node);
    return it == group_.end() ? none : groups_[it->second];
  }

  // The node in whose loops another is computed: itself, unless it is attached.
  Node* host(const Node* node) const { return host_.at(node); }

 private:
  // A parameter's new value is written over the old one, so whoever reads the old one goes first, also before what is
  // computed for the new value alone, which would have to be kept otherwise. Where a reader needs the new value, lowering
  // writes it elsewhere and copies it at the end.
  void order_updates_after_readers() {
    std::unordered_map<std::string, Value> sources;
    for (const auto& node : graph_.nodes()) {
      if (is_source(*node)) sources[node->results[0].name] = node->result();
    }
    std::vector<std::pair<Value, std::vector<Node*>>> updates;   // of which value, and what is computed for it
    std::unordered_set<const Node*> for_one;
    for (const Output& output : graph_.outputs) {
      if (output.role != Output::Role::update || is_source(*output.value.node)) continue;
      updates.emplace_back(sources.at(output.name), computed_for_update(output.value.node));
      for_one.insert(updates.back().second.begin(), updates.back().second.end());
    }
    for (auto node = graph_.nodes().rbegin(); node != graph_.nodes().rend(); ++node) {
      if (for_one.count(node->get()) && is_read_by_only(**node, ends_in_updates_)) ends_in_updates_.insert(node->get());
    }
    for (const auto& [old, computed] : updates) {
      if (old.node->is("parameter")) {
        for (const Node* node : computed) group_.emplace(node, groups_.size());
        groups_.push_back(computed);
      }
      for (Node* node : computed) {
        for (const Node* reader : uses_.of(old)) {
          Node* runs = host(reader);
          if (runs == node || precedes(node, runs, true) || precedes(runs, node, false)) continue;
          waits_[node].push_back({runs, old});
          others_wait_ = others_wait_ || !ends_in_updates_.count(node);
        }
      }
    }
  }

  // An update and the nodes that are computed for it alone, or for it and updates of the states it goes with.
  std::vector<Node*> computed_for_update(Node* update) const {
    std::unordered_set<const Node*> chosen;
    std::vector<Node*> result;
    std::map<size_t, Node*> candidates = {{number_.at(update), update}};
    while (!candidates.empty()) {
      Node* node = std::prev(candidates.end())->second;   // all its readers have been looked at
      candidates.erase(std::prev(candidates.end()));
      if (node != update && !is_read_by_only(*node, chosen)) continue;
      chosen.insert(node);
      result.push_back(node);
      for (Value operand : node->operands) {
        if (operand && !is_source(*operand.node) && !is_scalar_element(*operand.node))
          candidates.emplace(number_.at(operand.node), operand.node);
      }
    }
    return result;
  }

  bool is_read_by_only(Node& node, const std::unordered_set<const Node*>& readers) const {
    if (handed_out_.count(&node)) return false;
    for (size_t k = 0; k < node.results.size(); ++k) {
      const auto& found = uses_.of(node.result(static_cast<int>(k)));
      if (!std::all_of(found.begin(), found.end(), [&](const Node* reader) { return readers.count(reader) != 0; })) return false;
    }
    return true;
  }

  // A part of the tree that goes from each node to readers not yet in it: where `node` and all below it stand, one after another.
  void span(const Node* root) {
    struct Open {
      const Node* node;
      size_t result = 0, reader = 0;
    };
    std::vector<Open> open = {{root}};
    const size_t place = tree_.size();
    tree_[root] = {place, place};
    while (!open.empty()) {
      auto& [node, result, reader] = open.back();
      if (result == node->results.size()) {
        tree_[node].second = tree_.size();
        open.pop_back();
        continue;
      }
      const auto& readers = uses_.of(Value{const_cast<Node*>(node), static_cast<int>(result)});
      if (reader == readers.size()) {
        ++result;
        reader = 0;
        continue;
      }
      const Node* next = readers[reader++];
      const size_t place = tree_.size();
      if (tree_.try_emplace(next, place, place).second) open.push_back({next});
    }
  }

  bool is_below(const Node* root, const Node* node) const {
    const auto &[first, end] = tree_.at(root);
    return tree_.at(node).first >= first && tree_.at(node).first < end;
  }

  // Whether one node runs before another because of what reads what and of the waits up to here. Goes back from the second one;
  // where that takes too long nobody knows. Other nodes than those that end in updates stand in the order of their numbers, and none
  // of them reads one of those.
  bool precedes(const Node* first, const Node* second, bool if_unknown) const {
    constexpr size_t most_steps = 4096;
    std::unordered_set<const Node*> seen = {second};
    std::vector<const Node*> open = {second};
    const auto is_behind = [&](const Node* node) {
      return others_wait_ || ends_in_updates_.count(node) || (!ends_in_updates_.count(first) && number_.at(node) > number_.at(first));
    };
    const auto look_at = [&](const Node* before) {
      if (before == first || is_below(first, before)) return true;
      if (is_behind(before) && seen.insert(before).second) open.push_back(before);
      return false;
    };
    while (!open.empty()) {
      if (seen.size() > most_steps) return if_unknown;
      const Node* node = open.back();
      open.pop_back();
      for (Value operand : node->operands) {
        if (operand && look_at(operand.node)) return true;
      }
      for (const Wait& wait : waits(node)) {
        if (look_at(wait.reader)) return true;
      }
    }
    return false;
  }

  const Graph& graph_;
  const Uses uses_;
  std::unordered_map<const Node*, size_t> number_;
  std::unordered_map<const Node*, std::pair<size_t, size_t>> tree_;   // places, from and to, of what is below a node in a tree of readers
  std::unordered_set<const Node*> ends_in_updates_;    // computed for one update alone, and so is all that is computed from them
  bool others_wait_ = false;                           // some other node waits for a reader
  std::unordered_map<const Node*, Node*> host_;
  std::unordered_set<const Node*> handed_out_;         // computed not for an update alone
  std::unordered_map<const Node*, std::vector<Wait>> waits_;
  std::vector<std::vector<Node*>> groups_;
  std::unordered_map<const Node*, size_t> group_;      // by number
};

class Scheduler {
 public:
  Scheduler(Graph& graph, const PassContext& context, const std::unordered_set<const Node*>& attached)
      : graph_(graph), context_(context), attached_(attached), order_(graph, attached) {
    for (const auto& node : graph.nodes()) number_.emplace(node.get(), number_.size());
    for (const auto& node : graph.nodes()) {
      if (!is_source(*node) && !attached_.count(node.get())) count_predecessors(*node);
    }
  }

  std::vector<Node*> run() {
    while (!ready_.empty()) {
      KernelPlan kernel(accesses_, context_.batch, context_.target.float_lanes(),
                        [this](const Node* node) { return attached_.count(node) != 0; });
      fed_.clear();
      unrelated_.clear();
      first_untried_ = tried_ = in_kernel_ = 0;
      while (Node* next = pick(kernel)) take(kernel, next);
      ++kernels_;
    }
    BNC_CHECK(missing_.empty(), "a cycle in the schedule of " + graph_.name);
    return result_;
  }

 private:
  // The nodes that must have run before: those that compute what it reads, and who reads what it overwrites.
  void predecessors(const Node& node, std::unordered_set<const Node*>& found) const {
    for (Value operand : node.operands) {
      if (!operand || is_source(*operand.node)) continue;
      if (attached_.count(operand.node)) predecessors(*operand.node, found);
      else found.insert(operand.node);
    }
    for (const Wait& wait : order_.waits(&node)) found.insert(wait.reader);
  }

  void count_predecessors(Node& node) {
    std::unordered_set<const Node*> found;
    predecessors(node, found);
    for (const Node* before : found) successors_[before].push_back(&node);
    if (found.empty()) ready_.emplace(number_.at(&node), &node);
    else missing_[&node] = found.size();
  }

  // The next node for this kernel: one that continues it, else one that leaves all ways to split it open. What does not fit is not
  // tried again: a kernel only ever gets narrower.
  Node* pick(const KernelPlan& kernel) {
    if (kernel.empty()) return ready_.begin()->second;
    if (in_kernel_ >= cost::most_kernel_nodes) return nullptr;
    for (auto it = fed_.begin(); it != fed_.end();) {
      bool narrows = false;
      if (!kernel.fits(*it->second, work_with_group(*it->second), &narrows)) it = fed_.erase(it);
      else if (!overwrites_what_it_reads(kernel, it->second)) return it->second;
      else ++it;
    }
    for (auto it = unrelated_.begin(); it != unrelated_.end() || (it = next_unrelated(kernel)) != unrelated_.end();) {
      bool narrows = false;
      if (!kernel.fits(*it->second, work_with_group(*it->second), &narrows)) it = unrelated_.erase(it);
      else if (!narrows && !overwrites_what_it_reads(kernel, it->second)) return it->second;
      else ++it;
    }
    return nullptr;
  }

  // One more of those that are ready but read nothing of the kernel, in their order; the end where enough were tried.
  std::map<size_t, Node*>::iterator next_unrelated(const KernelPlan& kernel) {
    while (tried_ < cost::most_kernel_candidates) {
      const auto next = ready_.lower_bound(first_untried_);
      if (next == ready_.end()) break;
      first_untried_ = next->first + 1;
      if (kernel.feeds(*next->second)) continue;
      ++tried_;
      return unrelated_.insert(*next).first;
    }
    return unrelated_.end();
  }

  // The work of a node and of those that are to follow it in its kernel.
  double work_with_group(const Node& node) const {
    double work = 0;
    for (const Node* each : order_.group_of(&node)) {
      if (each->kernel < 0) work += work_of(*each, context_.batch);
    }
    return std::max(work, work_of(node, context_.batch));
  }

  // Whether one task of the kernel may still read of a parameter what another, ahead of it, overwrites with `node`.
  bool overwrites_what_it_reads(const KernelPlan& kernel, const Node* node) {
    const auto& waits = order_.waits(node);
    return std::any_of(waits.begin(), waits.end(), [&](const Wait& wait) {
      if (!kernel.contains(wait.reader)) return false;
      const auto& operands = wait.reader->operands;
      if (std::find(operands.begin(), operands.end(), wait.value) == operands.end()) return true;   // what is attached to it reads
      for (size_t k = 0; k < operands.size(); ++k) {
        if (operands[k] == wait.value && !kernel.stays_in_task(accesses_.of(*wait.reader, static_cast<int>(k)))) return true;
      }
      return false;
    });
  }

  void take(KernelPlan& kernel, Node* node) {
    kernel.add(node);
    for (auto* nodes : {&ready_, &fed_, &unrelated_}) nodes->erase(number_.at(node));
    place(node);
    for (Node* next : successors_[node]) {
      if (--missing_.at(next) > 0) continue;
      missing_.erase(next);
      const auto entry = *ready_.emplace(number_.at(next), next).first;
      if (kernel.feeds(*next)) fed_.insert(entry);
      else if (entry.first < first_untried_) unrelated_.insert(entry);
    }
  }

  void place(Node* node) {
    for (Value operand : node->operands) {
      if (operand && attached_.count(operand.node) && operand.node->kernel != kernels_) place(operand.node);
    }
    node->kernel = kernels_;
    ++in_kernel_;
    result_.push_back(node);
  }

  Graph& graph_;
  const PassContext& context_;
  const std::unordered_set<const Node*>& attached_;   // computed where their one reader reads them
  const Order order_;
  Accesses accesses_;
  std::unordered_map<const Node*, size_t> number_;
  std::unordered_map<const Node*, size_t> missing_;                // how many predecessors have not run yet
  std::unordered_map<const Node*, std::vector<Node*>> successors_;
  std::map<size_t, Node*> ready_;
  // Of these, what may still join the kernel that is open: what it computes operands of, and others, from the front.
  std::map<size_t, Node*> fed_, unrelated_;
  size_t first_untried_ = 0, tried_ = 0;
  size_t in_kernel_ = 0;   // nodes, with those that are computed where they are read
  std::vector<Node*> result_;
  int kernels_ = 0;
};

}  // namespace

bool fuse(Graph& graph, PassContext& context) {
  for (const auto& node : graph.nodes()) node->kernel = -1;
  const std::unordered_set<const Node*> attached = recompute(graph, context);
  const std::vector<Node*> order = Scheduler(graph, context, attached).run();
  std::unordered_map<const Node*, size_t> rank;
  for (size_t i = 0; i < order.size(); ++i) rank[order[i]] = i + 1;  // sources, of rank 0, stay in front
  graph.nodes().sort([&](const auto& a, const auto& b) {
    auto of = [&](const Node* node) { auto it = rank.find(node); return it == rank.end() ? 0 : it->second; };
    return of(a.get()) < of(b.get());
  });
  return true;
}

}  // namespace bnc
