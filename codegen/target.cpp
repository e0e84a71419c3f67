// Which CPUs there are, and what the lowering needs to know of each.
#include <fmt/format.h>
#include <llvm/Config/llvm-config.h>
#include <llvm/MC/MCSubtargetInfo.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/X86TargetParser.h>
#include <unistd.h>

#include <algorithm>
#include <new>

#include "codegen/llvm_support.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

namespace {

constexpr const char* triple = "x86_64-unknown-linux-gnu";

// What no CPU reports of itself, by the beginning of its name; the others are as TargetDescription says.
struct CpuFamily {
  const char* prefix;
  bool prefetches_to_l2;
};
constexpr CpuFamily families[] = {
    {"znver", false},   // some of those into L2 alone are dropped (docs/performance.md)
};

// Memory that LLVM takes from malloc and not from `new` runs out in the same way.
const bool follows_new_handler = [] {
  llvm::install_bad_alloc_error_handler([](void*, const char*, bool) {
    if (const std::new_handler handler = std::get_new_handler()) handler();
    throw std::bad_alloc();
  });
  return true;
}();

const llvm::Target& x86_target() {
  static const llvm::Target* target = [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    std::string error;
    const llvm::Target* found = llvm::TargetRegistry::lookupTarget(llvm::Triple(triple), error);
    BNC_CHECK(found, error);
    return found;
  }();
  return *target;
}

// Whether generated code may use a feature; the others (protection keys, cache control) do not matter to it.
bool is_used_feature(llvm::StringRef name) {
  for (const char* prefix : {"sse", "ssse", "avx", "fma", "f16c", "bmi", "popcnt", "lzcnt", "movbe"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

std::unique_ptr<llvm::MCSubtargetInfo> subtarget(const std::string& cpu, const std::string& features) {
  return std::unique_ptr<llvm::MCSubtargetInfo>(x86_target().createMCSubtargetInfo(llvm::Triple(triple), cpu, features));
}

// The features of this machine in LLVM's notation: "+avx,-avx512f,...".
std::string host_feature_string() {
  std::string text;
  for (const auto& [name, on] : llvm::sys::getHostCPUFeatures())
    text += fmt::format("{}{}{}", text.empty() ? "" : ",", on ? "+" : "-", name.str());
  return text;
}

// A feature the CPU has, code generation would use, and this machine lacks; empty when there is none.
std::string feature_missing_here(const llvm::MCSubtargetInfo& info) {
  for (const auto& [name, on] : llvm::sys::getHostCPUFeatures()) {
    if (!on && is_used_feature(name) && info.checkFeatures(("+" + name).str())) return name.str();
  }
  return "";
}

int64_t cache_bytes(int name, int64_t otherwise) {
  long bytes = sysconf(name);
  return bytes > 0 ? bytes : otherwise;
}

[[noreturn]] void unknown_cpu(const std::string& cpu) {
  Diagnostic diagnostic{Severity::error, {}, fmt::format("unknown CPU `{}`", cpu), {}};
  std::vector<std::string> names = known_cpus();
  if (std::string near = nearest_name(cpu, names); !near.empty()) diagnostic.help(fmt::format("did you mean `{}`?", near));
  diagnostic.help(
      "`native` is this machine, `baseline` any x86-64; `llc -march=x86-64 -mcpu=help` lists all names, among them haswell, "
      "skylake-avx512, znver3, znver4");
  throw CompileError(std::move(diagnostic));
}

}  // namespace

std::string llvm_version() { return "LLVM " LLVM_VERSION_STRING; }

std::vector<std::string> known_cpus() {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::X86::fillValidCPUArchList(names, /*Only64Bit=*/true);
  std::vector<std::string> result{"native", "baseline"};
  for (llvm::StringRef name : names) result.push_back(name.str());
  return result;
}

TargetDescription target_for(const std::string& cpu, bool for_this_process) {
  bool native = cpu.empty() || cpu == "native";
  std::vector<std::string> names = known_cpus();
  if (!native && std::ranges::find(names, cpu) == names.end()) unknown_cpu(cpu);

  TargetDescription target;
  target.triple = triple;
  target.cpu = native ? llvm::sys::getHostCPUName().str() : cpu == "baseline" ? "x86-64" : cpu;
  if (native) target.features = host_feature_string();
  auto info = subtarget(target.cpu, target.features);
  if (for_this_process && !native) {
    if (std::string missing = feature_missing_here(*info); !missing.empty()) {
      Diagnostic diagnostic{
          Severity::error, {}, fmt::format("code for the CPU `{}` cannot run on this machine, which lacks `{}`", cpu, missing), {}};
      diagnostic.help(fmt::format("this machine is a `{}`; leave the CPU out to compile for it", llvm::sys::getHostCPUName().str()));
      throw CompileError(std::move(diagnostic));
    }
  }

  bool avx512 = info->checkFeatures("+avx512f,+avx512vl,+avx512bw,+avx512dq");
  bool avx2 = info->checkFeatures("+avx2");
  target.vector_bytes = avx512 ? 64 : avx2 ? 32 : 16;
  target.vector_registers = avx512 ? 32 : 16;
  target.masked_memory = avx2;
  target.fused_multiply_add = info->checkFeatures("+fma");
  for (const CpuFamily& family : families)
    if (target.cpu.starts_with(family.prefix)) target.prefetches_to_l2 = family.prefetches_to_l2;
  if (native) {
    target.l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, target.l1_bytes);
    target.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, target.l2_bytes);
  }
  return target;
}

std::unique_ptr<llvm::TargetMachine> make_target_machine(const TargetDescription& target, bool position_independent, bool quick) {
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;
  auto relocation = position_independent ? llvm::Reloc::PIC_ : llvm::Reloc::Static;
  const auto level = quick ? llvm::CodeGenOptLevel::None : llvm::CodeGenOptLevel::Default;
  std::unique_ptr<llvm::TargetMachine> machine(x86_target().createTargetMachine(llvm::Triple(target.triple), target.cpu, target.features,
                                                                                options, relocation, llvm::CodeModel::Small, level));
  BNC_CHECK(machine, "no code generator for " + target.triple);
  return machine;
}

}  // namespace bnc::codegen
