// Emission of loop programs as LLVM IR: expressions, then kernels on top of them. Modules are put together in
// emit_module.cpp.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "codegen/llvm_support.h"

namespace bnc::codegen {

struct ModuleContext {
  llvm::Module& module;
  const loops::Program& program;
  const TargetDescription& target;
  const ModuleOptions& options;
};

llvm::Type* llvm_type(llvm::LLVMContext& context, loops::Scalar scalar);
llvm::Type* llvm_type(llvm::LLVMContext& context, loops::Type type);
// What is said of every function: the CPU, full vector width, no exceptions.
void add_function_attributes(llvm::Function& function, const TargetDescription& target);

// exp, log, log1p, tanh, sigmoid and erf of f32 scalars or vectors within 2 ulp; of f64 by calls into libm. See math.cpp.
llvm::Value* emit_math(llvm::IRBuilder<>& builder, const TargetDescription& target, loops::UnaryOp op, llvm::Value* x);
// The nearest integer below, or the nearest with ties to even, also where the target has no instruction for it.
llvm::Value* emit_rounding(llvm::IRBuilder<>& builder, const TargetDescription& target, loops::UnaryOp op, llvm::Value* x);
// a * b + c, in one instruction where the target has it.
llvm::Value* emit_fma(llvm::IRBuilder<>& builder, const TargetDescription& target, llvm::Value* a, llvm::Value* b, llvm::Value* c);

// Emits expressions over the variables it knows; memory and registers are the business of the derived emitter.
class ExpressionEmitter {
 public:
  ExpressionEmitter(const ModuleContext& context, llvm::BasicBlock* block);
  virtual ~ExpressionEmitter() = default;

  llvm::Value* emit(const loops::Expr& x);
  llvm::IRBuilder<>& builder() { return builder_; }

  struct Variable {
    llvm::Value* value;
    int64_t multiple = 1;  // a number that is known to divide it
    int depth = 0;         // in how many loops it changes
  };
  void define(const std::string& name, Variable variable) { variables_[name] = variable; }

 protected:
  virtual llvm::Value* emit_load(const loops::ExprNode& x);
  virtual llvm::Value* emit_register(const loops::ExprNode& x);

  llvm::Type* type_of(loops::Type type) { return llvm_type(builder_.getContext(), type); }
  llvm::Value* splat(llvm::Value* scalar, int lanes) { return lanes == 1 ? scalar : builder_.CreateVectorSplat(lanes, scalar); }
  // A number that divides the index; of a vector, its first lane.
  int64_t multiple_of(const loops::Expr& x) const;
  // In how many of the loops around it the expression may change.
  int depth_of(const loops::Expr& x) const;

  const ModuleContext& context_;
  llvm::IRBuilder<> builder_;
  std::unordered_map<std::string, Variable> variables_;
  int loop_depth_ = 0;
  // Shared subexpressions of one statement are emitted once. Kept alive: another expression is not to come to lie where one
  // that was made on the way did.
  struct Emitted {
    loops::Expr expression;
    llvm::Value* value;
  };
  std::unordered_map<const loops::ExprNode*, Emitted> emitted_;

 private:
  llvm::Value* emit_node(const loops::ExprNode& x);
  llvm::Value* emit_unary(const loops::ExprNode& x);
  llvm::Value* emit_binary(const loops::ExprNode& x);
  llvm::Value* emit_float_binary(loops::BinaryOp op, llvm::Value* a, llvm::Value* b);
  llvm::Value* emit_integer_binary(const loops::ExprNode& x, llvm::Value* a, llvm::Value* b);
  llvm::Value* emit_division(loops::BinaryOp op, llvm::Value* a, llvm::Value* b, bool non_negative);
  llvm::Value* emit_extremum(bool minimum, llvm::Value* a, llvm::Value* b);
  llvm::Value* emit_cast(const loops::ExprNode& x);
  llvm::Value* emit_ramp(const loops::ExprNode& x);
  llvm::Value* emit_reduction(const loops::ExprNode& x);
};

// Checks::bounds: what lies outside of its buffer is noted, and goes elsewhere instead. No branches: they would keep multiplications
// and additions from being fused.
class BoundsChecker {
 public:
  BoundsChecker(ExpressionEmitter& emitter, FaultRecord* record);

  struct Access {
    int position = 0;                // of the buffer in its kernel, scratch behind the others
    bool store = false;
    llvm::Value* extent = nullptr;   // of the buffer
  };
  // Which accesses are diverted: one boolean for all lanes or one each; null where nothing is checked.
  class Guard {
   public:
    llvm::Value* pointer(llvm::IRBuilder<>& builder, llvm::Value* wanted) const {
      return outside ? builder.CreateSelect(outside, elsewhere, wanted) : wanted;
    }
    llvm::Value* mask(llvm::IRBuilder<>& builder, llvm::Value* wanted) const;

    llvm::Value *outside = nullptr, *elsewhere = nullptr;
  };
  Guard check(const Access& access, const loops::Expr& index, const loops::Expr& predicate);
  // Reports what was noted, at an end of the kernel.
  void report(llvm::Value* kernel, llvm::Value* n);

 private:
  void note(llvm::Value* any, const Access& access, llvm::Value* index);

  ExpressionEmitter& emitter_;
  FaultRecord* record_;
  llvm::AllocaInst *access_ = nullptr, *index_ = nullptr;   // of the last one outside; -1: there was none
};

// Checks::poison: a call that fills memory with it, and the number that it is.
void emit_poison(llvm::IRBuilder<>& builder, llvm::Value* memory, llvm::Value* elements, loops::Scalar scalar);
llvm::Constant* poison_of(llvm::Type* scalar);

// The function `void kernel(ptr scratch, i64 n, i64 first_task, i64 last_task, ptr buffer...)`, with the buffers as
// KernelFunctions lists them: internal, or shared with the other modules of a program in several parts, which declare it.
// Where bounds are checked, the buffers' extents and the number of the kernel follow, each an i64.
llvm::Function* declare_kernel(const ModuleContext& context, size_t kernel);
void emit_kernel(const ModuleContext& context, size_t kernel, llvm::Function* function);

}  // namespace bnc::codegen
