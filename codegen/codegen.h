// Loops -> LLVM IR -> machine code. No LLVM type crosses this header.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ir/loops.h"
#include "ir/target.h"

namespace bnc::codegen {

// "LLVM 22.1.8"
std::string llvm_version();

// `cpu` as LLVM names it; empty or "native" is this machine, "baseline" is x86-64. CompileError with a suggestion for an
// unknown name, or when the JIT (`for_this_process`) could not run that CPU's code here.
TargetDescription target_for(const std::string& cpu, bool for_this_process = false);
std::vector<std::string> known_cpus();

// How generated code meets the other threads of a step; called between dependent kernels when `threads` > 1.
using Barrier = void (*)(void* context);
// One thread's share of a step: `arguments` is the pointer table of the program's argument buffers, `arena` is aligned to 64
// bytes and has Program::workspace_bytes(n, threads).
using StepFunction = void (*)(void* const* arguments, void* arena, int64_t n, int64_t thread, int64_t threads, Barrier barrier,
                              void* barrier_context);

class CompiledProgram {
 public:
  virtual ~CompiledProgram() = default;
  virtual StepFunction step() const = 0;
  // Of a program compiled with Checks::bounds: InternalError that names kernel, buffer, index and extent where a step since the
  // last call left a buffer. To be called when no thread is in a step.
  virtual void raise_fault() = 0;
};

// Checks in generated code, for what only a bug of ours can do. They cost nothing where they are off.
struct Checks {
  // Each load and store is held against its buffer's extent, active lanes only; prefetches may go anywhere. One that lies outside goes to
  // memory that nobody uses.
  bool bounds = false;
  // What nobody has written holds a signalling NaN (poison_bits): an arena buffer before the first kernel that lists it, scratch
  // where a task finds undefined contents, registers where they are declared.
  bool poison = false;
};
// Arithmetic hands it on as the quiet NaN 0x7fe5a5a5; of 8 bytes: poison_bits_64. A boolean of poison is true.
inline constexpr uint32_t poison_bits = 0x7fa5a5a5;
inline constexpr uint64_t poison_bits_64 = 0x7ff5a5a5a5a5a5a5;

// Fills `elements` numbers of `bytes` bytes each.
void fill_with_poison(void* memory, int64_t elements, int64_t bytes);

// Told how long each stage of code generation took; where threads share it, the longest time of one.
using OnTime = std::function<void(const std::string& stage, double milliseconds)>;

struct JitOptions {
  int threads = 0;       // that compile; 0: as many as this machine has, four at most
  bool profile = false;  // every thread calls the barrier behind each kernel, even where it is alone; not with Checks::poison
  bool quick = false;    // to compile: the code is slower, as LLVM neither schedules it nor keeps much in registers
  Checks checks = {};
  OnTime on_time = {};
};

// Compiles into this process.
std::unique_ptr<CompiledProgram> jit(const loops::Program& program, const TargetDescription& target, const JitOptions& options = {});

// The C function of an object: NAME_infer(n, inputs..., outputs..., workspace) and NAME_workspace_bytes(n).
struct ObjectOptions {
  std::string function_name;                // NAME
  std::vector<std::string> inputs, outputs; // argument buffers by name, in the order of the C parameters
  bool position_independent = true;
  // From so many bytes on the constants lie in a section that may be any distance from the code: nearer than 2 GiB is only where
  // the code and all small data of a program are together.
  int64_t large_constants = int64_t{16} << 20;
  OnTime on_time = {};
};

std::string emit_llvm(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object = nullptr);
std::string emit_assembly(const loops::Program& program, const TargetDescription& target, const ObjectOptions* object = nullptr);
// The bytes of an ELF object file. `constant` buffers are embedded in it.
std::string emit_object(const loops::Program& program, const TargetDescription& target, const ObjectOptions& object);
// The C header that goes with it; `comment` tells what was compiled, `constants` are declarations in C that it has too.
std::string emit_header(const loops::Program& program, const ObjectOptions& object, const std::string& comment,
                        const std::string& constants = "");

// Multiply-adds of the widest vectors in registers only, a second or less; GFLOP/s of one thread.
double measure_peak_gflops(const TargetDescription& target);

// A step that copies `tasks` chunks of `chunk_bytes` from argument 0 to argument 1, to measure the bandwidth of memory with.
std::unique_ptr<CompiledProgram> stream_copy(const TargetDescription& target, int64_t tasks, int64_t chunk_bytes);

}  // namespace bnc::codegen
