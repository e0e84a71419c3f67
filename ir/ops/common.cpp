#include "ir/ops/common.h"

#include <algorithm>
#include <numeric>

#include "ir/ops/numbers.h"

namespace bnc::ops {

// --- shape rules -----------------------------------------------------------------------------------------------

void fail(const InferContext& cx, int constraint, const std::string& text, const std::string& help) {
  BNC_CHECK(constraint >= 1 && constraint <= static_cast<int>(cx.op.constraints.size()), cx.op.name);
  cx.fail(fmt::format("{} (C{})", text, constraint), help);
}

void require_f32(const InferContext& cx, int constraint) {
  for (size_t k = 0; k < cx.operands.size(); ++k)
    if (cx.has(static_cast<int>(k)) && cx.type(static_cast<int>(k)).dtype != DType::f32) {
      const std::string& name = cx.op.operands[std::min(k, cx.op.operands.size() - 1)].name;
      fail(cx, constraint, fmt::format("operand `{}` must be f32, got {}", name, cx.show(cx.type(static_cast<int>(k)))));
    }
}

TensorType same_type(const InferContext& cx, int constraint) {
  const TensorType& first = cx.type(0);
  for (size_t k = 1; k < cx.operands.size(); ++k)
    if (const TensorType& type = cx.type(static_cast<int>(k)); type != first)
      fail(cx, constraint, fmt::format("`{}` {} and `{}` {} must have the same type", cx.op.operands[0].name,
                                       cx.show(first), cx.op.operands[k].name, cx.show(type)));
  return first;
}

int checked_axis(const InferContext& cx, int constraint, int x) {
  int64_t axis = cx.attribute("axis").integer(), rank = cx.type(x).rank();
  if (axis < -rank || axis >= rank)
    fail(cx, constraint, fmt::format("axis {} is out of range for {}, which has {} dimension{}", axis, cx.show(cx.type(x)), rank,
                                     rank == 1 ? "" : "s"));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

void require_positive(const InferContext& cx, int constraint, const Shape& shape) {
  for (const Dim& dim : shape)
    if (dim.factor < 1)
      fail(cx, constraint, fmt::format("shape {} has a dimension below 1", to_string(shape, cx.batch_symbol)),
           dim.factor == -1 ? "no dimension is inferred: all are written, the batch size as `x.shape[0]`" : "");
}

int channel_axis(const InferContext& cx, int constraint, const std::vector<int>& channels, int x) {
  const TensorType& type = cx.type(x);
  int axis = checked_axis(cx, constraint, x);
  Dim size = type.shape[axis];
  if (size.batch)
    fail(cx, constraint, fmt::format("axis {} of {} is the batch and cannot be the channels", axis, cx.show(type)));
  TensorType wanted{DType::f32, {size}};
  for (int k : channels)
    if (cx.has(k) && cx.type(k) != wanted)
      fail(cx, constraint + 1, fmt::format("`{}` must be {}, one number for each channel of {}, got {}", cx.op.operands[k].name,
                                           cx.show(wanted), cx.show(type), cx.show(cx.type(k))));
  return axis;
}

std::string channels_constraint(const std::string& names) { return names + " f32 with one number for each channel of `x`"; }

std::vector<int> all_axes(const IntList& axes, int rank) {
  std::vector<int> result;
  for (int64_t axis : axes) result.push_back(static_cast<int>(axis < 0 ? axis + rank : axis));
  if (axes.empty()) {
    result.resize(rank);
    std::iota(result.begin(), result.end(), 0);
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<int> checked_axes(const InferContext& cx, int constraint, int rank) {
  const IntList& axes = cx.attribute("axes").integers();
  for (int64_t axis : axes)
    if (axis < -rank || axis >= rank)
      fail(cx, constraint,
           fmt::format("axis {} is out of range for {}, which has {} dimension{}", axis, cx.show(cx.type(0)), rank, rank == 1 ? "" : "s"));
  std::vector<int> result = all_axes(axes, rank);
  if (auto twice = std::adjacent_find(result.begin(), result.end()); twice != result.end())
    fail(cx, constraint, fmt::format("axis {} of {} is given twice", *twice, cx.show(cx.type(0))));
  return result;
}

int axis_of(const Node& node, int x) {
  int64_t axis = node.attribute("axis").integer();
  return static_cast<int>(axis < 0 ? axis + node.operands[x].type().rank() : axis);
}

std::vector<int> axes_of(const Node& node) { return all_axes(node.attribute("axes").integers(), node.operands[0].type().rank()); }

std::vector<int> other_axes(int rank, int axis) {
  std::vector<int> axes;
  for (int k = 0; k < rank; ++k)
    if (k != axis) axes.push_back(k);
  return axes;
}

IntList to_attribute(const std::vector<int>& axes) { return IntList(axes.begin(), axes.end()); }

Shape reduced_shape(const Shape& shape, const std::vector<int>& axes, bool keep_dims) {
  Shape result;
  for (int k = 0; k < static_cast<int>(shape.size()); ++k) {
    if (!std::binary_search(axes.begin(), axes.end(), k)) result.push_back(shape[k]);
    else if (keep_dims) result.push_back(Dim{});
  }
  return result;
}

int64_t count_over(const Shape& shape, const std::vector<int>& axes, int64_t batch_size) {
  int64_t count = 1;
  for (int axis : axes) count *= shape[axis].at(batch_size);
  return count;
}

OperandSpec tensor_operand(const std::string& name, const std::string& doc) { return {.name = name, .doc = doc}; }

OperandSpec fixed_operand(const std::string& name, const std::string& doc) { return {.name = name, .doc = doc, .differentiable = false}; }

AttributeSpec axis_attribute(const std::string& doc) {
  return {.name = "axis", .kind = AttributeKind::integer, .fallback = -1, .doc = doc + "; negative counts from the end"};
}

AttributeSpec epsilon_attribute() {
  return {.name = "epsilon", .kind = AttributeKind::number, .fallback = 1e-5, .doc = "added to the variance, inside the root"};
}

void require_number(const InferContext& cx, int constraint, const std::string& attribute, const NumberRange& range,
                    const std::string& help) {
  const double number = cx.attribute(attribute).number();
  if (!range.holds(number))
    fail(cx, constraint, fmt::format("`{}` must be {}, got {}", attribute, range.text(), as_computed_with(number)), help);
}

void require_epsilon(const InferContext& cx, int constraint) {
  require_number(cx, constraint, "epsilon", positive, "without it a channel whose values are all equal would divide by zero");
}

// --- maps of one operand ---------------------------------------------------------------------------------------

OpDefinition unary_map(OpDefinition op, std::function<double(const Node&, double)> evaluate,
                       std::function<loops::Expr(const Node&, loops::Expr)> element, int cost) {
  op.operands = {tensor_operand("x", "any shape")};
  op.results = {{"y", "the type of `x`"}};
  op.constraints = {"`x` is f32"};
  op.example_inputs = "x: f32[N, 5]";
  if (op.example.empty()) op.example = op.name + "(x)";
  auto check = std::move(op.infer);  // of the attributes, where the op has any
  op.infer = [check](const InferContext& cx) {
    require_f32(cx, 1);
    if (check) check(cx);
    return std::vector{cx.type(0)};
  };
  op.evaluate = [evaluate](const EvaluateContext& cx) {
    return evaluate_pointwise(cx, [&](const std::vector<double>& x) { return evaluate(cx.node, x[0]); });
  };
  op.lowering = pointwise_lowering([element](const Node& node, const std::vector<loops::Expr>& x) { return element(node, x[0]); }, cost);
  return op;
}

OpDefinition unary_map_gradient(OpDefinition op, std::function<double(const Node&, double, double)> evaluate,
                                std::function<loops::Expr(const Node&, loops::Expr, loops::Expr)> element, int cost) {
  op.category = OpCategory::gradient;
  op.operands = {fixed_operand("dy", "gradient of the result"), fixed_operand("x", "what the map was applied to")};
  op.results = {{"dx", "gradient of `x`, of its type"}};
  op.constraints = {"`dy` and `x` are f32", "`dy` and `x` have the same shape"};
  op.example_inputs = "dy: f32[N, 5], x: f32[N, 5]";
  if (op.example.empty()) op.example = op.name + "(dy, x)";
  op.infer = [](const InferContext& cx) {
    require_f32(cx, 1);
    return std::vector{same_type(cx, 2)};
  };
  op.evaluate = [evaluate](const EvaluateContext& cx) {
    return evaluate_pointwise(cx, [&](const std::vector<double>& x) { return evaluate(cx.node, x[0], x[1]); });
  };
  op.lowering = pointwise_lowering([element](const Node& node, const std::vector<loops::Expr>& x) { return element(node, x[0], x[1]); },
                                   cost);
  return op;
}

// --- float64 evaluation ----------------------------------------------------------------------------------------

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t k = dims.size(); k-- > 1;) strides[k - 1] = strides[k] * dims[k];
  return strides;
}

void for_each_index(const std::vector<int64_t>& dims, const std::function<void(const std::vector<int64_t>&, int64_t)>& visit) {
  std::vector<int64_t> index(dims.size(), 0);
  int64_t count = bnc::element_count(dims);
  for (int64_t position = 0; position < count; ++position) {
    visit(index, position);
    for (size_t k = dims.size(); k-- > 0;) {
      if (++index[k] < dims[k]) break;
      index[k] = 0;
    }
  }
}

int64_t position_of(const std::vector<int64_t>& index, const std::vector<int64_t>& dims) {
  int64_t position = 0;
  for (size_t k = 0; k < dims.size(); ++k) position = position * dims[k] + index[k];
  return position;
}

int64_t broadcast_position(const std::vector<int64_t>& index, const std::vector<int64_t>& dims) {
  size_t missing = index.size() - dims.size();
  int64_t position = 0;
  for (size_t k = 0; k < dims.size(); ++k) position = position * dims[k] + (dims[k] == 1 ? 0 : index[missing + k]);
  return position;
}

std::vector<Tensor> evaluate_elements(const EvaluateContext& cx, const std::function<double(const std::vector<int64_t>&)>& element) {
  Tensor result = cx.result();
  for_each_index(result.dims, [&](const std::vector<int64_t>& index, int64_t position) { result.data[position] = element(index); });
  return {std::move(result)};
}

std::vector<int64_t> broadcast_strides(const std::vector<int64_t>& dims, size_t rank) {
  const std::vector<int64_t> own = row_major_strides(dims);
  std::vector<int64_t> strides(rank, 0);
  for (size_t k = 0; k < dims.size(); ++k)
    if (dims[k] != 1) strides[rank - dims.size() + k] = own[k];
  return strides;
}

std::vector<Tensor> evaluate_pointwise(const EvaluateContext& cx, const std::function<double(const std::vector<double>&)>& element) {
  Tensor result = cx.result();
  const size_t count = cx.operands.size(), rank = result.dims.size();
  std::vector<double> x(count, 0);
  std::vector<int64_t> offsets(count, 0), index(rank, 0);
  std::vector<std::vector<int64_t>> strides(count);
  for (size_t o = 0; o < count; ++o)
    if (cx.operands[o]) strides[o] = broadcast_strides(cx.operands[o]->dims, rank);
  for (double& value : result.data) {
    for (size_t o = 0; o < count; ++o)
      if (cx.operands[o]) x[o] = cx.operands[o]->data[offsets[o]];
    value = element(x);
    for (size_t k = rank; k-- > 0;) {
      const bool wraps = ++index[k] == result.dims[k];
      for (size_t o = 0; o < count; ++o)
        if (cx.operands[o]) offsets[o] += wraps ? -strides[o][k] * (result.dims[k] - 1) : strides[o][k];
      if (!wraps) break;
      index[k] = 0;
    }
  }
  return {std::move(result)};
}

void for_each_in_channel(const Tensor& x, int axis, const std::function<void(int64_t, int64_t)>& visit) {
  int64_t stride = row_major_strides(x.dims)[axis];
  for (int64_t position = 0; position < x.size(); ++position) visit(position, position / stride % x.dims[axis]);
}

int64_t elements_per_channel(const Tensor& x, int axis) { return x.size() / x.dims[axis]; }

Moments moments_of(const Tensor& x, int axis) {
  int64_t channels = x.dims[axis], stride = row_major_strides(x.dims)[axis];
  double m = static_cast<double>(elements_per_channel(x, axis));
  Moments moments{std::vector<double>(channels, 0), std::vector<double>(channels, 0)};
  // Sums of differences from the channel's first element: exact where all elements are equal.
  for_each_in_channel(x, axis, [&](int64_t p, int64_t c) { moments.mean[c] += x.data[p] - x.data[c * stride]; });
  for (int64_t c = 0; c < channels; ++c) moments.mean[c] = x.data[c * stride] + moments.mean[c] / m;
  for_each_in_channel(x, axis, [&](int64_t p, int64_t c) {
    double difference = x.data[p] - moments.mean[c];
    moments.variance[c] += difference * difference / m;
  });
  return moments;
}

double maximum(double a, double b) { return a < b || std::isnan(b) ? b : a; }

// --- lowering --------------------------------------------------------------------------------------------------

using loops::Expr;

Index broadcast_index(const Index& index, const Shape& shape) {
  Index result;
  size_t missing = index.size() - shape.size();
  for (size_t k = 0; k < shape.size(); ++k) result.push_back(shape[k].is_one() ? Expr(0) : index[missing + k]);
  return result;
}

Expr broadcast_operand(ElementContext& cx, int k, const Index& index) {
  return cx.operand(k, broadcast_index(index, cx.node.operands[k].type().shape));
}

Expr channel_operand(ElementContext& cx, int k, const Index& index, int axis) { return cx.operand(k, {index[axis]}); }

Expr channel_reciprocal_deviation(ElementContext& cx, int k, const Index& index, int axis) {
  Expr variance = channel_operand(cx, k, index, axis);
  return loops::unary(loops::UnaryOp::reciprocal_sqrt, variance + loops::real(cx.node.attribute("epsilon").number()));
}

Expr linear_index(ElementContext& cx, const Index& index, const Shape& shape) {
  Expr position(0);
  for (size_t k = 0; k < shape.size(); ++k) position = position * cx.extent(shape[k]) + index[k];
  return position;
}

Index reindex(ElementContext& cx, const Index& index, const Shape& from, const Shape& to) {
  size_t shorter = std::min(from.size(), to.size()), front = 0, back = 0;
  while (front < shorter && from[front] == to[front]) ++front;
  while (back < shorter - front && from[from.size() - 1 - back] == to[to.size() - 1 - back]) ++back;

  Index inner(index.begin() + front, index.end() - back);
  Expr position = linear_index(cx, inner, Shape(from.begin() + front, from.end() - back));
  Index result(to.size());
  std::copy_n(index.begin(), front, result.begin());
  std::copy_n(index.end() - back, back, result.end() - back);
  size_t outermost = front;  // of the dimensions between that are not 1; what is left over is its index
  while (outermost < to.size() - back && to[outermost].is_one()) ++outermost;
  for (size_t k = to.size() - back; k-- > front;) {
    if (to[k].is_one()) {
      result[k] = Expr(0);
    } else if (k == outermost) {
      result[k] = position;
    } else {
      result[k] = position % cx.extent(to[k]);
      position = position / cx.extent(to[k]);
    }
  }
  return result;
}

Expr clamp(Expr x, int64_t low, int64_t high) {
  return loops::binary(loops::BinaryOp::minimum, loops::binary(loops::BinaryOp::maximum, x, Expr(low)), Expr(high));
}

Expr reciprocal_channel_count(ElementContext& cx, int x, int axis) {
  const Shape& shape = cx.node.operands[x].type().shape;
  Expr count(1);
  for (int k : other_axes(static_cast<int>(shape.size()), axis)) count = count * cx.extent(shape[k]);
  return loops::real(1.0) / loops::cast(loops::Scalar::f32, count);
}

ElementLowering pointwise_lowering(std::function<Expr(const Node&, const std::vector<Expr>&)> element, int cost) {
  return {.element =
              [element](ElementContext& cx, const Index& index) {
                std::vector<Expr> x;
                for (size_t k = 0; k < cx.node.operands.size(); ++k) x.push_back(broadcast_operand(cx, static_cast<int>(k), index));
                return element(cx.node, x);
              },
          .pointwise = true,
          .cost = cost};
}

// --- gradients -------------------------------------------------------------------------------------------------

Value along_axis(GraphBuilder& builder, Value channels, int axis, int rank) {
  if (axis == rank - 1) return channels;
  Shape shape(rank - axis, Dim{});
  shape[0] = channels.type().shape[0];
  return builder.reshape(channels, shape);
}

Value as_matrix(GraphBuilder& builder, Value x) {
  const Shape& shape = x.type().shape;
  if (shape.size() == 2) return x;
  return builder.reshape(x, {*bnc::element_count(Shape(shape.begin(), shape.end() - 1)), shape.back()});
}

Value sum_to_channels(GraphBuilder& builder, Value x, int axis) {
  int rank = x.type().rank();
  if (rank == 1) return x;
  return builder.value("reduce_sum", {x}, {{"axes", to_attribute(other_axes(rank, axis))}});
}

Value reciprocal_deviation(GraphBuilder& builder, Value variance, double epsilon) {
  return builder.value("rsqrt", {builder.add(variance, builder.constant(epsilon))});
}

std::vector<Tensor> same_elements(const EvaluateContext& cx) {
  Tensor y = cx.result();
  y.data = cx.operand(0).data;
  return {y};
}

}  // namespace bnc::ops
