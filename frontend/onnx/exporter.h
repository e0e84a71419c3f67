// What the converters of ops share: the model that grows, and where in it the values of a network are.
//
// ONNX's layers take images channels first, where those of a network are channels last. So a value may be stored with its dimensions in
// another order than the network has them, and each converter asks for the order it needs or passes on the one that is there; a
// transposition is written only where the two differ. Parameters and constants are stored in whatever order is asked for.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "frontend/onnx/export.h"
#include "ir/op.h"

namespace bnc {

// Stored dimension k is dimension order[k] of the value.
using AxisOrder = std::vector<int>;
AxisOrder logical_order(int rank);
AxisOrder channels_first(int rank);          // the last dimension in second place
AxisOrder axis_second(int rank, int axis);   // that dimension in second place, the others in their order
AxisOrder axes_last(int rank, const std::vector<int>& axes);
int stored_axis(const AxisOrder& order, int axis);

using OnnxAttributes = std::map<std::string, OnnxAttribute, std::less<>>;
using OnnxNumbers = std::vector<int64_t>;
// f32, rounded once.
using OnnxConstants = std::vector<double>;

// How a parameter or constant is stored for one of its readers.
struct LeafForm {
  AxisOrder order = {};                // of its dimensions; empty: as they are
  std::optional<OnnxNumbers> dims = {};  // what they are then reshaped to
  int image_axis = -1;                 // before both: this axis, which counts the elements of an image [.., C], counts channels first
  OnnxNumbers image = {};
};

// Operands of an op that works element by element, all in one order.
struct Aligned {
  std::vector<std::string> names;
  AxisOrder order;
  OnnxNumbers image = {};
};

class OnnxExporter {
 public:
  OnnxExporter(const Graph& graph, const Weights& weights, const std::string& version);
  OnnxExport run();

  // --- values of the network ----------------------------------------------------------------------------------

  // A parameter, state or constant of known size: its numbers are in the model.
  bool is_leaf(Value value) const;
  // The name under which it is stored in that form.
  std::string leaf(Value value, LeafForm form = {});
  // The tensor that holds the value with its dimensions in that order.
  std::string tensor(Value value, const AxisOrder& order);
  std::string tensor(Value value) { return tensor(value, logical_order(value.type().rank())); }
  // The order in which it is stored.
  AxisOrder order_of(Value value) const;
  // Of a matrix whose columns count the elements of an image [.., C], but stored channels first: the image's dimensions. Only converters
  // that say so (takes_image_columns) are given such a value.
  const OnnxNumbers& image_of(Value value) const;
  std::string columns(Value value);   // such a matrix as it is stored
  // That tensor holds this result of the node at hand.
  void set(Value result, const std::string& name, AxisOrder order = {}, OnnxNumbers image = {});
  // Both are the same value.
  void alias(Value result, Value operand, const AxisOrder& permutation = {});
  void refuse(const Node& node, const std::string& reason);

  // Whether each reader of the value takes a matrix of such columns.
  bool takes_image_columns(Value value) const;
  Aligned align(const Node& node, const std::vector<Value>& operands);
  // Whether stored elements come in the network's order.
  bool is_in_logical_order(Value value) const;
  // One number for each index of `axis`, to go with a tensor of that order.
  std::string channels(Value value, int axis, const AxisOrder& order, const OnnxNumbers& image = {});
  // The stored tensor where only dimensions of one element are out of order, else the tensor in the network's order.
  std::string in_logical_order(Value value);
  // The node that adds a bias to the node's last dimension and is its only reader; null where there is none.
  Node* bias_behind(const Node& node) const;
  // That node is part of another one.
  void skip(const Node* node) { skipped_.insert(node); }

  // --- nodes and constants of the model ------------------------------------------------------------------------

