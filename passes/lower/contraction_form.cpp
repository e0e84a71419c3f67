#include "passes/lower/contraction_form.h"

#include <algorithm>

namespace bnc::lower {
namespace {

std::vector<int64_t> at_constants(const std::function<Index(const Index&, const Index&)>& function, const std::vector<int64_t>& i,
                                  const std::vector<int64_t>& k) {
  std::vector<int64_t> result;
  for (const Expr& x : function(Index(i.begin(), i.end()), Index(k.begin(), k.end()))) {
    const auto number = loops::as_integer(x);
    BNC_CHECK(number, "an index of a contraction that is not affine");
    result.push_back(*number);
  }
  return result;
}

// The coefficients, found at unit vectors.
AffineIndex probe(const std::function<Index(const Index&, const Index&)>& function, size_t space, size_t reduction) {
  std::vector<int64_t> i(space, 0), k(reduction, 0);
  AffineIndex affine;
  affine.offset = at_constants(function, i, k);
  const size_t rank = affine.offset.size();
  affine.space.assign(rank, std::vector<int64_t>(space));
  affine.reduction.assign(rank, std::vector<int64_t>(reduction));
  for (size_t j = 0; j < space + reduction; ++j) {
    int64_t& unit = j < space ? i[j] : k[j - space];
    unit = 1;
    const auto index = at_constants(function, i, k);
    unit = 0;
    for (size_t d = 0; d < rank; ++d) (j < space ? affine.space[d][j] : affine.reduction[d][j - space]) = index[d] - affine.offset[d];
  }
  return affine;
}

void turn_around(AffineIndex& index, size_t j, int64_t extent) {
  for (size_t d = 0; d < index.offset.size(); ++d) {
    index.offset[d] += index.reduction[d][j] * (extent - 1);
    index.reduction[d][j] = -index.reduction[d][j];
  }
}

int64_t dot(const std::vector<int64_t>& strides, const std::function<int64_t(size_t)>& coefficient) {
  int64_t sum = 0;
  for (size_t d = 0; d < strides.size(); ++d) sum += strides[d] * coefficient(d);
  return sum;
}

bool is_view(const Node& node) { return node.is("reshape") || node.is("flatten"); }

}  // namespace

int64_t AffineIndex::flat_offset(const std::vector<int64_t>& strides) const { return dot(strides, [&](size_t d) { return offset[d]; }); }
int64_t AffineIndex::flat_space(const std::vector<int64_t>& strides, size_t j) const {
  return dot(strides, [&](size_t d) { return space[d][j]; });
}
int64_t AffineIndex::flat_reduction(const std::vector<int64_t>& strides, size_t j) const {
  return dot(strides, [&](size_t d) { return reduction[d][j]; });
}

bool FormPart::is_group(size_t j) const {
  return j != columns() && std::any_of(right.space.begin(), right.space.end(), [&](const auto& slopes) { return slopes[j] != 0; });
}

bool FormPart::left_has_columns() const {
  return std::any_of(left.space.begin(), left.space.end(), [&](const auto& slopes) { return slopes[columns()] != 0; });
}

bool FormPart::empty() const {
  return std::any_of(reduction.begin(), reduction.end(), [](const Dim& dim) { return dim.factor == 0; });
}

int64_t ContractionForm::groups(size_t part) const {
  int64_t count = 1;
  for (size_t j = 0; j < parts[part].space.size(); ++j) {
    if (parts[part].is_group(j)) count *= parts[part].space[j].factor;
  }
  return count;
}

bool ContractionForm::reads_outside(const Lowering& lowering) const {
  if (!zero_outside) return false;
  auto most = [&](const Dim& dim) { return lowering.fixed(dim).value_or(dim.factor) - 1; };
  for (const FormPart& part : parts) {
    if (part.empty()) continue;
    for (size_t d = 0; d < left.size(); ++d) {
      if (left[d].batch) continue;
      int64_t last = part.left.offset[d];
      for (size_t j = 0; j < part.space.size(); ++j) last += part.left.space[d][j] * most(part.space[j]);
      for (size_t j = 0; j < part.reduction.size(); ++j) last += part.left.reduction[d][j] * most(part.reduction[j]);
      if (part.left.offset[d] < 0 || last >= left[d].factor) return true;
    }
  }
  return false;
}

bool ContractionForm::conflicting_rows(const TargetDescription& target) const {
  const FormPart& part = parts.front();
  if (part.columns() == 0) return false;
  const int64_t stride = part.left.flat_space(row_major(left), part.columns() - 1);
  return stride > 1 && target.is_conflicting_stride(stride);
}

ContractionForm form_of(const Node& node) {
  const auto& contract = *node.op->lowering_as<ContractLowering>();
  ContractionForm form;
  form.left = node.operands[0].type().shape;
  form.right = node.operands[1].type().shape;
  form.result = node.results[0].type.shape;
  form.zero_outside = contract.zero_outside;
  for (const ContractLowering::Part& part : contract.parts(node)) {
    const size_t space = part.space.size(), reduction = part.reduction.size();
    FormPart result{part.space, part.reduction, {}, probe(part.left, space, reduction), probe(part.right, space, reduction)};
    result.result = probe([&](const Index& i, const Index&) { return part.result(i); }, space, reduction);
    for (size_t j = 0; j < reduction; ++j) {
      const bool backwards = std::any_of(result.left.reduction.begin(), result.left.reduction.end(),
                                         [&](const auto& slopes) { return slopes[j] < 0; });
      if (!backwards || part.reduction[j].factor == 0) continue;
      turn_around(result.left, j, part.reduction[j].factor);
      turn_around(result.right, j, part.reduction[j].factor);
    }
    form.parts.push_back(std::move(result));
  }
  return form;
}

std::vector<int64_t> row_major(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) {
    BNC_CHECK(!shape[d].batch || d == 0, "an operand with the batch inside");
    strides[d - 1] = strides[d] * shape[d].factor;
  }
  return strides;
}

