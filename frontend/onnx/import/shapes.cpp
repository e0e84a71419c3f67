#include "frontend/onnx/import/shapes.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/shape_limits.h"

namespace bnc::onnx {

Shape constant_shape(const std::vector<int64_t>& dims) {
  Shape shape;
  for (const int64_t dim : dims) shape.push_back({dim, false});
  return shape;
}

std::string show(const Shape& shape) { return to_string(shape); }

void check_rank(const OnnxNode& node, size_t rank) {
  if (rank > max_rank) node.fail(fmt::format("a tensor of {} dimensions; bnc takes at most {}", rank, max_rank));
}

void check_dims(const OnnxNode& node, const std::vector<int64_t>& dims, int64_t most) {
  check_rank(node, dims.size());
  int64_t count = 1;
  for (const int64_t dim : dims) {
    if (dim < 0) node.fail(fmt::format("a dimension of [{}] is negative", fmt::join(dims, ", ")));
    if (dim > 0 && count > most / dim) node.fail(fmt::format("[{}] has too many elements", fmt::join(dims, ", ")));
    count *= std::max<int64_t>(dim, 1);
  }
}

Dim times(const OnnxNode& node, const Dim& dim, int64_t factor) {
  Dim product = dim;
  if (__builtin_mul_overflow(dim.factor, factor, &product.factor) || product.factor > int64_t{1} << 62)
    node.fail(fmt::format("{} times {} is too large a dimension", to_string(dim), factor));
  return product;
}

int64_t axis_of(const OnnxNode& node, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank) node.fail(fmt::format("axis {} is not one of {} dimensions", axis, rank));
  return axis < 0 ? axis + rank : axis;
}

IntList axes_of(const OnnxNode& node, IntList axes, int64_t rank) {
  for (int64_t& axis : axes) axis = axis_of(node, axis, rank);
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) node.fail("an axis is named twice");
  return axes;
}

IntList permutation_of(const OnnxNode& node, int64_t rank) {
  IntList order;
  for (int64_t k = 0; k < rank; ++k) order.push_back(rank - 1 - k);
  const auto* given = node.find<std::vector<int64_t>>("perm");
  if (!given) return order;
  if (static_cast<int64_t>(given->size()) != rank || axes_of(node, *given, rank).size() != order.size())
    node.fail(fmt::format("perm [{}] does not go with {} dimensions", fmt::join(*given, ", "), rank));
  order = *given;
  for (int64_t& axis : order) axis = axis_of(node, axis, rank);
  return order;
}

int64_t flatten_axis(const OnnxNode& node, int64_t rank) {
  const int64_t axis = node.get<int64_t>("axis", 1);
  return axis == rank ? rank : axis_of(node, axis, std::max<int64_t>(1, rank));
}

Shape unsqueezed(const OnnxNode& node, const Shape& shape, const IntList& axes) {
  check_rank(node, shape.size() + axes.size());
  const int64_t rank = static_cast<int64_t>(shape.size() + axes.size());
  const IntList sorted = axes_of(node, axes, rank);
  Shape result = shape;
  for (const int64_t axis : sorted) result.insert(result.begin() + axis, Dim{});
  return result;
}

Shape squeezed(const OnnxNode& node, const Shape& shape, const std::optional<IntList>& axes) {
  const IntList sorted = axes ? axes_of(node, *axes, static_cast<int64_t>(shape.size())) : IntList{};
  Shape result;
  for (size_t k = 0; k < shape.size(); ++k) {
    const bool named = std::binary_search(sorted.begin(), sorted.end(), static_cast<int64_t>(k));
    if (named && !shape[k].is_one()) node.fail(fmt::format("dimension {} of {} is not 1", k, show(shape)));
    if (axes ? !named : !shape[k].is_one()) result.push_back(shape[k]);
  }
  return result;
}

