#include "codegen/equal_kernels.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace bnc::codegen {

using loops::Buffer;
using loops::BufferKind;
using loops::Expr;
using loops::ExprNode;
using loops::Kernel;
using loops::Program;
using loops::Stmt;
using loops::StmtNode;

namespace {

// Writes down a kernel's code with everything numbered in order of first use, so that equal texts are equal code.
class Canonical {
 public:
  Canonical(const Program& program, const Kernel& kernel) : program_(program), kernel_(kernel) {
    name(loops::batch_variable);
    name(kernel.task_variable);
    name(kernel.first_task_variable);
    statement(*kernel.body);
    for (int id : used_) describe(id);
  }

  std::string take_text() { return std::move(text_); }
  // Those used, without scratch or nothing but scratch.
  std::vector<int> buffers(bool scratch) const {
    std::vector<int> chosen;
    std::ranges::copy_if(used_, std::back_inserter(chosen),
                         [&](int id) { return (program_.buffers[id].kind == BufferKind::scratch) == scratch; });
    return chosen;
  }

 private:
  template <typename T>
  void put(T value) { text_.append(reinterpret_cast<const char*>(&value), sizeof value); }

  void type(loops::Type type) {
    put(type.scalar);
    put(type.lanes);
  }

  void name(const std::string& name) { put(names_.emplace(name, static_cast<int>(names_.size())).first->second); }

  void buffer(int id) {
    auto [found, added] = buffers_.emplace(id, static_cast<int>(used_.size()));
    if (added) used_.push_back(id);
    put(found->second);
  }

  // A node that was written before is told by its number.
  void expression(const Expr& x) {
    if (!x) return put(-1);
    auto [found, added] = nodes_.emplace(x.get(), static_cast<int>(nodes_.size()));
    put(found->second);
    if (!added) return;
    put(x->kind);
    type(x->type);
    put(x->integer_value);
    put(x->real_value);
    put(x->unary_op);
    put(x->binary_op);
    if (x->buffer >= 0) buffer(x->buffer);
    if (!x->name.empty()) name(x->name);
    put(x->args.size());
    for (const Expr& arg : x->args) expression(arg);
  }

  void statement(const StmtNode& s) {
    put(s.kind);
    put(s.loop_kind);
    put(s.step);
    put(s.count);
    put(s.prefetch);
    put(s.streamed);
    type(s.type);
    if (!s.name.empty()) name(s.name);
    if (s.buffer >= 0) buffer(s.buffer);
    for (const Expr* x : {&s.begin, &s.end, &s.index, &s.value, &s.predicate}) expression(*x);
    put(s.body.size());
    for (const Stmt& inner : s.body) statement(*inner);
  }

  // All that code depends on of a buffer beside its address.
  void describe(int id) {
    const Buffer& buffer = program_.buffers[id];
    put(buffer.scalar);
    put(buffer.kind);
    if (buffer.kind == BufferKind::scratch) put(std::pair(buffer.offset, buffer.elements.factor));
    for (int other : used_) put(may_share_memory(program_, kernel_, id, other));
  }

  const Program& program_;
  const Kernel& kernel_;
  std::string text_;
  std::unordered_map<std::string, int> names_;
  std::unordered_map<int, int> buffers_;
  std::unordered_map<const ExprNode*, int> nodes_;
  std::vector<int> used_;
};

}  // namespace

bool may_share_memory(const Program& program, const Kernel& kernel, int a, int b) {
  const Buffer &x = program.buffers[a], &y = program.buffers[b];
  if (a == b) return true;
  auto written = [&](int id) { return std::ranges::count(kernel.writes, id) > 0; };
  return x.kind == BufferKind::argument && y.kind == BufferKind::argument && x.elements == y.elements && (written(a) || written(b));
}

KernelFunctions find_equal_kernels(const Program& program) {
  KernelFunctions result;
  std::unordered_map<std::string, int> first;
  for (const Kernel& kernel : program.kernels) {
    Canonical canonical(program, kernel);
    result.buffers.push_back(canonical.buffers(false));
    result.scratch.push_back(canonical.buffers(true));
    result.function.push_back(first.emplace(canonical.take_text(), static_cast<int>(result.function.size())).first->second);
  }
  return result;
}

}  // namespace bnc::codegen
