// The graph IR: operations on whole tensors in static single assignment form, in topological order.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ir/attribute.h"
#include "ir/diagnostic.h"
#include "ir/formula.h"
#include "ir/metric.h"
#include "ir/type.h"

namespace bnc {

struct OpDefinition;
class LiveUses;
class Node;

// One result of a node. A default-constructed Value stands for an absent optional operand.
struct Value {
  Node* node = nullptr;
  int index = 0;

  explicit operator bool() const { return node != nullptr; }
  bool operator==(const Value&) const = default;
  const TensorType& type() const;
  const std::string& name() const;
};

struct Result {
  TensorType type;
  std::string name;  // unique in the graph; parameters and states carry their path, as `dense_1.weight`
};

// An application of an op. Operand order and attribute names are those of its definition; every attribute has a value.
class Node {
 public:
  const OpDefinition* op = nullptr;
  std::vector<Value> operands;
  AttributeMap attributes;
  std::vector<Result> results;
  SourceRange range;
  int kernel = -1;  // the fused kernel this node belongs to, set by `fuse`; -1 before

  bool is(const char* op_name) const;
  Value result(int index = 0) { return Value{this, index}; }
  const Attribute& attribute(const std::string& name) const;
};

// Whether the optimizer may change this parameter: not where its initializer says `trainable=false`.
bool is_trainable(const Node& parameter);

// What a graph hands out. `output` is what the network returns; `loss` is minimized; `gradient` and `update` name the
// parameter or state they belong to. An update takes effect after everything else in the step has been computed.
struct Output {
  enum class Role { output, loss, gradient, update };
  Role role = Role::output;
  std::string name;
  Value value;
};

class Graph {
 public:
  using Nodes = std::list<std::unique_ptr<Node>>;

  std::string name;
  std::string batch_symbol = "N";
  SourceRange range;
  std::vector<Output> outputs;

  Nodes& nodes() { return nodes_; }
  const Nodes& nodes() const { return nodes_; }

  // Inserts before `position`; the node's operands must stand before it. Unnamed results get fresh names.
  Node* insert(Nodes::iterator position, std::unique_ptr<Node> node);
  Node* append(std::unique_ptr<Node> node) { return insert(nodes_.end(), std::move(node)); }
  Nodes::iterator position(const Node* node);

  // Makes every operand and every output that reads `from` read `to`. The types must be the same. Linear in the size of the
  // graph, but with LiveUses in the number of readers.
  void replace_all_uses(Value from, Value to);
  void set_operand(Node& node, size_t operand, Value value);
  // Removes a node whose results nobody reads.
  void erase(Node* node);
  // Gives a result another name, which must not be taken.
  void rename(Value value, const std::string& name);
  void swap_names(Value a, Value b);

  // A name not yet taken that begins with `stem`.
  std::string fresh_name(const std::string& stem);
  // The result of that name, or an absent value. Linear in the size of the graph.
  Value find(const std::string& name) const;

  // Nodes of op `input`, `parameter` or `state`, in the order in which they stand in the graph.
  std::vector<Node*> nodes_of(const char* op_name) const;
  const Output* output(Output::Role role, const std::string& name = "") const;

  Graph clone() const;

 private:
  Nodes nodes_;
  std::unordered_map<const Node*, Nodes::iterator> positions_;
  std::unordered_map<std::string, int> taken_names_;  // with the last number tried behind each
  friend class LiveUses;
  LiveUses* live_uses_ = nullptr;   // is told of every change
};

// The nodes that read each value, computed once; out of date as soon as the graph changes.
class Uses {
 public:
  explicit Uses(const Graph& graph);
  const std::vector<Node*>& of(Value value) const;
  bool is_output(Value value) const;
  int count(Value value) const { return static_cast<int>(of(value).size()) + (is_output(value) ? 1 : 0); }

 private:
  struct Entry {
    std::vector<Node*> nodes;
    bool output = false;
  };
  std::unordered_map<const Node*, std::vector<Entry>> entries_;
  const Entry* find(Value value) const;
};

// The loss, the optimizer and the run's length: the `train` section.
struct TrainSection {
  std::string network;
  Formula loss;      // softmax_cross_entropy(labels, reduction=sum)
  std::vector<Metric> metrics;      // beside the loss, and accuracy where targets are labels
  std::string watch;                // the metric that tells the best test, or `loss`; empty: accuracy, then the loss
  Symbol optimizer;  // sgd(rate=0.01, momentum=0.9)
  int64_t batch = 32;
  std::optional<int64_t> epochs, steps;
  std::optional<int64_t> patience;  // epochs without improvement after which a run ends
  std::vector<Symbol> augment;      // pad_and_crop(pixels=4), flip, shift(pixels=2), in order
  int64_t seed = 0;
  SourceRange range, loss_range, optimizer_range, augment_range;
  std::map<std::string, SourceRange> optimizer_arguments;   // where each stands; those of a schedule as `rate.start`

  // The place of an argument of the optimizer, of all of it where there is none of that name.
  const SourceRange& place_of(const std::string& argument) const {
    const auto found = optimizer_arguments.find(argument);
    return found == optimizer_arguments.end() ? optimizer_range : found->second;
  }
};

// Everything one .bn file says.
struct Module {
  std::vector<Graph> networks;
  std::optional<TrainSection> train;

  // The network the train section names, else the last one of the file.
  Graph& main();
  const Graph& main() const { return const_cast<Module*>(this)->main(); }
};

}  // namespace bnc
