#include "passes/lower/contraction_pack.h"

#include <algorithm>

#include "ir/integers.h"
#include "passes/lower/elements.h"

namespace bnc::lower {
namespace {

class RightPacking {
 public:
  RightPacking(Lowering& lowering, const Node& node, const ContractionForm& form, int64_t width)
      : lowering_(lowering),
        operand_(viewed(lowering, node.operands[1])),
        direct_(node.operands[1]),
        name_(node.results[0].name),
        form_(form),
        width_(width) {
    for (size_t p = 0; p < form.parts.size(); ++p) {
      begins_.push_back(elements_);
      elements_ += form.groups(p) * panels(p) * depth(form.parts[p]) * width;
    }
  }

  int run() {
    const auto buffer = lowering_.buffers.find(operand_);
    if (buffer != lowering_.buffers.end() && lowering_.program.buffers[buffer->second].kind == loops::BufferKind::constant)
      return constant(buffer->second);
    packed_ = lowering_.arena_buffer(name_ + ".right", Dim{elements_});
    loops::Kernel kernel;
    kernel.name = lowering_.fresh(name_ + "_pack_right");
    kernel.task_variable = lowering_.fresh("panel");
    const int64_t tasks = form_.groups(0) * panels(0);
    kernel.tasks = Expr(tasks);
    std::vector<Stmt> body;
    for (size_t p = 0; p < form_.parts.size(); ++p) copy_panel(p, loops::variable(kernel.task_variable), body);
    kernel.body = loops::block(std::move(body));
    lowering_.program.kernels.push_back(std::move(kernel));
    return packed_;
  }

 private:
  static int64_t depth(const FormPart& part) {
    int64_t count = 1;
    for (const Dim& dim : part.reduction) count *= dim.factor;
    return count;
  }
  int64_t columns(size_t p) const { return *lowering_.fixed(form_.parts[p].space.back()); }
  int64_t panels(size_t p) const { return divide_up(columns(p), width_); }

  // A constant is packed now, into another one.
  int constant(int source) {
    const SharedNumbers from = lowering_.program.buffers[source].data;
    packed_ = lowering_.add_buffer(name_ + ".right", DType::f32, {Dim{elements_}}, loops::BufferKind::constant);
    lowering_.program.buffers[packed_].data = SharedNumbers::filled(static_cast<size_t>(elements_),
                                                                    [&](std::span<float> to) { pack(from.view(), to); });
    return packed_;
  }

  void pack(std::span<const float> from, std::span<float> to) const {
    const std::vector<int64_t> strides = row_major(form_.right);
    std::ranges::fill(to, 0.0f);
    for (size_t p = 0; p < form_.parts.size(); ++p) {
      const FormPart& part = form_.parts[p];
      std::vector<int64_t> extents, steps;
      for (size_t j = 0; j < part.columns(); ++j) {
        if (part.is_group(j)) extents.push_back(part.space[j].factor), steps.push_back(part.right.flat_space(strides, j));
      }
      for (size_t j = 0; j < part.reduction.size(); ++j)
        extents.push_back(part.reduction[j].factor), steps.push_back(part.right.flat_reduction(strides, j));
      const int64_t column_step = part.right.flat_space(strides, part.columns()), lines = depth(part), all = form_.groups(p) * lines;
      for (int64_t line = 0; line < all; ++line) {
        int64_t position = part.right.flat_offset(strides), rest = line;
        for (size_t j = extents.size(); j-- > 0; rest /= extents[j]) position += rest % extents[j] * steps[j];
        const int64_t group = line / lines, k = line % lines;
        for (int64_t panel = 0; panel < panels(p); ++panel) {
          const int64_t first = begins_[p] + ((group * panels(p) + panel) * lines + k) * width_,
                        count = std::min(width_, columns(p) - panel * width_);
          for (int64_t c = 0; c < count; ++c)
            to[static_cast<size_t>(first + c)] = from[static_cast<size_t>(position + (panel * width_ + c) * column_step)];
        }
      }
    }
  }

