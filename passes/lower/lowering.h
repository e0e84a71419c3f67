// Shared state of lower-to-loops: where values live, names, and the pieces that make a kernel's loops.
#pragma once

#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ir/loops.h"
#include "ir/op.h"
#include "passes/pass.h"
#include "passes/schedule/kernel_plan.h"
#include "passes/schedule/recompute.h"

namespace bnc::lower {

using loops::Expr;
using loops::Stmt;

inline void append(std::vector<Stmt>& out, std::vector<Stmt> more) {
  out.insert(out.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}


// Identity of a value, usable as a key.
struct ValueHash {
  size_t operator()(const Value& v) const { return std::hash<const void*>()(v.node) * 31 + static_cast<size_t>(v.index); }
};

// A set of nodes computed in one loop nest. `roots` are stored; what they read of the same kernel is either stored by an
// earlier stage or computed inline.
struct Stage {
  enum class Kind { map, reduce, contract } kind;
  std::vector<Node*> roots;
  const Shape& space() const { return iteration_shape(*roots.front()); }
};

// Everything known of the program being made.
class Lowering {
 public:
  Lowering(const Graph& graph, PassContext& context)
      : graph(graph), context(context), target(context.target), long_scalars(bnc::long_scalars(graph)) {
    program.name = graph.name;
    program.batch = context.batch;
  }

  const Graph& graph;
  PassContext& context;
  const TargetDescription& target;
  const std::unordered_set<const Node*> long_scalars;                     // never computed where they are read
  loops::Program program;
  std::unordered_map<Value, int, ValueHash> buffers;                      // where a stored value is read
  std::unordered_map<Value, std::vector<int>, ValueHash> also_stored_to;  // further buffers it is written to
  std::unordered_set<const Node*> inlined;                               // nodes computed where they are read
  // Contractions whose sums lie in slices: to be added up where they are read.
  struct Slices {
    int sums;         // buffer: of each slice the elements of the result
    int64_t count;
  };
  std::unordered_map<const Node*, Slices> sliced;
  std::unordered_set<Value, ValueHash> streamed;                          // results of the current kernel stored past the caches
  Accesses accesses;

  Expr extent(const Dim& dim) const;
  std::optional<int64_t> fixed(const Dim& dim) const;   // the extent where it is known at compile time
  // Whether results of a shape are worth storing past all caches.
  bool exceeds_caches(const Shape& shape) const;
  Dim resolve(const Dim& dim) const;                    // with a known batch size filled in
  std::string fresh(const std::string& stem);
  // Binds an expression to a name in `out`; constants and names stay as they are.
  Expr bind(const std::string& stem, Expr expression, std::vector<Stmt>& out);
  int add_buffer(const std::string& name, DType dtype, const Shape& shape, loops::BufferKind kind);
  int arena_buffer(const std::string& name, Dim elements);
  // The buffer of a value that is read; sources get theirs when first asked for.
  int buffer_of(Value value);
  // All buffers a stage writes a root's result to.
  std::vector<int> destinations(Value value) const;

 private:
  std::map<std::string, int> names_;
  int arguments_ = 0;
};

// The part of the iteration space one task owns: units of rows (KernelPlan::units) and columns.
struct Region {
  Expr row_begin = 0, row_end;     // units
  std::optional<int64_t> rows;     // how many units, where known
  Dim units;                       // of the whole kernel; a space has a multiple of as many rows
  Expr column_begin = 0, column_end;
  std::optional<int64_t> columns;
  bool all_rows = true, all_columns = true;
  Expr begins_run;                 // whether the task is the first of its run (loops::Kernel); absent where tasks are not told
};

// A stage's own ranges within a region: `rows` counts all dimensions but the last, flattened.
struct Ranges {
  Expr row_begin, row_end;
  std::optional<int64_t> rows;
  Expr column_begin, column_end;
  std::optional<int64_t> columns;
};
Ranges ranges_of(const Lowering& lowering, const Shape& space, const Region& region);
// The rows of `space` that one unit of the region stands for.
int64_t rows_per_unit(const Lowering& lowering, const Shape& space, const Region& region);

// A run of columns handled with `vectors` vectors of `lanes` at a time.
struct ColumnRun {
  Expr begin, end;     // columns
  int vectors = 1, lanes = 1;
  bool loop = false;   // more than one step
  bool masked = false; // the vectors may reach past `end`
};
// Splits columns into full steps of `vectors` vectors and what remains, in each part between two `breaks` (ascending).
std::vector<ColumnRun> column_runs(const Lowering& lowering, const Ranges& ranges, int vectors, const std::vector<int64_t>& breaks = {});
// Where along the last dimension the elements that a stage reads and computes have their breaks (ElementLowering::breaks).
std::vector<int64_t> column_breaks(Lowering& lowering, const Stage& stage);
// The loop (or the single step) over a run; `body` gets the first column of the step.
Stmt over_columns(Lowering& lowering, const ColumnRun& run, const std::function<std::vector<Stmt>(Expr)>& body);
// Which lanes of the vector that begins at `column` exist, bound to a name in `out`; absent where all do.
Expr column_predicate(Lowering& lowering, const ColumnRun& run, Expr column, std::vector<Stmt>& out);
// `column` as the index of a vector of the run's lanes.
Expr column_index(const ColumnRun& run, Expr column);

// Rows [begin, end), `count` of them where that is known, in tiles: full ones, then one smaller tile, or single rows where
// the number is not known. `body` appends the loops of `rows` rows from `row` on.
using TileBody = std::function<void(Expr row, int rows, std::vector<Stmt>& out)>;
void over_tiles(Lowering& lowering, Expr begin, Expr end, std::optional<int64_t> count, int64_t tile, std::vector<Stmt>& out,
                const TileBody& body);

// The index over `space` for a flattened row and a column.
Index index_at(const Lowering& lowering, const Shape& space, Expr row, Expr column);

// Register tile of a matrix product: `rows` x `vectors` accumulators.
struct Tile {
  int rows = 1, vectors = 1;
};
// The tile that a small model of the register file and of the loads predicts to be fastest, `least` to `most` vectors wide.
Tile choose_tile(const Lowering& lowering, std::optional<int64_t> rows, std::optional<int64_t> columns, int64_t least, int64_t most);

// Products that are added up one after another, at most: a longer sum is made of parts, so that its rounding error grows with the
// root of this and not of its length. A part ends with an addition, a load and a store for each sum, of which there are as many
// in a step: little beside its products.
inline constexpr int64_t longest_sum = 192;

// Operands of a matrix product copied into the order in which the register tile reads them.
struct Packing {
  int left = -1, right = -1;    // buffers; -1: read in place
  Tile tile;
  int totals = -1;              // scratch: of a tile whose sums are long, what the parts of them come to
  // Of a batched product: scratch for the right operand's columns of one step, if they are copied, and whether they lie side by side;
  // scratch for so many rows of a left operand that is turned around, if they are; how many rows a task owns, 0: all.
  int panel = -1, left_panel = -1;
  bool columns_adjacent = true;
  int64_t left_rows = 0, task_rows = 0;
  int64_t left_stride() const { return left_rows / 32 * 32 + 48; }   // an odd number of cache lines
};
// Decides what to pack and appends the kernels that do it. Blocks of the left operand need regions that begin on a tile.
Packing pack_operands(Lowering& lowering, const Node& node, Tile tile, bool rows_start_on_tiles);

std::vector<Stage> make_stages(Lowering& lowering, const std::vector<Node*>& nodes, const Uses& uses);

std::vector<Stmt> lower_map(Lowering& lowering, const Stage& stage, const Region& region);
std::vector<Stmt> lower_reduce(Lowering& lowering, const Stage& stage, const Region& region);
std::vector<Stmt> lower_contract(Lowering& lowering, const Stage& stage, const Region& region, const Packing& packing);

}  // namespace bnc::lower
