#include "frontend/onnx/import/node_import.h"

#include <algorithm>

#include <fmt/format.h>

namespace bnc::onnx {

int64_t place_of(int64_t axis, const IntList& order) { return std::find(order.begin(), order.end(), axis) - order.begin(); }

IntList order_without(const IntList& order, const IntList& axes) {
  IntList left;
  for (const int64_t axis : order) {
    if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
    left.push_back(axis - std::count_if(axes.begin(), axes.end(), [&](int64_t each) { return each < axis; }));
  }
  return left;
}

IntList shortest(const IntList& each) {
  const bool equal = std::all_of(each.begin(), each.end(), [&](int64_t one) { return one == each.front(); });
  return equal && !each.empty() ? IntList{each.front()} : each;
}

const ImportedPointer& NodeImport::shared_operand(size_t k) const {
  if (!has(k)) fail(fmt::format("its operand {} is missing", k));
  return importer.values.at(node.inputs[k]);
}

Imported& NodeImport::operand(size_t k) const { return *shared_operand(k); }

const Known* NodeImport::known(size_t k) const { return has(k) ? operand(k).known.get() : nullptr; }

const Known& NodeImport::known(size_t k, const std::string& what) const {
  if (!has(k)) fail(what + " is left out");
  const Known* found = known(k);
  if (!found || found->mentions_batch())
    fail(what + " is computed when the network runs", "bnc compiles for shapes and settings that are known before");
  return *found;
}

double NodeImport::known_number(size_t k, const std::string& what) const {
  const Known& found = known(k, what);
  if (found.size() != 1) fail(what + " is not one number");
  return tidy(found.numbers[0]);
}

double NodeImport::number_of(const OnnxTensor& tensor) const {
  if (tensor.element_count() != 1) fail("its value is not one number");
  return tidy(known_of(tensor).numbers.at(0));
}

bool NodeImport::wants(size_t result) const {
  if (!node.has_output(result)) return false;
  const auto found = importer.readers.find(node.outputs[result]);
  return found != importer.readers.end() && found->second > 0;
}

int64_t NodeImport::fixed(size_t k, int64_t axis, const std::string& what) const {
  const Dim& dim = shape(k)[static_cast<size_t>(axis)];
  if (dim.batch) fail(what + " is the batch size");
  return dim.factor;
}

double NodeImport::number(const char* attribute, double fallback) const {
  const float* found = node.find<float>(attribute);
  return found ? tidy(*found) : fallback;
}

int64_t NodeImport::count(const char* attribute, int64_t fallback) const {
  const int64_t number = integer(attribute, fallback);
  if (number < 1 || number >= largest_count) fail(fmt::format("attribute `{}` is {}", attribute, number));
  return number;
}

IntList NodeImport::windows(const char* attribute, int64_t count, int64_t least) const {
  const auto* found = node.find<std::vector<int64_t>>(attribute);
  if (!found || found->empty()) return IntList(static_cast<size_t>(count), least);
  if (static_cast<int64_t>(found->size()) != count)
    fail(fmt::format("attribute `{}` has {} numbers where {} are needed", attribute, found->size(), count));
  for (const int64_t number : *found)
    if (number < least || number >= largest_count) fail(fmt::format("a number of attribute `{}` is {}", attribute, number));
  return *found;
}

std::optional<IntList> NodeImport::integers(const char* attribute, size_t k) const {
  if (has(k)) known(k, fmt::format("its `{}`", attribute));
  return integers_of(node, attribute, known(k));
}

IntList NodeImport::reduced_axes(int64_t rank) const {
  const std::optional<IntList> axes = integers("axes", 1);
  if (axes && !axes->empty()) return axes_of(node, *axes, rank);
  return integer("noop_with_empty_axes", 0) ? IntList{} : identity_order(rank);
}

void NodeImport::give(ImportedPointer result, size_t k) const {
  if (node.has_output(k)) importer.values[node.outputs[k]] = std::move(result);
}

void NodeImport::elementwise(const std::function<Value(Value)>& function) const {
  Imported& x = operand(0);
  if (!x.flat || !x.forms.empty()) return give(function(importer.in_order(x, x.order)), x.order);
  auto made = std::make_shared<Imported>();
  made->shape = x.shape;
  made->order = x.order;
  made->flat = function(x.flat);
  made->image = x.image;
  give(std::move(made));
}

ImportedPointer NodeImport::combined(Imported& left, Imported& right, const std::function<Value(Value, Value)>& function) const {
  const auto both = broadcast(left.shape, right.shape);
  if (!both) fail(fmt::format("{} and {} do not broadcast", show(left.shape), show(right.shape)));
  // The order of the operand that need not move: the larger one, and rather one that is computed than one that is known.
  const auto weight = [&](const Imported& x) {
    return 4 * x.rank() + 2 * (x.known ? 0 : 1) + (x.order == identity_order(x.rank()) ? 0 : 1);
  };
  const Imported& leading = weight(right) > weight(left) ? right : left;
  const IntList order = leading.rank() == static_cast<int64_t>(both->size()) ? leading.order
                                                                             : identity_order(static_cast<int64_t>(both->size()));
  const Value a = importer.aligned(left, order), b = importer.aligned(right, order);
  Shape shape;
  for (const int64_t axis : order) shape.push_back((*both)[static_cast<size_t>(axis)]);
  return importer.imported(importer.reshape(function(a, b), shape), order);
}

void NodeImport::elementwise(const std::function<Value(Value, Value)>& function) const {
  Imported& left = operand(0);
  Imported& right = operand(1);
  // Before opset 7 the right operand's first dimension was aligned with dimension `axis` of the left one.
  // -1 aligned the last ones, as later opsets do.
  const int64_t axis = opset < 7 ? integer("axis", -1) : -1;
  if (axis == -1) return give(combined(left, right, function));
  const int64_t behind = left.rank() - axis_of(node, axis, left.rank()) - right.rank();
  if (behind < 0) fail(fmt::format("{} does not fit {} from axis {} on", show(right.shape), show(left.shape), axis));
  give(combined(left, *with_ones(right, behind), function));
}

ImportedPointer NodeImport::with_ones(Imported& x, int64_t count) const {
  Shape shape = x.shape;
  shape.insert(shape.end(), static_cast<size_t>(count), Dim{});
  if (x.known) {
    Known known = reshaped(*x.known, concrete(shape, 1));
    if (!known.name.empty()) known.name += fmt::format("\n{}", show(shape));
    return importer.imported(std::move(known));
  }
  return importer.imported(importer.reshape(importer.canonical(x), shape), identity_order(static_cast<int64_t>(shape.size())));
}

namespace {

// Neighbouring dimensions `from` that become the neighbouring dimensions `to`.
struct Regrouped {
  IntList from, to;
};

Dim product(Dim a, Dim b) { return {a.factor * b.factor, a.batch || b.batch}; }

// The smallest groups of dimensions with equal products.
std::vector<Regrouped> regrouped(const Shape& from, const Shape& to) {
  std::vector<Regrouped> groups;
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    Regrouped group;
    Dim a, b;
    const auto take_from = [&] { a = product(a, from[i]), group.from.push_back(static_cast<int64_t>(i++)); };
    const auto take_to = [&] { b = product(b, to[j]), group.to.push_back(static_cast<int64_t>(j++)); };
    if (i < from.size()) take_from();
    if (j < to.size()) take_to();
    while (a != b) {
      const bool short_of_batch = a.batch != b.batch;
      if ((short_of_batch ? b.batch : a.factor < b.factor) && i < from.size()) take_from();
      else if (j < to.size()) take_to();
      else take_from();
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

// The order of the new dimensions where the elements can stay in the order that they are in; nothing where they cannot.
std::optional<IntList> order_after(const Shape& from, const IntList& order, const Shape& to) {
  IntList lying;
  for (const int64_t axis : order)
    if (!from[static_cast<size_t>(axis)].is_one()) lying.push_back(axis);
  std::vector<Regrouped> groups = regrouped(from, to);
  const auto place = [&](const Regrouped& group) {
    for (const int64_t axis : group.from)
      if (!from[static_cast<size_t>(axis)].is_one()) return place_of(axis, order);
    return group.from.empty() ? static_cast<int64_t>(order.size()) : place_of(group.from.front(), order);
  };
  std::stable_sort(groups.begin(), groups.end(), [&](const Regrouped& a, const Regrouped& b) { return place(a) < place(b); });
  IntList expected, result;
  for (const Regrouped& group : groups) {
    for (const int64_t axis : group.from)
      if (!from[static_cast<size_t>(axis)].is_one()) expected.push_back(axis);
    result.insert(result.end(), group.to.begin(), group.to.end());
  }
  if (expected != lying) return std::nullopt;
  return result;
}

}  // namespace

void NodeImport::give_reshaped(Imported& x, const Shape& shape) const {
  if (x.known && element_count(shape) && !element_count(shape)->batch) return give(reshaped(*x.known, concrete(shape, 1)));
  BNC_CHECK(element_count(x.shape) == element_count(shape), "a reshape changes the number of elements");
  const auto in = [&](const IntList& order) {
    Shape moved;
    for (const int64_t axis : order) moved.push_back(shape[static_cast<size_t>(axis)]);
    return moved;
  };
  if (x.flat && shape == x.shape && x.forms.empty()) return elementwise([](Value value) { return value; });
  const Value value = importer.in_order(x, x.order);
  if (const auto order = order_after(x.shape, x.order, shape)) return give(importer.reshape(value, in(*order)), *order);
  const bool image = x.rank() > 2 && x.order == channels_last_order(x.rank()) && shape.size() == 2 && shape[0] == x.shape[0] &&
                     !shape[1].batch;
  if (!image) return give(importer.reshape(importer.canonical(x), shape));
  auto made = std::make_shared<Imported>();
  made->shape = shape;
  made->order = identity_order(2);
  made->flat = importer.reshape(value, shape);
  made->image.assign(x.shape.begin() + 1, x.shape.end());
  give(std::move(made));
}

}  // namespace bnc::onnx
