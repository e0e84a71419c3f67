#include "passes/schedule/kernel_plan.h"

#include <algorithm>

#include "ir/integers.h"
#include "passes/lower/contraction.h"
#include "passes/schedule/cost.h"

namespace bnc {
namespace {

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

// The longest leading part that two shapes have in common. Its last dimension may be a part of one of theirs: the lines of
// a pooled image are blocks of lines of the whole one.
Shape common_units(const Shape& a, const Shape& b) {
  Shape common;
  for (size_t d = 0; d < std::min(a.size(), b.size()); ++d) {
    const Dim &small = a[d].factor < b[d].factor ? a[d] : b[d], &large = a[d].factor < b[d].factor ? b[d] : a[d];
    if (small.batch != large.batch || large.factor % small.factor != 0) return common;
    common.push_back(small);
    if (small != large) return common;
  }
  return common;
}

bool has_batch(const Shape& shape) {
  return std::any_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; });
}

}  // namespace

bool is_scalar_element(const Node& node) { return node.results[0].type.shape.empty() && node.op->lowering_as<ElementLowering>(); }

bool reduces_rows(const Node& node) {
  const auto* reduce = node.op->lowering_as<ReduceLowering>();
  const Shape& space = iteration_shape(node);
  if (!reduce || reduce->kind == ReduceLowering::Kind::first_maximum) return false;
  return space.size() >= 2 && spans(reduce->axes(node), 0, space.size() - 1);
}

bool has_many_rows(const Node& node, std::optional<int64_t> batch) {
  const Shape& space = iteration_shape(node);
  if (node.op->lowering_as<ElementLowering>()) return space.size() > 2 && space.front().batch;
  if (node.op->lowering_as<ContractLowering>()) return lower::is_row_contraction(node, batch);
  if (!reduces_rows(node)) return false;
  const Shape rows = row_dims(space);
  const bool known = batch || !has_batch(space);   // partial results lie in buffers of a known size
  return known && (rows.size() > 1 || elements(rows, batch.value_or(1)) >= static_cast<double>(cost::many_rows));
}

double work_of(const Node& node, std::optional<int64_t> fixed_batch) {
  const int64_t batch = fixed_batch.value_or(cost::nominal_batch);
  const double space = elements(iteration_shape(node), batch);
  if (const auto* element = node.op->lowering_as<ElementLowering>()) return space * element->cost;
  if (const auto* reduce = node.op->lowering_as<ReduceLowering>()) return space * (reduce->kind == ReduceLowering::Kind::moments ? 5 : 1);
  double work = 0;
  if (const auto* contract = node.op->lowering_as<ContractLowering>()) {
    for (const auto& part : contract->parts(node)) work += 2 * elements(part.space, batch) * elements(part.reduction, batch);
  }
  return work;
}

bool KernelPlan::reads_member_as(const Node& node, size_t k) const {
  const Node* operand = node.operands[k].node;
  if (!operand || !accesses_.of(node, static_cast<int>(k)).reads) return false;
  return members_.count(operand) || (rides_(operand) && reads_member(*operand));
}

bool KernelPlan::reads_member(const Node& node) const {
  for (size_t k = 0; k < node.operands.size(); ++k) {
    if (reads_member_as(node, k)) return true;
  }
  return false;
}

void KernelPlan::each_inner_access(const Node& node, const std::function<void(const Node&, const Access&)>& visit) const {
  for (size_t k = 0; k < node.operands.size(); ++k) {
    const Node* operand = node.operands[k].node;
    if (!operand) continue;
    const bool member = members_.count(operand) != 0, rider = !member && rides_(operand) && reads_member(*operand);
    const Access& access = accesses_.of(node, static_cast<int>(k));
    if (!access.reads || !(member || rider)) continue;
    visit(*operand, access);
    if (rider) each_inner_access(*operand, visit);
  }
}

bool KernelPlan::columns_allow(const Node& node) const {
  const Shape& space = iteration_shape(node);
  const Dim columns = last_dim(space);
  if (space.empty() || columns.batch || (shaped_ && columns != columns_)) return false;
  // Columns that come from several places are copied by whole rows.
  if (const auto* element = node.op->lowering_as<ElementLowering>(); element && element->breaks && !element->breaks(node).empty())
    return false;
  // A reduction must keep the columns.
  if (const auto* reduce = node.op->lowering_as<ReduceLowering>()) {
    const auto axes = reduce->axes(node);
    if (axes.empty() || !spans(axes, axes.front(), space.size() - 1)) return false;
  }
  bool aligned = true;
  each_inner_access(node, [&](const Node&, const Access& access) { aligned = aligned && access.same_column; });
  return aligned;
}

// The leading dimensions by which the kernel can be split with `node` in it; none where it cannot.
Shape KernelPlan::units_with(const Node& node) const {
  const Shape& space = iteration_shape(node);
  // A vector over anything but the batch is a vector of channels.
  if (space.empty() || (space.size() == 1 && !space[0].batch)) return {};
  Shape units = shaped_ ? common_units(units_, row_dims(space)) : row_dims(space);
  if (const auto* reduce = node.op->lowering_as<ReduceLowering>(); reduce && !(reduces_rows(node) && has_many_rows(node, batch_))) {
    const auto axes = reduce->axes(node);
    if (axes.empty() || axes.front() == 0 || reduce->kind == ReduceLowering::Kind::moments) return {};
    const bool keeps_columns = spans(axes, axes.front(), space.size() - 1), keeps_rows = spans(axes, axes.front(), space.size());
    if (!keeps_columns && !keeps_rows) return {};
    units.resize(std::min(units.size(), static_cast<size_t>(axes.front())));
  }
  each_inner_access(node, [&](const Node& read, const Access& access) {
    const size_t own = static_cast<size_t>(access.leading) + (access.blocked ? 1 : 0);
    units.resize(reduces_rows(read) ? 0 : std::min(units.size(), own));
  });
  // Of an unknown batch a unit has a number of rows that is known: all stages are split along the batch, or none is.
  const bool split = has_batch(units);
  if (!batch_ && (split != has_batch(row_dims(space)) || (shaped_ && split != has_batch(units_)))) return {};
  return units;
}

