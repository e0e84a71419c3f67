// Checks in generated code. What they need of this process, functions and records, is known by its address.
#include <optional>

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

namespace {

// Which lanes a predicate has set: whether any, the first and the last one. Without a predicate all are.
struct ActiveLanes {
  ActiveLanes(llvm::IRBuilder<>& builder, llvm::Value* predicate, int lanes) {
    const auto constant = predicate ? bits_of(predicate, lanes) : llvm::APInt::getAllOnes(static_cast<unsigned>(lanes));
    if (constant) {
      any = builder.getInt1(!constant->isZero());
      first = builder.getInt64(constant->isZero() ? 0 : constant->countr_zero());
      last = builder.getInt64(constant->isZero() ? 0 : lanes - 1 - constant->countl_zero());
      return;
    }
    llvm::Value* bits = builder.CreateBitCast(predicate, builder.getIntNTy(static_cast<unsigned>(lanes)));
    any = builder.CreateIsNotNull(bits);
    const auto count = [&](llvm::Intrinsic::ID zeros) {
      llvm::Value* counted = builder.CreateBinaryIntrinsic(zeros, bits, builder.getFalse());
      return builder.CreateBinaryIntrinsic(llvm::Intrinsic::umin, builder.CreateZExtOrTrunc(counted, builder.getInt64Ty()),
                                           builder.getInt64(lanes - 1));
    };
    first = count(llvm::Intrinsic::cttz);
    last = builder.CreateSub(builder.getInt64(lanes - 1), count(llvm::Intrinsic::ctlz));
  }
  llvm::Value *any = nullptr, *first = nullptr, *last = nullptr;

 private:
  static std::optional<llvm::APInt> bits_of(llvm::Value* predicate, int lanes) {
    const auto* constant = llvm::dyn_cast<llvm::Constant>(predicate);
    if (!constant) return {};
    llvm::APInt bits(static_cast<unsigned>(lanes), 0);
    for (unsigned k = 0; k < static_cast<unsigned>(lanes); ++k) {
      const llvm::Constant* lane = constant->getAggregateElement(k);
      if (!lane || !llvm::isa<llvm::ConstantInt>(lane)) return {};
      if (lane->isOneValue()) bits.setBit(k);
    }
    return bits;
  }
};

}  // namespace

// Few instructions an access, and where lanes or indices are known numbers, few are left: a kernel has thousands of accesses, and the
// time that LLVM takes for long blocks grows faster than they do.
BoundsChecker::Guard BoundsChecker::check(const Access& access, const Expr& index, const Expr& predicate) {
  llvm::IRBuilder<>& builder = emitter_.builder();
  const int lanes = index->type.lanes;
  llvm::Value* wanted = predicate ? emitter_.emit(predicate) : nullptr;
  llvm::Value *outside = nullptr, *any = nullptr, *where = nullptr;
  if (lanes == 1 || index->kind == ExprKind::ramp || index->kind == ExprKind::broadcast) {
    where = builder.CreateSExt(emitter_.emit(lanes == 1 ? index : index->args[0]), builder.getInt64Ty());
    if (lanes > 1) {
      const ActiveLanes active(builder, wanted, lanes);
      wanted = active.any;
      if (index->kind == ExprKind::ramp) {
        const auto end = [&](llvm::Value* lane) {
          return builder.CreateAdd(where, builder.CreateMul(lane, builder.getInt64(index->integer_value)));
        };
        llvm::Value *first = end(active.first), *last = end(active.last);
        const auto *from = llvm::dyn_cast<llvm::ConstantInt>(first), *to = llvm::dyn_cast<llvm::ConstantInt>(last);
        if (from && to && !from->isNegative() && from->getSExtValue() <= to->getSExtValue()) {
          where = last;
        } else {
          outside = builder.CreateICmpUGE(first, access.extent);
          where = builder.CreateSelect(outside, first, last);
          outside = builder.CreateOr(outside, builder.CreateICmpUGE(last, access.extent));
        }
      }
    }
    if (!outside) outside = builder.CreateICmpUGE(where, access.extent);
    any = outside = wanted ? builder.CreateAnd(outside, wanted) : outside;
  } else {
    llvm::Value* each = builder.CreateSExt(emitter_.emit(index), llvm::FixedVectorType::get(builder.getInt64Ty(), lanes));
    outside = builder.CreateICmpUGE(each, builder.CreateVectorSplat(lanes, access.extent));
    if (wanted) outside = builder.CreateAnd(wanted, outside);
    const ActiveLanes diverted(builder, outside, lanes);
    any = diverted.any;
    where = builder.CreateExtractElement(each, diverted.first);
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
