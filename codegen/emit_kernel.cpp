// Kernels: statements and registers. One LLVM function a kernel, with a loop over its tasks.
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>

#include "codegen/kernel_emitter.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

using loops::Expr;
using loops::ExprKind;
using loops::Scalar;
using loops::Stmt;
using loops::StmtKind;
using loops::StmtNode;

// The loop over tasks, and the end of the function.
void KernelEmitter::emit_tasks(llvm::BasicBlock* block) {
  builder_.SetInsertPoint(block);
  emitted_.clear();
  const bool hands_on = !kernel_.first_task_variable.empty();
  if (hands_on) define(kernel_.first_task_variable, {function_->getArg(2)});
  if (hands_on) poison_scratch();
  emit_loop(kernel_.task_variable, {function_->getArg(2)}, function_->getArg(3), 1, [&] {
    if (!hands_on) poison_scratch();
    emit_statement(kernel_.body);
  });
  // Unlike other stores, those past the caches are not ordered before what tells other threads that the kernel has ended.
  if (!streamed_.empty()) builder_.CreateIntrinsic(llvm::Intrinsic::x86_sse_sfence, llvm::ArrayRef<llvm::Type*>{}, {});
  if (bounds_) bounds_->report(function_->getArg(static_cast<unsigned>(function_->arg_size()) - 1), n_);
  builder_.CreateRetVoid();
}

void KernelEmitter::emit_body(const std::vector<Stmt>& body) {
  auto variables = variables_;
  auto replacements = replacements_;
  for (const Stmt& s : body) emit_statement(s);
  variables_ = std::move(variables);
  replacements_ = std::move(replacements);
}

void KernelEmitter::emit_statement(const Stmt& s) {
  emitted_.clear();
  switch (s->kind) {
    case StmtKind::block: emit_body(s->body); break;
    case StmtKind::loop: emit_loop_statement(*s); break;
    case StmtKind::store: {
      Expr index = resolve(s->index), value = resolve(s->value), predicate = resolve(s->predicate);
      if (predicate && loops::is_constant(predicate, 0)) break;
      if (predicate && loops::is_constant(predicate, 1)) predicate = {};
      llvm::Value* stored = emit(value);
      if (value->type.scalar == Scalar::boolean) stored = builder_.CreateZExt(stored, memory_type(value->type));
      write(s->buffer, stored, index, predicate, s->streamed);
      break;
    }
    case StmtKind::let: emit_let(*s); break;
    case StmtKind::declare_registers: declare_registers(*s); break;
    case StmtKind::write_register: {
      llvm::Value* value = emit(resolve(s->value));
      builder_.CreateStore(value, register_element(s->name, resolve(s->index)));
      break;
    }
    case StmtKind::conditional: emit_conditional(*s); break;
    case StmtKind::prefetch: emit_prefetch(*s); break;
  }
}

// Constants, ramps and broadcasts stay visible to the index algebra; everything else is a value.
void KernelEmitter::emit_let(const StmtNode& s) {
  Expr value = resolve(s.value);
  bool vector = value->kind == ExprKind::ramp || value->kind == ExprKind::broadcast;
  if (value->kind == ExprKind::integer || value->kind == ExprKind::real) {
    replacements_[s.name] = value;
  } else if (vector && !value->type.is_float()) {
    std::string base = s.name + ".base";
    define(base, {emit(value->args[0]), multiple_of(value->args[0]), depth_of(value->args[0])});
    Expr first = loops::variable(base, value->type.with_lanes(1));
    replacements_[s.name] = value->kind == ExprKind::ramp ? loops::ramp(first, value->integer_value, value->type.lanes)
                                                          : loops::broadcast(first, value->type.lanes);
  } else {
    replacements_.erase(s.name);
    define(s.name, {emit(value), multiple_of(value), depth_of(value)});
  }
}

void KernelEmitter::emit_loop_statement(const StmtNode& s) {
  Expr begin = resolve(s.begin), end = resolve(s.end);
  auto first = loops::as_integer(begin), last = loops::as_integer(end);
  bool once = first && last && *first < *last && *first + s.step >= *last;
  if (s.loop_kind == loops::LoopKind::unrolled || once) {
    BNC_CHECK(first && last, "unrolled loop " + s.name);
    auto outer = replacements_;
    for (int64_t i = *first; i < *last; i += s.step) {
      replacements_[s.name] = Expr(i);
      emit_body(s.body);
    }
    replacements_ = std::move(outer);
    return;
  }
  if (first && last && *first >= *last) return;
  llvm::Value* from = emit(begin);
  emit_loop(s.name, {from, std::gcd(multiple_of(begin), s.step)}, emit(end), s.step, [&] { emit_body(s.body); });
}

