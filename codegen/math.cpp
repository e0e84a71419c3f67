#include "codegen/emit.h"
namespace bnc::codegen {
llvm::Value* emit_fma(llvm::IRBuilder<>& builder, const TargetDescription& target, llvm::Value* a, llvm::Value* b, llvm::Value* c) {
  if (target.fused_multiply_add) return builder.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  return builder.CreateFAdd(builder.CreateFMul(a, b), c);
}
}
