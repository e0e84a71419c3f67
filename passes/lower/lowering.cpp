#include "passes/lower/lowering.h"

#include "ir/integers.h"

#include <fmt/format.h>

namespace bnc::lower {

std::optional<int64_t> Lowering::fixed(const Dim& dim) const {
  if (!dim.batch) return dim.factor;
  if (context.batch) return dim.factor * *context.batch;
  return std::nullopt;
}

// Below a vector of a whole line such stores would write lines in parts.
bool Lowering::exceeds_caches(const Shape& shape) const {
  const auto elements = fixed(*element_count(shape));
  return target.vector_bytes >= target.cache_line_bytes && elements && 4 * *elements > target.cached_bytes;
}

Dim Lowering::resolve(const Dim& dim) const {
  const auto known = fixed(dim);
  return known ? Dim{*known, false} : dim;
}

Expr Lowering::extent(const Dim& dim) const {
  const auto known = fixed(dim);
  return known ? Expr(*known) : Expr(dim.factor) * loops::variable(loops::batch_variable);
}

std::string Lowering::fresh(const std::string& stem) {
  std::string name = stem;
  for (char& c : name) {
    if (c == '.' || c == '/') c = '_';
  }
  const int count = names_[name]++;
  return count == 0 ? name : fmt::format("{}.{}", name, count);
}

Expr Lowering::bind(const std::string& stem, Expr expression, std::vector<Stmt>& out) {
  const auto kind = expression->kind;
  if (kind == loops::ExprKind::variable || kind == loops::ExprKind::real || kind == loops::ExprKind::integer) return expression;
  const std::string name = fresh(stem);
  const loops::Type type = expression->type;
  const auto bounds = type == loops::Type{loops::Scalar::i64, 1} ? loops::bounds_of(expression) : std::nullopt;
  out.push_back(loops::let(name, std::move(expression)));
  return bounds ? loops::bounded_variable(name, bounds->first, bounds->second) : loops::variable(name, type);
}

int Lowering::arena_buffer(const std::string& name, Dim elements) {
  loops::Buffer buffer;
  buffer.name = fresh("%" + name);
  buffer.elements = resolve(elements);
  program.buffers.push_back(std::move(buffer));
  return static_cast<int>(program.buffers.size()) - 1;
}

int Lowering::add_buffer(const std::string& name, DType dtype, const Shape& shape, loops::BufferKind kind) {
  const auto elements = element_count(shape);
  BNC_CHECK(elements, name);
  const int id = arena_buffer(name, *elements);
  loops::Buffer& buffer = program.buffers[id];
  buffer.scalar = dtype == DType::i32 ? loops::Scalar::i32 : loops::Scalar::f32;
  buffer.kind = kind;
  if (kind != loops::BufferKind::arena) buffer.name = name;
  if (kind == loops::BufferKind::argument) buffer.argument = arguments_++;
  return id;
}

int Lowering::buffer_of(Value value) {
  if (auto it = buffers.find(value); it != buffers.end()) return it->second;
  const Node& node = *value.node;
  BNC_CHECK(node.is("constant"), "no buffer for " + value.name());
  const int id = add_buffer(value.name(), value.type().dtype, value.type().shape, loops::BufferKind::constant);
  const auto numbers = node.attribute("value").numbers();
  program.buffers[id].data = std::vector<float>(numbers.begin(), numbers.end());
  return buffers[value] = id;
}

std::vector<int> Lowering::destinations(Value value) const {
  std::vector<int> result;
  if (auto it = buffers.find(value); it != buffers.end()) result.push_back(it->second);
  if (auto it = also_stored_to.find(value); it != also_stored_to.end()) result.insert(result.end(), it->second.begin(), it->second.end());
  return result;
}

int64_t rows_per_unit(const Lowering& lowering, const Shape& space, const Region& region) {
  const Dim rows = lowering.resolve(*element_count(row_dims(space))), units = lowering.resolve(region.units);
  BNC_CHECK(rows.batch == units.batch && rows.factor % units.factor == 0, "a kernel whose stages do not have the same units");
  return rows.factor / units.factor;
}

Ranges ranges_of(const Lowering& lowering, const Shape& space, const Region& region) {
  Ranges ranges{Expr(0), Expr(1), 1, Expr(0), Expr(1), 1};
  if (space.size() >= 2) {
    const Dim rows = *element_count(row_dims(space));
    ranges.row_end = lowering.extent(rows);
    ranges.rows = lowering.fixed(rows);
  }
  if (!space.empty()) {
    ranges.column_end = lowering.extent(space.back());
    ranges.columns = lowering.fixed(space.back());
  }
  if (!region.all_columns)
    std::tie(ranges.column_begin, ranges.column_end, ranges.columns) = std::tie(region.column_begin, region.column_end, region.columns);
  if (!region.all_rows && !space.empty()) {
    const int64_t scale = rows_per_unit(lowering, space, region);
    const Expr begin = region.row_begin * Expr(scale), end = region.row_end * Expr(scale);
    const std::optional<int64_t> count = region.rows ? std::optional(*region.rows * scale) : std::nullopt;
    // A vector has one row; a region of rows owns a part of it as columns.
    if (space.size() == 1) std::tie(ranges.column_begin, ranges.column_end, ranges.columns) = std::tie(begin, end, count);
    else std::tie(ranges.row_begin, ranges.row_end, ranges.rows) = std::tie(begin, end, count);
  }
  return ranges;
}

static std::vector<ColumnRun> unbroken_runs(const Lowering& lowering, const Ranges& ranges, int vectors) {
  const int lanes = lowering.target.float_lanes();
  std::vector<ColumnRun> runs;
  auto add = [&](Expr begin, Expr end, int run_vectors, int run_lanes, bool loop, bool masked) {
    runs.push_back({std::move(begin), std::move(end), run_vectors, run_lanes, loop, masked});
  };
  if (!ranges.columns) {
    // The number of columns is known only when the code runs: the last vectors are cut off by their masks.
    if (lowering.target.masked_memory) add(ranges.column_begin, ranges.column_end, vectors, lanes, true, true);
    else add(ranges.column_begin, ranges.column_end, 1, 1, true, false);
    return runs;
  }
  if (*ranges.columns == 1) {
    add(ranges.column_begin, ranges.column_end, 1, 1, false, false);
    return runs;
  }
  const int64_t width = static_cast<int64_t>(vectors) * lanes, full = *ranges.columns / width;
  int64_t rest = *ranges.columns - full * width;
  Expr begin = ranges.column_begin;
  if (full > 0) {
    add(begin, begin + Expr(full * width), vectors, lanes, full > 1, false);
    begin = begin + Expr(full * width);
  }
  if (rest > 0 && !lowering.target.masked_memory) {
    if (const int64_t whole = rest / lanes; whole > 0) {
      add(begin, begin + Expr(whole * lanes), static_cast<int>(whole), lanes, false, false);
      begin = begin + Expr(whole * lanes);
      rest -= whole * lanes;
    }
    if (rest > 0) add(begin, begin + Expr(rest), 1, 1, rest > 1, false);
  } else if (rest > 0) {
    const int64_t tail_vectors = divide_up(rest, lanes);
    add(begin, begin + Expr(rest), static_cast<int>(tail_vectors), lanes, false, rest % lanes != 0);
  }
  return runs;
}

std::vector<ColumnRun> column_runs(const Lowering& lowering, const Ranges& ranges, int vectors, const std::vector<int64_t>& breaks) {
  const auto first = loops::as_integer(ranges.column_begin);
  if (breaks.empty() || !first || !ranges.columns) return unbroken_runs(lowering, ranges, vectors);
  std::vector<ColumnRun> runs;
  Ranges part = ranges;
  auto add_until = [&](int64_t end) {
    const int64_t begin = *loops::as_integer(part.column_begin);
    if (end <= begin) return;
    part.column_end = Expr(end);
    part.columns = end - begin;
    for (ColumnRun& run : unbroken_runs(lowering, part, vectors)) runs.push_back(std::move(run));
    part.column_begin = Expr(end);
  };
  const int64_t last = *first + *ranges.columns;
  for (int64_t at : breaks) add_until(std::min(at, last));
  add_until(last);
  return runs;
}

static void collect_breaks(Lowering& lowering, const Node& node, std::set<int64_t>& breaks) {
  if (const auto* element = node.op->lowering_as<ElementLowering>(); element && element->breaks)
    for (int64_t at : element->breaks(node)) breaks.insert(at);
  for (size_t k = 0; k < node.operands.size(); ++k) {
    const Value operand = node.operands[k];
    if (!operand || !lowering.inlined.count(operand.node) || last_dim(operand.type().shape) != last_dim(iteration_shape(node))) continue;
    const Access& access = lowering.accesses.of(node, static_cast<int>(k));
    if (access.reads && access.same_column) collect_breaks(lowering, *operand.node, breaks);
  }
}

std::vector<int64_t> column_breaks(Lowering& lowering, const Stage& stage) {
  std::set<int64_t> breaks;
  for (const Node* root : stage.roots) collect_breaks(lowering, *root, breaks);
  return {breaks.begin(), breaks.end()};
}

Stmt over_columns(Lowering& lowering, const ColumnRun& run, const std::function<std::vector<Stmt>(Expr)>& body) {
  if (!run.loop) return loops::block(body(run.begin));
  const std::string name = lowering.fresh("column");
  const int64_t step = static_cast<int64_t>(run.vectors) * run.lanes;
  const auto begin = loops::as_integer(run.begin), end = loops::as_integer(run.end);
  const Expr column = begin && end ? loops::bounded_variable(name, *begin, *begin + (*end - *begin - 1) / step * step)
                                   : loops::variable(name);
  return loops::loop(name, run.begin, run.end, step, body(column));
}

Expr column_index(const ColumnRun& run, Expr column) {
  if (run.lanes == 1) return column;
  const auto left = loops::as_integer(run.end - column);
  return loops::ramp(column, 1, run.lanes, left && *left > 0 ? static_cast<int>(std::min<int64_t>(*left, run.lanes)) : run.lanes);
}

Expr column_predicate(Lowering& lowering, const ColumnRun& run, Expr column, std::vector<Stmt>& out) {
  if (!run.masked) return {};
  const Expr left = loops::cast(loops::Scalar::i32, loops::binary(loops::BinaryOp::minimum, run.end - column, Expr(run.lanes)));
  const Expr mask = loops::ramp(loops::integer(0, {loops::Scalar::i32, 1}), 1, run.lanes) < left;
  return lowering.bind("mask", mask, out);
}

void over_tiles(Lowering& lowering, Expr begin, Expr end, std::optional<int64_t> count, int64_t tile, std::vector<Stmt>& out,
                const TileBody& body) {
  auto rows_at = [&](Expr row, int64_t rows) {
    std::vector<Stmt> inner;
    body(std::move(row), static_cast<int>(rows), inner);
    return inner;
  };
  auto loop_over = [&](Expr first, Expr last, int64_t step) {
    const std::string row = lowering.fresh("row");
    const auto low = loops::as_integer(first), high = loops::as_integer(last);
    const Expr at = low && high ? loops::bounded_variable(row, *low, *low + (*high - *low - 1) / step * step) : loops::variable(row);
    out.push_back(loops::loop(row, first, last, step, rows_at(at, step)));
  };
  if (count) {
    const int64_t full = *count / tile, rest = *count % tile;
    if (full > 1) loop_over(begin, begin + Expr(full * tile), tile);
    if (full == 1) out.push_back(loops::block(rows_at(begin, tile)));
    if (rest > 0) out.push_back(loops::block(rows_at(begin + Expr(full * tile), rest)));
    return;
  }
  const Expr middle = lowering.bind("full_rows", begin + (end - begin) / Expr(tile) * Expr(tile), out);
  loop_over(begin, middle, tile);
  if (tile > 1) loop_over(middle, end, 1);
}

Index index_at(const Lowering& lowering, const Shape& space, Expr row, Expr column) {
  if (space.empty()) return {};
  Index index(space.size());
  index.back() = space.back().is_one() ? Expr(0) : column;
  for (size_t d = space.size() - 1; d-- > 0;) {
    const Expr extent = lowering.extent(space[d]);
    index[d] = space[d].is_one() ? Expr(0) : d == 0 ? row : row % extent;
    if (d > 0) row = row / extent;
  }
  return index;
}

}  // namespace bnc::lower