// Whether units so large would leave threads idle, or what a task hands on would not stay in its cache.
bool KernelPlan::too_coarse(const Shape& units, const Node& node) const {
  const double count = elements(units, batch_.value_or(1));
  if (const bool contracts = node.op->lowering_as<ContractLowering>() != nullptr; contracts && has_many_rows(node, batch_)) {
    // A task copies what it reads, of whole images for example.
    const bool several_rows = units.size() < row_dims(iteration_shape(node)).size();
    return (shaped_ && units != units_) ||
           (several_rows && elements(node.operands[0].type().shape, batch_.value_or(1)) > cost::most_unit_elements * count);
  }
  if (!shaped_ || units == units_ || (units_.size() == 1 && row_dims(iteration_shape(node)).size() == 1)) return false;
  // What batched products hand to one another stays in the cache while a task owns rows of few of them.
  if (batched_ || node.op->lowering_as<ContractLowering>()) return true;
  const double now = elements(units_, batch_.value_or(1));
  const double rows = elements(row_dims(iteration_shape(*nodes_.front())), batch_.value_or(1));
  return (count < cost::few_units && now > count) || rows / count > cost::most_unit_rows;
}

bool KernelPlan::fits(const Node& node, double work, bool* narrows) const {
  if (empty()) return true;
  const Shape units = by_rows_ ? units_with(node) : Shape{};
  const bool columns = by_columns_ && columns_allow(node), rows = !units.empty() && !too_coarse(units, node);
  // A contraction over many rows decides how its kernel is split: by rows, and there is no other one.
  const bool contracts = node.op->lowering_as<ContractLowering>() != nullptr, over_rows = contracts && has_many_rows(node, batch_);
  // Its right operand, unless it has the batch inside, is packed by a kernel in front of this one.
  if (over_rows && !node.operands[1].type().shape.front().batch && reads_member_as(node, 1)) return false;
  if ((contracts_rows_ && contracts) || (over_rows && contracts_) || ((contracts_rows_ || over_rows) && !rows)) return false;
  *narrows = (by_columns_ && !columns) || (by_rows_ && !rows) || (rows && shaped_ && units != units_);
  if (!rows && (many_rows_ || has_many_rows(node, batch_))) return false;
  // A product that could be split both ways stays out of a kernel where panels of columns would leave a thread idle.
  if (columns && !rows && contracts && idle_work(node) > cost::barrier_work) return false;
  // Nor does one come into a kernel of a single row, which is a single task: by itself it is split by panels.
  if (rows && !columns && contracts && batch_ && elements(units, *batch_) == 1 && work / 2 - idle_work(node) > cost::barrier_work)
    return false;
  return columns || rows || work_ + work <= cost::small_work;
}

void KernelPlan::add(Node* node) {
  by_columns_ = by_columns_ && columns_allow(*node);
  const Shape& space = iteration_shape(*node);
  if (by_rows_) {
    const Shape units = units_with(*node);
    by_rows_ = !units.empty();
    if (by_rows_) units_ = units;
  }
  if (!shaped_ && !space.empty()) {
    columns_ = last_dim(space);
    shaped_ = true;
  }
  nodes_.push_back(node);
  members_.insert(node);
  const bool many_rows = has_many_rows(*node, batch_), contracts = node->op->lowering_as<ContractLowering>() != nullptr;
  many_rows_ = many_rows_ || many_rows;
  contracts_ = contracts_ || contracts;
  batched_ = batched_ || lower::is_batched_product(*node);
  contracts_rows_ = contracts_rows_ || (contracts && many_rows);
  work_ += work_of(*node, batch_);
}

// What one of two threads does alone when the panels of columns do not divide evenly.
double KernelPlan::idle_work(const Node& contraction) const {
  const int64_t columns = last_dim(iteration_shape(contraction)).at(batch_.value_or(cost::nominal_batch)),
                vectors = divide_up(columns, lanes_);
  return work_of(contraction, batch_) * (static_cast<double>((vectors + 1) / 2) / static_cast<double>(vectors) - 0.5);
}

bool KernelPlan::feeds(const Node& node) const {
  return std::any_of(node.operands.begin(), node.operands.end(), [&](Value operand) {
    return operand && (members_.count(operand.node) || (!is_scalar_element(*operand.node) && rides_(operand.node) && feeds(*operand.node)));
  });
}

bool KernelPlan::stays_in_task(const Access& access) const {
  if (!access.reads || (!by_columns_ && !by_rows_)) return true;
  const bool same_units = static_cast<size_t>(access.leading) + (access.blocked ? 1 : 0) >= units_.size();
  return (!by_columns_ || access.same_column) && (!by_rows_ || same_units);
}

Partition KernelPlan::partition() const {
  if ((!by_columns_ && !by_rows_) || work_ <= cost::single_work) return Partition::single;
  if (by_columns_ && by_rows_) return many_rows_ && !contracts_ ? Partition::rows : Partition::tiles;
  return by_columns_ ? Partition::columns : Partition::rows;
}

}  // namespace bnc
