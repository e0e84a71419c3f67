// Loops of elementwise stages.
#include <algorithm>

#include "passes/lower/contraction_form.h"
#include "passes/lower/elements.h"

namespace bnc::lower {

// Rows are taken in blocks: within a block the columns run outside, so that what depends on the channel alone (scale,
// shift, the reciprocal root of the variance) is computed once a block, and the block's lines stay in the first cache.
constexpr int64_t row_block = 64;

std::vector<Stmt> lower_map(Lowering& lowering, const Stage& stage, const Region& region) {
  const Shape& space = stage.space();
  const Ranges ranges = ranges_of(lowering, space, region);
  const std::vector<ColumnRun> runs = column_runs(lowering, ranges, 1, column_breaks(lowering, stage));

  const bool flat = std::all_of(stage.roots.begin(), stage.roots.end(), [&](const Node* root) { return operands_read_flat_rows(lowering, *root); });
  auto element = [&](const ColumnRun& run, Expr row, Expr column, Expr predicate, std::vector<Stmt> body) {
    Elements elements(lowering, body, flat_index(lowering, space, flat, row, space.empty() ? Expr(0) : column_index(run, column)), predicate);
    for (Node* root : stage.roots) {
      const Expr value = elements.bind(root->results[0].name, elements.compute(*root, elements.index()));
      elements.define(root->result(), value);
      elements.store(root->result(), value);
    }
    return body;
  };
  auto rows = [&](Expr begin, Expr end) {
    std::vector<Stmt> result;
    for (const ColumnRun& run : runs) {
      result.push_back(over_columns(lowering, run, [&](Expr column) {
        std::vector<Stmt> body;
        const Expr predicate = column_predicate(lowering, run, column, body);
        if (ranges.rows == 1) return element(run, begin, column, predicate, std::move(body));
        const std::string row = lowering.fresh("row");
        body.push_back(loops::loop(row, begin, end, 1, element(run, loops::variable(row), column, predicate, {})));
        return body;
      }));
    }
    return result;
  };
  if (ranges.rows && *ranges.rows <= row_block) return rows(ranges.row_begin, ranges.row_end);
  const std::string first = lowering.fresh("block");
  const Expr begin = loops::variable(first);
  return {loops::loop(first, ranges.row_begin, ranges.row_end, row_block,
                      rows(begin, loops::binary(loops::BinaryOp::minimum, begin + Expr(row_block), ranges.row_end)))};
}

}  // namespace bnc::lower
