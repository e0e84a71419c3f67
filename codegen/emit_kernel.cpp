// Kernels: statements, memory accesses and registers. One LLVM function a kernel, with a loop over its tasks.
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "codegen/emit.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

using loops::Buffer;
using loops::BufferKind;
using loops::Expr;
using loops::ExprKind;
using loops::ExprNode;
using loops::Kernel;
using loops::Scalar;
using loops::Stmt;
using loops::StmtKind;
using loops::StmtNode;

namespace {

class KernelEmitter : public ExpressionEmitter {
 public:
  KernelEmitter(const ModuleContext& context, size_t kernel, llvm::Function* function)
      : ExpressionEmitter(context, llvm::BasicBlock::Create(function->getContext(), "entry", function)),
        kernel_(context.program.kernels[kernel]),
        buffers_(context.options.functions->buffers[kernel]),
        scratch_(context.options.functions->scratch[kernel]),
        function_(function) {
    if (context.options.checks.bounds) bounds_.emplace(*this, context.options.faults);
  }

  void run() {
    llvm::Value* n = function_->getArg(1);
    if (context_.program.batch) n = builder_.getInt64(*context_.program.batch);
    define(loops::batch_variable, {n});
    n_ = n;
    locate_buffers();
    find_streamed(kernel_.body);
    entry_ = builder_.GetInsertBlock();
    llvm::BasicBlock* body = new_block("body");
    emit_tasks(body);
    builder_.SetInsertPoint(entry_);
    if (llvm::Value* aligned = streamed_arguments_are_aligned()) {
      // What the caller passes may begin anywhere: a second version of the code for where it begins at a line.
      lines_begin_arguments_ = true;
      llvm::BasicBlock* streaming = new_block("streaming");
      emit_tasks(streaming);
      builder_.SetInsertPoint(entry_);
      builder_.CreateCondBr(aligned, streaming, body);
    } else {
      builder_.CreateBr(body);
    }
  }

 protected:
  llvm::Value* emit_load(const ExprNode& x) override;
  llvm::Value* emit_register(const ExprNode& x) override {
    return builder_.CreateLoad(type_of(x.type), register_element(x.name, x.args[0]));
  }

 private:
  // Where a buffer lies during this kernel, and what its accesses cannot overlap.
  struct Location {
    llvm::Value* pointer = nullptr;
    llvm::Value* extent = nullptr;   // of scratch, and where bounds are checked
    int position = 0;                // among the buffers of the kernel, scratch behind the others
    llvm::MDNode* scope = nullptr;
    llvm::MDNode* others = nullptr;
  };

  void emit_tasks(llvm::BasicBlock* block);
  void locate_buffers();
  void annotate_locations();
  BoundsChecker::Guard guard(int buffer, const Expr& index, const Expr& predicate, bool store);
  void poison_scratch();
  void find_streamed(const Stmt& s);
  llvm::Value* streamed_arguments_are_aligned();

  llvm::Type* memory_type(Scalar scalar) {
    return scalar == Scalar::boolean ? builder_.getInt8Ty() : llvm_type(builder_.getContext(), scalar);
  }
  llvm::Type* memory_type(loops::Type type) {
    return type.lanes == 1 ? memory_type(type.scalar) : llvm::FixedVectorType::get(memory_type(type.scalar), type.lanes);
  }
  llvm::Value* element(int buffer, const Expr& index);
  llvm::Align alignment(int buffer, const Expr& index) const;
  llvm::Instruction* annotate(llvm::Instruction* access, int buffer);
  llvm::Value* read(int buffer, loops::Type type, const Expr& index, const Expr& predicate);
  llvm::Value* read_lanes(int buffer, loops::Type type, const ExprNode& ramp, const BoundsChecker::Guard& guard);
  void write(int buffer, llvm::Value* value, const Expr& index, const Expr& predicate, bool streamed);
  llvm::Value* reversed(llvm::Value* vector, int lanes);
  llvm::Value* mask_of(const Expr& predicate, int lanes);

  void emit_statement(const Stmt& s);
  void emit_body(const std::vector<Stmt>& body);
  void emit_loop_statement(const StmtNode& s);
  void emit_loop(const std::string& variable, Variable begin, llvm::Value* end, int64_t step, const std::function<void()>& body);
  void emit_let(const StmtNode& s);
  void emit_conditional(const StmtNode& s);
  void emit_prefetch(const StmtNode& s);
  void declare_registers(const StmtNode& s);
  llvm::AllocaInst* register_element(const std::string& name, const Expr& index);