  // One task's panel of a part: line after line where the operand's columns lie side by side, else some columns at a time.
  void copy_panel(size_t p, Expr task, std::vector<Stmt>& out) {
    const FormPart& part = form_.parts[p];
    if (part.empty()) return;
    const Expr panel = task % Expr(panels(p));
    Expr group = task / Expr(panels(p));
    Index space(part.space.size(), Expr(0));
    for (size_t j = part.columns(); j-- > 0;) {
      if (!part.is_group(j)) continue;
      space[j] = lowering_.bind("group", group % Expr(part.space[j].factor), out);
      group = group / Expr(part.space[j].factor);
    }
    const Expr first = lowering_.bind("first", panel * Expr(width_), out),
               begin = lowering_.bind("begin", Expr(begins_[p]) + task * Expr(depth(part) * width_), out);
    const int64_t column_step = part.right.flat_space(row_major(form_.right), part.columns());
    const bool even = columns(p) % width_ == 0;
    const Expr end = even ? first + Expr(width_) : loops::binary(loops::BinaryOp::minimum, first + Expr(width_), Expr(columns(p)));
    if (column_step == 1) {
      const Ranges ranges{Expr(0), Expr(1), 1, first, end, even ? std::optional(width_) : std::nullopt};
      lines(part, out, [&](const Index& k, Expr place, std::vector<Stmt>& body) {
        for (const ColumnRun& run : column_runs(lowering_, ranges, 1)) {
          body.push_back(over_columns(lowering_, run, [&](Expr column) {
            std::vector<Stmt> step;
            const Expr mask = column_predicate(lowering_, run, column, step);
            space.back() = column_index(run, column);
            Expr x = element(part, space, k, mask, step);
            if (x->type.lanes != run.lanes) x = loops::broadcast(x, run.lanes);
            step.push_back(loops::store(packed_, column_index(run, begin + place + (column - first)), x, mask));
            return step;
          }));
        }
      });
      return;
    }
    const int64_t together = std::min<int64_t>(width_, 8);
    const std::string block = lowering_.fresh("j"), u = lowering_.fresh("u");
    const Expr whole = lowering_.bind("whole", (end - first) / Expr(together) * Expr(together), out);
    auto columns_from = [&](Expr from, Expr to, int64_t step) {
      std::vector<Stmt> body;
      lines(part, body, [&](const Index& k, Expr place, std::vector<Stmt>& inner) {
        std::vector<Stmt> copy;
        const Expr column = loops::variable(block) + loops::variable(u);
        space.back() = first + column;
        const Expr x = element(part, space, k, {}, copy);
        copy.push_back(loops::store(packed_, begin + place + column, x));
        inner.push_back(loops::loop(u, 0, Expr(step), 1, std::move(copy), loops::LoopKind::unrolled));
      });
      out.push_back(loops::loop(block, from, to, step, std::move(body)));
    };
    columns_from(Expr(0), whole, together);
    if (!even || width_ % together) columns_from(whole, end - first, 1);
  }

  // Loops over the reduction; `body` gets its index and where its line lies in the panel.
  void lines(const FormPart& part, std::vector<Stmt>& out,
             const std::function<void(const Index& k, Expr place, std::vector<Stmt>& body)>& body) {
    Index k;
    Expr place = 0;
    int64_t inner = depth(part);
    for (const Dim& dim : part.reduction) {
      inner /= dim.factor;
      k.push_back(dim.is_one() ? Expr(0) : loops::variable(lowering_.fresh("k")));
      place = place + k.back() * Expr(inner * width_);
    }
    std::vector<Stmt> nest;
    body(k, place, nest);
    for (size_t j = k.size(); j-- > 0;) {
      if (!part.reduction[j].is_one()) nest = {loops::loop(k[j]->name, 0, Expr(part.reduction[j].factor), 1, std::move(nest))};
    }
    out.insert(out.end(), nest.begin(), nest.end());
  }

  Expr element(const FormPart& part, const Index& space, const Index& k, Expr mask, std::vector<Stmt>& out) {
    Index index;
    for (size_t d = 0; d < form_.right.size(); ++d) {
      Expr position = part.right.offset[d];
      for (size_t j = 0; j < k.size(); ++j) position = position + k[j] * Expr(part.right.reduction[d][j]);
      for (size_t j = 0; j < space.size(); ++j) position = position + space[j] * Expr(part.right.space[d][j]);
      index.push_back(position);
    }
    return Elements(lowering_, out, {}, std::move(mask)).value(direct_, index);
  }

  Lowering& lowering_;
  const Value operand_, direct_;
  const std::string name_;
  const ContractionForm& form_;
  const int64_t width_;
  int packed_ = -1;
  int64_t elements_ = 0;
  std::vector<int64_t> begins_;   // where each part's panels begin
};

}  // namespace

int pack_right(Lowering& lowering, const Node& node, const ContractionForm& form, int64_t width) {
  return RightPacking(lowering, node, form, width).run();
}

}  // namespace bnc::lower
