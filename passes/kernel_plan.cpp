#include "passes/kernel_plan.h"

#include <algorithm>

namespace bnc {
namespace {

constexpr double small_work = 4e5;     // operations that one task does about as fast as several tasks and their barrier
constexpr double barrier_work = 2e5;   // operations in the time that a barrier takes
constexpr int64_t nominal_batch = 32;  // stands in for a batch size that is not known

double elements(const Shape& shape, int64_t batch) {
  double count = 1;
  for (const Dim& dim : shape) count *= static_cast<double>(dim.at(batch));
  return count;
}

// Whether `axes` are exactly first, first + 1, ... end - 1.
bool spans(const std::vector<int>& axes, int first, size_t end) {
  if (axes.size() + static_cast<size_t>(first) != end) return false;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i] != first + static_cast<int>(i)) return false;
  }
  return true;
}

}  // namespace

bool is_scalar_element(const Node& node) { return node.results[0].type.shape.empty() && node.op->lowering_as<ElementLowering>(); }

bool is_tall_reduction(const Node& node, std::optional<int64_t> batch) {
  constexpr double tall = 4096;
  const auto* reduce = node.op->lowering_as<ReduceLowering>();
  const Shape& space = iteration_shape(node);
  if (!reduce || space.size() < 2 || !spans(reduce->axes(node), 0, space.size() - 1)) return false;
  const bool known = batch || std::none_of(space.begin(), space.end(), [](const Dim& dim) { return dim.batch; });
  return known && elements(Shape(space.begin(), space.end() - 1), batch.value_or(1)) >= tall;
}

double work_of(const Node& node, std::optional<int64_t> fixed_batch) {
  const int64_t batch = fixed_batch.value_or(nominal_batch);
  const double space = elements(iteration_shape(node), batch);
  if (const auto* element = node.op->lowering_as<ElementLowering>()) return space * element->cost;
  if (const auto* reduce = node.op->lowering_as<ReduceLowering>()) return space * (reduce->kind == ReduceLowering::Kind::moments ? 5 : 1);
  double work = 0;
  if (const auto* contract = node.op->lowering_as<ContractLowering>()) {
    for (const auto& part : contract->parts(node)) work += 2 * elements(part.space, batch) * elements(part.reduction, batch);
  }
  return work;
}

bool KernelPlan::operands_aligned(const Node& node, bool Access::*aligned) const {
  for (size_t k = 0; k < node.operands.size(); ++k) {
    const Value operand = node.operands[k];
    if (!operand) continue;
    if (is_scalar_element(*operand.node) ? reads_member(*operand.node) : members_.count(operand.node) != 0) {
      const Access access = access_of(node, static_cast<int>(k));
      if (access.reads && !(access.*aligned)) return false;
    }
  }
  return true;
}

bool KernelPlan::reads_member(const Node& scalar) const {
  for (size_t k = 0; k < scalar.operands.size(); ++k) {
    const Value operand = scalar.operands[k];
    if (!operand || !access_of(scalar, static_cast<int>(k)).reads) continue;
    if (is_scalar_element(*operand.node) ? reads_member(*operand.node) : members_.count(operand.node) != 0) return true;
  }
  return false;
}

bool KernelPlan::columns_allow(const Node& node) const {
  const Shape& space = iteration_shape(node);
  const Dim columns = last_dim(space);
  if (space.empty() || columns.batch || (shaped_ && columns != columns_)) return false;
  // A reduction must run over all dimensions but the columns.
  if (const auto* reduce = node.op->lowering_as<ReduceLowering>(); reduce && !spans(reduce->axes(node), 0, space.size() - 1)) return false;
  return operands_aligned(node, &Access::same_column);
}

bool KernelPlan::rows_allow(const Node& node) const {
  const Shape& space = iteration_shape(node);
  // A vector over anything but the batch is a vector of channels.
  if (space.empty() || (space.size() == 1 && !space[0].batch) || (shaped_ && leading_dim(space) != rows_)) return false;
  if (const auto* reduce = node.op->lowering_as<ReduceLowering>()) {
    const auto axes = reduce->axes(node);
    if (axes.empty() || axes.front() == 0 || reduce->kind == ReduceLowering::Kind::moments || !spans(axes, axes.front(), space.size())) return false;
  }
  return operands_aligned(node, &Access::same_row);
}

bool KernelPlan::fits(const Node& node, bool* narrows) const {
  if (empty()) return true;
  const Node& head = *nodes_.front();
  if (is_tall_reduction(node, batch_) || is_tall_reduction(head, batch_)) {
    if (narrows) *narrows = false;
    return is_tall_reduction(node, batch_) && is_tall_reduction(head, batch_) && iteration_shape(node) == iteration_shape(head);
  }
  const bool columns = by_columns_ && columns_allow(node), rows = by_rows_ && rows_allow(node);
  // A product that could be split both ways stays out of a kernel where panels of columns would leave a thread idle.
  if (columns && !rows && node.op->lowering_as<ContractLowering>() && idle_work(node) > barrier_work) return false;
  if (narrows) *narrows = (by_columns_ && !columns) || (by_rows_ && !rows);
  return columns || rows || work_ + work_of(node, batch_) <= small_work;
}

void KernelPlan::add(Node* node) {
  by_columns_ = by_columns_ && columns_allow(*node);
  by_rows_ = by_rows_ && rows_allow(*node);
  const Shape& space = iteration_shape(*node);
  if (!shaped_ && !space.empty()) {
    columns_ = last_dim(space);
    rows_ = leading_dim(space);
    shaped_ = true;
  }
  nodes_.push_back(node);
  members_.insert(node);
  work_ += work_of(*node, batch_);
}

// What one of two threads does alone when the panels of columns do not divide evenly.
double KernelPlan::idle_work(const Node& contraction) const {
  const int64_t columns = last_dim(iteration_shape(contraction)).at(batch_.value_or(nominal_batch)), vectors = (columns + lanes_ - 1) / lanes_;
  return work_of(contraction, batch_) * (static_cast<double>((vectors + 1) / 2) / static_cast<double>(vectors) - 0.5);
}

bool KernelPlan::feeds(const Node& node) const {
  for (Value operand : node.operands) {
    if (operand && members_.count(operand.node)) return true;
  }
  return false;
}

bool KernelPlan::stays_in_task(const Access& access) const {
  if (!access.reads || (!by_columns_ && !by_rows_)) return true;
  return (!by_columns_ || access.same_column) && (!by_rows_ || access.same_row);
}

Partition KernelPlan::partition() const {
  if ((!by_columns_ && !by_rows_) || work_ <= small_work / 4) return Partition::single;
  if (by_columns_ && by_rows_) return Partition::tiles;
  return by_columns_ ? Partition::columns : Partition::rows;
}

}  // namespace bnc