  std::string emit(const std::string& op, std::vector<std::string> inputs, OnnxAttributes attributes = {});
  std::vector<std::string> emit(const std::string& op, std::vector<std::string> inputs, OnnxAttributes attributes, size_t outputs);
  std::string numbers(const OnnxNumbers& values);  // a list of int64
  std::string integers(const std::vector<int32_t>& values, const OnnxNumbers& dims);
  std::string floats(const OnnxConstants& values, const OnnxNumbers& dims);
  std::string scalar(double value) { return floats({value}, {}); }
  std::string zero_of(DType type);
  // Sizes of dimensions, as numbers or computed from the batch size.
  std::string shape(const Shape& shape);
  std::string batch_multiple(int64_t factor);  // a list of one int64
  // The product of these dimensions, a number of f32.
  std::string count(const Shape& shape, const std::vector<int>& axes);
  std::string reshape(const std::string& name, const Shape& shape);
  std::string transpose(const std::string& name, const AxisOrder& permutation);
  std::string slice(const std::string& name, int axis, int64_t begin, int64_t end, int64_t step = 1);
  std::string pad(const std::string& name, const OnnxNumbers& low, const OnnxNumbers& high, const std::string& value = "");

  const Graph& graph() const { return graph_; }
  const Uses& uses() const { return uses_; }
  void note(const std::string& text);

 private:
  struct Stored {
    std::string name;
    AxisOrder order;
    OnnxNumbers image;
  };

  std::string fresh(const std::string& stem) { return fresh_in(taken_, stem); }        // a tensor
  std::string fresh_node(const std::string& stem) { return fresh_in(taken_nodes_, stem); }
  void rename(const std::string& from, const std::string& to, size_t first_node);
  std::string base_of(const Node& node) const;
  std::string keep(OnnxTensor tensor, const std::string& stem);
  std::string constant(OnnxType type, const OnnxNumbers& dims, std::string bytes, const char* stem);
  const Stored& stored(Value value) const;
  std::string at_rank(Value value, const AxisOrder& order);
  std::string batch_shaped_constant(const Node& node);
  void add_input(Node& node);
  void convert(Node& node);
  void add_output(const Output& output);
  void apply_renames();
  [[noreturn]] void throw_refusals() const;

  Graph graph_;
  const Weights& weights_;
  Uses uses_;
  OnnxExport result_;
  std::map<std::pair<const Node*, int>, Stored> values_;
  std::map<std::pair<std::string, AxisOrder>, std::string> transposed_;   // by tensor and permutation
  std::map<std::string, std::string> leaves_, constants_;                  // by what they hold
  std::map<int64_t, std::string> batch_multiples_;
  std::string batch_input_;              // an input that has the batch size, in which dimension, and how often
  int batch_axis_ = 0;
  int64_t batch_factor_ = 1;
  std::unordered_set<const Node*> skipped_;
  using Taken = std::unordered_map<std::string, int>;    // names, with the last number tried behind each
  static std::string fresh_in(Taken& taken, const std::string& stem);
  Taken taken_, taken_nodes_;
  std::map<std::string, std::string> renames_;           // of tensors that are outputs of the network
  std::string base_ = "network";                         // of the names of what the node at hand becomes
  size_t first_node_ = 0;                                // of those that it became
  std::vector<std::pair<const Node*, std::string>> refused_;
};

// The converters of ops, in groups.
using OnnxConverter = void (*)(OnnxExporter&, Node&);
using OnnxConverters = std::map<std::string, OnnxConverter, std::less<>>;
const OnnxConverters& layer_converters();
const OnnxConverters& pooling_converters();
const OnnxConverters& normalization_converters();
const OnnxConverters& activation_converters();
const OnnxConverters& arithmetic_converters();
const OnnxConverters& shape_converters();
const OnnxConverters& gradient_converters();
OnnxConverter find_onnx_converter(std::string_view op);   // null where there is none

// The operand, or an absent value where the node has none.
inline Value optional_operand(const Node& node, size_t k) { return k < node.operands.size() ? node.operands[k] : Value{}; }

// Maps of one operand, which take every order and every matrix of image columns.
bool is_unary_map(const Node& node);

}  // namespace bnc
