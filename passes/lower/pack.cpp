// Copies of matrix-product operands in the order in which the register tile reads them.
//
// Right operands go into panels as wide as the tile, [panel][reduction][column]; left ones into blocks as high as the
// tile, [block][reduction][row]. Packing pays where an operand is read many times over with a stride that costs cache
// ways or pages, and is needed where the columns of the right operand do not lie side by side.
#include <algorithm>

#include "ir/integers.h"
#include "passes/lower/contraction.h"
#include "passes/lower/elements.h"

namespace bnc::lower {
namespace {

struct Operand {
  Lowering& lowering;
  const Node& node;
  ContractLowering::Part contraction;
  Expr length;                        // of the flattened reduction

  Index reduction_index(Expr k) const {
    Index index(contraction.reduction.size());
    for (size_t d = index.size(); d-- > 0;) {
      const Expr extent = lowering.extent(contraction.reduction[d]);
      index[d] = d == 0 ? k : k % extent;
      if (d > 0) k = k / extent;
    }
    return index;
  }
};

std::optional<int64_t> product(const Lowering& lowering, const Shape& shape) {
  const auto count = element_count(shape);
  return count ? lowering.fixed(*count) : std::nullopt;
}

Dim times(const Lowering& lowering, const Shape& shape, int64_t factor) {
  Dim dim = lowering.resolve(*element_count(shape));
  dim.factor *= factor;
  return dim;
}

void add_kernel(Lowering& lowering, const std::string& name, Expr tasks, const std::string& task, std::vector<Stmt> body) {
  loops::Kernel kernel;
  kernel.name = lowering.fresh(name);
  kernel.tasks = std::move(tasks);
  kernel.task_variable = task;
  kernel.body = loops::block(std::move(body));
  lowering.program.kernels.push_back(std::move(kernel));
}

// One task a panel: scalar copies, so that any order of the source will do.
// packed[(outer * length + k) * width + j] = source(k, outer * width + j), for j in [0, min(width, count - outer * width))
std::vector<Stmt> copy_panel(const Operand& operand, int buffer, Expr outer, int64_t width, Expr count,
                             const std::function<Expr(Expr k, Expr j, std::vector<Stmt>&)>& source) {
  Lowering& lowering = operand.lowering;
  const std::string k = lowering.fresh("k"), block = lowering.fresh("j"), part = lowering.fresh("u"), valid = lowering.fresh("valid"),
                    whole = lowering.fresh("whole");
  const Expr first = outer * Expr(width);
  const int64_t unroll = std::min<int64_t>(width, 8);  // scalar copies side by side
  auto copy = [&](Expr j) {
    std::vector<Stmt> body;
    const Expr x = source(loops::variable(k), first + j, body);
    body.push_back(loops::store(buffer, (outer * operand.length + loops::variable(k)) * Expr(width) + j, x));
    return body;
  };
  std::vector<Stmt> body{loops::let(valid, loops::binary(loops::BinaryOp::minimum, Expr(width), count - first))};
  body.push_back(loops::let(whole, loops::variable(valid) / Expr(unroll) * Expr(unroll)));
  const Expr j = loops::variable(block) + loops::variable(part);
  body.push_back(
      loops::loop(block, 0, loops::variable(whole), unroll,
                  {loops::loop(k, 0, operand.length, 1, {loops::loop(part, 0, Expr(unroll), 1, copy(j), loops::LoopKind::unrolled)})}));
  body.push_back(loops::loop(block, loops::variable(whole), loops::variable(valid), 1,
                             {loops::loop(k, 0, operand.length, 1, copy(loops::variable(block)))}));
  return body;
}

// Each task copies what it is about to use: columns that do not lie side by side, and what a sum would walk through in steps so long
// that the first pages it comes by are forgotten before the next tile needs them again.
Packing pack_batched(Operand& operand, Packing packing, bool adjacent) {
  Lowering& lowering = operand.lowering;
  const int64_t page = lowering.target.page_bytes, remembered_bytes = lowering.target.tlb_pages * page;
  const Shape& space = operand.node.results[0].type.shape;
  const auto columns = lowering.fixed(space.back()), rows = lowering.fixed(space[space.size() - 2]),
             depth = product(lowering, operand.contraction.reduction);
  packing.columns_adjacent = adjacent;
  if (!depth) return packing;
  auto scratch = [&](const char* name, int64_t elements) {
    const int buffer = lowering.arena_buffer(operand.node.results[0].name + name, Dim{elements});
    lowering.program.buffers[buffer].kind = loops::BufferKind::scratch;
    return buffer;
  };
  const int64_t tile_rows = packing.tile.rows;
  const bool far = columns && rows && *rows >= 4 * tile_rows && *depth >= 64 &&
                   (*columns * 4 % page == 0 || *depth * *columns * 4 > remembered_bytes);
  if (!adjacent || far) packing.panel = scratch(".panel", *depth * packing.tile.vectors * lowering.target.float_lanes());
  if (operand.node.attribute("transpose_left").boolean() && rows && *depth * *rows * 4 > remembered_bytes) {
    const int64_t most = std::clamp<int64_t>(lowering.target.l2_bytes / 2 / (4 * *depth), tile_rows, std::max<int64_t>(tile_rows, 128));
    packing.left_rows = std::min(*rows, most / tile_rows * tile_rows);
    packing.left_panel = scratch(".left", *depth * packing.left_stride());
  }
  return packing;
}

bool columns_adjacent(const Operand& operand) {
  const Shape& space = operand.node.results[0].type.shape;
  const int lanes = operand.lowering.target.float_lanes();
  std::vector<Stmt> ignored;
  Elements elements(operand.lowering, ignored, {});
  const Index result = index_at(operand.lowering, space, Expr(0), loops::ramp(loops::variable("c"), 1, lanes));
  Index reduction;
  for (size_t d = 0; d < operand.contraction.reduction.size(); ++d) reduction.push_back(loops::variable("k"));
  const Expr position = elements.offset(operand.node.operands[1].type().shape, operand.contraction.right(result, reduction));
  return position->kind == loops::ExprKind::ramp && position->integer_value == 1;
}

}  // namespace

Packing pack_operands(Lowering& lowering, const Node& node, Tile tile, bool rows_start_on_tiles) {
  Packing packing{-1, -1, tile};
  Operand operand{lowering, node, node.op->lowering_as<ContractLowering>()->parts(node).front(), Expr(1)};
  for (const Dim& dim : operand.contraction.reduction) operand.length = operand.length * lowering.extent(dim);
  if (is_batched_product(node)) return pack_batched(operand, packing, columns_adjacent(operand));
  const Shape& space = node.results[0].type.shape;
  const Shape row_shape(space.begin(), space.end() - 1);
  const auto columns = lowering.fixed(space.back());
  const int64_t rows = product(lowering, row_shape).value_or(1), depth = product(lowering, operand.contraction.reduction).value_or(64);
  if (!columns) return packing;
  const int64_t width = static_cast<int64_t>(tile.vectors) * lowering.target.float_lanes(), panels = divide_up(*columns, width);

  const bool adjacent = columns_adjacent(operand);
  const bool large = depth * *columns * 4 >= lowering.target.l2_bytes / 2 ||
                     (*columns * 4 % lowering.target.page_bytes == 0 && depth >= 64);
  if (node.operands[1].node->kernel != node.kernel && (!adjacent || (large && rows >= 16 * tile.rows))) {
    packing.right = lowering.arena_buffer(node.results[0].name + ".right", times(lowering, operand.contraction.reduction, panels * width));
    const std::string task = lowering.fresh("panel");
    add_kernel(
        lowering, node.results[0].name + "_pack_right", Expr(panels), task,
        copy_panel(operand, packing.right, loops::variable(task), width, Expr(*columns), [&](Expr k, Expr column, std::vector<Stmt>& out) {
          return Elements(lowering, out, {})
              .value(node.operands[1], operand.contraction.right(index_at(lowering, space, Expr(0), column), operand.reduction_index(k)));
        }));
  }
  const auto row_count = product(lowering, row_shape);
  if (rows_start_on_tiles && row_count && node.operands[0].node->kernel != node.kernel && panels >= 4 && depth >= 512) {
    const int64_t blocks = divide_up(*row_count, tile.rows);
    packing.left = lowering.arena_buffer(node.results[0].name + ".left",
                                         times(lowering, operand.contraction.reduction, blocks * tile.rows));
    const std::string task = lowering.fresh("block");
    add_kernel(lowering, node.results[0].name + "_pack_left", Expr(blocks), task,
               copy_panel(operand, packing.left, loops::variable(task), tile.rows, Expr(*row_count),
                          [&](Expr k, Expr row, std::vector<Stmt>& out) {
                            return Elements(lowering, out, {})
                                .value(node.operands[0],
                                       operand.contraction.left(index_at(lowering, space, row, Expr(0)), operand.reduction_index(k)));
                          }));
  }
  return packing;
}

}  // namespace bnc::lower
