// Modules: constants, the step function that shares the kernels' tasks among threads, and the C functions of an object.
#include <llvm/IR/Constants.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "codegen/arguments.h"
#include "codegen/emit.h"
#include "ir/diagnostic.h"
#include "ir/loops_placement.h"

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

void write_constant(const Buffer& buffer, char* to) {
  std::span<const float> numbers = buffer.data.view();
  if (buffer.scalar == loops::Scalar::i32) {
    for (size_t k = 0; k < numbers.size(); ++k) {
      int32_t value = static_cast<int32_t>(numbers[k]);
      std::memcpy(to + k * sizeof value, &value, sizeof value);
    }
  } else {
    BNC_CHECK(buffer.scalar == loops::Scalar::f32, "constant " + buffer.name);
    if (!numbers.empty()) std::memcpy(to, numbers.data(), numbers.size_bytes());
  }
}

namespace {

// Whether two buffers may overlap in memory, for some batch size.
bool may_overlap(const Program& program, int a, int b) {
  const Buffer &x = program.buffers[a], &y = program.buffers[b];
  if (x.kind != y.kind || x.kind == BufferKind::constant || x.kind == BufferKind::scratch) return false;  // each thread has its own scratch
  if (a == b) return true;
  return x.kind == BufferKind::argument ? x.elements == y.elements : loops::overlap_in_arena(program, x, y);
}

// What was read and written since the last barrier.
class Dependences {
 public:
  explicit Dependences(const Program& program) : program_(program) {}

  // Also where so much has come together that a barrier takes less time than to look through it.
  bool conflict(const Kernel& kernel) const {
    constexpr size_t most = 1024;
    if (reads_.size() + writes_.size() > most) return true;
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
    const std::vector<int>& parts = context_.options.kernel_parts;
    for (size_t i = 0; i < context_.program.kernels.size(); ++i) {
      size_t first = static_cast<size_t>(context_.options.functions->function[i]);
      kernels_.push_back(first == i ? declare_kernel(context_, i) : kernels_[first]);
      if (first == i && (parts.empty() || parts[i] == context_.options.part)) emit_kernel(context_, i, kernels_.back());
    }
  }

  void emit_step();
  void emit_object_functions(const ObjectOptions& object);

 private:
  // What a call of a kernel needs beside its tasks.
  struct Frame {
    llvm::Value *arguments, *arena, *scratch, *n;
  };
  llvm::Value* constant(llvm::IRBuilder<>& builder, int id);
  llvm::Constant* constant_block();
  llvm::Value* far_block(llvm::IRBuilder<>& builder);
  llvm::Constant* make_constant(int id);
  llvm::Value* locate(llvm::IRBuilder<>& builder, const Frame& frame, int id);
  llvm::Value* extent(llvm::IRBuilder<>& builder, const Frame& frame, int id);
  void call_kernel(llvm::IRBuilder<>& builder, const Frame& frame, size_t kernel, llvm::Value* first, llvm::Value* last);
  llvm::Function* function(const std::string& name, llvm::Type* result, const std::vector<llvm::Type*>& parameters);
  llvm::Value* scratch_of(llvm::IRBuilder<>& builder, llvm::Value* arena, llvm::Value* n, llvm::Value* thread);
  // A function of very many calls would take LLVM more than linear time: calls come in sections, each a function of its own.
  static constexpr size_t most_calls = 128;
  template <class Emit> void for_sections(Emit emit);
  llvm::Function* section_function(const std::string& stem, size_t first, llvm::FunctionType* type);
  void emit_shares(llvm::Function* step, size_t first, size_t last, Dependences& pending);
  void emit_calls(ExpressionEmitter& emitter, llvm::Value* arguments, llvm::Value* arena, llvm::Value* n, size_t first, size_t last);
  void emit_share(ExpressionEmitter& emitter, size_t kernel, llvm::Function* step, const Frame& frame);
  void poison_arena(llvm::IRBuilder<>& builder, size_t kernel, llvm::Function* step, const Frame& frame, Dependences& pending);
  void emit_barrier(llvm::IRBuilder<>& builder, llvm::Function* step);
  void call_barrier(llvm::IRBuilder<>& builder, llvm::Function* step);
  void emit_workspace_function(const ObjectOptions& object);
  void emit_infer_function(const ObjectOptions& object);
  llvm::Value* batch_size(llvm::Value* n) { return context_.program.batch ? llvm::ConstantInt::get(index_, *context_.program.batch) : n; }
  llvm::Value* bad_batch(llvm::IRBuilder<>& builder, llvm::Value* n);
  void fail_if(llvm::IRBuilder<>& builder, llvm::Value* condition, llvm::Value* result);

