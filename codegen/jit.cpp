// Machine code in this process: an object file made as for ahead-of-time compilation, linked by ORC.
#include <llvm/ExecutionEngine/JITLink/JITLinkMemoryManager.h>
#include <llvm/ExecutionEngine/Orc/Core.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h>
#include <llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h>
#include <llvm/Support/MemoryBuffer.h>

#include <algorithm>
#include <future>
#include <system_error>
#include <thread>

#include "codegen/arguments.h"
#include "codegen/llvm_support.h"
#include "codegen/partition.h"
#include "ir/diagnostic.h"
#include "ir/loops_placement.h"

namespace bnc::codegen {

void raise_error(llvm::Error error, const std::string& what) {
  std::error_code refused;
  std::string text;
  llvm::handleAllErrors(
      std::move(error), [&](const llvm::ECError& system) { refused = system.convertToErrorCode(); },
      [&](const llvm::ErrorInfoBase& other) { text += (text.empty() ? "" : "; ") + other.message(); });
  if (refused) throw std::system_error(refused, what);
  throw InternalError(what + ": " + text);
}

struct LoadedObject::Session {
  std::unique_ptr<llvm::orc::ExecutionSession> execution;
  std::unique_ptr<llvm::orc::ObjectLinkingLayer> linker;
  llvm::orc::JITDylib* library = nullptr;
  llvm::Error reported = llvm::Error::success();  // why a lookup failed, which its own error does not tell

  Session() {
    auto control = value_or_raise(llvm::orc::SelfExecutorProcessControl::Create(), "starting the JIT");
    execution = std::make_unique<llvm::orc::ExecutionSession>(std::move(control));
    execution->setErrorReporter([this](llvm::Error error) { reported = llvm::joinErrors(std::move(reported), std::move(error)); });
    linker = std::make_unique<llvm::orc::ObjectLinkingLayer>(*execution);
    library = &execution->createBareJITDylib("program");
    // What generated code may call is in libc and libm, which this process has loaded.
    library->addGenerator(value_or_raise(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess('\0'), "finding libc"));
  }
  ~Session() {
    if (llvm::Error error = execution->endSession()) llvm::consumeError(std::move(error));
    llvm::consumeError(std::move(reported));
  }
};

LoadedObject::LoadedObject(const std::vector<std::string>& objects) : session_(std::make_unique<Session>()) {
  for (const std::string& object : objects) {
    auto buffer = llvm::MemoryBuffer::getMemBufferCopy(object, "program" + std::to_string(&object - objects.data()));
    if (llvm::Error error = session_->linker->add(*session_->library, std::move(buffer)))
      raise_error(std::move(error), "loading the program");
  }
}

LoadedObject::~LoadedObject() = default;

void* LoadedObject::find(const std::string& symbol) {
  auto found = session_->execution->lookup({session_->library}, symbol);
  if (!found) raise_error(llvm::joinErrors(std::move(session_->reported), found.takeError()), "linking the program");
  return found->getAddress().toPtr<void*>();
}

namespace {

struct CompiledPart {
  std::string object;
  double emit = 0, optimize = 0, generate = 0;  // milliseconds
};

// One part of a program as an object file; each call has an LLVM context of its own.
CompiledPart compile_part(const loops::Program& program, const TargetDescription& target, const ModuleOptions& options, bool quick) {
  CompiledPart part;
  LapTimer watch;
  llvm::LLVMContext context;
  auto machine = make_target_machine(target, /*position_independent=*/true, quick);
  auto module = build_module(context, program, target, *machine, options);
  if (options.checks.bounds) check_module(*module);
  part.emit = watch.lap();
  optimize(*module, *machine);
  part.optimize = watch.lap();
  part.object = emit_file(*module, *machine, llvm::CodeGenFileType::ObjectFile);
  part.generate = watch.lap();
  return part;
}

class JitProgram : public CompiledProgram {
 public:
  JitProgram(const loops::Program& program, const TargetDescription& target, const JitOptions& jit_options) {
    auto tell = [&](const char* stage, double milliseconds) {
      if (jit_options.on_time) jit_options.on_time(stage, milliseconds);
    };
    LapTimer watch;
    loops::verify(program);
    loops::verify_placement(program);
    tell("verify loops", watch.lap());
    const KernelFunctions functions = find_equal_kernels(program);
    tell("find equal kernels", watch.lap());
    ModuleOptions options;
    options.functions = &functions;
    options.profile = jit_options.profile;
    BNC_CHECK(!(jit_options.profile && jit_options.checks.poison), "a profile of poisoned memory");
    options.checks = jit_options.checks;
    if (options.checks.bounds) faults_ = std::make_unique<FaultRecord>(program, functions);
    options.faults = faults_.get();
    keep_constants(program, functions, options.constant_addresses);
    tell("copy constants", watch.lap());

    std::vector<CompiledPart> parts = compile_parts(program, target, options, jit_options);
    auto longest = [&](double CompiledPart::*stage) { return std::ranges::max(parts, {}, stage).*stage; };
    tell("emit LLVM IR", longest(&CompiledPart::emit));
    tell("optimize", longest(&CompiledPart::optimize));
    tell("generate machine code", longest(&CompiledPart::generate));
    watch.lap();
    std::vector<std::string> objects;
    for (CompiledPart& part : parts) objects.push_back(std::move(part.object));
    object_ = std::make_unique<LoadedObject>(objects);
    step_ = reinterpret_cast<StepFunction>(object_->find(step_function_name(program)));
    tell("link", watch.lap());
  }

