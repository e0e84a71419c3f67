// Folding of constants and simplification of index arithmetic, for the constructors in ir/loops.cpp.
#pragma once

#include "ir/loops.h"

namespace bnc::loops {

// The simpler expression that equals the operation, or an empty one. Operands of `fold_binary` have one type.
Expr fold_unary(UnaryOp op, const Expr& x);
Expr fold_binary(BinaryOp op, const Expr& a, const Expr& b);

// Rounding down, for positive divisors.
int64_t floor_divide(int64_t a, int64_t b);
int64_t floor_modulo(int64_t a, int64_t b);

// Whether two expressions are the same by structure.
bool same(const Expr& a, const Expr& b);

}  // namespace bnc::loops
