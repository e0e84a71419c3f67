// Elementary functions of f32 vectors, within 2 ulp everywhere, denormals, infinities and NaN included.
//
// Argument reduction after Cody & Waite, Software Manual for the Elementary Functions (1980): exp by multiples of log 2,
// split in a part of few bits, whose multiples are exact, and the rest; log by the exponent. The reduced functions are
// minimax polynomials; scripts/minimax.py computes their coefficients. log1p keeps the bits that 1 + x loses by reducing
// x itself, tanh and sigmoid come from exp as in Muller, Elementary Functions, 3rd edition, chapter 6, and erf away from
// zero is 1 - exp(-x p(x)) as in Abramowitz & Stegun 7.1.28, with p fitted anew.
#include <bit>
#include <cmath>

#include "codegen/emit.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

using loops::UnaryOp;

namespace {

constexpr float log2_high = 0.693359375f, log2_low = -2.12194440e-4f;  // log 2 in 9 bits, and the rest

// (e^r - 1 - r) / r^2 for |r| <= log(2) / 2
constexpr float exp_coefficients[] = {0.49999993452f, 0.1666652069f, 0.041668387362f, 0.0083687098222f, 0.001381461314f};
// (log(1 + f) - f) / f^2 for |f| <= 1/3
constexpr float log_coefficients[] = {-0.50000001207f, 0.33333208416f,  -0.24999717466f, 0.20010747622f, -0.16682305519f,
                                      0.14001160231f,  -0.12167156661f, 0.14004758967f,  -0.12948954439f};
// (tanh(x) - x) / x^3 in x^2, for |x| <= 0.63
constexpr float tanh_limit = 0.63f;
constexpr float tanh_coefficients[] = {-0.33333276059f, 0.13331274431f, -0.053725126437f, 0.020589825871f, -0.0056483157865f};
// (erf(x) - x) / x in x^2, for |x| <= 0.925
constexpr float erf_limit = 0.925f;
constexpr float erf_coefficients[] = {0.12837914832f,   -0.37612485288f,  0.11281726739f,
                                      -0.026763329805f, 0.0049883069062f, -0.000596579989f};
// -log(1 - erf(x)) / x for 0.92 <= x <= 4
constexpr float erf_tail_coefficients[] = {1.1286484901f,    0.63515131704f,     0.10623687665f,  -0.023762062082f,
                                           0.0036424586455f, -0.00032280376739f, 1.1231297795e-5f};

// Bit patterns of floats, and the exponent field among them.
constexpr int32_t exponent_mask = static_cast<int32_t>(0xff800000);
constexpr int exponent_shift = 23, exponent_bias = 127;
constexpr int32_t two_thirds = std::bit_cast<int32_t>(2.0f / 3.0f);

class VectorMath {
 public:
  VectorMath(llvm::IRBuilder<>& builder, const TargetDescription& target, llvm::Type* type)
      : builder_(builder), guard_(builder), target_(target), type_(type), bits_(type->getWithNewType(builder.getInt32Ty())) {
    builder_.clearFastMathFlags();  // every rounding below is meant
  }

  // 2^n e^r with n = round(x / log 2). The scale goes on in two steps, since 2^n itself may be no normal number.
  llvm::Value* exp(llvm::Value* x) {
    constexpr float to_integer = 0x1.8p23f;  // adding it leaves an integer in the low bits
    x = select(more(x, 89.0f), real(89.0f), x);
    x = select(less(x, -104.0f), real(-104.0f), x);
    llvm::Value* shifted = fma(x, real(1.44269504f), real(to_integer));
    llvm::Value* n = builder_.CreateFSub(shifted, real(to_integer));
    llvm::Value* r = fma(n, real(-log2_low), fma(n, real(-log2_high), x));
    // 1 + r + r^2 p(r), where what 1 + r rounds off is put back.
    llvm::Value* one_more = builder_.CreateFAdd(r, real(1));
    llvm::Value* lost = builder_.CreateFSub(r, builder_.CreateFSub(one_more, real(1)));
    llvm::Value* value = builder_.CreateFAdd(fma(multiply(r, r), polynomial(r, exp_coefficients), lost), one_more);
    llvm::Value* power = builder_.CreateSub(to_bits(shifted), integer(std::bit_cast<int32_t>(to_integer)));
    llvm::Value* half = builder_.CreateAShr(power, 1);
    return multiply(multiply(value, power_of_two(half)), power_of_two(builder_.CreateSub(power, half)));
  }

  llvm::Value* log(llvm::Value* x) {
    llvm::Value* denormal = less(x, 0x1p-126f);
    llvm::Value* normal = select(denormal, multiply(x, real(0x1p23f)), x);
    llvm::Value* exponent_bits = exponent_above_two_thirds(normal);
    llvm::Value* f = builder_.CreateFSub(to_float(builder_.CreateSub(to_bits(normal), exponent_bits)), real(1));
    llvm::Value* exponent = builder_.CreateFAdd(exponent_of(exponent_bits), select(denormal, real(-23), real(0)));
    return log_special_cases(x, 0, log_of_parts(exponent, f));
  }

