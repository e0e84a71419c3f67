// The nodes that read each value, while a graph changes.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace bnc {

// Like Uses, but up to date for as long as it lives: the graph tells it of what is inserted, erased, renamed and read by others.
// Meanwhile operands and outputs change through the graph's functions alone, and there is one at a time.
class LiveUses {
 public:
  explicit LiveUses(Graph& graph);
  ~LiveUses();
  LiveUses(const LiveUses&) = delete;

  const std::vector<Node*>& of(Value value) const { return entry(value).nodes; }   // in the order of the graph
  bool is_output(Value value) const { return entry(value).outputs > 0; }
  int count(Value value) const { return static_cast<int>(of(value).size()) + (is_output(value) ? 1 : 0); }
  bool contains(const Node* node) const { return nodes_.count(node) > 0; }
  // Whether a stands before b in the graph.
  bool stands_before(const Node* a, const Node* b) const { return nodes_.at(a).label < nodes_.at(b).label; }

  // Since this was asked last: the nodes inserted, and those whose operands, readers or names changed. Some may be erased by now.
  struct Changes {
    std::vector<Node*> inserted, touched;
  };
  Changes take_changes() { return std::exchange(changes_, {}); }

 private:
  friend class Graph;
  struct Entry {
    std::vector<Node*> nodes;
    int outputs = 0;
  };
  struct Known {
    uint64_t label = 0;           // grows along the graph
    std::vector<Entry> entries;   // of each result
  };

  const Entry& entry(Value value) const { return nodes_.at(value.node).entries[value.index]; }
  Entry& entry(Value value) { return nodes_.at(value.node).entries[value.index]; }
  // Called by the graph: behind an insertion, before an erasure, before all of `from` is read from `to`, around a change of one operand.
  void inserted(Graph::Nodes::iterator position);
  void erasing(Node* node);
  void reads(Node* node, Value operand);
  void no_longer_reads(Node* node, Value operand);
  void touch(Node* node) { changes_.touched.push_back(node); }
  std::vector<Node*>::iterator place(std::vector<Node*>& users, const Node* node) const;
  void number_all();

  Graph& graph_;
  std::unordered_map<const Node*, Known> nodes_;
  Changes changes_;
};

}  // namespace bnc