  // With the values of unrolled loop variables and constant lets filled in.
  Expr resolve(const Expr& x) { return x ? loops::substitute(x, replacements_) : x; }
  llvm::BasicBlock* new_block(const char* name) { return llvm::BasicBlock::Create(function_->getContext(), name, function_); }

  const Kernel& kernel_;
  const std::vector<int>&buffers_, &scratch_;
  llvm::Function* function_;
  llvm::Value* n_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr;
  std::optional<BoundsChecker> bounds_;
  std::map<int, Location> locations_;
  std::set<int> streamed_;               // buffers
  bool lines_begin_arguments_ = false;   // of those that are streamed
  std::map<std::string, Expr> replacements_;
  std::unordered_map<std::string, std::vector<llvm::AllocaInst*>> registers_;
};

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

// ---------------------------------------------------------------------------------------------------- memory

void KernelEmitter::locate_buffers() {
  for (size_t k = 0; k < buffers_.size(); ++k) {
    llvm::Argument* pointer = function_->getArg(4 + k);
    pointer->setName(context_.program.buffers[buffers_[k]].name);
    locations_[buffers_[k]].pointer = pointer;
    locations_[buffers_[k]].position = static_cast<int>(k);
    if (context_.options.checks.bounds) locations_[buffers_[k]].extent = function_->getArg(4 + buffers_.size() + k);
  }
  for (const std::vector<int>* list : {&kernel_.reads, &kernel_.writes}) {
    for (int id : *list) {
      const Buffer& buffer = context_.program.buffers[id];
      if (buffer.kind != BufferKind::scratch || locations_.contains(id)) continue;
      locations_[id].pointer = builder_.CreateConstInBoundsGEP1_64(builder_.getInt8Ty(), function_->getArg(0), buffer.offset, buffer.name);
      locations_[id].extent = builder_.getInt64(buffer.elements.factor);
    }
  }
  for (size_t k = 0; k < scratch_.size(); ++k) locations_.at(scratch_[k]).position = static_cast<int>(buffers_.size() + k);
  annotate_locations();
}

void KernelEmitter::annotate_locations() {
  llvm::MDBuilder metadata(function_->getContext());
  llvm::MDNode* domain = metadata.createAnonymousAliasScopeDomain(kernel_.name);
  std::map<int, llvm::MDNode*> scopes;
  for (auto& [id, location] : locations_) scopes[id] = metadata.createAnonymousAliasScope(domain, context_.program.buffers[id].name);
  for (auto& [id, location] : locations_) {
    llvm::SmallVector<llvm::Metadata*> others;
    for (auto& [other, scope] : scopes) {
      if (!may_share_memory(context_.program, kernel_, id, other)) others.push_back(scope);
    }
    location.scope = llvm::MDNode::get(function_->getContext(), {scopes[id]});
    location.others = llvm::MDNode::get(function_->getContext(), others);
  }
}

void KernelEmitter::find_streamed(const Stmt& s) {
  if (s->streamed) streamed_.insert(s->buffer);
  for (const Stmt& child : s->body) find_streamed(child);
}

// Null where no argument is streamed.
llvm::Value* KernelEmitter::streamed_arguments_are_aligned() {
  llvm::Value* bits = nullptr;
  for (int id : streamed_) {
    if (context_.program.buffers[id].kind != BufferKind::argument) continue;
    llvm::Value* address = builder_.CreatePtrToInt(locations_.at(id).pointer, builder_.getInt64Ty());
    bits = bits ? builder_.CreateOr(bits, address) : address;
  }
  return bits ? builder_.CreateICmpEQ(builder_.CreateAnd(bits, 63), builder_.getInt64(0)) : nullptr;
}

llvm::Instruction* KernelEmitter::annotate(llvm::Instruction* access, int buffer) {
  if (context_.program.buffers[buffer].kind == BufferKind::constant) {
    access->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(access->getContext(), {}));
    return access;
  }
  const Location& location = locations_.at(buffer);
  access->setMetadata(llvm::LLVMContext::MD_alias_scope, location.scope);
  access->setMetadata(llvm::LLVMContext::MD_noalias, location.others);
  return access;
}

