// Expressions of the loop IR as LLVM IR.
#include <llvm/IR/IntrinsicInst.h>

#include <numeric>

#include "codegen/emit.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

using loops::BinaryOp;
using loops::Expr;
using loops::ExprKind;
using loops::ExprNode;
using loops::Scalar;
using loops::UnaryOp;

llvm::Type* llvm_type(llvm::LLVMContext& context, Scalar scalar) {
  switch (scalar) {
    case Scalar::boolean: return llvm::Type::getInt1Ty(context);
    case Scalar::i32: return llvm::Type::getInt32Ty(context);
    case Scalar::i64: return llvm::Type::getInt64Ty(context);
    case Scalar::f32: return llvm::Type::getFloatTy(context);
    case Scalar::f64: return llvm::Type::getDoubleTy(context);
  }
  return nullptr;
}

llvm::Type* llvm_type(llvm::LLVMContext& context, loops::Type type) {
  llvm::Type* scalar = llvm_type(context, type.scalar);
  return type.lanes == 1 ? scalar : llvm::FixedVectorType::get(scalar, type.lanes);
}

ExpressionEmitter::ExpressionEmitter(const ModuleContext& context, llvm::BasicBlock* block) : context_(context), builder_(block) {
  llvm::FastMathFlags flags;
  flags.setAllowContract(true);
  builder_.setFastMathFlags(flags);
}

llvm::Value* ExpressionEmitter::emit(const Expr& x) {
  if (x->args.empty()) return emit_node(*x);
  if (auto found = emitted_.find(x.get()); found != emitted_.end()) return found->second.value;
  llvm::Value* value = emit_node(*x);
  emitted_[x.get()] = {x, value};
  return value;
}

llvm::Value* ExpressionEmitter::emit_node(const ExprNode& x) {
  switch (x.kind) {
    case ExprKind::integer: return llvm::ConstantInt::getSigned(type_of(x.type), x.integer_value, /*ImplicitTrunc=*/true);
    case ExprKind::real: return llvm::ConstantFP::get(type_of(x.type), x.real_value);
    case ExprKind::variable: {
      auto found = variables_.find(x.name);
      BNC_CHECK(found != variables_.end(), "variable " + x.name);
      return found->second.value;
    }
    case ExprKind::unary: return emit_unary(x);
    case ExprKind::binary: return emit_binary(x);
    case ExprKind::fma: return emit_fma(builder_, context_.target, emit(x.args[0]), emit(x.args[1]), emit(x.args[2]));
    case ExprKind::select: return builder_.CreateSelect(emit(x.args[0]), emit(x.args[1]), emit(x.args[2]));
    case ExprKind::cast: return emit_cast(x);
    case ExprKind::load: return emit_load(x);
    case ExprKind::ramp: return emit_ramp(x);
    case ExprKind::broadcast: return splat(emit(x.args[0]), x.type.lanes);
    case ExprKind::read_register: return emit_register(x);
    case ExprKind::reduce_lanes: return emit_reduction(x);
  }
  return nullptr;
}

llvm::Value* ExpressionEmitter::emit_load(const ExprNode&) {
  internal_check_failed("a load", __FILE__, __LINE__, "outside of a kernel");
  return nullptr;
}

llvm::Value* ExpressionEmitter::emit_register(const ExprNode&) {
  internal_check_failed("a register", __FILE__, __LINE__, "outside of a kernel");
  return nullptr;
}

llvm::Value* ExpressionEmitter::emit_unary(const ExprNode& x) {
  llvm::Value* a = emit(x.args[0]);
  bool floating = x.type.is_float();
  switch (x.unary_op) {
    case UnaryOp::negate: return floating ? builder_.CreateFNeg(a) : builder_.CreateNeg(a);
    case UnaryOp::absolute:
      return floating ? builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, a)
                      : builder_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, a, builder_.getFalse());
    case UnaryOp::floor: case UnaryOp::round_even: return emit_rounding(builder_, context_.target, x.unary_op, a);
    case UnaryOp::sqrt: return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a);
    case UnaryOp::reciprocal_sqrt:
      return builder_.CreateFDiv(llvm::ConstantFP::get(a->getType(), 1), builder_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, a));
    case UnaryOp::logical_not: return builder_.CreateNot(a);
    default: return emit_math(builder_, context_.target, x.unary_op, a);
  }
}

llvm::Value* ExpressionEmitter::emit_binary(const ExprNode& x) {
  llvm::Value* a = emit(x.args[0]);
  llvm::Value* b = emit(x.args[1]);
  return x.args[0]->type.is_float() ? emit_float_binary(x.binary_op, a, b) : emit_integer_binary(x, a, b);
}

