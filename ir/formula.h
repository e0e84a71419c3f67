// An expression over what a network takes in and hands out: the loss of a train section.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ir/attribute.h"
#include "ir/diagnostic.h"
#include "ir/type.h"

namespace bnc {

class Graph;
class GraphBuilder;
struct OpDefinition;
struct Value;

struct Formula {
  enum class Kind {
    absent,        // nothing: an optional operand that is not there
    first_output,  // the network's first output, whatever it is called
    name,          // an output, input, parameter or state of the network; where it has none of that name, a target
    call,          // the first result of an op
  };
  Kind kind = Kind::absent;
  std::string name;                // of what it stands for, or of the op
  std::vector<Formula> operands;
  AttributeMap attributes;         // those that are not at their default
  bool balanced = false;           // its class weights follow from how many examples each class has, once there are data
  SourceRange range;

  Formula() = default;
  Formula(Kind kind, std::string name) : kind(kind), name(std::move(name)) {}
  // A loss of the first output, as `softmax_cross_entropy(labels, reduction=sum)`: a flag names the target, which is `labels` otherwise.
  Formula(const Symbol& loss);

  bool is_call(const char* op) const { return kind == Kind::call && name == op; }
  // Places do not count.
  bool operator==(const Formula& other) const;
};

inline constexpr const char *default_target = "labels", *class_weights = "class_weights";

// As it stands in a .bn file. The first output is left out where a loss takes it for its prediction.
std::string to_string(const Formula& formula, const std::string& batch_symbol = "N");

// The type of a target that an op reads as that operand, where it follows from the operands that are known.
std::optional<TensorType> type_of_unknown(const OpDefinition& op, size_t operand, const std::vector<Value>& operands);

// The nodes that compute a formula. `find` gives the values of names, absent ones of targets, whose types follow from what reads them:
// `target` makes them. What the whole computes is called `stem`. CompileError where a shape rule refuses, or a target's type does not
// follow.
using FindValue = std::function<Value(const Formula& name)>;
using MakeTarget = std::function<Value(const Formula& name, const TensorType& type)>;
Value append_formula(GraphBuilder& builder, const Formula& formula, const FindValue& find, const MakeTarget& target,
                      const std::string& stem = "");

// A target as a new input behind those of the graph. CompileError where the graph computes a value of that name.
Value add_target(Graph& graph, const Formula& name, const TensorType& type);

// What a formula's name, or its first output, is in a network; absent for a target.
Value value_of_name(const Graph& network, const Formula& name);
// The same as a name.
std::string name_in(const Graph& network, const Formula& name);
// Names and first outputs in a formula, in the order in which they stand there.
void for_each_name(const Formula& formula, const std::function<void(const Formula& name)>& visit);

// The losses in a formula whose class weights are `balanced`.
std::vector<Formula*> balanced_losses(Formula& formula);

// A graph that computes a formula alone: its inputs are called as the formula calls what it reads, its only output is `value`. `step` is
// the network with its loss, which has all targets.
Graph graph_of(const Formula& formula, const Graph& step);

}  // namespace bnc
