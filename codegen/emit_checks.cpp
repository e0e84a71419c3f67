// Checks in generated code. What they need of this process, functions and records, is known by its address.
#include "codegen/emit.h"

namespace bnc::codegen {

using loops::Expr;
using loops::ExprKind;

namespace {

llvm::Constant* address_of(llvm::IRBuilder<>& builder, const void* place) {
  return llvm::ConstantExpr::getIntToPtr(builder.getInt64(reinterpret_cast<uint64_t>(place)), builder.getPtrTy());
}

void call(llvm::IRBuilder<>& builder, const void* function, const std::vector<llvm::Value*>& arguments) {
  std::vector<llvm::Type*> types;
  for (llvm::Value* argument : arguments) types.push_back(argument->getType());
  builder.CreateCall(llvm::FunctionType::get(builder.getVoidTy(), types, false), address_of(builder, function), arguments);
}

}  // namespace

// Made in the entry block of a kernel.
BoundsChecker::BoundsChecker(ExpressionEmitter& emitter, FaultRecord* record) : emitter_(emitter), record_(record) {
  llvm::IRBuilder<>& builder = emitter.builder();
  access_ = builder.CreateAlloca(builder.getInt64Ty(), nullptr, "access");
  index_ = builder.CreateAlloca(builder.getInt64Ty(), nullptr, "index");
  for (llvm::AllocaInst* slot : {access_, index_}) builder.CreateStore(builder.getInt64(-1), slot);
}

llvm::Value* BoundsChecker::Guard::mask(llvm::IRBuilder<>& builder, llvm::Value* wanted) const {
  if (!outside) return wanted;
  llvm::Value* inside = builder.CreateNot(outside);
  const unsigned lanes = llvm::cast<llvm::FixedVectorType>(wanted->getType())->getNumElements();
  return builder.CreateAnd(wanted, inside->getType()->isVectorTy() ? inside : builder.CreateVectorSplat(lanes, inside));
}

BoundsChecker::Guard BoundsChecker::check(const Access& access, const Expr& index, const Expr& predicate) {
  llvm::IRBuilder<>& builder = emitter_.builder();
  const int lanes = index->type.lanes;
  const bool is_ramp = index->kind == ExprKind::ramp;
  llvm::Value *outside = nullptr, *any = nullptr, *where = nullptr;
  if (lanes == 1 || (!predicate && (is_ramp || index->kind == ExprKind::broadcast))) {
    // Of a ramp, both ends.
    llvm::Value* first = builder.CreateSExt(emitter_.emit(lanes == 1 ? index : index->args[0]), builder.getInt64Ty());
    llvm::Value* begins_outside = builder.CreateICmpUGE(first, access.extent);
    outside = begins_outside, where = first;
    if (is_ramp) {
      llvm::Value* last = builder.CreateAdd(first, builder.getInt64((lanes - 1) * index->integer_value));
      outside = builder.CreateOr(begins_outside, builder.CreateICmpUGE(last, access.extent));
      where = builder.CreateSelect(begins_outside, first, last);
    }
    any = outside = predicate ? builder.CreateAnd(emitter_.emit(predicate), outside) : outside;
  } else {
    llvm::Value* each = builder.CreateSExt(emitter_.emit(index), llvm::FixedVectorType::get(builder.getInt64Ty(), lanes));
    outside = builder.CreateICmpUGE(each, builder.CreateVectorSplat(lanes, access.extent));
    if (predicate) outside = builder.CreateAnd(emitter_.emit(predicate), outside);
    any = builder.CreateOrReduce(outside);
    // Of those outside the greatest, and a negative one before any other.
    where = builder.CreateIntMaxReduce(builder.CreateSelect(outside, each, llvm::Constant::getNullValue(each->getType())),
                                       /*IsSigned=*/false);
  }
  note(any, access, where);
  return {outside, address_of(builder, record_->elsewhere())};
}

void BoundsChecker::note(llvm::Value* any, const Access& access, llvm::Value* index) {
  llvm::IRBuilder<>& builder = emitter_.builder();
  const auto set = [&](llvm::AllocaInst* slot, llvm::Value* value) {
    builder.CreateStore(builder.CreateSelect(any, value, builder.CreateLoad(builder.getInt64Ty(), slot)), slot);
  };
  set(access_, builder.getInt64(2 * access.position + access.store));
  set(index_, index);
}

void BoundsChecker::report(llvm::Value* kernel, llvm::Value* n) {
  llvm::IRBuilder<>& builder = emitter_.builder();
  const auto get = [&](llvm::AllocaInst* slot) { return builder.CreateLoad(builder.getInt64Ty(), slot); };
  call(builder, reinterpret_cast<const void*>(&FaultRecord::report), {address_of(builder, record_), kernel, get(access_), get(index_), n});
}

void emit_poison(llvm::IRBuilder<>& builder, llvm::Value* memory, llvm::Value* elements, loops::Scalar scalar) {
  call(builder, reinterpret_cast<const void*>(&fill_with_poison), {memory, elements, builder.getInt64(loops::size_of(scalar))});
}

llvm::Constant* poison_of(llvm::Type* scalar) {
  const unsigned bits = scalar->getScalarSizeInBits();
  return llvm::Constant::getIntegerValue(
      scalar, llvm::APInt(bits, bits == 64 ? poison_bits_64 : poison_bits, /*isSigned=*/false, /*implicitTrunc=*/true));
}

}  // namespace bnc::codegen
