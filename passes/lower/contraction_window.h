// What one task or one reduction block of a contraction touches: the box of positions, and the window of the left operand
// that goes with it.
#pragma once

#include "passes/lower/contraction.h"
#include "passes/lower/contraction_form.h"

namespace bnc::lower {

// Both conditions; an absent one holds.
inline Expr both(const Expr& a, const Expr& b) { return !a ? b : !b ? a : loops::binary(loops::BinaryOp::logical_and, a, b); }

// A range of one dimension. `most` is its length, or a bound of it where `count` is not constant.
struct Span {
  Expr begin = 0, count = 1;
  int64_t most = 1;

  bool fixed() const { return loops::as_integer(count).has_value(); }
};
using Spans = std::vector<Span>;
// The most positions of the dimensions from `first` on.
int64_t elements_of(const Spans& spans, size_t first = 0);

// The dimension of the result along which dimension j of the space runs, and how far apart its positions are there.
size_t result_dimension(const FormPart& part, size_t j);

// The window of the left operand that some spans of space and reduction read: every `step`th element from `origin` on, kept
// row-major with `stride`. Dimension by dimension of the operand.
struct Window {
  std::vector<int64_t> step, extent, stride;
  std::vector<int64_t> first;      // the offset of the part that begins lowest
  std::vector<bool> inside;        // whether it never reaches beyond the operand
  int64_t elements = 0;            // with room for vectors that reach past the end

  // Strides within the window of space and reduction dimensions, and where the spans' first position lies.
  int64_t space_stride(const FormPart& part, size_t j) const;
  int64_t reduction_stride(const FormPart& part, size_t j) const;
  int64_t part_offset(const FormPart& part) const;
  // The dimensions that may reach beyond the operand. Of these, those whose lines do: where lines have such an edge at their
  // pixels too, for else several lines are one.
  std::vector<size_t> edges() const;
  std::vector<size_t> line_edges() const;
  // Of channels, in all its pixels.
  int64_t vectors(int lanes) const;
  Index origin(const FormPart& part, const Spans& space, const Spans& reduction) const;
};
// How far dimension j of the space or the reduction, with these slopes, steps along each of these dimensions.
std::vector<int64_t> steps_along(const std::vector<size_t>& dimensions, const std::vector<std::vector<int64_t>>& slopes, size_t j);
// `space` and `reduction`: the spans of each part.
Window window_of(const ContractionForm& form, const std::vector<Spans>& space, const std::vector<Spans>& reduction,
                 const TargetDescription& target);

// A row dimension of the loops, outermost first; neighbours that are evenly spaced everywhere are one.
struct RowDimension {
  Expr count = 1;
  int64_t most = 1;
  // Distances: elements of left (staged or not), flattened rows of the result, rows of the partial sums, elements of left
  // in its own memory (about: this one is no obstacle to being one with a neighbour).
  int64_t left = 0, result = 0, partial = 0, source = 0;
  std::vector<int64_t> guarded = {};   // and in each dimension of left that has guarded edges

  bool fixed() const { return loops::as_integer(count).has_value(); }
};
std::vector<RowDimension> merged_rows(std::vector<RowDimension> rows);

// A reduction dimension: distances in left (staged or not) and in the panels of right, which are dense; and in the operands'
// own memory.
struct ReductionDimension {
  Expr count = 1;
  int64_t most = 1, left = 0, right = 0, left_source = 0, right_source = 0;
  std::vector<int64_t> guarded = {};   // in each dimension of left that has guarded edges
};
// One dimension at least, of one step where all are.
std::vector<ReductionDimension> merged_reduction(std::vector<ReductionDimension> dimensions);
// How many steps of the innermost loop of such a sum go together between prefetches: cost::most_stretch, or one.
int64_t stretch_of(const std::vector<ReductionDimension>& reduction);

// Appends loops that fill the window, from element `begin` of the buffer on, with the operand's elements, zero outside of it,
// computing what is inlined.
void stage_window(Lowering& lowering, Value operand, const Window& window, const Index& origin, int buffer, Expr begin,
                  std::vector<Stmt>& out);

}  // namespace bnc::lower