// The terms of a sum are added to the pointer from the outermost loop's to the innermost's, a constant last: what does
// not change in a loop is one pointer before it, and the constant is part of the instruction.
llvm::Value* KernelEmitter::element(int buffer, const Expr& index) {
  std::map<int, Expr> terms;
  int64_t constant = 0;
  auto collect = [&](auto& self, const Expr& x) -> void {
    bool sum = x->kind == ExprKind::binary && x->binary_op == loops::BinaryOp::add && x->type.scalar == Scalar::i64;
    if (sum) {
      self(self, x->args[0]);
      self(self, x->args[1]);
    } else if (x->kind == ExprKind::integer) {
      constant += x->integer_value;
    } else {
      Expr& term = terms[depth_of(x)];
      term = term ? term + x : x;
    }
  };
  collect(collect, index);
  llvm::Type* type = memory_type(context_.program.buffers[buffer].scalar);
  llvm::Value* pointer = locations_.at(buffer).pointer;
  for (auto& [depth, term] : terms) pointer = builder_.CreateInBoundsGEP(type, pointer, emit(term));
  return constant ? builder_.CreateInBoundsGEP(type, pointer, builder_.getInt64(constant)) : pointer;
}

BoundsChecker::Guard KernelEmitter::guard(int buffer, const Expr& index, const Expr& predicate, bool store) {
  const Location& location = locations_.at(buffer);
  return bounds_ ? bounds_->check({location.position, store, location.extent}, index, predicate) : BoundsChecker::Guard();
}

void KernelEmitter::poison_scratch() {
  if (!context_.options.checks.poison) return;
  for (int id : scratch_) emit_poison(builder_, locations_.at(id).pointer, locations_.at(id).extent, context_.program.buffers[id].scalar);
}

// Arena, scratch and constants begin at multiples of 64 bytes; of arguments only the elements are aligned, unless it was asked.
llvm::Align KernelEmitter::alignment(int buffer, const Expr& index) const {
  const Buffer& b = context_.program.buffers[buffer];
  uint64_t size = loops::size_of(b.scalar);
  if (b.kind == BufferKind::argument && !(lines_begin_arguments_ && streamed_.contains(buffer))) return llvm::Align(size);
  uint64_t bytes = static_cast<uint64_t>(multiple_of(index)) % 64 * size;
  return llvm::Align(std::min<uint64_t>(64, bytes == 0 ? 64 : bytes & -bytes));
}

llvm::Value* KernelEmitter::reversed(llvm::Value* vector, int lanes) {
  llvm::SmallVector<int> order;
  for (int i = lanes; i-- > 0;) order.push_back(i);
  return builder_.CreateShuffleVector(vector, order);
}

llvm::Value* KernelEmitter::mask_of(const Expr& predicate, int lanes) {
  if (!predicate) return llvm::ConstantInt::getTrue(llvm::FixedVectorType::get(builder_.getInt1Ty(), lanes));
  llvm::Value* mask = emit(predicate);
  return lanes == 1 ? builder_.CreateVectorSplat(1, mask) : mask;
}

llvm::Value* KernelEmitter::emit_load(const ExprNode& x) {
  llvm::Value* value = read(x.buffer, x.type, x.args[0], x.args.size() > 1 ? x.args[1] : Expr());
  return x.type.scalar == Scalar::boolean ? builder_.CreateICmpNE(value, llvm::Constant::getNullValue(value->getType())) : value;
}

