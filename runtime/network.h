// What a Network holds, and the way from it to loops.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "ir/graph.h"
#include "ir/loops.h"
#include "ir/tensor.h"
#include "passes/pass.h"

namespace bnc {

struct Network::Data {
  std::shared_ptr<const SourceFile> source;
  Module module;
  double parse_ms = 0;

  const Graph& graph() const { return module.main(); }
  // The train section, where it is this network's.
  const TrainSection* train() const { return module.train ? &*module.train : nullptr; }
};

// One network on its way through the compiler: passes run on a copy of its graph, then it is lowered to loops.
class Compilation {
 public:
  // With `weights`, constant-fold computes new ones. `for_this_process`: the code is to run here.
  Compilation(const Network::Data& network, const CompileOptions& options, const Weights* weights, bool for_this_process = false);
  Compilation(const Compilation&) = delete;

  // The mode's pipeline, or the passes the options name.
  std::vector<std::string> passes() const;
  void run_passes(const std::vector<std::string>& names);
  // The program, lowered now unless the passes have done it. With `embed_weights`, a program
  // lowered now holds the weights it needs as constants, and they are gone from here.
  loops::Program lower(bool embed_weights = false);

  Graph graph;
  Weights weights;      // those given, and those that folding made
  PassContext context;
  std::optional<loops::Program> program;   // once lowered

 private:
  const CompileOptions options_;
};

// The length of a training of which only single steps are looked at: long enough for any schedule of the learning rate.
inline constexpr int64_t nominal_run_steps = 1'000'000'000, nominal_steps_an_epoch = 1;

// The parameters and states of a graph in the order in which they stand in it.
std::vector<const Node*> weight_nodes(const Graph& graph);

// Those of a file that the graph has, in the file's order.
Weights weights_of(const Graph& graph, const Weights& file);

// A type as the public API tells it: the batch size as -factor.
TensorInfo describe(const std::string& name, const TensorType& type, const Graph& graph);

// `f32[2, 3]`, for errors.
std::string show(const std::vector<int64_t>& dims, const char* dtype = "f32");

}  // namespace bnc
