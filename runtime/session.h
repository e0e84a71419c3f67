// What a Session holds.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "bnc/bnc.h"
#include "codegen/codegen.h"
#include "ir/graph.h"
#include "ir/tensor.h"
#include "ir/aligned_buffer.h"
#include "runtime/network.h"
#include "runtime/thread_pool.h"
#include "runtime/weight_store.h"

namespace bnc {

// One argument of the generated code.
struct ArgumentSlot {
  enum class Kind { input, parameter, state, result };
  Kind kind = Kind::result;
  std::string name;      // of the buffer: `x`, `dense_1.weight`, `output/y`, `loss`, `grad/dense_1.weight`
  TensorType type;
  AlignedBuffer memory;
  void* pointer = nullptr;  // `memory`, or what the caller lent
  int64_t batch = 0;        // inputs: the batch size bound; 0 while nothing is. A type without batch counts as -1.
  int64_t classes = 0;      // inputs read as labels: how many classes there are; 0 for others
  IntList ignored = {};     // labels that count for nothing

  float* floats() const { return static_cast<float*>(pointer); }
  int32_t* integers() const { return static_cast<int32_t*>(pointer); }
};

struct Session::Data {
  // `fold`: the weights are folded, where inference can do so, and stay as they are.
  Data(const Network::Data& network, const CompileOptions& options, const WeightStore& initial, bool fold);

  void set_batch(int64_t batch);
  ArgumentSlot* find(const std::string& name, ArgumentSlot::Kind kind);
  // The input of that name, reading its own memory again if it was lent another. Error with a suggestion for an unknown name.
  ArgumentSlot& input(const std::string& name);
  // A parameter or state, if it is in memory.
  const ArgumentSlot* weight(const std::string& name) const {
    const ArgumentSlot* slot = named(name, false);
    return slot && slot->kind != ArgumentSlot::Kind::input ? slot : nullptr;
  }
  const ArgumentSlot* result(const std::string& name) const;   // by its public name; null where there is none
  // Makes the step read an input from memory of the caller, aligned to 64 bytes, until it is lent or bound another. Fixed batch size only.
  void lend(const std::string& input, const void* memory);
  void run();
  // One run of inference on memory of the caller: inputs and outputs in the network's order.
  void run_on(int64_t examples, std::span<const void* const> inputs, std::span<void* const> outputs);
  // One run of a session compiled to profile; the milliseconds of each kernel, in the order of info.kernels.
  std::vector<double> time_kernels();
  // The first parameter or statistic, in network order, or else state of the optimizer that holds NaN or infinity; null where all are
  // finite.
  const ArgumentSlot* first_not_finite() const;
  // Error where an input that holds labels has one of no class.
  void check_labels(const ArgumentSlot& slot, std::span<const int32_t> labels) const;

  Mode mode;
  std::string network_name, batch_symbol;
  std::optional<int64_t> fixed_batch;
  int64_t batch = 0;                     // for which the buffers are large enough and the next run is
  int64_t capacity = 0, workspace_capacity = 0;   // the batch size that the slots' own memory, and the workspace, have room for
  std::vector<ArgumentSlot> slots;               // in argument order
  std::vector<void*> arguments, lent;     // of run(), and of the last run on memory of the caller
  std::vector<size_t> input_slots, output_slots;   // of the network's inputs and outputs, in order
  int64_t workspace_bytes = 0, workspace_bytes_per_example = 0;   // the arena and all threads' scratch
  AlignedBuffer workspace;
  bool embedded = false;                 // frozen weights are part of the code
  std::string refusal_of_one;            // why a batch of one example is refused; empty where it is not
  bool poison = false;                   // results are, before each run
  std::unique_ptr<codegen::CompiledProgram> code;
  std::unique_ptr<ThreadPool> pool;
  Weights weights;                       // the network's, as given; the slots hold what has changed since
  ModelMetadata metadata;                // theirs
  std::vector<std::string> weight_order, statistics;   // the network's parameters and states, and its states alone
  std::map<std::string, TensorType> gradient_types;    // of trainable tensors, when gradients are kept
  ProgramInfo info;

 private:
  void prepare_run();
  void reserve_workspace(int64_t wanted);
  void order_slots(const Graph& written);
  ArgumentSlot* named(const std::string& buffer, bool is_result) const;
  void make_slots(const loops::Program& program, const Graph& graph);
  void allocate(int64_t wanted, bool by_batch);
  void fill_slots(const Graph& graph, const Weights& values);

  std::unordered_map<std::string, ArgumentSlot*> results_, others_;   // slots by name
};

// A session whose batch norms and biases are not folded into the weights, so that restore() may change them.
Session make_unfolded_session(const Network& network, const CompileOptions& options, const WeightStore& weights);

}  // namespace bnc