llvm::Value* KernelEmitter::read(int buffer, loops::Type type, const Expr& index, const Expr& predicate) {
  llvm::Type* memory = memory_type(type);
  const BoundsChecker::Guard guard = this->guard(buffer, index, predicate, false);
  int64_t stride = index->kind == ExprKind::ramp ? index->integer_value : type.lanes == 1 ? 1 : 0;
  if (stride == 1) {
    llvm::Value* pointer = element(buffer, type.lanes == 1 ? index : index->args[0]);
    llvm::Align align = alignment(buffer, index);
    if (!predicate) return annotate(builder_.CreateAlignedLoad(memory, guard.pointer(builder_, pointer), align), buffer);
    llvm::Type* vector = type.lanes == 1 ? llvm::FixedVectorType::get(memory, 1) : memory;
    llvm::Value* value = annotate(builder_.CreateMaskedLoad(vector, pointer, align, guard.mask(builder_, mask_of(predicate, type.lanes)),
                                                            llvm::Constant::getNullValue(vector)),
                                  buffer);
    return type.lanes == 1 ? builder_.CreateExtractElement(value, uint64_t(0)) : value;
  }
  if (stride == -1 && !predicate) {
    llvm::Value* last = guard.pointer(builder_, element(buffer, index->args[0] + (1 - type.lanes)));
    return reversed(annotate(builder_.CreateAlignedLoad(memory, last, alignment(buffer, Expr(1))), buffer), type.lanes);
  }
  if (stride != 0 && !predicate) return read_lanes(buffer, type, *index, guard);
  llvm::Value* pointers = builder_.CreateInBoundsGEP(memory->getScalarType(), locations_.at(buffer).pointer, emit(index));
  return annotate(builder_.CreateMaskedGather(memory, pointers, alignment(buffer, Expr(1)),
                                              guard.mask(builder_, mask_of(predicate, type.lanes)), llvm::Constant::getNullValue(memory)),
                  buffer);
}

// A ramp of any other stride: scalar loads at constant distances.
llvm::Value* KernelEmitter::read_lanes(int buffer, loops::Type type, const ExprNode& ramp, const BoundsChecker::Guard& guard) {
  llvm::Type* memory = memory_type(type);
  llvm::Value* vector = llvm::PoisonValue::get(memory);
  for (int i = 0; i < type.lanes; ++i) {
    llvm::Value* pointer = guard.pointer(builder_, element(buffer, ramp.args[0] + i * ramp.integer_value));
    llvm::Value* lane = annotate(builder_.CreateAlignedLoad(memory->getScalarType(), pointer, alignment(buffer, Expr(1))), buffer);
    vector = builder_.CreateInsertElement(vector, lane, uint64_t(i));
  }
  return vector;
}

void KernelEmitter::write(int buffer, llvm::Value* value, const Expr& index, const Expr& predicate, bool streamed) {
  const BoundsChecker::Guard guard = this->guard(buffer, index, predicate, true);
  int lanes = index->type.lanes;
  int64_t stride = index->kind == ExprKind::ramp ? index->integer_value : lanes == 1 ? 1 : 0;
  if (stride == 1) {
    llvm::Value* pointer = element(buffer, lanes == 1 ? index : index->args[0]);
    llvm::Align align = alignment(buffer, index);
    if (!predicate) {
      llvm::Instruction* store = annotate(builder_.CreateAlignedStore(value, guard.pointer(builder_, pointer), align), buffer);
      const bool whole_line = align.value() == 64 && lanes * loops::size_of(context_.program.buffers[buffer].scalar) == 64;
      if (streamed && whole_line)
        store->setMetadata(llvm::LLVMContext::MD_nontemporal,
                           llvm::MDNode::get(store->getContext(), {llvm::ConstantAsMetadata::get(builder_.getInt32(1))}));
      return;
    }
    if (lanes == 1) value = builder_.CreateVectorSplat(1, value);
    annotate(builder_.CreateMaskedStore(value, pointer, align, guard.mask(builder_, mask_of(predicate, lanes))), buffer);
    return;
  }
  if (stride != 0 && !predicate) {
    for (int i = 0; i < lanes; ++i) {
      llvm::Value* pointer = guard.pointer(builder_, element(buffer, index->args[0] + i * stride));
      annotate(builder_.CreateAlignedStore(builder_.CreateExtractElement(value, uint64_t(i)), pointer, alignment(buffer, Expr(1))), buffer);
    }
    return;
  }
  llvm::Value* pointers = builder_.CreateInBoundsGEP(memory_type(context_.program.buffers[buffer].scalar), locations_.at(buffer).pointer,
                                                     emit(index));
  annotate(builder_.CreateMaskedScatter(value, pointers, alignment(buffer, Expr(1)), guard.mask(builder_, mask_of(predicate, lanes))),
           buffer);
}

// ------------------------------------------------------------------------------------------------ statements

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
  constexpr int all_caches = 3, second_cache = 2, data = 1;
  const int caches = s.prefetch == loops::Prefetch::second_cache ? second_cache : all_caches;
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

}  // namespace

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
