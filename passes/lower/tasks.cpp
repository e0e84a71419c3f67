#include "passes/lower/tasks.h"

#include "ir/integers.h"

#include <algorithm>

namespace bnc::lower {
namespace {

// The work of a stage's contraction at a nominal batch size.
double work_of_stage(const Stage& stage) { return stage.kind == Stage::Kind::contract ? work_of(*stage.roots.front(), 32) : 0; }

class TaskChooser {
 public:
  TaskChooser(Lowering& lowering, const FusedKernel& kernel) : lowering_(lowering), kernel_(kernel), partition_(kernel.plan.partition()) {}

  Tasks run() {
    tasks_.by_columns = partition_ == Partition::columns || partition_ == Partition::tiles;
    tasks_.by_rows = partition_ == Partition::rows || partition_ == Partition::tiles;
    tasks_.units = *element_count(kernel_.plan.units());
    if (tasks_.by_columns) tasks_.columns = *lowering_.fixed(kernel_.plan.column_extent());
    for (const Stage& stage : kernel_.stages) {
      if (is_planned(stage))
        tasks_.plans.emplace(&stage,
                             plan_contraction(lowering_, *stage.roots.front(), unit_rows(stage), tasks_.by_columns, stands_alone(stage)));
    }
    if (tasks_.plans.empty()) choose_panels();
    else follow_plan(*tasks_.plans.begin()->first, tasks_.plans.begin()->second);
    return std::move(tasks_);
  }

 private:
  bool is_planned(const Stage& stage) const {
    return stage.kind == Stage::Kind::contract && is_row_contraction(*stage.roots.front(), lowering_.context.batch);
  }

  // What it reads, other kernels have finished: slices of its sums are a kernel in front of this one, and a task may read ahead.
  bool stands_alone(const Stage& stage) const {
    const auto contractions = std::count_if(kernel_.stages.begin(), kernel_.stages.end(),
                                            [](const Stage& other) { return other.kind == Stage::Kind::contract; });
    return contractions == 1 && !kernel_.plan.reads_member(*stage.roots.front());
  }

  int64_t unit_rows(const Stage& stage) const {
    return tasks_.by_rows ? rows_per_unit(lowering_, stage.space(), Region{.units = tasks_.units}) : 1;
  }

  void follow_plan(const Stage& stage, const ContractionPlan& plan) {
    BNC_CHECK(plan.rows_per_task % unit_rows(stage) == 0, "a plan that does not own whole units");
    tasks_.block = plan.rows_per_task / unit_rows(stage);
    if (tasks_.by_columns) tasks_.width = plan.columns_per_task;
    tasks_.rows_outside = true;
  }

  void choose_panels() {
    const int64_t most_vectors = tasks_.by_columns ? panel_vectors() : 7;
    pack(most_vectors);
    if (tasks_.by_columns) tasks_.width = most_vectors * lowering_.target.float_lanes();
    if (tasks_.by_rows) tasks_.block = whole_matrices(row_block());
    for (auto& [stage, packing] : tasks_.packings) packing.task_rows = tasks_.by_rows ? tasks_.block * unit_rows(*stage) : 0;
    tasks_.rows_outside = partition_ == Partition::tiles && (has_batched() || right_operand_bytes() <= lowering_.target.l2_bytes / 2);
  }

  // Tiles and packed operands of small products.
  void pack(int64_t most_vectors) {
    for (const Stage& stage : kernel_.stages) {
      if (stage.kind != Stage::Kind::contract || is_planned(stage)) continue;
      const Ranges whole = ranges_of(lowering_, stage.space(), Region{});
      const Tile tile = choose_tile(lowering_, rows_of_matrix(stage), whole.columns, tasks_.by_columns ? most_vectors : 1, most_vectors);
      const Node& node = *stage.roots.front();
      Packing& packing = tasks_.packings[&stage] = pack_operands(lowering_, node, tile, !tasks_.by_rows || stage.space().size() == 2);
      if (reduction_length(node) <= longest_sum) continue;
      packing.totals = lowering_.arena_buffer(node.results[0].name + ".totals",
                                              Dim{int64_t{tile.rows} * tile.vectors * lowering_.target.float_lanes()});
      lowering_.program.buffers[packing.totals].kind = loops::BufferKind::scratch;
    }
  }