  ModuleContext context_;
  llvm::LLVMContext& llvm_;
  llvm::Type *pointer_, *index_;
  std::vector<llvm::Function*> kernels_;
  std::map<int, llvm::Constant*> constants_;
  llvm::GlobalVariable *block_ = nullptr, *distance_ = nullptr;
  std::set<int> poisoned_;   // arena buffers
};

// Only constants that a kernel reads get here.
llvm::Value* ModuleEmitter::constant(llvm::IRBuilder<>& builder, int id) {
  if (const ConstantBlock* block = context_.options.block) {
    llvm::Value* begin = block->large ? far_block(builder) : constant_block();
    return builder.CreateConstInBoundsGEP1_64(builder.getInt8Ty(), begin, static_cast<uint64_t>(block->offsets[static_cast<size_t>(id)]));
  }
  auto [found, added] = constants_.emplace(id, nullptr);
  if (added) found->second = make_constant(id);
  return found->second;
}

llvm::Constant* ModuleEmitter::make_constant(int id) {
  const Buffer& buffer = context_.program.buffers[id];
  if (!context_.options.constant_addresses.empty()) {
    auto address = reinterpret_cast<uintptr_t>(context_.options.constant_addresses[id]);
    return llvm::ConstantExpr::getIntToPtr(llvm::ConstantInt::get(index_, address), pointer_);
  }
  auto* element = llvm_type(llvm_, buffer.scalar);
  std::string bytes(buffer.data.size() * sizeof(float), '\0');
  write_constant(buffer, bytes.data());
  auto* data = llvm::ConstantDataArray::getRaw(bytes, buffer.data.size(), element);
  auto* global = new llvm::GlobalVariable(context_.module, data->getType(), true, llvm::GlobalValue::InternalLinkage, data,
                                          context_.program.name + "." + buffer.name);
  global->setAlignment(llvm::Align(64));
  global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  global->setDSOLocal(true);
  return global;
}

llvm::Constant* ModuleEmitter::constant_block() {
  if (block_) return block_;
  const ConstantBlock& block = *context_.options.block;
  auto* type = llvm::ArrayType::get(llvm::Type::getInt8Ty(llvm_), static_cast<uint64_t>(block.bytes));
  block_ = new llvm::GlobalVariable(context_.module, type, true, llvm::GlobalValue::InternalLinkage, llvm::Constant::getNullValue(type),
                                    context_.program.name + ".constants");
  block_->setSection(block.section());
  block_->setAlignment(llvm::Align(64));
  block_->setDSOLocal(true);
  return block_;
}

// Instructions reach 2 GiB only. A number beside the code tells how far the block is from it; the linker fills it in, in 64 bits.
llvm::Value* ModuleEmitter::far_block(llvm::IRBuilder<>& builder) {
  if (!distance_) {
    distance_ = new llvm::GlobalVariable(context_.module, index_, true, llvm::GlobalValue::InternalLinkage, nullptr,
                                         context_.program.name + ".distance");
    distance_->setInitializer(llvm::ConstantExpr::getSub(llvm::ConstantExpr::getPtrToInt(constant_block(), index_),
                                                         llvm::ConstantExpr::getPtrToInt(distance_, index_)));
    distance_->setExternallyInitialized(true);   // or the two addresses would cancel out
    distance_->setDSOLocal(true);
  }
  llvm::LoadInst* distance = builder.CreateLoad(index_, distance_);
  distance->setMetadata(llvm::LLVMContext::MD_invariant_load, llvm::MDNode::get(llvm_, {}));
  return builder.CreateIntToPtr(builder.CreateAdd(builder.CreatePtrToInt(distance_, index_), distance), pointer_);
}

llvm::Function* ModuleEmitter::function(const std::string& name, llvm::Type* result, const std::vector<llvm::Type*>& parameters) {
  auto* made = llvm::Function::Create(llvm::FunctionType::get(result, parameters, false), llvm::Function::ExternalLinkage, name,
                                      context_.module);
  add_function_attributes(*made, context_.target);
  llvm::BasicBlock::Create(llvm_, "entry", made);
  return made;
}

llvm::Value* ModuleEmitter::locate(llvm::IRBuilder<>& builder, const Frame& frame, int id) {
  const Buffer& buffer = context_.program.buffers[id];
  if (buffer.kind == BufferKind::constant) return constant(builder, id);
  if (buffer.kind == BufferKind::argument)
    return builder.CreateLoad(pointer_, builder.CreateConstInBoundsGEP1_64(pointer_, frame.arguments, buffer.argument), buffer.name);
  BNC_CHECK(buffer.kind == BufferKind::arena, "kernels find their scratch themselves");
  llvm::Value* offset = builder.CreateAdd(builder.getInt64(buffer.offset),
                                          builder.CreateMul(builder.getInt64(buffer.batch_offset), frame.n));
  return builder.CreateInBoundsGEP(builder.getInt8Ty(), frame.arena, offset, buffer.name);
}

// How many elements it has.
llvm::Value* ModuleEmitter::extent(llvm::IRBuilder<>& builder, const Frame& frame, int id) {
  const Dim& elements = context_.program.buffers[id].elements;
  llvm::Value* factor = builder.getInt64(elements.factor);
  return elements.batch ? builder.CreateMul(factor, frame.n) : factor;
}

void ModuleEmitter::call_kernel(llvm::IRBuilder<>& builder, const Frame& frame, size_t kernel, llvm::Value* first, llvm::Value* last) {
  std::vector<llvm::Value*> arguments{frame.scratch, frame.n, first, last};
  for (int id : context_.options.functions->buffers[kernel]) arguments.push_back(locate(builder, frame, id));
  if (context_.options.checks.bounds) {
    for (int id : context_.options.functions->buffers[kernel]) arguments.push_back(extent(builder, frame, id));
    arguments.push_back(builder.getInt64(static_cast<int64_t>(kernel)));
  }
  builder.CreateCall(kernels_[kernel], arguments);
}

// step(arguments, arena, n, thread, threads, barrier, barrier_context)
void ModuleEmitter::emit_step() {
  auto* step = function(step_function_name(context_.program), llvm::Type::getVoidTy(llvm_),
                        {pointer_, pointer_, index_, index_, index_, pointer_, pointer_});
  Dependences pending(context_.program);
  if (kernels_.size() <= most_calls) return emit_shares(step, 0, kernels_.size(), pending);
  llvm::IRBuilder<> builder(&step->getEntryBlock());
  std::vector<llvm::Value*> arguments;
  for (llvm::Argument& argument : step->args()) arguments.push_back(&argument);
  for_sections([&](size_t first, size_t last) {
    auto* section = section_function(step->getName().str(), first, step->getFunctionType());
    emit_shares(section, first, last, pending);
    builder.CreateCall(section, arguments);
  });
  builder.CreateRetVoid();
}

// Kernels [first, last), with the parameters of a step.
void ModuleEmitter::emit_shares(llvm::Function* step, size_t first, size_t last, Dependences& pending) {
  ExpressionEmitter emitter(context_, &step->getEntryBlock());
  llvm::Value* n = batch_size(step->getArg(2));
  emitter.define(loops::batch_variable, {n});
  const Frame frame{step->getArg(0), step->getArg(1), scratch_of(emitter.builder(), step->getArg(1), n, step->getArg(3)), n};
  for (size_t i = first; i < last; ++i) {
    const Kernel& kernel = context_.program.kernels[i];
    if (context_.options.checks.poison) poison_arena(emitter.builder(), i, step, frame, pending);
    if (!context_.options.profile && pending.conflict(kernel)) {
      emit_barrier(emitter.builder(), step);
      pending.clear();
    }
    pending.add(kernel);
    emit_share(emitter, i, step, frame);
    if (context_.options.profile) call_barrier(emitter.builder(), step);
  }
  emitter.builder().CreateRetVoid();
}

template <class Emit> void ModuleEmitter::for_sections(Emit emit) {
  for (size_t first = 0; first < kernels_.size(); first += most_calls) emit(first, std::min(first + most_calls, kernels_.size()));
}

llvm::Function* ModuleEmitter::section_function(const std::string& stem, size_t first, llvm::FunctionType* type) {
  auto* section = function(stem + ".from" + std::to_string(first), type->getReturnType(), type->params());
  section->setLinkage(llvm::Function::InternalLinkage);
  return section;
}

// Where a thread's scratch begins: behind the arena, after that of the threads before it.
llvm::Value* ModuleEmitter::scratch_of(llvm::IRBuilder<>& builder, llvm::Value* arena, llvm::Value* n, llvm::Value* thread) {
  const Program& program = context_.program;
  llvm::Value* each = builder.CreateMul(builder.getInt64(program.arena_bytes_per_example), n);
  llvm::Value* before = builder.CreateMul(builder.getInt64(program.scratch_stride()), thread);
  return builder.CreateInBoundsGEP(builder.getInt8Ty(), arena,
                                   builder.CreateAdd(builder.getInt64(program.arena_bytes), builder.CreateAdd(each, before)));
}

// Tasks [tasks*thread/threads, tasks*(thread+1)/threads) of a kernel; a single task is thread 0's.
void ModuleEmitter::emit_share(ExpressionEmitter& emitter, size_t kernel, llvm::Function* step, const Frame& frame) {
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
  call_kernel(builder, frame, kernel, first, last);
}

// Each thread fills its share of the arena buffers that no kernel before this one lists. It is a kernel that writes them.
void ModuleEmitter::poison_arena(llvm::IRBuilder<>& builder, size_t kernel, llvm::Function* step, const Frame& frame,
                                 Dependences& pending) {
  Kernel fill;
  for (const std::vector<int>* list : {&context_.program.kernels[kernel].writes, &context_.program.kernels[kernel].reads}) {
    for (int id : *list) {
      if (context_.program.buffers[id].kind == BufferKind::arena && poisoned_.insert(id).second) fill.writes.push_back(id);
    }
  }
  if (fill.writes.empty()) return;
  if (pending.conflict(fill)) {
    emit_barrier(builder, step);
    pending.clear();
  }
  pending.add(fill);
  for (int id : fill.writes) {
    const loops::Scalar scalar = context_.program.buffers[id].scalar;
    llvm::Value *elements = extent(builder, frame, id), *thread = step->getArg(3), *threads = step->getArg(4);
    llvm::Value* first = builder.CreateUDiv(builder.CreateMul(elements, thread), threads);
    llvm::Value* last = builder.CreateUDiv(builder.CreateMul(elements, builder.CreateAdd(thread, builder.getInt64(1))), threads);
    llvm::Value* begin = builder.CreateInBoundsGEP(builder.getInt8Ty(), locate(builder, frame, id),
                                                   builder.CreateMul(first, builder.getInt64(loops::size_of(scalar))));
    emit_poison(builder, begin, builder.CreateSub(last, first), scalar);
  }
}

void ModuleEmitter::emit_barrier(llvm::IRBuilder<>& builder, llvm::Function* step) {
  auto* wait = llvm::BasicBlock::Create(llvm_, "barrier", step);
  auto* after = llvm::BasicBlock::Create(llvm_, "after", step);
  builder.CreateCondBr(builder.CreateICmpSGT(step->getArg(4), builder.getInt64(1)), wait, after);
  builder.SetInsertPoint(wait);
  call_barrier(builder, step);
  builder.CreateBr(after);
  builder.SetInsertPoint(after);
}

void ModuleEmitter::call_barrier(llvm::IRBuilder<>& builder, llvm::Function* step) {
  auto* type = llvm::FunctionType::get(builder.getVoidTy(), {pointer_}, false);
  builder.CreateCall(type, step->getArg(5), {step->getArg(6)});
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
  llvm::Value* each = builder.CreateMul(builder.getInt64(program.arena_bytes_per_example), batch_size(n));
  builder.CreateRet(builder.CreateAdd(builder.getInt64(workspace_bytes(program, 0)), each));
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
  llvm::Value* arena = !needs_workspace(program)
                           ? workspace
                           : builder.CreateIntrinsic(llvm::Intrinsic::ptrmask, {pointer_, index_}, {up, builder.getInt64(-64)});
  if (kernels_.size() <= most_calls) {
    emit_calls(emitter, table, arena, n, 0, kernels_.size());
  } else {
    auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(llvm_), {pointer_, pointer_, index_}, false);
    for_sections([&](size_t first, size_t last) {
      auto* section = section_function(made->getName().str(), first, type);
      ExpressionEmitter calls(context_, &section->getEntryBlock());
      emit_calls(calls, section->getArg(0), section->getArg(1), section->getArg(2), first, last);
      calls.builder().CreateRetVoid();
      builder.CreateCall(section, {table, arena, n});
    });
  }
  builder.CreateRet(builder.getInt32(0));
}

