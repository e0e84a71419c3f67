// The register tile, and what is computed from its sums.
#include "ir/integers.h"
#include "passes/lower/row_contraction.h"
#include "passes/schedule/cost.h"

#include <algorithm>

namespace bnc::lower {

void RowContraction::micro(const TileShape& tile, const Place& place, bool final, std::vector<Stmt>& out) {
  const loops::Type type{loops::Scalar::f32, run_.lanes};
  ReductionLoops sum = part().empty() ? ReductionLoops{} : reduction_loops();
  const int taps = taps_of(sum), sums = tile.rows() * run_.vectors;
  const Registers registers{lowering_.fresh("acc"), lowering_.fresh("panel"), lowering_.fresh("r"), lowering_.fresh("v")};
  out.push_back(loops::declare_registers(registers.acc, type, sums));
  out.push_back(loops::declare_registers(registers.panel, type, taps * run_.vectors));
  out.push_back(
      unrolled(registers.v, sums, {loops::write_register(registers.acc, loops::variable(registers.v), loops::constant_of(type, 0))}));
  if (sum.part_steps > 0) add_parts(tile, place, std::move(sum), registers, final, out);
  else if (!part().empty()) add_products(tile, place, std::move(sum), taps, registers, final, out);
  if (final) results(tile, place, registers.acc, out);
  else add_to_partial(tile, place, registers.acc, out);
}

// The loops of the sum.
void RowContraction::add_products(const TileShape& tile, const Place& place, ReductionLoops sum, int taps, const Registers& registers,
                                  bool final, std::vector<Stmt>& out) {
  const Expr left_begin = lowering_.bind("left", place.left, out), right_begin = lowering_.bind("right", right_first(), out);
  Expr left = left_begin, right = right_begin;
  for (size_t d = 0; d < sum.dimensions.size(); ++d) {
    left = left + loops::variable(sum.variables[d]) * Expr(sum.dimensions[d].left);
    right = right + loops::variable(sum.variables[d]) * Expr(sum.dimensions[d].right);
  }
  auto each_tap = [&](std::vector<Stmt> body) {
    return taps == 1 ? std::move(body) : std::vector<Stmt>{unrolled(sum.variables.back(), taps, std::move(body))};
  };
  const Expr vector = loops::variable(registers.v), tap = taps == 1 ? Expr(0) : loops::variable(sum.variables.back()) * Expr(run_.vectors);
  std::vector<Stmt> ahead, loads;
  if (!sum.variables.empty()) {
    sum.stretch = plan_.long_reduction || is_grouped() ? 1 : stretch_of(sum.dimensions);
    sum.stretch_name = sum.stretch == 1 ? sum.variables.back() : lowering_.fresh("stretch");
    prefetch(tile, place, sum, left_begin, final, ahead);
    if (plan_.stage_ahead) stage_ahead(tile, place, sum, ahead);
  }
  const Expr panel_index = right + vector * Expr(run_.lanes);
  const Expr mask = reads_right() ? column_predicate(lowering_, run_, column_ + vector * Expr(run_.lanes), loads)
                                  : Expr();  // panels are padded
  loads.push_back(loops::write_register(registers.panel, tap + vector,
                                        loops::load(right_buffer(), loops::Scalar::f32, column_index(run_, panel_index), mask)));
  auto step_of = [&](const Expr& inside) {
    std::vector<Stmt> step = each_tap({unrolled(registers.v, run_.vectors, loads)});
    step.push_back(unrolled(registers.r, tile.rows(), each_tap(products(tile, left, inside, tap, registers))));
    return step;
  };
  size_t loops_left = sum.dimensions.size() - (taps == 1 ? 0 : 1);
  const Guard guard = guard_of(tile, place, sum, taps, loops::variable(registers.r));
  std::vector<Stmt> steps;
  if (plan_.guard_left && !part().left_has_columns()) {   // the same for all channels: asked outside of their loop
    const Expr all = guard.load ? both(guard_of(tile, place, sum, taps, Expr(0)).load,
                                       guard_of(tile, place, sum, taps, Expr(tile.rows() - 1)).load)
                                : Expr(1);
    const Expr all_inside = lowering_.bind("all", all, steps);
    steps.push_back(loops::conditional(all_inside, {innermost(sum, step_of(Expr()), std::move(ahead))}));
    if (guard.load)
      steps.push_back(loops::conditional(loops::unary(loops::UnaryOp::logical_not, all_inside), {innermost(sum, step_of(guard.load), {})}));
    --loops_left;
  } else if (plan_.stage_left && guard.step) {
    steps = {innermost(sum, step_of(Expr()), std::move(ahead))};
    --loops_left;
  } else {
    steps = step_of(guard.load);
  }
  if (guard.step) steps = {loops::conditional(guard.step, std::move(steps))};
  if (taps == 1 && loops_left == sum.dimensions.size() && loops_left > 0) {
    steps = {innermost(sum, std::move(steps), std::move(ahead))};
    --loops_left;
  } else if (!ahead.empty()) {
    append(steps, each_tap(std::move(ahead)));
  }
  for (size_t d = loops_left; d-- > 0;) steps = {loop_of(sum, d, std::move(steps))};
  append(out, std::move(steps));
}

// The innermost loop of a sum, in stretches that ask for what is used soon.
Stmt RowContraction::innermost(const ReductionLoops& sum, std::vector<Stmt> step, std::vector<Stmt> ahead) {
  const size_t last = sum.dimensions.size() - 1;
  if (sum.stretch == 1 || ahead.empty()) {
    append(step, std::move(ahead));
    return loop_of(sum, last, std::move(step));
  }
  const Expr begin = loops::variable(sum.stretch_name) * Expr(sum.stretch);
  ahead.push_back(loops::loop(sum.variables.back(), begin, begin + Expr(sum.stretch), 1, std::move(step)));
  ReductionLoops stretches = sum;
  stretches.variables.back() = sum.stretch_name;
  stretches.dimensions.back().count = Expr(sum.dimensions.back().most / sum.stretch);
  if (sum.parted == last) stretches.part_steps /= sum.stretch;
  return loop_of(stretches, last, std::move(ahead));
}

// One loop of a sum: where it is the parted one, the loop over the parts with it inside.
Stmt RowContraction::loop_of(const ReductionLoops& sum, size_t d, std::vector<Stmt> body) {
  const std::string& name = sum.variables[d];
  const Expr& count = sum.dimensions[d].count;
  if (sum.part_steps == 0 || sum.parted != d) return loops::loop(name, 0, count, 1, std::move(body));
  if (sum.part_steps > 1) {
    const std::string part = lowering_.fresh("part");
    const Expr begin = loops::variable(part), end = begin + Expr(sum.part_steps);
    const auto all = loops::as_integer(count);
    const bool even = all && *all % sum.part_steps == 0;
    std::vector<Stmt> parts{loops::loop(name, begin, even ? end : loops::binary(loops::BinaryOp::minimum, end, count), 1, std::move(body))};
    append(parts, sum.end_part);
    return loops::loop(part, 0, count, sum.part_steps, std::move(parts));
  }
  append(body, sum.end_part);
  return loops::loop(name, 0, count, 1, std::move(body));
}

// A sum whose parts are added to totals, which begin at zero and are the tile's sums in the end.
void RowContraction::add_parts(const TileShape& tile, const Place& place, ReductionLoops sum, const Registers& registers, bool final,
                               std::vector<Stmt>& out) {
  const loops::Type type{loops::Scalar::f32, run_.lanes};
  const Expr zero = loops::constant_of(type, 0);
  // The parts of a contraction have lines of their own length, and so tiles of their own size.
  int64_t& room = lowering_.program.buffers[static_cast<size_t>(plan_.totals)].elements.factor;
  room = std::max(room, int64_t{tile.rows()} * run_.vectors * run_.lanes);
  auto load = [&](const Expr& total) { return loops::load(plan_.totals, loops::Scalar::f32, total); };
  auto write = [&](const Expr& position, Expr value) { return loops::write_register(registers.acc, position, std::move(value)); };
  sum.end_part = over_totals(tile, registers, [&](const Expr& position, const Expr& total) {
    return std::vector{loops::store(plan_.totals, total, load(total) + loops::read_register(registers.acc, type, position)),
                       write(position, zero)};
  });
  append(out, over_totals(tile, registers,
                          [&](const Expr&, const Expr& total) { return std::vector{loops::store(plan_.totals, total, zero)}; }));
  add_products(tile, place, std::move(sum), 1, registers, final, out);
  append(out,
         over_totals(tile, registers, [&](const Expr& position, const Expr& total) { return std::vector{write(position, load(total))}; }));
}

// For each vector of the tile its register's position, and its total's index.
std::vector<Stmt> RowContraction::over_totals(const TileShape& tile, const Registers& registers, const TotalBody& body) {
  const Expr position = loops::variable(registers.v);
  const Expr total = run_.lanes == 1 ? position : loops::ramp(position * Expr(run_.lanes), 1, run_.lanes);
  return {unrolled(registers.v, int64_t{tile.rows()} * run_.vectors, body(position, total))};
}

// The outermost loops whose steps are not too many make a part, or as many of their steps as there is room for, evenly.
void RowContraction::choose_parts(ReductionLoops& loops) const {
  int64_t inner = 1;
  size_t d = loops.dimensions.size();
  while (d > 0 && inner * loops.dimensions[d - 1].most <= longest_sum) inner *= loops.dimensions[--d].most;
  if (d == 0) return;
  const int64_t all = loops.dimensions[d - 1].most, most = std::max<int64_t>(1, longest_sum / inner),
                steps = divide_up(all, divide_up(all, most));
  loops.parted = d - 1;
  loops.part_steps = inner == 1 ? divide_up(steps, cost::most_stretch) * cost::most_stretch : steps;
}

void RowContraction::results(const TileShape& tile, const Place& place, const std::string& acc, std::vector<Stmt>& out) {
  const std::string r = lowering_.fresh("r"), v = lowering_.fresh("v");
  auto sum = [&](Expr row, Expr vector) {
    return loops::read_register(acc, {loops::Scalar::f32, run_.lanes}, row * Expr(run_.vectors) + vector);
  };
  auto result_row = [&](Expr row) { return place.result + tile.distance(std::move(row), &RowDimension::result); };
  const Expr row = loops::variable(r), vector = loops::variable(v);
  out.push_back(unrolled(r, tile.rows(),
                         {unrolled(v, run_.vectors, epilogue(result_row(row), column_ + vector * Expr(run_.lanes), sum(row, vector)))}));
  auto replace = [&](Expr row, Expr vector, Expr element) {
    return loops::write_register(acc, row * Expr(run_.vectors) + vector, std::move(element));
  };
  const TallReduction::TileRows rows{
      tile.rows(), result_row, sum, replace, stage_.roots.front()->result(), both(place.steps == Expr(0), chunk_.is_first)};
  BNC_CHECK(std::count_if(reductions_.begin(), reductions_.end(),
                          [&](const TileReduction& rider) { return rider.reduction->in_registers(rows.product); }) <= 1,
            "two reductions replace a tile's results");
  for (const TileReduction& rider : reductions_)
    append(out, rider.reduction->tile(run_, column_, column_ - ranges_.column_begin, rider.block, rows));
}

void RowContraction::add_to_partial(const TileShape& tile, const Place& place, const std::string& acc, std::vector<Stmt>& out) {
  const std::string r = lowering_.fresh("r"), v = lowering_.fresh("v");
  const Expr row = loops::variable(r), vector = loops::variable(v);
  const Expr sum = loops::read_register(acc, {loops::Scalar::f32, run_.lanes}, row * Expr(run_.vectors) + vector);
  const Expr target = column_index(
      run_, partial_begin() + (place.partial + tile.distance(row, &RowDimension::partial)) * Expr(width_) + vector * Expr(run_.lanes));
  out.push_back(unrolled(
      r, tile.rows(),
      {unrolled(v, run_.vectors, {loops::store(plan_.partial, target, loops::load(plan_.partial, loops::Scalar::f32, target) + sum)})}));
}

RowContraction::ReductionLoops RowContraction::reduction_loops() {
  ReductionLoops loops;
  const Spans& spans = reduction_[part_];
  const auto right_strides = row_major(form_.right);
  for (size_t j = 0; j < spans.size(); ++j) {
    loops.dimensions.push_back({spans[j].count, spans[j].most, left_step(j), 0, part().left.flat_reduction(left_strides_, j),
                                part().right.flat_reduction(right_strides, j)});
    loops.dimensions.back().guarded = steps_along(guarded_, part().left.reduction, j);
  }
  loops.dimensions = merged_reduction(std::move(loops.dimensions));
  int64_t inner = elements_of(spans);
  for (ReductionDimension& dimension : loops.dimensions) {
    inner /= dimension.most;
    dimension.right = reads_right() ? dimension.right_source : inner * width_;
    loops.variables.push_back(lowering_.fresh("k"));
  }
  if (plan_.totals >= 0) choose_parts(loops);
  return loops;
}

RowContraction::Guard RowContraction::guard_of(const TileShape& tile, const Place& place, const ReductionLoops& sum, int taps,
                                               const Expr& row) const {
  Guard guard;
  for (size_t g = 0; g < place.guarded.size(); ++g) {
    Expr at = place.guarded[g] + tile.guarded(row, g);
    for (size_t d = 0; d < sum.dimensions.size(); ++d)
      at = at + loops::bounded_variable(sum.variables[d], 0, sum.dimensions[d].most - 1) * Expr(sum.dimensions[d].guarded[g]);
    const bool each = tile.moves(g) || ((taps > 1 || plan_.stage_left) && sum.dimensions.back().guarded[g] != 0);
    if (each && plan_.stage_left) continue;   // the window has zeros there
    Expr& inside = each ? guard.load : guard.step;
    inside = both(inside, both(Expr(0) <= at, at < lowering_.extent(form_.left[guarded_[g]])));
  }
  return guard;
}

// How many steps of the innermost reduction dimension a row takes at once.
int RowContraction::taps_of(const ReductionLoops& sum) const {
  const bool fits = part().left_has_columns() && !sum.dimensions.empty() && loops::as_integer(sum.dimensions.back().count) == plan_.taps;
  return fits ? plan_.taps : 1;
}

// One row's multiply-adds: an element of left times the panel's vectors, which begin at `tap`; depthwise a vector of left for each.
std::vector<Stmt> RowContraction::products(const TileShape& tile, Expr left, const Expr& inside, const Expr& tap,
                                           const Registers& registers) {
  const loops::Type type{loops::Scalar::f32, run_.lanes};
  const Expr row = loops::variable(registers.r), vector = loops::variable(registers.v), position = row * Expr(run_.vectors) + vector;
  const int buffer = plan_.stage_left ? plan_.window : lowering_.buffer_of(left_);
  left = left + tile.distance(row, &RowDimension::left);
  std::vector<Stmt> out, each;
  Expr a;
  if (part().left_has_columns()) {
    const int64_t stride = left_stride(part().columns());
    left = left + vector * Expr(run_.lanes * stride);
    // The last vector of a pixel's channels must not reach behind the last pixel.
    const Expr channels = plan_.guard_left ? column_predicate(lowering_, run_, column_ + vector * Expr(run_.lanes), each) : Expr();
    a = loops::load(buffer, loops::Scalar::f32, run_.lanes == 1 ? left : loops::ramp(left, stride, run_.lanes), both(inside, channels));
  } else {
    Expr element = loops::load(buffer, loops::Scalar::f32, inside ? loops::select(inside, left, Expr(0)) : left);
    if (inside) element = loops::select(inside, element, loops::real(0));
    a = loops::broadcast(lowering_.bind("a", element, out), run_.lanes);
  }
  each.push_back(loops::write_register(
      registers.acc, position,
      loops::fma(a, loops::read_register(registers.panel, type, tap + vector), loops::read_register(registers.acc, type, position))));
  out.push_back(unrolled(registers.v, run_.vectors, std::move(each)));
  return out;
}

// Stores the result's elements of one row, from a vector of columns on, and whatever is computed from them.
std::vector<Stmt> RowContraction::epilogue(Expr row, Expr column, Expr sum) {
  std::vector<Stmt> body;
  const Expr predicate = column_predicate(lowering_, run_, column, body);
  const size_t last = form_.result.size() - 1;
  const int64_t scale = part().result.space[last][part().columns()];
  Expr place = column * Expr(scale) + Expr(part().result.offset[last]);
  for (size_t j = 0; j < part().columns(); ++j) place = place + groups_[j] * Expr(part().result.space[last][j]);
  if (run_.lanes > 1) place = loops::ramp(place, scale, run_.lanes);
  Elements elements(lowering_, body, flat_index(lowering_, form_.result, flat_, std::move(row), place), predicate);
  if (slice_) {
    const Expr at = slice_ * Expr(*lowering_.fixed(*element_count(form_.result))) + elements.offset(form_.result, elements.index());
    body.push_back(loops::store(plan_.slice_sums, at, sum, run_.lanes > 1 ? predicate : Expr()));
    return body;
  }
  for (Node* root : stage_.roots) {
    const Expr value = elements.bind(root->results[0].name, root == &node_ ? sum : elements.compute(*root, elements.index()));
    elements.define(root->result(), value);
    elements.store(root->result(), value);
  }
  return body;
}

}  // namespace bnc::lower