  // Of a product of two matrices; 1 where it is not known.
  int64_t reduction_length(const Node& node) const {
    const auto parts = node.op->lowering_as<ContractLowering>()->parts(node);
    return lowering_.fixed(*element_count(parts.front().reduction)).value_or(1);
  }

  // How many vectors wide a task's panel of columns is: the register tile's width, narrow enough for two tasks at least.
  int64_t panel_vectors() const {
    const int lanes = lowering_.target.float_lanes();
    const int64_t vectors = divide_up(tasks_.columns, lanes);
    const int64_t most = partition_ == Partition::columns ? std::max<int64_t>(1, (vectors + 1) / 2) : 7;
    const auto heaviest = std::max_element(kernel_.stages.begin(), kernel_.stages.end(),
                                           [](const Stage& a, const Stage& b) { return work_of_stage(a) < work_of_stage(b); });
    if (heaviest->kind != Stage::Kind::contract) return std::min<int64_t>(most, 4);
    const Ranges whole = ranges_of(lowering_, heaviest->space(), Region{});
    return choose_tile(lowering_, rows_of_matrix(*heaviest), whole.columns, 1, most).vectors;
  }

  static bool is_batched(const Stage& stage) { return stage.kind == Stage::Kind::contract && is_batched_product(*stage.roots.front()); }
  bool has_batched() const { return std::any_of(kernel_.stages.begin(), kernel_.stages.end(), is_batched); }

  // The rows of a contraction that meet the same right operand.
  std::optional<int64_t> rows_of_matrix(const Stage& stage) const {
    const Shape& space = stage.space();
    return is_batched(stage) ? lowering_.fixed(space[space.size() - 2]) : ranges_of(lowering_, space, Region{}).rows;
  }

  // About so many units, so that a task of batched products owns whole matrices or an even part of one.
  int64_t whole_matrices(int64_t units) const {
    for (const Stage& stage : kernel_.stages) {
      if (!is_batched(stage)) continue;
      const auto rows = rows_of_matrix(stage);
      const int64_t scale = unit_rows(stage);
      if (!rows || *rows % scale != 0) continue;
      const int64_t matrix = *rows / scale;
      if (units >= matrix) return units / matrix * matrix;
      for (int64_t part = units; part <= 2 * units && part < matrix; ++part) {
        if (matrix % part == 0) return part;
      }
      return matrix <= 8 * units ? matrix : units;
    }
    return units;
  }

  // What a task of batched products hands from one to the next is to stay in its cache.
  int64_t most_batched_rows() const {
    int64_t columns = 1;
    for (const Stage& stage : kernel_.stages) {
      if (is_batched(stage)) columns = std::max(columns, lowering_.fixed(stage.space().back()).value_or(1));
    }
    return std::clamp<int64_t>(lowering_.target.l2_bytes / 2 / (4 * columns), 32, 128);
  }

  int64_t right_operand_bytes() const {
    int64_t bytes = 0;
    for (const Stage& stage : kernel_.stages) {
      if (stage.kind != Stage::Kind::contract) continue;
      if (const auto elements = element_count(stage.roots.front()->operands[1].type().shape))
        bytes += 4 * lowering_.fixed(*elements).value_or(1 << 20);
    }
    return bytes;
  }