// All tasks of kernels [first, last), one kernel after another.
void ModuleEmitter::emit_calls(ExpressionEmitter& emitter, llvm::Value* arguments, llvm::Value* arena, llvm::Value* n, size_t first,
                               size_t last) {
  llvm::IRBuilder<>& builder = emitter.builder();
  emitter.define(loops::batch_variable, {batch_size(n)});
  const Frame frame{arguments, arena, scratch_of(builder, arena, batch_size(n), builder.getInt64(0)), batch_size(n)};
  for (size_t i = first; i < last; ++i)
    call_kernel(builder, frame, i, builder.getInt64(0), emitter.emit(context_.program.kernels[i].tasks));
}

}  // namespace

std::unique_ptr<llvm::Module> build_module(llvm::LLVMContext& context, const Program& program, const TargetDescription& target,
                                           llvm::TargetMachine& machine, const ModuleOptions& options) {
  auto module = std::make_unique<llvm::Module>(program.name, context);
  module->setTargetTriple(machine.getTargetTriple());
  module->setDataLayout(machine.createDataLayout());
  ModuleEmitter emitter({*module, program, target, options});
  if (options.object) emitter.emit_object_functions(*options.object);
  else if (options.part == 0) emitter.emit_step();
  return module;
}

}  // namespace bnc::codegen
