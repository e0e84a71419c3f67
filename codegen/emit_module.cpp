// Modules: constants, the step function that shares the kernels' tasks among threads, and the C functions of an object.
#include <llvm/IR/Constants.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "codegen/arguments.h"
#include "codegen/emit.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

using loops::Buffer;
using loops::BufferKind;
using loops::Kernel;
using loops::Program;

void add_function_attributes(llvm::Function& function, const TargetDescription& target) {
  std::string bits = std::to_string(8 * target.vector_bytes);
  function.addFnAttr("target-cpu", target.cpu);
  if (!target.features.empty()) function.addFnAttr("target-features", target.features);
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
  function.addFnAttr(llvm::Attribute::NoUnwind);
  function.setDSOLocal(true);
}

std::string step_function_name(const Program& program) { return program.name + "_step"; }

std::string constant_bytes(const Buffer& buffer) {
  std::string bytes(buffer.data.size() * sizeof(float), '\0');
  if (buffer.scalar == loops::Scalar::i32) {
    std::vector<int32_t> values(buffer.data.begin(), buffer.data.end());
    std::memcpy(bytes.data(), values.data(), bytes.size());
  } else {
    BNC_CHECK(buffer.scalar == loops::Scalar::f32, "constant " + buffer.name);
    std::memcpy(bytes.data(), buffer.data.data(), bytes.size());
  }
  return bytes;
}

namespace {

// Whether two buffers may overlap in memory, for some batch size.
bool may_overlap(const Program& program, int a, int b) {
  const Buffer &x = program.buffers[a], &y = program.buffers[b];
  if (x.kind != y.kind || x.kind == BufferKind::constant || x.kind == BufferKind::scratch) return false;  // each thread has its own scratch
  if (a == b) return true;
  if (x.kind == BufferKind::argument) return x.elements == y.elements;
  // Bytes from the end of `low` to the begin of `high` are `fixed + each * N`.
  auto apart = [&](const Buffer& low, const Buffer& high) {
    int64_t size = loops::size_of(low.scalar);
    int64_t fixed = high.offset - low.offset - (low.elements.batch ? 0 : size * low.elements.factor);
    int64_t each = high.batch_offset - low.batch_offset - (low.elements.batch ? size * low.elements.factor : 0);
    if (program.batch) return fixed + each * *program.batch >= 0;
    return each >= 0 && fixed + each >= 0;
  };
  return !apart(x, y) && !apart(y, x);
}

// What was read and written since the last barrier.
class Dependences {
 public:
  explicit Dependences(const Program& program) : program_(program) {}

  bool conflict(const Kernel& kernel) const {
    auto any = [&](const std::vector<int>& a, const std::vector<int>& b) {
      return std::ranges::any_of(a, [&](int x) { return std::ranges::any_of(b, [&](int y) { return may_overlap(program_, x, y); }); });
    };
    return any(kernel.reads, writes_) || any(kernel.writes, writes_) || any(kernel.writes, reads_);
  }
  void add(const Kernel& kernel) {
    reads_.insert(reads_.end(), kernel.reads.begin(), kernel.reads.end());
    writes_.insert(writes_.end(), kernel.writes.begin(), kernel.writes.end());
  }
  void clear() {
    reads_.clear();
    writes_.clear();
  }

 private:
  const Program& program_;
  std::vector<int> reads_, writes_;
};

class ModuleEmitter {
 public:
  ModuleEmitter(ModuleContext context) : context_(std::move(context)), llvm_(context_.module.getContext()) {
    pointer_ = llvm::PointerType::getUnqual(llvm_);
    index_ = llvm::Type::getInt64Ty(llvm_);
    for (size_t i = 0; i < context_.program.buffers.size(); ++i) context_.constants.push_back(constant(i));
    const std::vector<int>& parts = context_.options.kernel_parts;
    for (size_t i = 0; i < context_.program.kernels.size(); ++i) {
      const Kernel& kernel = context_.program.kernels[i];
      kernels_.push_back(declare_kernel(context_, kernel));
      if (parts.empty() || parts[i] == context_.options.part) emit_kernel(context_, kernel, kernels_.back());
    }
  }

  void emit_step();
  void emit_object_functions(const ObjectOptions& object);

 private:
  llvm::Constant* constant(size_t id);
  llvm::Function* function(const std::string& name, llvm::Type* result, const std::vector<llvm::Type*>& parameters);
  llvm::Value* scratch_of(llvm::IRBuilder<>& builder, llvm::Value* arena, llvm::Value* n, llvm::Value* thread);
  void emit_share(ExpressionEmitter& emitter, size_t kernel, llvm::Function* step, llvm::Value* scratch);
  void emit_barrier(llvm::IRBuilder<>& builder, llvm::Function* step);
  void emit_workspace_function(const ObjectOptions& object);
  void emit_infer_function(const ObjectOptions& object);
  llvm::Value* batch_size(llvm::Value* n) { return context_.program.batch ? llvm::ConstantInt::get(index_, *context_.program.batch) : n; }
  llvm::Value* bad_batch(llvm::IRBuilder<>& builder, llvm::Value* n);
  void fail_if(llvm::IRBuilder<>& builder, llvm::Value* condition, llvm::Value* result);