  // How many units a task owns: a multiple of the register tile, enough to be worth a task.
  int64_t row_block() const {
    const Stage& head = kernel_.stages.front();
    const Shape& space = head.space();
    int64_t tile = 1, few = partition_ == Partition::tiles ? 64 : 32;
    for (const auto& [stage, packing] : tasks_.packings) tile = std::max<int64_t>(tile, packing.tile.rows);
    // Without a product a task is worth its while from some ten thousand elements on.
    const bool images = row_dims(space).size() > 1, reduces = reduces_rows(*kernel_.stages.back().roots.front());
    if (tasks_.packings.empty() && (images || reduces))
      few = std::clamp<int64_t>(32768 / lowering_.fixed(space.back()).value_or(64), 32, 1024);
    if (has_batched()) few = most_batched_rows();
    const int64_t scale = unit_rows(head);
    const auto units = lowering_.fixed(tasks_.units);
    const int64_t wanted = units ? std::max<int64_t>(*units * scale / 8, 1) : few;
    const int64_t rows = std::max<int64_t>(1, divide_up(std::min(wanted, few), tile)) * tile;
    return divide_up(rows, scale);
  }

  Lowering& lowering_;
  const FusedKernel& kernel_;
  const Partition partition_;
  Tasks tasks_;
};

}  // namespace

bool Tasks::hand_on() const {
  return std::any_of(plans.begin(), plans.end(), [](const auto& plan) { return plan.second.hands_on; });
}

Expr Tasks::row_tasks(const Lowering& lowering) const {
  return by_rows ? (lowering.extent(units) + Expr(block - 1)) / Expr(block) : Expr(1);
}

Expr Tasks::row_task(const Lowering& lowering, Expr task) const {
  if (!by_columns) return task;
  return rows_outside ? task / column_tasks() : task % row_tasks(lowering);
}

Expr Tasks::column_task(const Lowering& lowering, Expr task) const {
  if (!by_rows) return task;
  return rows_outside ? task % column_tasks() : task / row_tasks(lowering);
}

Tasks choose_tasks(Lowering& lowering, const FusedKernel& kernel) { return TaskChooser(lowering, kernel).run(); }

std::vector<Stmt> split_rows(const Lowering& lowering, const Tasks& tasks, Expr task, const RegionBody& body) {
  if (!tasks.by_rows) return body(Region{});
  const int64_t block = tasks.block;
  const Expr count = lowering.extent(tasks.units), begin = task * Expr(block);
  const auto fixed = lowering.fixed(tasks.units);
  auto rows = [&](Expr first, Expr end, std::optional<int64_t> known) {
    Region region;
    region.all_rows = false;
    region.units = tasks.units;
    region.row_begin = first;
    region.row_end = end;
    region.rows = known;
    return body(region);
  };
  if ((fixed ? *fixed : tasks.units.factor) % block == 0) return rows(begin, begin + Expr(block), block);
  if (!fixed || !tasks.plans.empty()) return rows(begin, loops::binary(loops::BinaryOp::minimum, begin + Expr(block), count), std::nullopt);
  const int64_t full = *fixed / block, rest = *fixed % block;
  if (full == 0) return rows(Expr(0), Expr(rest), rest);
  return {loops::conditional(task < Expr(full), rows(begin, begin + Expr(block), block)),
          loops::conditional(task == Expr(full), rows(Expr(full * block), Expr(*fixed), rest))};
}

std::vector<Stmt> split_columns(const Lowering& lowering, const Tasks& tasks, bool exact, const Region& region, Expr task,
                                const RegionBody& body) {
  if (!tasks.by_columns) return body(region);
  const int64_t width = tasks.width, full = tasks.columns / width, rest = tasks.columns % width;
  auto panel = [&](Expr begin, std::optional<int64_t> count) {
    Region part = region;
    part.all_columns = false;
    part.column_begin = begin;
    part.column_end = count ? begin + Expr(*count) : loops::binary(loops::BinaryOp::minimum, begin + Expr(width), Expr(tasks.columns));
    part.columns = count;
    return body(part);
  };
  if (rest == 0) return panel(task * Expr(width), width);
  if (full == 0) return panel(Expr(0), rest);
  if (!exact && lowering.target.masked_memory) return panel(task * Expr(width), std::nullopt);
  return {loops::conditional(task < Expr(full), panel(task * Expr(width), width)),
          loops::conditional(task == Expr(full), panel(Expr(full * width), rest))};
}

}  // namespace bnc::lower
