// Loops of elementwise stages.
#include <algorithm>

#include "passes/lower/contraction_form.h"
#include "passes/lower/elements.h"
#include "passes/schedule/cost.h"

namespace bnc::lower {

// Whether computing the node reads a number for each example (and column), the same for all its pixels.
static bool reads_by_example(const Lowering& lowering, const Node& node) {
  const Shape& space = node.results[0].type.shape;
  return std::any_of(node.operands.begin(), node.operands.end(), [&](Value operand) {
    if (!operand || operand.type().rank() != static_cast<int>(space.size())) return false;
    const Shape& shape = operand.type().shape;
    if (shape == space) return lowering.inlined.count(operand.node) && reads_by_example(lowering, *operand.node);
    return !space[0].is_one() && shape[0] == space[0] &&
           std::all_of(shape.begin() + 1, shape.end() - 1, [](const Dim& dim) { return dim.is_one(); });
  });
}

// The rows of an example, where the region has whole examples and something is read once for each.
static std::optional<int64_t> example_rows(const Lowering& lowering, const Stage& stage, const Region& region) {
  const Shape& space = stage.space();
  if (space.size() < 3) return std::nullopt;
  const std::optional<int64_t> rows = lowering.fixed(*element_count(Shape(space.begin() + 1, space.end() - 1)));
  const bool whole = region.all_rows || (rows && rows_per_unit(lowering, space, region) % *rows == 0);
  const bool by_example = std::any_of(stage.roots.begin(), stage.roots.end(),
                                      [&](const Node* root) { return reads_by_example(lowering, *root); });
  return whole && by_example ? rows : std::nullopt;
}

std::vector<Stmt> lower_map(Lowering& lowering, const Stage& stage, const Region& region) {
  const Shape& space = stage.space();
  const Ranges ranges = ranges_of(lowering, space, region);
  const std::vector<ColumnRun> runs = column_runs(lowering, ranges, 1, column_breaks(lowering, stage));

  const bool flat = std::all_of(stage.roots.begin(), stage.roots.end(),
                                [&](const Node* root) { return operands_read_flat_rows(lowering, *root); });
  auto element = [&](const ColumnRun& run, Expr row, Expr column, Expr predicate, std::vector<Stmt> body) {
    Elements elements(lowering, body, flat_index(lowering, space, flat, row, space.empty() ? Expr(0) : column_index(run, column)),
                      predicate);
    for (Node* root : stage.roots) {
      const Expr value = elements.bind(root->results[0].name, elements.compute(*root, elements.index()));
      elements.define(root->result(), value);
      elements.store(root->result(), value);
    }
    return body;
  };
  const std::optional<int64_t> example = example_rows(lowering, stage, region);
  // Rows [begin, end), counted from row `first`.
  auto rows = [&](Expr first, Expr begin, Expr end, std::optional<int64_t> count) {
    std::vector<Stmt> result;
    for (const ColumnRun& run : runs) {
      result.push_back(over_columns(lowering, run, [&](Expr column) {
        std::vector<Stmt> body;
        const Expr predicate = column_predicate(lowering, run, column, body);
        if (count == 1) return element(run, first + begin, column, predicate, std::move(body));
        const std::string name = lowering.fresh("row");
        const Expr row = example ? loops::bounded_variable(name, 0, *example - 1) : loops::variable(name);
        body.push_back(loops::loop(name, begin, end, 1, element(run, first + row, column, predicate, {})));
        return body;
      }));
    }
    return result;
  };
  auto blocks = [&](Expr first, Expr begin, Expr end, std::optional<int64_t> count) {
    if (count && *count <= cost::row_block) return rows(first, begin, end, count);
    const std::string name = lowering.fresh("block");
    const Expr block = loops::variable(name);
    return std::vector{
        loops::loop(name, begin, end, cost::row_block,
                    rows(first, block, loops::binary(loops::BinaryOp::minimum, block + Expr(cost::row_block), end), std::nullopt))};
  };
  if (!example) return blocks(Expr(0), ranges.row_begin, ranges.row_end, ranges.rows);
  const std::string name = lowering.fresh("example");
  const Expr size(*example);
  return {
      loops::loop(name, ranges.row_begin / size, ranges.row_end / size, 1, blocks(loops::variable(name) * size, Expr(0), size, example))};
}

}  // namespace bnc::lower
