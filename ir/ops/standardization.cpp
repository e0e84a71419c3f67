#include "ir/ops/standardization.h"

#include <algorithm>

namespace bnc::ops {
namespace {

// Builds the parts of a normalization out of plain ops. Built twice from the same x, they are the same nodes once equal expressions
// have been merged: so the gradient names what the forward pass computes.
class Standardization {
 public:
  Standardization(GraphBuilder& b, Node& node, const Population& population) : b_(b), x_(node.operands[0]), population_(population) {
    Value distance = x_, square, rest;
    if (population_.centered) {
      distance = b_.sub(x_, spread(mean(x_)));
      rest = mean(distance);   // what rounding left of the mean
      square = b_.sub(mean(b_.mul(distance, distance)), b_.mul(rest, rest));
      square = b_.value("relu", {square});   // where all elements are equal, of two equal numbers
      distance = b_.sub(distance, spread(rest));
    } else {
      square = mean(b_.mul(x_, x_));
    }
    scale_ = spread(reciprocal_deviation(b_, square, node.attribute("epsilon").number()));
    result_ = b_.mul(distance, scale_);
  }

  Value result() const { return result_; }

  struct Gradients {
    Value x, gamma, beta;
  };

  // dx = rsqrt(variance + epsilon)*(g - mean of g - y*(mean of g*y)) with g = dy*gamma, the means over each population;
  // dgamma = sum of dy*y, dbeta = sum of dy. Where gamma and beta have one number a channel, the sums of each channel serve all four.
  Gradients gradients(Value dy, Value gamma, Value beta) {
    const bool by_channel = population_.affine == std::vector{x_.type().rank() - 1};
    const Value scale = gamma ? along_x(gamma) : Value{};
    auto scaled = [&](Value value) { return scale ? b_.mul(value, scale) : value; };
    auto total = [&](Value value) { return spread(by_channel ? mean_of_last(scaled(value)) : mean(scaled(value))); };
    Value of_dy = dy, of_products = b_.mul(dy, result_);
    if (by_channel) std::tie(of_dy, of_products) = std::pair(mean_in_front(of_dy), mean_in_front(of_products));
    const Value centered = population_.centered ? b_.sub(scaled(dy), total(of_dy)) : scaled(dy);
    return {b_.mul(b_.sub(centered, b_.mul(result_, total(of_products))), scale_), parameter_gradient(of_products, gamma, by_channel),
            parameter_gradient(of_dy, beta, by_channel)};
  }

  // Gamma or beta, in a shape that broadcasts to that of x.
  Value along_x(Value parameter) {
    const Shape& shape = x_.type().shape;
    Shape broadcast(shape.size() - static_cast<size_t>(population_.affine.front()));
    for (int axis : population_.affine) broadcast[static_cast<size_t>(axis - population_.affine.front())] = shape[axis];
    return b_.reshape(parameter, broadcast);
  }

 private:
  // The gradient of gamma or beta, where there is one, from the terms of its sum or from their means along the axes in front.
  Value parameter_gradient(Value terms, Value parameter, bool means) {
    if (!parameter) return {};
    const Value sum = b_.reshape(b_.sum_to(terms, along_x(parameter).type()), parameter.type().shape);
    double count = 1;
    if (means)
      for (int axis : axes_in_front()) count *= static_cast<double>(x_.type().shape[axis].factor);
    return count == 1 ? sum : b_.scale(sum, count);
  }

  std::vector<int> axes_in_front() const {
    std::vector<int> axes = population_.axes;
    std::erase(axes, x_.type().rank() - 1);
    return axes;
  }

  Value reduce_mean(Value x, const std::vector<int>& axes, bool keep_dims) {
    return axes.empty() ? x : b_.value("reduce_mean", {x}, {{"axes", to_attribute(axes)}, {"keep_dims", keep_dims}});
  }

  // The mean over a population, whose axes are kept with 1 element, the last one with one element a group. The last axis comes after
  // the others: their sums run along it in vectors.
  Value mean(Value x) { return mean_of_last(mean_in_front(x)); }
  Value mean_in_front(Value x) { return reduce_mean(x, axes_in_front(), true); }
  Value mean_of_last(Value x) {
    const int last = x_.type().rank() - 1;
    if (axes_in_front().size() == population_.axes.size()) return x;
    if (population_.groups == 1) return reduce_mean(x, {last}, true);
    Shape grouped = x.type().shape;
    grouped.back() = Dim{population_.groups};
    grouped.push_back(Dim{x_.type().shape.back().factor / population_.groups});
    return reduce_mean(b_.reshape(x, grouped), {last + 1}, false);
  }

  // One number a population, for each of its elements (or so that it broadcasts to them).
  Value spread(Value statistic) {
    const int64_t groups = population_.groups;
    if (groups == 1) return statistic;
    Shape grouped = statistic.type().shape, whole = grouped;
    const Dim channels = x_.type().shape.back();
    grouped.push_back(Dim{});
    const Value split = b_.reshape(statistic, grouped);
    grouped.back() = Dim{channels.factor / groups};
    whole.back() = channels;
    return b_.reshape(b_.value("broadcast_to", {split}, {{"shape", grouped}}), whole);
  }

