// LLVM's passes over code whose vectors, tiles and unrolling are already decided: promotion to registers, common
// subexpressions, hoisting out of loops, and nothing that vectorizes or unrolls again.
#include <llvm/Analysis/TargetLibraryInfo.h>
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/OptBisect.h>
#include <llvm/IR/PassManager.h>
#include <llvm/IR/Verifier.h>
#include <llvm/Passes/PassBuilder.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Transforms/Scalar/EarlyCSE.h>
#include <llvm/Transforms/Scalar/LICM.h>
#include <llvm/Transforms/Scalar/LoopPassManager.h>
#include <llvm/Transforms/Scalar/SimplifyCFG.h>
#include <llvm/Transforms/Utils/Mem2Reg.h>

#include "codegen/llvm_support.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

namespace {

// Passes of LLVM's code generator that take long and bring nothing here: addresses are already split by loops, so that
// strength reduction finds no work, and the CPUs reorder instructions themselves.
class SkipUselessPasses : public llvm::OptPassGate {
 public:
  bool isEnabled() const override { return true; }
  bool shouldRunPass(llvm::StringRef pass, llvm::StringRef) const override {
    return pass != "Loop Strength Reduction" && pass != "post-RA-sched";
  }
};

}  // namespace

void check_module(const llvm::Module& module) {
  std::string problems;
  llvm::raw_string_ostream stream(problems);
  BNC_CHECK(!llvm::verifyModule(module, &stream), problems);
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);

  // What kernels keep in memory stays there: registers are asked for as such, and a scratch value that a loop kept in one
  // would be spilled around the register tile inside it. A limit of no accesses leaves promotion out.
  llvm::LICMOptions hoisting;
  hoisting.MssaNoAccForPromotionCap = 0;

  llvm::FunctionPassManager passes;
  passes.addPass(llvm::PromotePass());
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/false));
  passes.addPass(llvm::createFunctionToLoopPassAdaptor(llvm::LICMPass(hoisting), /*UseMemorySSA=*/true));
  passes.addPass(llvm::EarlyCSEPass(/*UseMemorySSA=*/true));
  passes.addPass(llvm::SimplifyCFGPass());
  for (llvm::Function& function : module) {
    if (!function.isDeclaration()) passes.run(function, functions);
  }
}

// Writes to a string, without the copies that LLVM's own streams take.
class StringStream : public llvm::raw_pwrite_stream {
 public:
  explicit StringStream(std::string& text) : text_(text) { SetUnbuffered(); }

 private:
  void write_impl(const char* from, size_t size) override { text_.append(from, size); }
  void pwrite_impl(const char* from, size_t size, uint64_t offset) override { text_.replace(offset, size, from, size); }
  uint64_t current_pos() const override { return text_.size(); }
  std::string& text_;
};

std::string emit_file(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type, int64_t expected_bytes) {
  std::string bytes;
  bytes.reserve(static_cast<size_t>(expected_bytes));
  StringStream stream(bytes);
  llvm::legacy::PassManager passes;
  passes.add(new llvm::TargetLibraryInfoWrapperPass(machine.getTargetTriple()));
  BNC_CHECK(!machine.addPassesToEmitFile(passes, stream, nullptr, type, /*DisableVerify=*/true), "the target emits objects and assembly");
  static SkipUselessPasses gate;
  module.getContext().setOptPassGate(gate);
  passes.run(module);
  return bytes;
}

}  // namespace bnc::codegen
