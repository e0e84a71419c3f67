#include "frontend/onnx/import/importer.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "frontend/source/words.h"

namespace bnc::onnx {

double tidy(double number) { return std::strtod(fmt::format("{}", static_cast<float>(number)).c_str(), nullptr); }

namespace {

// Constants of a few numbers stand in the text.
constexpr int64_t most_in_text = 8;

// The model's own name for a tensor, without its modules, where it is a word that a person chose; else nothing.
std::string word_in(const std::string& name) {
  const std::string last = name.substr(name.rfind('.') + 1);
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  const bool word = last.size() >= 3 && last.size() <= 32 && std::isalpha(static_cast<unsigned char>(last[0])) &&
                    std::all_of(last.begin(), last.end(), fits) && last.find("__") == std::string::npos;
  return word && !source::is_reserved(last) ? last : "";
}

bool is_identity(const IntList& order) { return order == identity_order(static_cast<int64_t>(order.size())); }

Shape in_order_of(const Shape& shape, const IntList& order) {
  Shape result;
  for (const int64_t axis : order) result.push_back(shape[static_cast<size_t>(axis)]);
  return result;
}

// Whether the order only moves dimensions of 1, so that the elements stay where they are.
bool keeps_elements(const Shape& shape, const IntList& permutation) {
  int64_t last = -1;
  for (const int64_t axis : permutation) {
    if (shape[static_cast<size_t>(axis)].is_one()) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

}  // namespace

IntList identity_order(int64_t rank) {
  IntList order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

IntList channels_last_order(int64_t rank) {
  IntList order = identity_order(rank);
  if (rank > 2) std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return order;
}

Importer::Importer(const OnnxModel& model) : model(model), build(graph) {
  int64_t held = 0;
  for (const OnnxTensor& tensor : model.graph.initializers) held += static_cast<int64_t>(tensor.bytes.size());
  for (const OnnxNode& node : model.graph.nodes)
    for (const auto& [name, attribute] : node.attributes)
      if (const OnnxTensor* tensor = std::get_if<OnnxTensor>(&attribute)) held += static_cast<int64_t>(tensor->bytes.size());
  most_computed_ = (int64_t{1} << 24) + 16 * held;
}

std::string Importer::identity(const KnownPointer& known) {
  if (!known->name.empty()) return known->name;
  unnamed_.insert(known);
  return fmt::format("\n{}", fmt::ptr(known.get()));   // names hold no control characters
}

Value Importer::reshape(Value x, const Shape& shape) {
  while (x.node->is("reshape")) x = x.node->operands[0];
  return x.type().shape == shape ? x : build.value("reshape", {x}, {{"shape", shape}});
}

Value Importer::transpose(Value x, const IntList& order) {
  if (is_identity(order)) return x;
  if (keeps_elements(x.type().shape, order)) return reshape(x, in_order_of(x.type().shape, order));
  return build.value("transpose", {x}, {{"permutation", order}});
}

Value Importer::reorder(Value x, const IntList& from, const IntList& to) {
  IntList permutation;
  for (const int64_t axis : to) permutation.push_back(std::find(from.begin(), from.end(), axis) - from.begin());
  return transpose(x, permutation);
}

Value Importer::in_image_order(Value flat, const Shape& image) {
  const IntList last = channels_last_order(static_cast<int64_t>(image.size()) + 1);
  Shape apart = {flat.type().shape[0]};
  for (size_t k = 1; k < last.size(); ++k) apart.push_back(image[static_cast<size_t>(last[k] - 1)]);
  return reshape(reorder(reshape(flat, apart), last, identity_order(static_cast<int64_t>(last.size()))), flat.type().shape);
}

Value Importer::in_order(Imported& x, const IntList& order) {
  if (x.known) return known_value(*x.known, order, {}, {.trainable = !x.known->name.empty()});
  if (const auto found = x.forms.find(order); found != x.forms.end()) return found->second;
  if (x.forms.empty()) {
    BNC_CHECK(x.flat, "an imported value has no form");
    x.forms[identity_order(x.rank())] = in_image_order(x.flat, x.image);
    x.order = identity_order(x.rank());
  }
  return x.forms[order] = reorder(x.forms.at(x.order), x.order, order);
}

Value Importer::aligned(Imported& x, const IntList& order) {
  const int64_t missing = static_cast<int64_t>(order.size()) - x.rank();
  if (missing < 0) throw CompileError(fmt::format("an operand {} has more than {} dimensions", to_string(x.shape), order.size()));
  IntList own;
  for (const int64_t axis : order)
    if (axis >= missing) own.push_back(axis - missing);
  Shape shape;
  for (const int64_t axis : order) shape.push_back(axis < missing ? Dim{} : x.shape[static_cast<size_t>(axis - missing)]);
  if (!x.known) {
    // Missing dimensions in front need not be said.
    const auto own_first = std::find_if(order.begin(), order.end(), [&](int64_t axis) { return axis >= missing; });
    shape.erase(shape.begin(), shape.begin() + (own_first - order.begin()));
    const Value value = in_order(x, own);
    return static_cast<int64_t>(shape.size()) == x.rank() ? value : reshape(value, shape);
  }
  while (!shape.empty() && shape.front().is_one()) shape.erase(shape.begin());
  if (x.known->size() == 1)
    return x.known->mentions_batch() ? batch_number(x.known->numbers[0]) : build.constant(tidy(x.known->numbers[0]));
  return known_value(*x.known, own, concrete(shape, 1), {.trainable = !x.known->name.empty()});
}

Value Importer::batch_number(double factor) {
  for (Node* input : graph.nodes_of("input")) {
    const Shape& shape = input->results[0].type.shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      if (!shape[axis].batch) continue;
      const Value count = build.value("element_count", {input->result()}, {{"axes", IntList{static_cast<int64_t>(axis)}}});
      return shape[axis].factor == factor ? count : build.scale(count, factor / static_cast<double>(shape[axis].factor));
    }
  }
  throw CompileError("the batch size is computed with, but no input has it");
}

Value Importer::known_value(const Known& known, const IntList& order, const IntList& dims, const ParameterKind& kind) {
  if (known.mentions_batch() && known.size() == 1) {
    Shape shape;
    for (const int64_t dim : dims.empty() ? known.dims : dims) shape.push_back({dim, false});
    return reshape(batch_number(known.numbers[0]), shape);
  }
  if (known.mentions_batch()) throw CompileError("dimensions with the batch size among them are computed with when the network runs");
  if (known.numbers.empty()) throw CompileError("a tensor without elements is computed with when the network runs");
  const std::string key = fmt::format("{}\n{} {} {}", known.name, fmt::join(order, ","), kind.state, fmt::join(dims, ","));
  if (!known.name.empty())
    if (const auto found = parameters_.find(key); found != parameters_.end()) return found->second;
  const Known moved = is_identity(order) ? known : permuted(known, order);
  const IntList& shape = dims.empty() ? moved.dims : dims;
  if (known.name.empty() && known.size() <= most_in_text) {
    Tensor tensor{DType::f32, dims.empty() && known.size() == 1 ? known.dims : shape, moved.numbers};
    for (double& number : tensor.data) number = tidy(number);
    return build.constant(tensor);
  }
  std::vector<float> numbers(moved.numbers.begin(), moved.numbers.end());
  const std::string word = word_in(known.name);
  ParameterKind named = kind;
  if (!word.empty()) named.stem = word.c_str();
  const Value made = parameter(shape, std::move(numbers), named);
  if (!known.name.empty()) parameters_[key] = made;
  return made;
}

Value Importer::parameter(const std::vector<int64_t>& dims, std::vector<float> numbers, const ParameterKind& kind) {
  const std::string name = graph.fresh_name(kind.stem);
  TensorType type{DType::f32, {}};
  for (const int64_t dim : dims) type.shape.push_back({dim, false});
  Symbol initializer{kind.initializer, {}};
  if (!kind.trainable && !kind.state) initializer.arguments.emplace_back("trainable", false);
  weights.set(name, Weight::owned(dims, std::move(numbers)));
  return kind.state ? build.state(name, type, initializer) : build.parameter(name, type, initializer, kind.trainable);
}

Value Importer::parameter(Imported& x, const IntList& order, const ParameterKind& kind, const std::vector<int64_t>& dims) {
  if (!x.known) {
    const Value value = in_order(x, order);
    return dims.empty() ? value : reshape(value, [&] {
      Shape shape;
      for (const int64_t dim : dims) shape.push_back({dim, false});
      return shape;
    }());
  }
  Known known = *x.known;
  known.name = identity(x.known);   // a layer's weights are never part of the text
  return known_value(known, order, dims, kind);
}

ImportedPointer Importer::imported(Value value, const IntList& order) {
  auto made = std::make_shared<Imported>();
  made->shape.resize(order.size());
  for (size_t k = 0; k < order.size(); ++k) made->shape[static_cast<size_t>(order[k])] = value.type().shape[k];
  made->order = order;
  made->forms[order] = value;
  return made;
}

ImportedPointer Importer::imported(Known known) {
  auto made = std::make_shared<Imported>();
  for (const int64_t dim : known.dims) made->shape.push_back({dim, false});
  made->order = identity_order(made->rank());
  made->known = std::make_shared<const Known>(std::move(known));
  return made;
}

void Importer::note(const std::string& text) {
  if (noted_.insert(text).second) notes.push_back(text);
}

}  // namespace bnc::onnx
