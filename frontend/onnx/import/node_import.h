// One node on its way into the graph: what the rules for ops read and write.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "frontend/onnx/import/importer.h"
#include "frontend/onnx/import/shapes.h"

namespace bnc::onnx {

// Sizes of windows, groups and the like stay below, so that their products do not overflow.
constexpr int64_t largest_count = int64_t{1} << 30;

class NodeImport {
 public:
  NodeImport(Importer& importer, const OnnxNode& node)
      : node(node), importer(importer), build(importer.build), opset(importer.model.opset()) {}

  const OnnxNode& node;
  Importer& importer;
  GraphBuilder& build;
  const int64_t opset;

  bool has(size_t k) const { return node.has_input(k); }
  // CompileError where it is left out.
  Imported& operand(size_t k) const;
  // The same, to be given as a result too.
  const ImportedPointer& shared_operand(size_t k) const;
  const Shape& shape(size_t k) const { return operand(k).shape; }
  int64_t rank(size_t k) const { return operand(k).rank(); }
  // Null where it is left out, or computed when the network runs.
  const Known* known(size_t k) const;
  // CompileError where it is not known.
  const Known& known(size_t k, const std::string& what) const;
  // The one number that a known operand or an attribute is.
  double known_number(size_t k, const std::string& what) const;
  double number_of(const OnnxTensor& tensor) const;
  // How many nodes and outputs read the operand.
  int readers(size_t k) const { return importer.readers[node.inputs[k]]; }
  // Whether anything reads a result.
  bool wants(size_t result) const;

  // A dimension that is a number.
  int64_t fixed(size_t k, int64_t axis, const std::string& what) const;
  // Attributes; numbers are tidy.
  int64_t integer(const char* attribute, int64_t fallback) const { return node.get<int64_t>(attribute, fallback); }
  double number(const char* attribute, double fallback) const;
  std::string text(const char* attribute, const char* fallback) const { return node.get<std::string>(attribute, fallback); }
  // How many of something there are: 1 or more, below `largest_count`.
  int64_t count(const char* attribute, int64_t fallback) const;
  // An attribute of so many integers, none below the one that they are where it is left out, or of `largest_count`.
  IntList windows(const char* attribute, int64_t count, int64_t least) const;
  // An attribute of integers, or since some opset an operand; nothing where it is left out.
  std::optional<IntList> integers(const char* attribute, size_t operand) const;
  // Axes, made non-negative and sorted; all of them where none are named.
  IntList reduced_axes(int64_t rank) const;

  void give(ImportedPointer result, size_t k = 0) const;
  // A value whose dimensions are in that order.
  void give(Value value, const IntList& order, size_t k = 0) const { give(importer.imported(value, order), k); }
  // A value whose dimensions are in ONNX's order.
  void give(Value value, size_t k = 0) const { give(value, identity_order(value.type().rank()), k); }
  void give(Known known, size_t k = 0) const { give(importer.imported(std::move(known)), k); }

  // Gives what the function makes of the operand's elements, in whatever order they are.
  void elementwise(const std::function<Value(Value)>& function) const;
  // The same of two operands that broadcast.
  void elementwise(const std::function<Value(Value, Value)>& function) const;
  ImportedPointer combined(Imported& left, Imported& right, const std::function<Value(Value, Value)>& function) const;
  // The operand with so many dimensions of 1 behind its own.
  ImportedPointer with_ones(Imported& x, int64_t count) const;
  // Gives the operand's elements in another shape; a flattened image stays channels last until an op reads it that depends on the order.
  void give_reshaped(Imported& x, const Shape& shape) const;

  [[noreturn]] void fail(const std::string& text, const std::string& help = "") const { node.fail(text, help); }
};

// Where an axis of ONNX lies in a value with its dimensions in that order.
int64_t place_of(int64_t axis, const IntList& order);
// The order without those axes, the others counted anew.
IntList order_without(const IntList& order, const IntList& axes);
// A list of equal integers as one.
IntList shortest(const IntList& each);

// The elements along an axis the other way round.
Value reversed(NodeImport& cx, Value x, int64_t axis);

using Rule = void (*)(NodeImport&);
struct OpRule {
  const char* op_type;
  Rule rule;
};

// One table a group of ops.
const std::vector<OpRule>& layer_rules();
const std::vector<OpRule>& pooling_rules();
const std::vector<OpRule>& normalization_rules();
const std::vector<OpRule>& activation_rules();
const std::vector<OpRule>& arithmetic_rules();
const std::vector<OpRule>& comparison_rules();
const std::vector<OpRule>& reduction_rules();
const std::vector<OpRule>& shape_rules();
const std::vector<OpRule>& movement_rules();
const std::vector<OpRule>& resize_rules();
const std::vector<OpRule>& recurrent_rules();

}  // namespace bnc::onnx