llvm::Value* ExpressionEmitter::emit_float_binary(BinaryOp op, llvm::Value* a, llvm::Value* b) {
  switch (op) {
    case BinaryOp::add: return builder_.CreateFAdd(a, b);
    case BinaryOp::subtract: return builder_.CreateFSub(a, b);
    case BinaryOp::multiply: return builder_.CreateFMul(a, b);
    case BinaryOp::divide: return builder_.CreateFDiv(a, b);
    case BinaryOp::minimum: return emit_extremum(true, a, b);
    case BinaryOp::maximum: return emit_extremum(false, a, b);
    case BinaryOp::less: return builder_.CreateFCmpOLT(a, b);
    case BinaryOp::less_equal: return builder_.CreateFCmpOLE(a, b);
    case BinaryOp::equal: return builder_.CreateFCmpOEQ(a, b);
    case BinaryOp::not_equal: return builder_.CreateFCmpUNE(a, b);
    default: internal_check_failed("a floating-point operation", __FILE__, __LINE__, ""); return nullptr;
  }
}

// x86's min and max give their second operand when either is NaN: one instruction where the first is no NaN.
llvm::Value* ExpressionEmitter::emit_extremum(bool minimum, llvm::Value* a, llvm::Value* b) {
  auto never_nan = [](llvm::Value* x) {
    auto* constant = llvm::dyn_cast<llvm::Constant>(x);
    if (constant && constant->getType()->isVectorTy()) constant = constant->getSplatValue();
    auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(constant);
    return number && !number->isNaN();
  };
  if (never_nan(b)) std::swap(a, b);
  llvm::Value* first = minimum ? builder_.CreateFCmpOLT(a, b) : builder_.CreateFCmpOGT(a, b);
  llvm::Value* chosen = builder_.CreateSelect(first, a, b);
  return never_nan(a) ? chosen : builder_.CreateSelect(builder_.CreateFCmpUNO(a, a), a, chosen);
}

llvm::Value* ExpressionEmitter::emit_integer_binary(const ExprNode& x, llvm::Value* a, llvm::Value* b) {
  bool nsw = x.type.scalar == Scalar::i64;  // indices never overflow; i32 wraps around
  switch (x.binary_op) {
    case BinaryOp::add: return builder_.CreateAdd(a, b, "", false, nsw);
    case BinaryOp::subtract: return builder_.CreateSub(a, b, "", false, nsw);
    case BinaryOp::multiply: return builder_.CreateMul(a, b, "", false, nsw);
    case BinaryOp::divide: case BinaryOp::modulo: return emit_division(x.binary_op, a, b, loops::is_non_negative(x.args[0]));
    case BinaryOp::minimum: return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, a, b);
    case BinaryOp::maximum: return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, a, b);
    case BinaryOp::less: return builder_.CreateICmpSLT(a, b);
    case BinaryOp::less_equal: return builder_.CreateICmpSLE(a, b);
    case BinaryOp::equal: return builder_.CreateICmpEQ(a, b);
    case BinaryOp::not_equal: return builder_.CreateICmpNE(a, b);
    case BinaryOp::logical_and: case BinaryOp::bit_and: return builder_.CreateAnd(a, b);
    case BinaryOp::logical_or: case BinaryOp::bit_or: return builder_.CreateOr(a, b);
    case BinaryOp::bit_xor: return builder_.CreateXor(a, b);
    case BinaryOp::shift_left: return builder_.CreateShl(a, b);
    case BinaryOp::shift_right_logical: return builder_.CreateLShr(a, b);
  }
  return nullptr;
}

// Rounds down; divisors are positive.
llvm::Value* ExpressionEmitter::emit_division(BinaryOp op, llvm::Value* a, llvm::Value* b, bool non_negative) {
  bool divide = op == BinaryOp::divide;
  auto* constant = llvm::dyn_cast<llvm::Constant>(b);
  if (constant && constant->getType()->isVectorTy()) constant = constant->getSplatValue();
  if (auto* divisor = llvm::dyn_cast_or_null<llvm::ConstantInt>(constant); divisor && divisor->getValue().isPowerOf2()) {
    if (divide) return builder_.CreateAShr(a, divisor->getValue().logBase2());
    return builder_.CreateAnd(a, llvm::ConstantInt::get(a->getType(), divisor->getValue() - 1));
  }
  if (non_negative) return divide ? builder_.CreateUDiv(a, b) : builder_.CreateURem(a, b);
  llvm::Value* zero = llvm::Constant::getNullValue(a->getType());
  llvm::Value* rest = builder_.CreateSRem(a, b);
  llvm::Value* below = builder_.CreateICmpSLT(rest, zero);
  if (!divide) return builder_.CreateAdd(rest, builder_.CreateSelect(below, b, zero));
  return builder_.CreateAdd(builder_.CreateSDiv(a, b), builder_.CreateSExt(below, a->getType()));
}

