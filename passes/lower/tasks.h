// How a kernel's work is divided among tasks, and the loops of one task.
#pragma once

#include <functional>

#include "passes/lower/contraction.h"

namespace bnc::lower {

struct FusedKernel {
  KernelPlan plan;
  std::vector<Stage> stages;
};

// Tasks own blocks of units (KernelPlan::units), panels of columns, or a block's panel each.
struct Tasks {
  bool by_rows = false, by_columns = false;
  Dim units;
  int64_t block = 1;              // units a task owns
  int64_t columns = 1, width = 1; // of all tasks, of one task
  bool rows_outside = false;      // a block's panels follow one another, else a panel's blocks
  std::map<const Stage*, Packing> packings;        // of small products
  std::map<const Stage*, ContractionPlan> plans;   // of a contraction over many rows; it decides how the kernel is split

  bool hand_on() const;   // whether a task leaves something to the next
  Expr row_tasks(const Lowering& lowering) const;
  Expr column_tasks() const { return (columns + width - 1) / width; }
  Expr count(const Lowering& lowering) const { return row_tasks(lowering) * column_tasks(); }
  Expr row_task(const Lowering& lowering, Expr task) const;
  Expr column_task(const Lowering& lowering, Expr task) const;
};

// Decides; appends the kernels that pack operands.
Tasks choose_tasks(Lowering& lowering, const FusedKernel& kernel);

using RegionBody = std::function<std::vector<Stmt>(const Region&)>;

// The statements of row task `task` of all. Where sizes are known, full blocks and the last one have loops of their own; not
// so those of a contraction's plan, which would be long.
std::vector<Stmt> split_rows(const Lowering& lowering, const Tasks& tasks, Expr task, const RegionBody& body);
// The statements over column task `task` within a region. Where the last panel is narrower than the others, a register tile
// (`exact`) gets loops of its own for it; elsewhere the panel's end is left to the masks, which makes half the code.
std::vector<Stmt> split_columns(const Lowering& lowering, const Tasks& tasks, bool exact, const Region& region, Expr task,
                                const RegionBody& body);
}  // namespace bnc::lower