Shape reshape_target(const OnnxNode& node, const Shape& from, const Known& target, int64_t frozen_batch) {
  Shape shape;
  std::optional<size_t> inferred;
  check_rank(node, target.numbers.size());
  for (size_t k = 0; k < target.numbers.size(); ++k) {
    const double number = target.numbers[k];
    if (number == -1 && !target.is_batch(k)) {
      if (inferred) node.fail("two dimensions of its shape are -1");
      inferred = k;
      shape.push_back({});
    } else if (number == 0 && node.get<int64_t>("allowzero", 0) == 0) {
      if (k >= from.size()) node.fail(fmt::format("dimension {} is to be kept, but {} has only {}", k, show(from), from.size()));
      shape.push_back(from[k]);
    } else {
      if (!(number >= 1 && number <= 0x1p62)) node.fail(fmt::format("{} is no dimension", number));
      shape.push_back({static_cast<int64_t>(number), target.is_batch(k)});
    }
  }
  const auto total = element_count(from);
  if (!total) node.fail(fmt::format("{} has too many elements", show(from)));
  const bool has_batch = std::any_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; });
  if (frozen_batch && total->batch && !has_batch && !shape.empty() && inferred != size_t{0} && shape[0].factor % frozen_batch == 0)
    shape[0] = {shape[0].factor / frozen_batch, true};
  const auto given = element_count(shape);
  const std::string complaint = fmt::format("{} elements do not fit its shape {}", show(from), show(shape));
  if (!given || (inferred && given->factor == 0)) node.fail(complaint);
  if (inferred) {
    if (total->factor % given->factor != 0 || (given->batch && !total->batch)) node.fail(complaint);
    shape[*inferred] = {total->factor / given->factor, total->batch && !given->batch};
  } else if (*given != *total) {
    node.fail(complaint);
  }
  return shape;
}

static SliceRange slice_range(const OnnxNode& node, const Shape& shape, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  const Dim& dim = shape[static_cast<size_t>(axis)];
  if (step == 0) node.fail("a step of 0");
  if (dim.batch) {
    if (begin == 0 && step == 1 && end >= (int64_t{1} << 31) - 1) return {axis, 0, 1, -1};   // all of it
    node.fail("it takes a part of the batch", "a network of bnc treats all examples of a batch alike");
  }
  const int64_t extent = dim.factor;
  if (extent == 0) return {axis, 0, 1, 0};
  step = std::clamp(step, -extent - 1, extent + 1);   // longer steps take one element too
  const auto clamped = [&](int64_t place, int64_t low, int64_t high) { return std::clamp(place < 0 ? place + extent : place, low, high); };
  if (step > 0) {
    begin = clamped(begin, 0, extent);
    end = clamped(end, 0, extent);
    return {axis, begin, step, end > begin ? (end - begin + step - 1) / step : 0};
  }
  begin = clamped(begin, 0, extent - 1);
  end = end < -extent ? -1 : clamped(end, -1, extent - 1);
  return {axis, begin, step, begin > end ? (begin - end - step - 1) / -step : 0};
}

std::vector<SliceRange> slice_ranges(const OnnxNode& node, const Shape& shape, const Known* starts, const Known* ends, const Known* axes,
                                     const Known* steps) {
  const auto begins = integers_of(node, "starts", starts), last = integers_of(node, "ends", ends);
  if (!begins || !last || begins->size() != last->size()) node.fail("its starts and ends are not known when compiling");
  IntList along = integers_of(node, "axes", axes).value_or(IntList{});
  if (!axes && !node.find<std::vector<int64_t>>("axes"))
    for (size_t k = 0; k < begins->size(); ++k) along.push_back(static_cast<int64_t>(k));
  const IntList step = integers_of(node, "steps", steps).value_or(IntList(begins->size(), 1));
  if (along.size() != begins->size() || step.size() != begins->size()) node.fail("its starts, ends, axes and steps differ in number");
  axes_of(node, along, static_cast<int64_t>(shape.size()));
  std::vector<SliceRange> ranges;
  for (size_t k = 0; k < along.size(); ++k) {
    const SliceRange range =
        slice_range(node, shape, axis_of(node, along[k], static_cast<int64_t>(shape.size())), (*begins)[k], (*last)[k], step[k]);
    if (range.count >= 0) ranges.push_back(range);
  }
  return ranges;
}

}  // namespace bnc::onnx
