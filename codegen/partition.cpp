#include "codegen/partition.h"

#include "ir/integers.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

namespace bnc::codegen {

using loops::Expr;
using loops::ExprKind;
using loops::Stmt;
using loops::StmtKind;
using loops::UnaryOp;

namespace {

// Instructions from which a second thread pays: docs/performance.md.
constexpr int64_t worthwhile_part = 1000;

// A shared subexpression is computed once.
int64_t instructions(const Expr& x, std::unordered_set<const loops::ExprNode*>& counted) {
  if (!x || !counted.insert(x.get()).second) return 0;
  bool function = x->kind == ExprKind::unary && x->unary_op >= UnaryOp::exp && x->unary_op != UnaryOp::logical_not;
  int64_t count = function ? 30 : x->args.empty() ? 0 : 1;
  for (const Expr& arg : x->args) count += instructions(arg, counted);
  return count;
}

int64_t instructions(const Stmt& s) {
  int64_t count = 0;
  for (const Stmt& inner : s->body) count += instructions(inner);
  std::unordered_set<const loops::ExprNode*> counted;
  for (const Expr* x : {&s->index, &s->value, &s->predicate}) count += instructions(*x, counted);
  if (s->kind != StmtKind::loop || s->loop_kind != loops::LoopKind::unrolled) return count;
  // Bounds that depend on other unrolled loops are not known here.
  int64_t begin = loops::as_integer(s->begin).value_or(0), end = loops::as_integer(s->end).value_or(begin + s->step);
  return count * std::max<int64_t>(0, divide_up(end - begin, s->step));
}

}  // namespace

std::vector<int> partition(const loops::Program& program, const KernelFunctions& functions, int most) {
  std::vector<int64_t> sizes;
  for (size_t k = 0; k < program.kernels.size(); ++k)
    sizes.push_back(functions.function[k] == static_cast<int>(k) ? instructions(program.kernels[k].body) : 0);
  int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  int parts = static_cast<int>(std::clamp<int64_t>(total / worthwhile_part, 1, std::max(most, 1)));

  // The largest first, each to the part that has least.
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<int64_t> load(parts, 0);
  std::vector<int> part(sizes.size(), 0);
  for (size_t kernel : order) {
    part[kernel] = static_cast<int>(std::ranges::min_element(load) - load.begin());
    load[part[kernel]] += sizes[kernel];
  }
  for (size_t k = 0; k < part.size(); ++k) part[k] = part[static_cast<size_t>(functions.function[k])];
  return part;
}

}  // namespace bnc::codegen