  ModuleContext context_;
  llvm::LLVMContext& llvm_;
  llvm::Type *pointer_, *index_;
  std::vector<llvm::Function*> kernels_;
};

llvm::Constant* ModuleEmitter::constant(size_t id) {
  const Buffer& buffer = context_.program.buffers[id];
  if (buffer.kind != BufferKind::constant) return nullptr;
  if (!context_.options.constant_addresses.empty()) {
    auto address = reinterpret_cast<uintptr_t>(context_.options.constant_addresses[id]);
    return llvm::ConstantExpr::getIntToPtr(llvm::ConstantInt::get(index_, address), pointer_);
  }
  auto* element = llvm_type(llvm_, buffer.scalar);
  auto* data = llvm::ConstantDataArray::getRaw(constant_bytes(buffer), buffer.data.size(), element);
  auto* global = new llvm::GlobalVariable(context_.module, data->getType(), true, llvm::GlobalValue::InternalLinkage, data, context_.program.name + "." + buffer.name);
  global->setAlignment(llvm::Align(64));
  global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  global->setDSOLocal(true);
  return global;
}

llvm::Function* ModuleEmitter::function(const std::string& name, llvm::Type* result, const std::vector<llvm::Type*>& parameters) {
  auto* made = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false), llvm::Function::ExternalLinkage, name, context_.module);
  add_function_attributes(*made, context_.target);
  llvm::BasicBlock::Create(llvm_, "entry", made);
  return made;
}

// step(arguments, arena, n, thread, threads, barrier, barrier_context)
void ModuleEmitter::emit_step() {
  auto* step = function(step_function_name(context_.program), llvm::Type::getVoidTy(llvm_), {pointer_, pointer_, index_, index_, index_, pointer_, pointer_});
  ExpressionEmitter emitter(context_, &step->getEntryBlock());
  llvm::Value* n = batch_size(step->getArg(2));
  emitter.define(loops::batch_variable, {n});
  llvm::Value* scratch = scratch_of(emitter.builder(), step->getArg(1), n, step->getArg(3));
  Dependences pending(context_.program);
  for (size_t i = 0; i < kernels_.size(); ++i) {
    const Kernel& kernel = context_.program.kernels[i];
    if (pending.conflict(kernel)) {
      emit_barrier(emitter.builder(), step);
      pending.clear();
    }
    pending.add(kernel);
    emit_share(emitter, i, step, scratch);
  }
  emitter.builder().CreateRetVoid();
}

// Where a thread's scratch begins: behind the arena, after that of the threads before it.
llvm::Value* ModuleEmitter::scratch_of(llvm::IRBuilder<>& builder, llvm::Value* arena, llvm::Value* n, llvm::Value* thread) {
  const Program& program = context_.program;
  llvm::Value* each = builder.CreateMul(builder.getInt64(program.arena_bytes_per_example), n);
  llvm::Value* before = builder.CreateMul(builder.getInt64(program.scratch_bytes), thread);
  return builder.CreateInBoundsGEP(builder.getInt8Ty(), arena, builder.CreateAdd(builder.getInt64(program.arena_bytes), builder.CreateAdd(each, before)));
}

// Tasks [tasks*thread/threads, tasks*(thread+1)/threads) of a kernel; a single task is thread 0's.
void ModuleEmitter::emit_share(ExpressionEmitter& emitter, size_t kernel, llvm::Function* step, llvm::Value* scratch) {
  llvm::IRBuilder<>& builder = emitter.builder();
  llvm::Value *thread = step->getArg(3), *threads = step->getArg(4);
  const loops::Expr& tasks = context_.program.kernels[kernel].tasks;
  llvm::Value *first, *last;
  if (loops::is_constant(tasks, 1)) {
    first = builder.getInt64(0);
    last = builder.CreateZExt(builder.CreateICmpEQ(thread, first), index_);
  } else {
    llvm::Value* count = emitter.emit(tasks);
    first = builder.CreateUDiv(builder.CreateMul(count, thread), threads);
    last = builder.CreateUDiv(builder.CreateMul(count, builder.CreateAdd(thread, builder.getInt64(1))), threads);
  }
  builder.CreateCall(kernels_[kernel], {step->getArg(0), step->getArg(1), scratch, step->getArg(2), first, last});
}

void ModuleEmitter::emit_barrier(llvm::IRBuilder<>& builder, llvm::Function* step) {
  auto* wait = llvm::BasicBlock::Create(llvm_, "barrier", step);
  auto* after = llvm::BasicBlock::Create(llvm_, "after", step);
  builder.CreateCondBr(builder.CreateICmpSGT(step->getArg(4), builder.getInt64(1)), wait, after);
  builder.SetInsertPoint(wait);
  auto* type = llvm::FunctionType::get(builder.getVoidTy(), {pointer_}, false);
  builder.CreateCall(type, step->getArg(5), {step->getArg(6)});
  builder.CreateBr(after);
  builder.SetInsertPoint(after);
}

