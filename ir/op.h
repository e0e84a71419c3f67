// What an op is: one definition per op, in one file under ir/ops/, read generically by the parser, the printer, the
// verifier, automatic differentiation, the reference evaluator, the lowering, the documentation and the tests.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ir/graph.h"
#include "ir/loops.h"
#include "ir/tensor.h"

namespace bnc {

class GraphBuilder;

// The facts a shape rule may look at. Operand types are in definition order; an absent optional operand has no type.
class InferContext {
 public:
  InferContext(const OpDefinition& op, const std::vector<Value>& operands, const AttributeMap& attributes, SourceRange range,
               const std::string& batch_symbol)
      : op(op), operands(operands), attributes(attributes), range(std::move(range)), batch_symbol(batch_symbol) {}

  const OpDefinition& op;
  const std::vector<Value>& operands;
  const AttributeMap& attributes;
  SourceRange range;
  const std::string& batch_symbol;

  bool has(int operand) const { return operand < static_cast<int>(operands.size()) && operands[operand]; }
  const TensorType& type(int operand) const;
  const Attribute& attribute(const std::string& name) const;
  std::string show(const TensorType& type) const { return to_string(type, batch_symbol); }
  // An attribute axis made non-negative; an error at the node when it is out of [-rank, rank).
  int axis(const std::string& attribute_name, int rank) const;

  // Throws a CompileError at the node's place, with a note for each operand that tells its type and where it came from.
  [[noreturn]] void fail(const std::string& text, const std::string& help = "") const;
};

// How an operand that the caller leaves out comes into being: a trainable parameter or a state (running statistic).
struct ParameterRule {
  enum class Kind { parameter, state } kind = Kind::parameter;
  // Its type, from the operands before it and the attributes.
  std::function<TensorType(const InferContext&)> type;
  Symbol initializer;
  // Whether to make it at all, from the same facts; empty: always.
  std::function<bool(const InferContext&)> wanted = {};
};

struct OperandSpec {
  std::string name;
  std::string doc;
  bool optional = false;    // may be absent (`bias=false`)
  bool variadic = false;    // the last operand only: one or more
  bool differentiable = true;
  std::optional<ParameterRule> parameter;
};

// `padding` is a symbol, an integer or a list of integers, and stays as it was given.
enum class AttributeKind { boolean, integer, number, symbol, integers, numbers, shape, padding };

struct AttributeSpec {
  std::string name;
  AttributeKind kind;
  std::optional<Attribute> fallback;      // none: must be given
  std::string doc;
  std::vector<std::string> choices = {};  // of a symbol or padding: the names allowed
  bool layer_only = false;                // only shapes new parameters (`units`); not kept in the node
  std::map<std::string, std::map<std::string, AttributeKind>> arguments = {};  // of a symbol: the numbers and booleans each choice takes
};

struct ResultSpec {
  std::string name;
  std::string doc;
};

// Computes with float64 throughout; operand tensors in definition order, null where absent.
class EvaluateContext {
 public:
  const Node& node;
  std::vector<const Tensor*> operands;
  int64_t batch_size;

  const Tensor& operand(int k) const { return *operands[k]; }
  bool has(int k) const { return k < static_cast<int>(operands.size()) && operands[k]; }
  // A zero tensor of the type of result `k`.
  Tensor result(int k = 0) const;
};

// Reverse-mode rule: given dL/d(result k) for each result (absent where nothing depends on it), builds dL/d(operand).
class GradientContext {
 public:
  GraphBuilder& builder;
  Node& node;
  std::vector<Value> result_gradients;

  Value operand(int k) const { return node.operands[k]; }
  Value result(int k = 0) const { return node.result(k); }
  Value gradient(int k = 0) const { return result_gradients[k]; }
};

// One expression a dimension. The lowering asks for elements with at most one vector among them; views may pass on
// several (of equally many lanes) to their operand. With a vector in the index the element is a vector too.
using Index = std::vector<loops::Expr>;

// Gives an op's lowering the elements of its operands, however they are stored or computed.
class ElementContext {
 public:
  explicit ElementContext(const Node& node) : node(node) {}
  virtual ~ElementContext() = default;
  const Node& node;