  GraphBuilder& b_;
  const Value x_;
  const Population& population_;
  Value scale_, result_;
};

Value parameter(const Node& node, size_t k) { return k < node.operands.size() ? node.operands[k] : Value{}; }

std::vector<Value> rewrite(GraphBuilder& b, Node& node, const Population& population) {
  Standardization parts(b, node, population);
  Value y = parts.result();
  if (const Value gamma = parameter(node, 1)) y = b.mul(y, parts.along_x(gamma));
  if (const Value beta = parameter(node, 2)) y = b.add(y, parts.along_x(beta));
  return {y};
}

std::vector<Value> gradients(GradientContext& cx, const Population& population) {
  GraphBuilder& b = cx.builder;
  Standardization parts(b, cx.node, population);
  const Value dy = cx.gradient(), gamma = parameter(cx.node, 1), beta = parameter(cx.node, 2);
  const auto [dx, d_gamma, d_beta] = parts.gradients(dy, gamma, beta);
  std::vector<Value> result = {dx, d_gamma, d_beta};
  result.resize(cx.node.operands.size());
  return result;
}

std::vector<Tensor> evaluate(const EvaluateContext& cx, const Population& population) {
  Tensor y = cx.operand(0);
  const int last = static_cast<int>(y.dims.size()) - 1;
  std::vector<int64_t> kept = y.dims, affine(y.dims.size(), 1);
  for (int axis : population.axes) kept[axis] = axis == last ? population.groups : 1;
  for (int axis : population.affine) affine[axis] = y.dims[axis];
  const int64_t group_size = y.dims.empty() ? 1 : y.dims[last] / kept[last];
  // Calls visit(element, its population).
  auto each = [&](const std::function<void(int64_t, int64_t, const std::vector<int64_t>&)>& visit) {
    for_each_index(y.dims, [&](std::vector<int64_t> index, int64_t p) {
      const std::vector<int64_t> element = index;
      if (last >= 0 && kept[last] > 1) index[last] /= group_size;
      visit(p, broadcast_position(index, kept), element);
    });
  };
  std::vector<double> mean(bnc::element_count(kept), 0), square(mean.size(), 0), pivot(mean.size(), NAN);
  const double m = static_cast<double>(y.size()) / static_cast<double>(mean.size());
  if (population.centered) {
    each([&](int64_t p, int64_t g, const auto&) {
      if (std::isnan(pivot[g])) pivot[g] = y.data[p];
      mean[g] += (y.data[p] - pivot[g]) / m;
    });
    each([&](int64_t p, int64_t g, const auto&) { y.data[p] = y.data[p] - pivot[g] - mean[g]; });
  }
  each([&](int64_t p, int64_t g, const auto&) { square[g] += y.data[p] * y.data[p] / m; });
  each([&](int64_t p, int64_t g, const std::vector<int64_t>& index) {
    y.data[p] /= std::sqrt(square[g] + cx.node.attribute("epsilon").number());
    const int64_t channel = broadcast_position(index, affine);
    if (cx.has(1)) y.data[p] *= cx.operand(1).data[channel];
    if (cx.has(2)) y.data[p] += cx.operand(2).data[channel];
  });
  return {y};
}

}  // namespace

OperandSpec affine_parameter(const char* name, const char* doc, const char* initializer,
                             std::function<std::vector<int>(const InferContext&)> axes) {
  auto type = [axes](const InferContext& cx) {
    TensorType result;
    for (int axis : axes(cx)) result.shape.push_back(cx.type(0).shape[axis]);
    return result;
  };
  return {.name = name, .doc = doc, .optional = true, .parameter = ParameterRule{.type = type, .initializer = {initializer, {}}}};
}

void check_affine(const InferContext& cx, int constraint, const std::vector<int>& axes) {
  TensorType wanted;
  for (int axis : axes) wanted.shape.push_back(cx.type(0).shape[axis]);
  for (int k = 1; k < static_cast<int>(cx.operands.size()); ++k)
    if (cx.has(k) && cx.type(k) != wanted)
      fail(cx, constraint,
           fmt::format("`{}` beside {} must be {}, got {}", cx.op.operands[k].name, cx.show(cx.type(0)), cx.show(wanted),
                       cx.show(cx.type(k))));
}

OpDefinition standardizing(OpDefinition op, PopulationOf population) {
  op.category = OpCategory::normalization;
  op.results = {{"y", "the type of `x`"}};
  op.gradient = [population](GradientContext& cx) { return gradients(cx, population(cx.node)); };
  op.evaluate = [population](const EvaluateContext& cx) { return evaluate(cx, population(cx.node)); };
  op.lowering = DecomposeLowering{[population](GraphBuilder& b, Node& node) { return rewrite(b, node, population(node)); }};
  return op;
}

}  // namespace bnc::ops
