// The graph that is made of a model, and what each of its values has become.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "frontend/onnx/import/known.h"
#include "ir/builder.h"

namespace bnc::onnx {

// Nodes of the graph that one model may become.
constexpr size_t most_nodes = size_t{1} << 15;

// What an ONNX value has become: a known tensor, or values of the graph. These differ in the order of their dimensions, since images are
// channels first in ONNX and channels last in bnc: dimension k of the value `forms[order]` is dimension order[k] of ONNX's.
struct Imported {
  Shape shape;                       // in ONNX's order
  KnownPointer known;
  std::map<IntList, Value> forms;
  IntList order;                     // of the form that it came in
  // Its elements with the last dimension in another order, that of a flattened image [.., C] whose shape in ONNX's order is `image`.
  Value flat;
  Shape image;
  bool refused = false;              // it comes from a node that cannot be imported

  int64_t rank() const { return static_cast<int64_t>(shape.size()); }
};
using ImportedPointer = std::shared_ptr<Imported>;

// A number as the model's author wrote it: the shortest one that rounds to the same float.
double tidy(double number);

IntList identity_order(int64_t rank);
// [0, 2, .., 1]: channels behind the pixels.
IntList channels_last_order(int64_t rank);

// How a parameter comes into the graph: its name's stem, and what the layer that reads it would begin with.
struct ParameterKind {
  const char* stem = "weight";
  const char* initializer = "zeros";
  bool state = false;                // a running statistic
  bool trainable = true;
};

class Importer {
 public:
  explicit Importer(const OnnxModel& model);

  const OnnxModel& model;
  Graph graph;
  GraphBuilder build;
  Weights weights;
  std::vector<std::string> notes;
  // Whether a constant that the model computes has an infinity or what is not a number, as the logarithm of a negative one.
  bool computes_not_finite = false;
  // The batch size that the file says, where the network is to take any instead; else 0.
  int64_t frozen_batch = 0;

  // The value with its dimensions in that order.
  Value in_order(Imported& x, const IntList& order);
  Value canonical(Imported& x) { return in_order(x, identity_order(x.rank())); }
  Value channels_last(Imported& x) { return in_order(x, channels_last_order(x.rank())); }
  // A value that broadcasts against one of at least this rank whose dimensions are in that order.
  Value aligned(Imported& x, const IntList& order);
  // As a parameter where it is known, with other dimensions of as many elements where these are given.
  Value parameter(Imported& x, const IntList& order, const ParameterKind& kind, const std::vector<int64_t>& dims = {});
  // Numbers that the file does not have.
  Value parameter(const std::vector<int64_t>& dims, std::vector<float> numbers, const ParameterKind& kind);

  // A reshape, in place of any that its operand is.
  Value reshape(Value x, const Shape& shape);
  Value transpose(Value x, const IntList& order);
  // The value x, whose dimensions are in `from` order, with them in `to` order.
  Value reorder(Value x, const IntList& from, const IntList& to);
  // The last dimension of a value that is a flattened image, channels last, back in ONNX's order.
  Value in_image_order(Value flat, const Shape& image);

  // What tells a known tensor, and what is made of it, from all others: an initializer's name; else a text that is no name.
  std::string identity(const KnownPointer& known);
  // Counts elements that the file does not hold but makes the importer compute.
  void charge(int64_t elements) { computed_ += elements; }
  // Whether they are more than a file of its size may ask for, or the graph has more than `most_nodes`.
  bool asks_too_much() const { return computed_ > most_computed_ || graph.nodes().size() > most_nodes; }

  ImportedPointer imported(Value value, const IntList& order);
  ImportedPointer imported(Known known);

  void note(const std::string& text);

  std::unordered_map<std::string, ImportedPointer> values;
  // How many nodes and outputs read each value.
  std::unordered_map<std::string, int> readers;

 private:
  // A number that is a multiple of the batch size.
  Value batch_number(double factor);
  Value known_value(const Known& known, const IntList& order, const IntList& dims, const ParameterKind& kind);

  // Parameters made of initializers, by name, order, kind and dimensions.
  std::map<std::string, Value> parameters_;
  // Those without a name that became parameters; kept, so that their addresses stay theirs alone.
  std::set<KnownPointer> unnamed_;
  int64_t computed_ = 0, most_computed_ = 0;
  std::set<std::string> noted_;
};

}  // namespace bnc::onnx