  virtual loops::Expr operand(int k, const Index& index) = 0;
  // A dimension as an expression: a constant, or a multiple of the batch size.
  virtual loops::Expr extent(const Dim& dim) = 0;
};

using ElementFunction = std::function<loops::Expr(ElementContext&, const Index&)>;

// result[index] is a function of operand elements: pointwise maps, broadcasts, views, slices, one-hot ...
struct ElementLowering {
  ElementFunction element;     // the only result
  // Reads each operand only at `index`, broadcast where its dimensions are 1 or missing; an operand of one number a
  // channel only at `index[axis]`. The index handed to `operand` has that operand's rank.
  bool pointwise = false;
  int cost = 1;                // in units of one addition; fusion recomputes what is cheap
  // Where along the last dimension of the result the element comes from elsewhere (another operand of a concatenation):
  // loops over it are split there, and within each part comparisons with these positions are decided at compile time.
  std::function<std::vector<int64_t>(const Node&)> breaks = {};
};

// result = combine over `axes` of operand 0: sum, maximum, robust moments (two results: mean and biased variance), or, along one
// axis, the number of the first maximum (i32; of the first NaN where there is one).
struct ReduceLowering {
  enum class Kind { sum, mean, maximum, moments, first_maximum } kind;
  std::function<std::vector<int>(const Node&)> axes;  // ascending, non-negative
  std::function<bool(const Node&)> keep_dims;
};

// A sum of products over a reduction space: matrix products, convolutions and their gradients.
//   result[part.result(i)] = sum over k of left[part.left(i, k)] * right[part.right(i, k)]
// Most ops have one part, whose index is the result's. A strided gradient has one for each phase of the stride. All three
// functions are affine in `i` and `k` with constant coefficients, so that their coefficients can be found by evaluating
// them at unit vectors; the parts together cover the result exactly once. An empty reduction (an extent of 0) gives zeros.
struct ContractLowering {
  struct Part {
    Shape space;      // extents of `i`; its last dimension runs along the result's last dimension (columns)
    Shape reduction;  // extents of `k`
    std::function<Index(const Index& i)> result;
    std::function<Index(const Index& i, const Index& k)> left, right;
  };
  std::function<std::vector<Part>(const Node&)> parts;
  bool zero_outside = false;   // `left` may give indices outside of the operand, where it counts as zero (padding)
};

// Rewritten into other ops before lowering. `canonical` ones are rewritten at once by `canonicalize` (dense).
struct DecomposeLowering {
  std::function<std::vector<Value>(GraphBuilder&, Node&)> rewrite;
  bool canonical = false;
};

// Has no code of its own: inputs, parameters, states, constants.
struct SourceLowering {};

using Lowering = std::variant<std::monostate, ElementLowering, ReduceLowering, ContractLowering, DecomposeLowering, SourceLowering>;

enum class OpCategory { source, linear, pooling, normalization, activation, arithmetic, reduction, shape, random, loss, gradient };

struct OpDefinition {
  std::string name;
  OpCategory category;
  std::string summary;                    // one sentence
  std::string description;                // formula, source, semantics label (`bn-train`)
  std::string layer_name;                 // stem of the instance name when it makes parameters: `dense` -> dense_1; empty: name
  std::vector<OperandSpec> operands;
  std::vector<AttributeSpec> attributes;
  std::vector<ResultSpec> results;
  std::vector<std::string> constraints;   // numbered C1, C2 ... in the documentation; `infer` cites the number
  bool commutative = false;

  std::function<std::vector<TensorType>(const InferContext&)> infer;
  std::function<std::vector<Value>(GradientContext&)> gradient;  // empty function only where no operand is differentiable
  std::function<std::vector<Tensor>(const EvaluateContext&)> evaluate;
  Lowering lowering;
  // Losses only: the type of the target operand for a prediction of that type.
  std::function<TensorType(const TensorType& prediction)> target_type;
  // Losses only: the type of their last operand, `weights`, for a prediction of that type: one number an example, or one a row.
  std::function<TensorType(const TensorType& prediction)> weights_type;
  // An example for the documentation and the generic tests: the network `network example(INPUTS) { return y = CALL }`,
  // e.g. inputs "x: f32[N, 5]" and call "relu(x)". Of a source other than constant, the declaration itself.
  std::string example;
  std::string example_inputs;

  template <class L> const L* lowering_as() const { return std::get_if<L>(&lowering); }
  int operand_index(const std::string& name) const;          // -1 when there is none
  const AttributeSpec* attribute(const std::string& name) const;
};

// All ops in documentation order. Each file under ir/ops/ defines `OpDefinition NAME_op()` functions, listed once in
// ir/ops/registry.cpp.
const std::vector<OpDefinition>& all_ops();
const OpDefinition* find_op(const std::string& name);

}  // namespace bnc
