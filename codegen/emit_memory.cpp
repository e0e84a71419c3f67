// Kernels: where buffers lie, loads and stores.
#include <algorithm>
#include <numeric>

#include <llvm/IR/MDBuilder.h>

#include "codegen/kernel_emitter.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

using loops::Buffer;
using loops::BufferKind;
using loops::Expr;
using loops::ExprKind;
using loops::ExprNode;
using loops::Scalar;
using loops::Stmt;

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

}  // namespace bnc::codegen
