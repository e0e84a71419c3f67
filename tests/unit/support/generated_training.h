// Whole training steps as generated code, held against the reference evaluator.
#pragma once

#include "support/generated_code.h"
#include "support/passes.h"

namespace bnc::test {

inline PassContext context_of(const TrainSection* train, std::optional<int64_t> batch, const char* cpu) {
  PassContext context;
  context.target = codegen::target_for(cpu, true);
  context.train = train;
  context.batch = batch;
  return context;
}

// One step: loss, gradients' updates, states and outputs, with the batch size known and not, on two targets; and the same bits for
// any number of threads.
inline void check_training(Module& module, int64_t batch, double tolerance) {
  Graph step = module.main().clone();
  PassContext context = context_of(&*module.train, batch, "native");
  run_passes(step, {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer"}, context);
  const Bindings bindings = random_bindings(step, *context.batch);   // ghost batches count as one
  const std::vector<std::string> passes = {"canonicalize", "constant-fold", "common-subexpressions", "dead-code", "decompose",
                                           "canonicalize", "constant-fold", "common-subexpressions", "dead-code", "fuse"};
  for (const char* cpu : {"native", "haswell"}) {
    CodeOptions options{.passes = passes, .cpu = cpu};
    INFO("batch ", batch, " cpu ", cpu);
    check_generated(step, bindings, options, tolerance);
  }
  CodeOptions options{.passes = passes};
  options.fixed_batch = false;
  check_generated(step, bindings, options, tolerance);
  options.fixed_batch = true;
  const auto one = run_generated(step, bindings, options);
  for (int threads : {2, 3}) {
    options.threads = threads;
    const auto several = run_generated(step, bindings, options);
    for (const auto& [name, tensor] : one) {
      INFO(name, " with ", threads, " threads");
      CHECK(several.at(name).data == tensor.data);
    }
  }
}

}  // namespace bnc::test