// if (begin < end) do { body } while ((variable += step) < end)
void KernelEmitter::emit_loop(const std::string& variable, Variable begin, llvm::Value* end, int64_t step,
                              const std::function<void()>& body) {
  llvm::BasicBlock *before = new_block("before"), *repeat = new_block("loop"), *after = new_block("after");
  builder_.CreateCondBr(builder_.CreateICmpSLT(begin.value, end), before, after);
  builder_.SetInsertPoint(before);
  builder_.CreateBr(repeat);
  builder_.SetInsertPoint(repeat);
  llvm::PHINode* counter = builder_.CreatePHI(builder_.getInt64Ty(), 2, variable);
  counter->addIncoming(begin.value, before);
  auto outer = variables_;
  auto outer_replacements = replacements_;
  replacements_.erase(variable);
  define(variable, {counter, begin.multiple, ++loop_depth_});
  body();
  --loop_depth_;
  variables_ = std::move(outer);
  replacements_ = std::move(outer_replacements);
  llvm::Value* next = builder_.CreateNSWAdd(counter, builder_.getInt64(step));
  counter->addIncoming(next, builder_.GetInsertBlock());
  llvm::BranchInst* latch = builder_.CreateCondBr(builder_.CreateICmpSLT(next, end), repeat, after);
  llvm::LLVMContext& llvm = function_->getContext();
  llvm::MDNode* no_unrolling = llvm::MDNode::get(llvm, llvm::MDString::get(llvm, "llvm.loop.unroll.disable"));
  llvm::MDNode* id = llvm::MDNode::getDistinct(llvm, {nullptr, no_unrolling});
  id->replaceOperandWith(0, id);
  latch->setMetadata(llvm::LLVMContext::MD_loop, id);
  builder_.SetInsertPoint(after);
  emitted_.clear();
}

void KernelEmitter::emit_conditional(const StmtNode& s) {
  Expr condition = resolve(s.predicate);
  if (auto known = loops::as_integer(condition)) {
    if (*known) emit_body(s.body);
    return;
  }
  llvm::BasicBlock *then = new_block("then"), *after = new_block("after");
  builder_.CreateCondBr(
      emit(condition), then, after,
      s.frequency == loops::Frequency::rare ? llvm::MDBuilder(function_->getContext()).createUnlikelyBranchWeights() : nullptr);
  builder_.SetInsertPoint(then);
  emit_body(s.body);
  builder_.CreateBr(after);
  builder_.SetInsertPoint(after);
  emitted_.clear();
}

void KernelEmitter::emit_prefetch(const StmtNode& s) {
  llvm::Type* type = memory_type(context_.program.buffers[s.buffer].scalar);
  llvm::Value* pointer = builder_.CreateGEP(type, locations_.at(s.buffer).pointer, emit(resolve(s.index)));
  constexpr int into_all_caches = 3, into_l2 = 2, data = 1;
  const int caches = s.prefetch == loops::Prefetch::l2 ? into_l2 : into_all_caches;
  builder_.CreateIntrinsic(
      llvm::Intrinsic::prefetch, {pointer->getType()},
      {pointer, builder_.getInt32(s.prefetch == loops::Prefetch::store), builder_.getInt32(caches), builder_.getInt32(data)});
}

// One stack slot an element; the optimizer turns each into a register.
void KernelEmitter::declare_registers(const StmtNode& s) {
  llvm::IRBuilder<> entry(entry_);
  auto& slots = registers_[s.name];
  slots.clear();
  for (int64_t i = 0; i < s.count; ++i) slots.push_back(entry.CreateAlloca(type_of(s.type), nullptr, s.name));
  if (!context_.options.checks.poison) return;
  for (llvm::AllocaInst* slot : slots)
    builder_.CreateStore(splat(poison_of(llvm_type(builder_.getContext(), s.type.scalar)), s.type.lanes), slot);
}

llvm::AllocaInst* KernelEmitter::register_element(const std::string& name, const Expr& index) {
  auto position = loops::as_integer(index);
  auto& slots = registers_.at(name);
  BNC_CHECK(position && *position >= 0 && *position < static_cast<int64_t>(slots.size()), name + "[" + loops::to_string(index) + "]");
  return slots[*position];
}

llvm::Function* declare_kernel(const ModuleContext& context, size_t kernel) {
  llvm::LLVMContext& llvm = context.module.getContext();
  llvm::Type *pointer = llvm::PointerType::getUnqual(llvm), *index = llvm::Type::getInt64Ty(llvm);
  std::vector<llvm::Type*> parameters{pointer, index, index, index};
  const size_t buffers = context.options.functions->buffers[kernel].size();
  parameters.insert(parameters.end(), buffers, pointer);
  if (context.options.checks.bounds) parameters.insert(parameters.end(), buffers + 1, index);
  auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(llvm), parameters, false);
  return llvm::Function::Create(type, llvm::Function::ExternalLinkage, context.program.name + "." + context.program.kernels[kernel].name,
                                context.module);
}

void emit_kernel(const ModuleContext& context, size_t kernel, llvm::Function* function) {
  add_function_attributes(*function, context.target);
  function->addFnAttr(llvm::Attribute::NoInline);
  if (context.options.kernel_parts.empty()) function->setLinkage(llvm::Function::InternalLinkage);
  KernelEmitter(context, kernel, function).run();
}

}  // namespace bnc::codegen