llvm::Value* ExpressionEmitter::emit_cast(const ExprNode& x) {
  llvm::Value* a = emit(x.args[0]);
  loops::Type from = x.args[0]->type;
  llvm::Type* type = type_of(x.type);
  if (x.type.scalar == Scalar::boolean) {
    llvm::Value* zero = llvm::Constant::getNullValue(a->getType());
    return from.is_float() ? builder_.CreateFCmpUNE(a, zero) : builder_.CreateICmpNE(a, zero);
  }
  if (x.type.is_float()) {
    if (from.is_float()) return builder_.CreateFPCast(a, type);
    return from.scalar == Scalar::boolean ? builder_.CreateUIToFP(a, type) : builder_.CreateSIToFP(a, type);
  }
  // What does not fit gives some integer; `freeze` keeps it one and the same.
  if (from.is_float()) return builder_.CreateFreeze(builder_.CreateFPToSI(a, type));
  return builder_.CreateIntCast(a, type, /*isSigned=*/from.scalar != Scalar::boolean);
}

llvm::Value* ExpressionEmitter::emit_ramp(const ExprNode& x) {
  llvm::Type* scalar = llvm_type(builder_.getContext(), x.type.scalar);
  llvm::SmallVector<llvm::Constant*> steps;
  for (int i = 0; i < x.type.lanes; ++i) steps.push_back(llvm::ConstantInt::getSigned(scalar, x.integer_value * i, /*ImplicitTrunc=*/true));
  return builder_.CreateAdd(splat(emit(x.args[0]), x.type.lanes), llvm::ConstantVector::get(steps), "", false,
                            x.type.scalar == Scalar::i64);
}

// The upper half is combined with the lower until one lane is left; of an odd number of lanes the middle one joins last.
llvm::Value* ExpressionEmitter::emit_reduction(const ExprNode& x) {
  llvm::Value* vector = emit(x.args[0]);
  auto combine = [&](llvm::Value* a, llvm::Value* b) {
    ExprNode operation{.kind = ExprKind::binary, .type = x.type, .binary_op = x.binary_op};
    return x.type.is_float() ? emit_float_binary(x.binary_op, a, b) : emit_integer_binary(operation, a, b);
  };
  llvm::SmallVector<llvm::Value*> middles;
  int lanes = x.args[0]->type.lanes;
  while (lanes > 1) {
    int half = lanes / 2;
    if (lanes % 2) middles.push_back(builder_.CreateExtractElement(vector, half));
    llvm::SmallVector<int> low(half), high(half);
    std::iota(low.begin(), low.end(), 0);
    std::iota(high.begin(), high.end(), lanes - half);
    vector = combine(builder_.CreateShuffleVector(vector, low), builder_.CreateShuffleVector(vector, high));
    lanes = half;
  }
  llvm::Value* result = builder_.CreateExtractElement(vector, uint64_t(0));
  for (llvm::Value* middle : middles) result = combine(result, middle);
  return result;
}

int ExpressionEmitter::depth_of(const Expr& x) const {
  if (x->kind == ExprKind::load || x->kind == ExprKind::read_register) return loop_depth_;
  if (x->kind == ExprKind::variable) {
    auto found = variables_.find(x->name);
    return found == variables_.end() ? loop_depth_ : found->second.depth;
  }
  int depth = 0;
  for (const Expr& arg : x->args) depth = std::max(depth, depth_of(arg));
  return depth;
}

int64_t ExpressionEmitter::multiple_of(const Expr& x) const {
  switch (x->kind) {
    case ExprKind::integer: return x->integer_value;
    case ExprKind::variable: {
      auto found = variables_.find(x->name);
      return found == variables_.end() ? 1 : found->second.multiple;
    }
    case ExprKind::ramp: case ExprKind::broadcast: return multiple_of(x->args[0]);
    case ExprKind::binary: break;
    default: return 1;
  }
  int64_t a = multiple_of(x->args[0]), b = multiple_of(x->args[1]);
  switch (x->binary_op) {
    case BinaryOp::add: case BinaryOp::subtract: return std::gcd(a, b);
    case BinaryOp::multiply: return (a % 64 == 0 || b % 64 == 0) ? 64 : (a % 64) * (b % 64);
    default: return 1;
  }
}

}  // namespace bnc::codegen
