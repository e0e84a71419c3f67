#include "ir/ops/statistics.h"

#include <algorithm>

#include "ir/ops/common.h"

namespace bnc::ops {

namespace {

// The axes of x along which a statistic is taken, before groups divide the last one.
std::vector<int> axes_of_statistic(const OpDefinition& op, int rank, const AttributeMap& attributes) {
  const auto from_end = [rank](int64_t axis) { return static_cast<int>(axis < 0 ? axis + rank : axis); };
  if (op.name == "batch_norm") return other_axes(rank, from_end(attributes.at("axis").integer()));
  std::vector<int> axes;
  if (const auto given = attributes.find("axes"); given != attributes.end())
    for (const int64_t axis : given->second.integers()) axes.push_back(from_end(axis));
  else
    for (int axis = 1; axis < (op.name == "instance_norm" ? rank - 1 : rank); ++axis) axes.push_back(axis);
  return axes.empty() && attributes.count("axes") ? other_axes(rank, -1) : axes;
}

}  // namespace

AttributeSpec allow_single_attribute() {
  return {.name = "allow_single",
          .kind = AttributeKind::boolean,
          .fallback = false,
          .doc = "accept statistics of a single element each, which make the result a constant (bn-one)"};
}

std::string single_element_constraint() { return "each statistic is of more than one element, or `allow_single` is true (bn-one)"; }

std::optional<Dim> elements_a_statistic(const OpDefinition& op, const Shape& x, const AttributeMap& attributes) {
  if (!op.attribute("allow_single")) return std::nullopt;
  if (op.name == "batch_norm" && attributes.at("mode").symbol().name != "train") return std::nullopt;
  Shape together;
  for (const int axis : axes_of_statistic(op, static_cast<int>(x.size()), attributes)) together.push_back(x[axis]);
  if (const auto groups = attributes.find("groups"); groups != attributes.end()) together.back().factor /= groups->second.integer();
  return element_count(together);
}

void refuse_single_element(const InferContext& cx, int constraint) {
  if (cx.attribute("allow_single").boolean()) return;
  const std::optional<Dim> elements = elements_a_statistic(cx.op, cx.type(0).shape, cx.attributes);
  if (!elements || !elements->is_one()) return;
  fail(cx, constraint, fmt::format("each statistic would be of a single element of {}, and the result a constant", cx.show(cx.type(0))),
       "normalize over more elements, or write allow_single=true");
}

}  // namespace bnc::ops