  StepFunction step() const override { return step_; }
  void raise_fault() override {
    if (faults_) faults_->raise();
  }

 private:
  static constexpr int most_threads = 4;

  // On a thread of its own; by who asks for the result where the system starts no more.
  template <class... Arguments> static std::future<CompiledPart> start(Arguments... arguments) {
    try {
      return std::async(std::launch::async, arguments...);
    } catch (const std::system_error&) {
      return std::async(std::launch::deferred, arguments...);
    }
  }

  static std::vector<CompiledPart> compile_parts(const loops::Program& program, const TargetDescription& target, ModuleOptions& options,
                                                 const JitOptions& jit_options) {
    int threads = jit_options.threads;
    if (threads <= 0) threads = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, most_threads);
    options.kernel_parts = partition(program, *options.functions, threads);
    int count = 1;
    for (int part : options.kernel_parts) count = std::max(count, part + 1);
    std::vector<std::future<CompiledPart>> others;
    for (options.part = 1; options.part < count; ++options.part) {
      others.push_back(start(compile_part, std::cref(program), std::cref(target), options, jit_options.quick));
    }
    options.part = 0;
    std::vector<CompiledPart> parts;
    parts.push_back(compile_part(program, target, options, jit_options.quick));
    for (std::future<CompiledPart>& other : others) parts.push_back(other.get());
    return parts;
  }

  // Constants that kernels read stay outside of the linked code, without a copy where they already lie as the code wants them.
  void keep_constants(const loops::Program& program, const KernelFunctions& functions, std::vector<const void*>& addresses) {
    addresses.assign(program.buffers.size(), nullptr);
    for (const std::vector<int>& buffers : functions.buffers) {
      for (int id : buffers) {
        const loops::Buffer& buffer = program.buffers[static_cast<size_t>(id)];
        if (buffer.kind != loops::BufferKind::constant || addresses[static_cast<size_t>(id)]) continue;
        SharedNumbers numbers = buffer.data;
        bool in_place = buffer.scalar == loops::Scalar::f32 && reinterpret_cast<uintptr_t>(numbers.view().data()) % 64 == 0 &&
                        numbers.owner();
        if (!in_place)
          numbers = SharedNumbers::filled(numbers.size(),
                                          [&](std::span<float> to) { write_constant(buffer, reinterpret_cast<char*>(to.data())); });
        addresses[static_cast<size_t>(id)] = numbers.view().data();
        constants_.push_back(std::move(numbers));
      }
    }
  }

  std::vector<SharedNumbers> constants_;
  std::unique_ptr<FaultRecord> faults_;
  std::unique_ptr<LoadedObject> object_;
  StepFunction step_ = nullptr;
};

}  // namespace

std::unique_ptr<CompiledProgram> jit(const loops::Program& program, const TargetDescription& target, const JitOptions& options) {
  return std::make_unique<JitProgram>(program, target, options);
}

}  // namespace bnc::codegen
