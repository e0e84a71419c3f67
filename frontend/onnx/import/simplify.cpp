#include "frontend/onnx/import/simplify.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/integers.h"

namespace bnc::onnx {

namespace {

std::optional<double> number_in(const Value& value) {
  if (!value || !value.node->is("constant") || value.type().dtype != DType::f32 || !value.type().shape.empty()) return std::nullopt;
  const double* number = value.node->attribute("value").get_if<double>();
  return number ? std::optional(*number) : std::nullopt;
}

bool is_about(double a, double b) { return std::abs(a - b) <= 1e-6 * std::abs(b); }

// What stands beside a number in a sum or product, and the number.
std::optional<std::pair<Value, double>> beside_number(const Value& value, const char* op) {
  if (!value.node->is(op)) return std::nullopt;
  const std::vector<Value>& operands = value.node->operands;
  for (const size_t k : {size_t{1}, size_t{0}})
    if (const std::optional<double> number = number_in(operands[k])) return std::pair(operands[1 - k], *number);
  return std::nullopt;
}

// --- layer norms ------------------------------------------------------------

// The mean of `value` over its last axes, which stay as dimensions of 1: these axes; none where it is something else.
IntList averaged_axes(const Value& mean, const Value& value) {
  if (!mean.node->is("reduce_mean") || mean.node->operands[0] != value || !mean.node->attribute("keep_dims").boolean()) return {};
  IntList axes = mean.node->attribute("axes").integers();
  const int64_t rank = value.type().rank();
  for (int64_t& axis : axes) axis += axis < 0 ? rank : 0;
  std::sort(axes.begin(), axes.end());
  for (size_t k = 0; k < axes.size(); ++k)
    if (axes[k] != rank - static_cast<int64_t>(axes.size() - k)) return {};
  for (const int64_t axis : axes)
    if (value.type().shape[static_cast<size_t>(axis)].batch) return {};
  return axes;
}

struct Standardized {
  Value x;
  IntList axes;
  double epsilon = 0;
};

// The deviation whose root divides: its variance plus epsilon.
Value under_root(const Node& node) {
  const Value &left = node.operands[0], &right = node.operands[1];
  if (node.is("div") && right.node->is("sqrt")) return right.node->operands[0];
  if (!node.is("mul")) return {};
  for (const Value& factor : {right, left}) {
    if (factor.node->is("rsqrt")) return factor.node->operands[0];
    if (factor.node->is("div") && number_in(factor.node->operands[0]) == 1.0 && factor.node->operands[1].node->is("sqrt"))
      return factor.node->operands[1].node->operands[0];
  }
  return {};
}

// (x - mean)/sqrt(mean of (x - mean)^2 + epsilon).
std::optional<Standardized> standardized(const Node& node) {
  if (!node.is("div") && !node.is("mul")) return std::nullopt;
  const Value root = under_root(node);
  if (!root) return std::nullopt;
  const auto sum = beside_number(root, "add");
  if (!sum || !(sum->second > 0) || !sum->first.node->is("reduce_mean")) return std::nullopt;
  const Value square = sum->first.node->operands[0];
  const Value away = node.operands[0].node->is("sub") ? node.operands[0] : node.operands[1];
  if (!away.node->is("sub") || !square.node->is("mul")) return std::nullopt;
  const Value x = away.node->operands[0];
  const IntList axes = averaged_axes(away.node->operands[1], x);
  // Some write the difference twice.
  const auto is_away = [&](const Value& value) {
    return value == away || (value.node->is("sub") && value.node->operands[0] == x && averaged_axes(value.node->operands[1], x) == axes);
  };
  if (!is_away(square.node->operands[0]) || !is_away(square.node->operands[1])) return std::nullopt;
  if (axes.empty() || averaged_axes(sum->first, square) != axes) return std::nullopt;
  return Standardized{x, axes, sum->second};
}

// The parameter that stands beside `value` in its only reader, with as many dimensions as are normalized; and that reader.
std::pair<Value, Node*> affine(const Uses& uses, const Value& value, const char* op, size_t dimensions) {
  if (uses.count(value) != 1 || uses.of(value).size() != 1 || !uses.of(value)[0]->is(op)) return {};
  Node* reader = uses.of(value)[0];
  const Value other = reader->operands[reader->operands[0] == value ? 1 : 0];
  const Shape& shape = value.type().shape;
  const Shape wanted(shape.end() - static_cast<std::ptrdiff_t>(dimensions), shape.end());
  if (!other.node->is("parameter") || other.type().shape != wanted || other.type().dtype != DType::f32) return {};
  return {other, reader};
}

void join_layer_norms(Graph& graph) {
  const Uses uses(graph);
  std::vector<Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  for (Node* node : nodes) {
    const std::optional<Standardized> found = standardized(*node);
    if (!found) continue;
    Node* last = node;
    const auto [gamma, scaled] = affine(uses, last->result(), "mul", found->axes.size());
    if (scaled) last = scaled;
    const auto [beta, shifted] = affine(uses, last->result(), "add", found->axes.size());
    if (shifted) last = shifted;
    AttributeMap attributes{{"epsilon", found->epsilon}};
    if (found->axes.size() > 1) attributes["axes"] = found->axes;
    GraphBuilder build = GraphBuilder::before(graph, last);
    graph.replace_all_uses(last->result(), build.value("layer_norm", {found->x, gamma, beta}, attributes));
  }
}

// --- GELU -------------------------------------------------------------------

// The factors of a product, numbers multiplied.
void collect_factors(const Uses& uses, const Value& value, bool is_root, std::vector<Value>& factors, double& number) {
  const bool own = is_root || uses.count(value) == 1;
  if (const std::optional<double> constant = number_in(value)) {
    number *= *constant;
  } else if (own && value.node->is("mul")) {
    for (const Value& operand : value.node->operands) collect_factors(uses, operand, false, factors, number);
  } else if (own && value.node->is("div") && number_in(value.node->operands[1])) {
    number /= *number_in(value.node->operands[1]);
    collect_factors(uses, value.node->operands[0], false, factors, number);
  } else {
    factors.push_back(value);
  }
}

// x where the value is 1 + erf(x/sqrt(2)).
Value inside_error_function(const Value& value) {
  const auto sum = beside_number(value, "add");
  if (!sum || sum->second != 1 || !sum->first.node->is("erf")) return {};
  const Value argument = sum->first.node->operands[0];
  if (const auto product = beside_number(argument, "mul"); product && is_about(product->second, std::sqrt(0.5))) return product->first;
  const bool divided = argument.node->is("div") && number_in(argument.node->operands[1]);
  return divided && is_about(*number_in(argument.node->operands[1]), std::sqrt(2)) ? argument.node->operands[0] : Value{};
}

void join_gelus(Graph& graph) {
  const Uses uses(graph);
  std::vector<Node*> nodes;
  for (const auto& node : graph.nodes()) nodes.push_back(node.get());
  for (Node* node : nodes) {
    if (!node->is("mul") && !node->is("div")) continue;
    std::vector<Value> factors;
    double number = 1;
    collect_factors(uses, node->result(), true, factors, number);
    if (factors.size() != 2 || !is_about(number, 0.5)) continue;
    for (const size_t k : {size_t{0}, size_t{1}}) {
      if (inside_error_function(factors[k]) != factors[1 - k]) continue;
      GraphBuilder build = GraphBuilder::before(graph, node);
      graph.replace_all_uses(node->result(), build.value("gelu", {factors[1 - k]}));
      break;
    }
  }
}

// --- parts of a row ---------------------------------------------------------

// Of a slice of one place, where the last dimension of a dense layer's result was reshaped to several: how many neighbours in that
// dimension it is; else 0.
int64_t neighbours_taken(const Node& slice) {
  const Value& apart = slice.operands[0];
  if (!apart.node->is("reshape") || !apart.node->operands[0].node->is("dense")) return 0;
  const Shape &from = apart.node->operands[0].type().shape, &to = apart.type().shape;
  const size_t kept = from.empty() ? 0 : from.size() - 1;
  if (kept == 0 || to.size() < kept + 2 || !std::equal(from.begin(), from.end() - 1, to.begin())) return 0;
  const bool one = slice.attribute("end").integer() - slice.attribute("begin").integer() == 1;
  if (!one || from[kept].batch || slice.attribute("axis").integer() != static_cast<int64_t>(kept)) return 0;
  int64_t count = 1;
  for (size_t k = kept + 1; k < to.size(); ++k) count *= to[k].factor;
  return count;
}

// Queries, keys and values are parts of one row: rather parts of it, then apart, than all of it apart and then parts.
void slice_rows(Graph& graph) {
  const Uses uses(graph);
  for (Node* slice : graph.nodes_of("slice")) {
    const int64_t count = neighbours_taken(*slice);
    const std::vector<Node*> readers = uses.of(slice->result());
    const bool reshaped = std::all_of(readers.begin(), readers.end(), [](const Node* reader) { return reader->is("reshape"); });
    if (count == 0 || !reshaped || readers.empty() || uses.is_output(slice->result())) continue;
    const int64_t begin = slice->attribute("begin").integer() * count;
    const Value part = GraphBuilder::before(graph, slice).value(
        "slice", {slice->operands[0].node->operands[0]}, {{"axis", slice->attribute("axis")}, {"begin", begin}, {"end", begin + count}});
    for (Node* reader : readers)
      graph.replace_all_uses(reader->result(), GraphBuilder::before(graph, reader).reshape(part, reader->results[0].type.shape));
  }
}

// --- padding ----------------------------------------------------------------

// [begin, end] for each spatial axis.
IntList paddings_of(const Node& node, size_t spatial) {
  const Attribute& padding = node.attribute("padding");
  IntList given;
  if (const int64_t* one = padding.get_if<int64_t>()) given = {*one};
  else if (const IntList* list = padding.get_if<IntList>()) given = *list;
  if (given.size() == 2 * spatial) return given;
  if (given.size() != 1 && given.size() != spatial) return {};
  IntList each;
  for (size_t k = 0; k < spatial; ++k) each.insert(each.end(), 2, given.size() == 1 ? given[0] : given[k]);
  return each;
}

int64_t setting_along(const Node& node, const char* attribute, size_t axis) {
  const Attribute& given = node.attribute(attribute);
  if (const int64_t* one = given.get_if<int64_t>()) return *one;
  const IntList& list = given.integers();
  return list.size() == 1 ? list[0] : list[axis];
}

// Whether a result has an element for each `stride` of the image, the odd zero at its end.
bool pads_same(const Node& node) {
  const Shape &image = node.operands[0].type().shape, &weight = node.operands[1].type().shape;
  const size_t spatial = image.size() - 2;
  const IntList given = paddings_of(node, spatial);
  if (given.empty()) return node.attribute("padding") == Attribute("same");
  const bool transposed = node.is("conv2d_transpose");
  for (size_t k = 0; k < spatial; ++k) {
    const int64_t size = image[k + 1].factor, stride = setting_along(node, "stride", k);
    const int64_t span = (weight[k].factor - 1) * setting_along(node, "dilation", k) + 1;
    const int64_t total = std::max<int64_t>(0, (divide_up(size, stride) - 1) * stride + span - size);
    if (transposed && (span != stride || given[2 * k] || given[2 * k + 1] || setting_along(node, "output_padding", k))) return false;
    if (!transposed && (given[2 * k] != total / 2 || given[2 * k + 1] != total - total / 2)) return false;
  }
  return true;
}

// `same` is what a layer does where nothing is said; said of one layer only, it would part what is alike.
void call_padding_same(Graph& graph) {
  std::vector<Node*> layers;
  for (const char* op : {"conv1d", "conv2d", "conv2d_transpose"}) {
    const std::vector<Node*> found = graph.nodes_of(op);
    layers.insert(layers.end(), found.begin(), found.end());
  }
  if (!std::all_of(layers.begin(), layers.end(), [](const Node* node) { return pads_same(*node); })) return;
  for (Node* node : layers) node->attributes["padding"] = Attribute("same");
}

}  // namespace

void simplify(Graph& graph) {
  join_layer_norms(graph);
  join_gelus(graph);
  slice_rows(graph);
  call_padding_same(graph);
}

}  // namespace bnc::onnx
