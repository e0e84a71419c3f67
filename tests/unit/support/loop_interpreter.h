// Evaluates loop expressions over tensors in memory: holds lowerings against the reference evaluator without code generation.
#pragma once

#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "ir/loops.h"
#include "ir/tensor.h"

namespace bnc::test {

class LoopInterpreter {
 public:
  using Lanes = std::vector<double>;

  std::vector<const Tensor*> buffers;
  std::map<std::string, double> variables;
  bool round_to_f32 = false;  // each f32 operation, as generated code does

  // One value a lane. Throws where a load falls outside its buffer.
  Lanes operator()(const loops::Expr& x) const {
    Lanes result = compute(*x);
    if (static_cast<int>(result.size()) != x->type.lanes) throw std::logic_error("lanes of " + loops::to_string(x));
    if (round_to_f32 && x->type.scalar == loops::Scalar::f32)
      for (double& lane : result) lane = static_cast<float>(lane);
    return result;
  }

 private:
  Lanes compute(const loops::ExprNode& x) const {
    using loops::ExprKind;
    switch (x.kind) {
      case ExprKind::integer: return Lanes(x.type.lanes, static_cast<double>(x.integer_value));
      case ExprKind::real: return Lanes(x.type.lanes, x.real_value);
      case ExprKind::variable: return {variables.at(x.name)};
      case ExprKind::broadcast: return Lanes(x.type.lanes, (*this)(x.args[0])[0]);
      case ExprKind::cast: return cast(x);
      case ExprKind::load: return load(x);
      case ExprKind::unary: return map(x, [&](const double* v) { return unary(x.unary_op, v[0]); });
      case ExprKind::binary: return map(x, [&](const double* v) { return binary(x.binary_op, x.args[0]->type.scalar, v[0], v[1]); });
      case ExprKind::fma: return map(x, [](const double* v) { return std::fma(v[0], v[1], v[2]); });
      case ExprKind::select: return map(x, [](const double* v) { return v[0] != 0 ? v[1] : v[2]; });
      case ExprKind::ramp: {
        Lanes result(x.type.lanes, (*this)(x.args[0])[0]);
        for (int lane = 0; lane < x.type.lanes; ++lane) result[lane] += static_cast<double>(lane * x.integer_value);
        return result;
      }
      case ExprKind::read_register: case ExprKind::reduce_lanes: break;
    }
    throw std::logic_error("not an element expression");
  }

  template <class F> Lanes map(const loops::ExprNode& x, F f) const {
    std::vector<Lanes> args;
    for (const loops::Expr& arg : x.args) args.push_back((*this)(arg));
    Lanes result;
    for (size_t lane = 0; lane < args[0].size(); ++lane) {
      double values[3] = {};
      for (size_t k = 0; k < args.size(); ++k) values[k] = args[k].at(lane);
      result.push_back(f(values));
    }
    return result;
  }

  Lanes load(const loops::ExprNode& x) const {
    Lanes result;
    for (double index : (*this)(x.args[0])) result.push_back(buffers.at(x.buffer)->data.at(static_cast<size_t>(index)));
    return result;
  }

  Lanes cast(const loops::ExprNode& x) const {
    Lanes result = (*this)(x.args[0]);
    if (x.type.scalar == loops::Scalar::i32)
      for (double& lane : result) lane = wrap(static_cast<int64_t>(lane));
    return result;
  }

  static double wrap(int64_t value) { return static_cast<int32_t>(static_cast<uint32_t>(value)); }

  static double unary(loops::UnaryOp op, double x) {
    using loops::UnaryOp;
    switch (op) {
      case UnaryOp::negate: return -x;
      case UnaryOp::absolute: return std::fabs(x);
      case UnaryOp::floor: return std::floor(x);
      case UnaryOp::round_even: return std::nearbyint(x);
      case UnaryOp::sqrt: return std::sqrt(x);
      case UnaryOp::reciprocal_sqrt: return 1 / std::sqrt(x);
      case UnaryOp::exp: return std::exp(x);
      case UnaryOp::log: return std::log(x);
      case UnaryOp::log1p: return std::log1p(x);
      case UnaryOp::tanh: return std::tanh(x);
      case UnaryOp::sigmoid: return 1 / (1 + std::exp(-x));
      case UnaryOp::erf: return std::erf(x);
      case UnaryOp::logical_not: return x == 0;
    }
    throw std::logic_error("unary op");
  }

  static double binary(loops::BinaryOp op, loops::Scalar scalar, double a, double b) {
    return scalar == loops::Scalar::f32 || scalar == loops::Scalar::f64 ? real_binary(op, a, b) : integer_binary(op, scalar, a, b);
  }

  static double real_binary(loops::BinaryOp op, double a, double b) {
    using loops::BinaryOp;
    switch (op) {
      case BinaryOp::add: return a + b;
      case BinaryOp::subtract: return a - b;
      case BinaryOp::multiply: return a * b;
      case BinaryOp::divide: return a / b;
      case BinaryOp::minimum: return std::isnan(a) || std::isnan(b) ? NAN : std::fmin(a, b);
      case BinaryOp::maximum: return std::isnan(a) || std::isnan(b) ? NAN : std::fmax(a, b);
      case BinaryOp::less: return a < b;
      case BinaryOp::less_equal: return a <= b;
      case BinaryOp::equal: return a == b;
      case BinaryOp::not_equal: return a != b;
      default: throw std::logic_error("float op");
    }
  }

  static double integer_binary(loops::BinaryOp op, loops::Scalar scalar, double left, double right) {
    using loops::BinaryOp;
    const int64_t a = static_cast<int64_t>(left), b = static_cast<int64_t>(right);
    auto result = [&]() -> int64_t {
      switch (op) {
        case BinaryOp::add: return a + b;
        case BinaryOp::subtract: return a - b;
        case BinaryOp::multiply: return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
        case BinaryOp::divide: return (a - ((a % b) + b) % b) / b;
        case BinaryOp::modulo: return ((a % b) + b) % b;
        case BinaryOp::minimum: return std::min(a, b);
        case BinaryOp::maximum: return std::max(a, b);
        case BinaryOp::less: return a < b;
        case BinaryOp::less_equal: return a <= b;
        case BinaryOp::equal: return a == b;
        case BinaryOp::not_equal: return a != b;
        case BinaryOp::logical_and: return a && b;
        case BinaryOp::logical_or: return a || b;
        case BinaryOp::bit_and: return a & b;
        case BinaryOp::bit_or: return a | b;
        case BinaryOp::bit_xor: return a ^ b;
        case BinaryOp::shift_left: return a << b;
        case BinaryOp::shift_right_logical: return scalar == loops::Scalar::i32 ? static_cast<uint32_t>(a) >> b : static_cast<int64_t>(static_cast<uint64_t>(a) >> b);
      }
      throw std::logic_error("integer op");
    }();
    return scalar == loops::Scalar::i32 ? wrap(result) : static_cast<double>(result);
  }
};

}  // namespace bnc::test