  // 1 + x = 2^k (1 + f) with f = x 2^-k + (2^-k - 1), in which x loses no bits.
  llvm::Value* log1p(llvm::Value* x) {
    llvm::Value* exponent_bits = exponent_above_two_thirds(builder_.CreateFAdd(x, real(1)));
    llvm::Value* scale = to_float(builder_.CreateSub(integer(std::bit_cast<int32_t>(4.0f)), exponent_bits));  // 4 * 2^-k is normal
    llvm::Value* quarter = real(0.25f);
    llvm::Value* f = builder_.CreateFAdd(multiply(multiply(x, scale), quarter), fma(scale, quarter, real(-1)));
    llvm::Value* value = log_special_cases(x, -1, log_of_parts(exponent_of(exponent_bits), f));
    return select(builder_.CreateFCmpOEQ(x, real(0)), x, value);
  }

  llvm::Value* tanh(llvm::Value* x) {
    llvm::Value *size = absolute(x), *square = multiply(x, x);
    llvm::Value* near_zero = fma(multiply(size, square), polynomial(square, tanh_coefficients), size);
    llvm::Value* grown = builder_.CreateFAdd(exp(builder_.CreateFAdd(size, size)), real(1));
    llvm::Value* far = builder_.CreateFSub(real(1), builder_.CreateFDiv(real(2), grown));
    return with_sign_of(select(less(size, tanh_limit), near_zero, far), x);
  }

  // 1 / (1 + e^-x) for x >= 0 and e^x / (1 + e^x) below: nothing overflows, and small results keep their bits.
  llvm::Value* sigmoid(llvm::Value* x) {
    llvm::Value* small = exp(builder_.CreateFNeg(absolute(x)));
    llvm::Value* divisor = builder_.CreateFAdd(small, real(1));
    llvm::Value* quotient = builder_.CreateFDiv(select(less(x, 0), small, real(1)), divisor);
    // What the divisor rounds off, relative to it, is put back; 1.457 - d/2 is near enough to 1/d on [1, 2].
    llvm::Value* lost = builder_.CreateFSub(small, builder_.CreateFSub(divisor, real(1)));
    llvm::Value* relative = multiply(lost, fma(divisor, real(-0.5f), real(1.457f)));
    return builder_.CreateFSub(quotient, multiply(quotient, relative));
  }

  llvm::Value* erf(llvm::Value* x) {
    llvm::Value* size = absolute(x);
    llvm::Value* near_zero = fma(x, polynomial(multiply(x, x), erf_coefficients), x);
    llvm::Value* t = select(more(size, 4), real(4), size);
    llvm::Value* rest = exp(builder_.CreateFNeg(multiply(t, polynomial(t, erf_tail_coefficients))));
    return select(less(size, erf_limit), near_zero, with_sign_of(builder_.CreateFSub(real(1), rest), x));
  }

  llvm::Value* absolute(llvm::Value* x) { return builder_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  llvm::Value* with_sign_of(llvm::Value* x, llvm::Value* sign) {
    return builder_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, x, sign);
  }
  llvm::Value* real(double value) { return llvm::ConstantFP::get(type_, value); }
  llvm::Value* select(llvm::Value* condition, llvm::Value* a, llvm::Value* b) { return builder_.CreateSelect(condition, a, b); }
  // False for NaN, which so passes through a clamp.
  llvm::Value* less(llvm::Value* x, double limit) { return builder_.CreateFCmpOLT(x, real(limit)); }
  llvm::Value* more(llvm::Value* x, double limit) { return builder_.CreateFCmpOGT(x, real(limit)); }

 private:
  llvm::Value* integer(int32_t value) { return llvm::ConstantInt::getSigned(bits_, value); }
  llvm::Value* multiply(llvm::Value* a, llvm::Value* b) { return builder_.CreateFMul(a, b); }
  llvm::Value* fma(llvm::Value* a, llvm::Value* b, llvm::Value* c) { return emit_fma(builder_, target_, a, b, c); }
  llvm::Value* to_bits(llvm::Value* x) { return builder_.CreateBitCast(x, bits_); }
  llvm::Value* to_float(llvm::Value* x) { return builder_.CreateBitCast(x, type_); }
  llvm::Value* power_of_two(llvm::Value* n) {
    return to_float(builder_.CreateShl(builder_.CreateAdd(n, integer(exponent_bias)), exponent_shift));
  }

  // Horner's scheme.
  template <size_t count>
  llvm::Value* polynomial(llvm::Value* x, const float (&coefficients)[count]) {
    llvm::Value* value = real(coefficients[count - 1]);
    for (size_t i = count - 1; i-- > 0;) value = fma(value, x, real(coefficients[i]));
    return value;
  }

