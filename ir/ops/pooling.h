// Where the windows of a pooling lie, for reference and lowering.
#pragma once

#include "ir/integers.h"
#include "ir/ops/window.h"

namespace bnc::ops {

// The windows along one spatial dimension: window o covers elements o*stride - low + [0, kernel).
struct PoolAxis {
  int64_t in, out, kernel, stride, low, high;

  bool starts_outside() const { return low > 0; }
  bool ends_outside() const { return (out - 1) * stride - low + kernel > in; }
  // How many elements of window `o` count: those of x, and the padded ones where `include_pad`.
  int64_t count(int64_t o, bool include_pad) const;
  loops::Expr count(const loops::Expr& o, bool include_pad) const;
};

// One element of window `o`.
struct PoolTap {
  loops::Expr position;  // in x, kept within its bounds
  loops::Expr inside;    // whether it is one of x; absent where all are
  loops::Expr local;     // the number within the window of the element at `position`
};
PoolTap pool_tap(const PoolAxis& axis, const loops::Expr& o, int64_t k);

// A window that contains element `i` of x: the `j`-th before the last one that begins at or in front of it.
struct CoveringWindow {
  loops::Expr o;      // kept within the windows there are
  loops::Expr local;  // the number of the element within it
  loops::Expr valid;  // whether there is such a window; absent where there always is
};
inline int64_t covering_windows(const PoolAxis& axis) { return divide_up(axis.kernel, axis.stride); }
CoveringWindow covering_window(const PoolAxis& axis, const loops::Expr& i, int64_t j);

// Calls visit(o, pooled, at, local) for every element of every window that is one of x: the window's index and position in
// the pooled tensor, the element's position in x, and its number within the window. Windows and elements come in row-major order.
void for_each_tap(const std::vector<PoolAxis>& axes, const std::vector<int64_t>& x, const std::vector<int64_t>& y,
                  const std::function<void(const std::vector<int64_t>& o, int64_t pooled, int64_t at, int64_t local)>& visit);

// The attributes that say where windows lie, the constraints on them and on x, numbered from 1, and the pooled shape of an x of `shape`.
std::vector<AttributeSpec> pool_attributes();
std::vector<std::string> pool_constraints();
Shape pooled_shape(const InferContext& cx, const Shape& shape);
// The result of pooling x, which is to be f32, to one number a window and channel.
std::vector<TensorType> infer_pooled(const InferContext& cx, DType dtype);
// The same for gradients: these have an attribute `size`, the spatial size of x, and one more constraint, that operand 0 is
// of pooled shape. `pool_input_shape` is the shape of x.
std::vector<AttributeSpec> pool_gradient_attributes(std::vector<AttributeSpec> attributes);
std::vector<std::string> pool_gradient_constraints();
Shape pool_input_shape(const InferContext& cx);
AttributeMap with_size(const Node& node, const Shape& x);
// The windows over an x of this shape, of a node that has passed its shape rule.
std::vector<PoolAxis> pool_axes(const Node& node, const Shape& x);

}  // namespace bnc::ops