Value viewed(const Lowering& lowering, Value value) {
  while (lowering.inlined.count(value.node) && is_view(*value.node) && value.node->operands[0].type().rank() >= 2 &&
         last_dim(value.node->operands[0].type().shape) == last_dim(value.type().shape)) {
    value = value.node->operands[0];
  }
  return value;
}

bool is_batched_product(const Node& node) {
  if (!node.is("matmul")) return false;
  return node.operands[1].type().rank() > 2 || (node.operands[0].type().rank() > 2 && node.attribute("transpose_left").boolean());
}

bool is_row_contraction(const Node& node, std::optional<int64_t> batch) {
  if (!node.op->lowering_as<ContractLowering>()) return false;
  const Shape& result = node.results[0].type.shape;
  if (!node.is("matmul")) return true;
  if (is_batched_product(node)) return false;
  for (const Value& operand : node.operands) {
    for (size_t d = 1; d < operand.type().shape.size(); ++d) {
      if (operand.type().shape[d].batch) return false;
    }
  }
  if (result.back().batch) return false;
  auto count = [&](const Shape& shape) {
    int64_t product = 1;
    for (const Dim& dim : shape) product *= dim.batch ? dim.at(batch.value_or(1)) : dim.factor;
    return product;
  };
  auto an_example = [](const Shape& shape) {
    int64_t product = 1;
    for (const Dim& dim : shape) product *= dim.factor;
    return product;
  };
  const Shape rows(result.begin(), result.end() - 1);
  const Dim depth = node.attribute("transpose_left").boolean() ? node.operands[0].type().shape[0] : last_dim(node.operands[0].type().shape);
  if (rows.front().batch && (an_example(rows) >= cost::least_example_rows || count(rows) >= cost::many_rows)) return true;
  return depth.batch && node.operands[1].type().shape.front().batch &&
         (depth.factor >= cost::least_example_rows || count({depth}) >= cost::many_rows);
}

bool operands_read_flat_rows(const Lowering& lowering, const Node& node) {
  if (lowering.sliced.count(&node)) return true;
  // What is no map may ask where an element stands (pad, concat), even if all it reads is one number.
  if (const auto* map = node.op->lowering_as<ElementLowering>(); map && !map->pointwise) return false;
  const Shape& space = node.results[0].type.shape;
  for (size_t k = 0; k < node.operands.size(); ++k) {
    const Value operand = node.operands[k];
    if (!operand) continue;
    const Access access = access_of(node, static_cast<int>(k));
    if (!access.reads) continue;
    const Shape& shape = operand.type().shape;
    const bool a_number_a_column = std::all_of(shape.begin(), shape.empty() ? shape.end() : shape.end() - 1,
                                               [](const Dim& dim) { return dim.is_one(); });
    if (!access.pointwise || (shape != space && !a_number_a_column)) return false;
    if (shape == space && !reads_flat_rows(lowering, operand)) return false;
  }
  return true;
}

bool is_stored(const Lowering& lowering, Value viewed) { return !lowering.inlined.count(viewed.node) && !viewed.node->is("constant"); }

bool reads_flat_rows(const Lowering& lowering, Value value) {
  return !lowering.inlined.count(value.node) || operands_read_flat_rows(lowering, *value.node);
}

Index flat_index(const Lowering& lowering, const Shape& shape, bool flat, Expr row, Expr column) {
  if (!flat || shape.size() < 3) return index_at(lowering, shape, std::move(row), std::move(column));
  Index index(shape.size(), Expr(0));
  size_t d = shape.size() - 2;
  while (d > 0 && shape[d].is_one()) --d;   // where there is one element it is read at 0
  index[d] = std::move(row);
  index.back() = std::move(column);
  return index;
}

}  // namespace bnc::lower