void ModuleEmitter::emit_object_functions(const ObjectOptions& object) {
  emit_workspace_function(object);
  emit_infer_function(object);
}

// Not positive, not the one batch size of the program, or so large that sizes in bytes would overflow.
llvm::Value* ModuleEmitter::bad_batch(llvm::IRBuilder<>& builder, llvm::Value* n) {
  if (context_.program.batch) return builder.CreateICmpNE(n, builder.getInt64(*context_.program.batch));
  return builder.CreateICmpUGT(builder.CreateSub(n, builder.getInt64(1)), builder.getInt64(largest_batch(context_.program) - 1));
}

void ModuleEmitter::fail_if(llvm::IRBuilder<>& builder, llvm::Value* condition, llvm::Value* result) {
  llvm::Function* parent = builder.GetInsertBlock()->getParent();
  auto* fail = llvm::BasicBlock::Create(llvm_, "fail", parent);
  auto* next = llvm::BasicBlock::Create(llvm_, "next", parent);
  builder.CreateCondBr(condition, fail, next);
  builder.SetInsertPoint(fail);
  builder.CreateRet(result);
  builder.SetInsertPoint(next);
}

// int64_t NAME_workspace_bytes(int64_t n)
void ModuleEmitter::emit_workspace_function(const ObjectOptions& object) {
  const Program& program = context_.program;
  auto* made = function(object.function_name + "_workspace_bytes", index_, {index_});
  llvm::IRBuilder<> builder(&made->getEntryBlock());
  llvm::Value* n = made->getArg(0);
  fail_if(builder, bad_batch(builder, n), builder.getInt64(error_batch));
  int64_t slack = needs_workspace(program) ? workspace_slack : 0;
  llvm::Value* each = builder.CreateMul(builder.getInt64(program.arena_bytes_per_example), batch_size(n));
  builder.CreateRet(builder.CreateAdd(builder.getInt64(program.arena_bytes + program.scratch_bytes + slack), each));
}

// int NAME_infer(int64_t n, inputs..., outputs..., void *workspace): thread 0 of 1, so no shares and no barriers.
void ModuleEmitter::emit_infer_function(const ObjectOptions& object) {
  const Program& program = context_.program;
  std::vector<const Buffer*> arguments = object_arguments(program, object);
  std::vector<llvm::Type*> parameters(arguments.size() + 2, pointer_);
  parameters[0] = index_;
  auto* made = function(object.function_name + "_infer", llvm::Type::getInt32Ty(llvm_), parameters);
  ExpressionEmitter emitter(context_, &made->getEntryBlock());
  llvm::IRBuilder<>& builder = emitter.builder();
  llvm::Value* n = made->getArg(0);

  int count = 1;
  for (const Buffer* buffer : arguments) count = std::max(count, buffer->argument + 1);
  llvm::Value* table = builder.CreateAlloca(llvm::ArrayType::get(pointer_, count));
  fail_if(builder, bad_batch(builder, n), builder.getInt32(error_batch));
  size_t checked = arguments.size() + (needs_workspace(program) ? 1 : 0);
  llvm::Value* missing = builder.getFalse();
  for (size_t i = 1; i <= checked; ++i) missing = builder.CreateOr(missing, builder.CreateIsNull(made->getArg(i)));
  fail_if(builder, missing, builder.getInt32(error_null));

  for (size_t i = 0; i < arguments.size(); ++i) {
    builder.CreateStore(made->getArg(i + 1), builder.CreateConstInBoundsGEP1_64(pointer_, table, arguments[i]->argument));
  }
  // The caller's workspace is aligned here; NAME_workspace_bytes counts what that may cost.
  llvm::Value* workspace = made->getArg(arguments.size() + 1);
  llvm::Value* up = builder.CreateInBoundsGEP(builder.getInt8Ty(), workspace, builder.getInt64(workspace_slack));
  llvm::Value* arena = !needs_workspace(program) ? workspace : builder.CreateIntrinsic(llvm::Intrinsic::ptrmask, {pointer_, index_}, {up, builder.getInt64(-64)});
  emitter.define(loops::batch_variable, {batch_size(n)});
  llvm::Value* scratch = scratch_of(builder, arena, batch_size(n), builder.getInt64(0));
  for (size_t i = 0; i < kernels_.size(); ++i) {
    builder.CreateCall(kernels_[i], {table, arena, scratch, n, builder.getInt64(0), emitter.emit(program.kernels[i].tasks)});
  }
  builder.CreateRet(builder.getInt32(0));
}

}  // namespace

std::unique_ptr<llvm::Module> build_module(llvm::LLVMContext& context, const Program& program, const TargetDescription& target, llvm::TargetMachine& machine,
                                           const ModuleOptions& options) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  ModuleEmitter emitter({*module, program, target, options, {}});
  if (options.object) emitter.emit_object_functions(*options.object);
  else if (options.part == 0) emitter.emit_step();
  return module;
}

}  // namespace bnc::codegen