  // The exponent k, in place among the bits, for which x / 2^k lies in [2/3, 4/3).
  llvm::Value* exponent_above_two_thirds(llvm::Value* x) {
    return builder_.CreateAnd(builder_.CreateSub(to_bits(x), integer(two_thirds)), integer(exponent_mask));
  }
  llvm::Value* exponent_of(llvm::Value* exponent_bits) {
    return builder_.CreateSIToFP(builder_.CreateAShr(exponent_bits, exponent_shift), type_);
  }

  // log(2^exponent (1 + f))
  llvm::Value* log_of_parts(llvm::Value* exponent, llvm::Value* f) {
    llvm::Value* value = fma(multiply(f, f), polynomial(f, log_coefficients), f);
    return fma(exponent, real(log2_high), fma(exponent, real(log2_low), value));
  }

  // Infinity and NaN are their own logarithms; at `pole` it is -infinity, below it NaN.
  llvm::Value* log_special_cases(llvm::Value* x, double pole, llvm::Value* value) {
    value = select(less(x, INFINITY), value, x);
    value = select(less(x, pole), real(NAN), value);
    return select(builder_.CreateFCmpOEQ(x, real(pole)), real(-INFINITY), value);
  }

  llvm::IRBuilder<>& builder_;
  llvm::IRBuilderBase::FastMathFlagGuard guard_;
  const TargetDescription& target_;
  llvm::Type *type_, *bits_;
};

// A call of a libm function for each lane.
llvm::Value* call_libm(llvm::IRBuilder<>& builder, const char* name, llvm::Value* x) {
  llvm::Module* module = builder.GetInsertBlock()->getModule();
  llvm::FunctionCallee function = module->getOrInsertFunction(name, builder.getDoubleTy(), builder.getDoubleTy());
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  if (!vector) return builder.CreateCall(function, {x});
  llvm::Value* result = llvm::PoisonValue::get(vector);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    result = builder.CreateInsertElement(result, builder.CreateCall(function, {builder.CreateExtractElement(x, i)}), i);
  }
  return result;
}

llvm::Value* emit_double_math(llvm::IRBuilder<>& builder, UnaryOp op, llvm::Value* x) {
  switch (op) {
    case UnaryOp::exp: return call_libm(builder, "exp", x);
    case UnaryOp::log: return call_libm(builder, "log", x);
    case UnaryOp::log1p: return call_libm(builder, "log1p", x);
    case UnaryOp::tanh: return call_libm(builder, "tanh", x);
    case UnaryOp::erf: return call_libm(builder, "erf", x);
    default: break;
  }
  BNC_CHECK(op == UnaryOp::sigmoid);
  llvm::Value* one = llvm::ConstantFP::get(x->getType(), 1);
  return builder.CreateFDiv(one, builder.CreateFAdd(one, call_libm(builder, "exp", builder.CreateFNeg(x))));
}

}  // namespace

llvm::Value* emit_fma(llvm::IRBuilder<>& builder, const TargetDescription& target, llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  if (target.fused_multiply_add) return builder.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  return builder.CreateFAdd(builder.CreateFMul(a, b), c);
}

llvm::Value* emit_math(llvm::IRBuilder<>& builder, const TargetDescription& target, UnaryOp op, llvm::Value* x) {
  if (x->getType()->getScalarType()->isDoubleTy()) return emit_double_math(builder, op, x);
  VectorMath math(builder, target, x->getType());
  switch (op) {
    case UnaryOp::exp: return math.exp(x);
    case UnaryOp::log: return math.log(x);
    case UnaryOp::log1p: return math.log1p(x);
    case UnaryOp::tanh: return math.tanh(x);
    case UnaryOp::sigmoid: return math.sigmoid(x);
    case UnaryOp::erf: return math.erf(x);
    default: internal_check_failed("an elementary function", __FILE__, __LINE__, ""); return nullptr;
  }
}

llvm::Value* emit_rounding(llvm::IRBuilder<>& builder, const TargetDescription& target, UnaryOp op, llvm::Value* x) {
  bool floor = op == UnaryOp::floor;
  if (target.vector_bytes > 16) return builder.CreateUnaryIntrinsic(floor ? llvm::Intrinsic::floor : llvm::Intrinsic::roundeven, x);
  // Adding the first number without a fraction rounds to an integer.
  VectorMath math(builder, target, x->getType());
  double whole = x->getType()->getScalarType()->isDoubleTy() ? 0x1p52 : 0x1p23;
  llvm::Value* size = math.absolute(x);
  llvm::Value* rounded = builder.CreateFSub(builder.CreateFAdd(size, math.real(whole)), math.real(whole));
  llvm::Value* nearest = math.with_sign_of(math.select(math.less(size, whole), rounded, size), x);
  return floor ? builder.CreateFSub(nearest, math.select(builder.CreateFCmpOGT(nearest, x), math.real(1), math.real(0))) : nearest;
}

}  // namespace bnc::codegen
