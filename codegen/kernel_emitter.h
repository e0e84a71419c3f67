// A kernel's function: accesses of memory (emit_memory.cpp), statements and registers (emit_kernel.cpp).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "codegen/emit.h"

namespace bnc::codegen {

class KernelEmitter : public ExpressionEmitter {
 public:
  KernelEmitter(const ModuleContext& context, size_t kernel, llvm::Function* function)
      : ExpressionEmitter(context, llvm::BasicBlock::Create(function->getContext(), "entry", function)),
        kernel_(context.program.kernels[kernel]),
        buffers_(context.options.functions->buffers[kernel]),
        scratch_(context.options.functions->scratch[kernel]),
        function_(function) {
    if (context.options.checks.bounds) bounds_.emplace(*this, context.options.faults);
  }

  void run() {
    llvm::Value* n = function_->getArg(1);
    if (context_.program.batch) n = builder_.getInt64(*context_.program.batch);
    define(loops::batch_variable, {n});
    n_ = n;
    locate_buffers();
    find_streamed(kernel_.body);
    entry_ = builder_.GetInsertBlock();
    llvm::BasicBlock* body = new_block("body");
    emit_tasks(body);
    builder_.SetInsertPoint(entry_);
    if (llvm::Value* aligned = streamed_arguments_are_aligned()) {
      // What the caller passes may begin anywhere: a second version of the code for where it begins at a line.
      lines_begin_arguments_ = true;
      llvm::BasicBlock* streaming = new_block("streaming");
      emit_tasks(streaming);
      builder_.SetInsertPoint(entry_);
      builder_.CreateCondBr(aligned, streaming, body);
    } else {
      builder_.CreateBr(body);
    }
  }

 protected:
  llvm::Value* emit_load(const loops::ExprNode& x) override;
  llvm::Value* emit_register(const loops::ExprNode& x) override {
    return builder_.CreateLoad(type_of(x.type), register_element(x.name, x.args[0]));
  }

 private:
  // Where a buffer lies during this kernel, and what its accesses cannot overlap.
  struct Location {
    llvm::Value* pointer = nullptr;
    llvm::Value* extent = nullptr;   // of scratch, and where bounds are checked
    int position = 0;                // among the buffers of the kernel, scratch behind the others
    llvm::MDNode* scope = nullptr;
    llvm::MDNode* others = nullptr;
  };

  void emit_tasks(llvm::BasicBlock* block);
  void locate_buffers();
  void annotate_locations();
  BoundsChecker::Guard guard(int buffer, const loops::Expr& index, const loops::Expr& predicate, bool store);
  void poison_scratch();
  void find_streamed(const loops::Stmt& s);
  llvm::Value* streamed_arguments_are_aligned();

  llvm::Type* memory_type(loops::Scalar scalar) {
    return scalar == loops::Scalar::boolean ? builder_.getInt8Ty() : llvm_type(builder_.getContext(), scalar);
  }
  llvm::Type* memory_type(loops::Type type) {
    return type.lanes == 1 ? memory_type(type.scalar) : llvm::FixedVectorType::get(memory_type(type.scalar), type.lanes);
  }
  llvm::Value* element(int buffer, const loops::Expr& index);
  llvm::Align alignment(int buffer, const loops::Expr& index) const;
  llvm::Instruction* annotate(llvm::Instruction* access, int buffer);
  llvm::Value* read(int buffer, loops::Type type, const loops::Expr& index, const loops::Expr& predicate);
  llvm::Value* read_lanes(int buffer, loops::Type type, const loops::ExprNode& ramp, const BoundsChecker::Guard& guard);
  void write(int buffer, llvm::Value* value, const loops::Expr& index, const loops::Expr& predicate, bool streamed);
  llvm::Value* reversed(llvm::Value* vector, int lanes);
  llvm::Value* mask_of(const loops::Expr& predicate, int lanes);

  void emit_statement(const loops::Stmt& s);
  void emit_body(const std::vector<loops::Stmt>& body);
  void emit_loop_statement(const loops::StmtNode& s);
  void emit_loop(const std::string& variable, Variable begin, llvm::Value* end, int64_t step, const std::function<void()>& body);
  void emit_let(const loops::StmtNode& s);
  void emit_conditional(const loops::StmtNode& s);
  void emit_prefetch(const loops::StmtNode& s);
  void declare_registers(const loops::StmtNode& s);
  llvm::AllocaInst* register_element(const std::string& name, const loops::Expr& index);

  // With the values of unrolled loop variables and constant lets filled in.
  loops::Expr resolve(const loops::Expr& x) { return x ? loops::substitute(x, replacements_) : x; }
  llvm::BasicBlock* new_block(const char* name) { return llvm::BasicBlock::Create(function_->getContext(), name, function_); }

  const loops::Kernel& kernel_;
  const std::vector<int>&buffers_, &scratch_;
  llvm::Function* function_;
  llvm::Value* n_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr;
  std::optional<BoundsChecker> bounds_;
  std::map<int, Location> locations_;
  std::set<int> streamed_;               // buffers
  bool lines_begin_arguments_ = false;   // of those that are streamed
  std::map<std::string, loops::Expr> replacements_;
  std::unordered_map<std::string, std::vector<llvm::AllocaInst*>> registers_;
};

}  // namespace bnc::codegen
