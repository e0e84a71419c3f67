// Networks: parsed, checked, compiled, run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bnc/data.h"
#include "bnc/summary.h"
#include "bnc/values.h"

namespace bnc {

enum class Mode { infer, train };
enum class Stage { ast, graph, loops, llvm, assembly };

// Checks in generated code, to find bugs of bnc; slow. Results may differ by a rounding, where the CPU fuses multiplications and additions.
struct CodeChecks {
  // Each access of memory lies in its buffer; where one does not, run() throws a std::logic_error that names kernel, buffer, index and
  // extent, and the session is of no more use.
  bool bounds = false;
  // Memory that nobody has written holds NaNs, so that reading it shows in the results.
  bool poison = false;
};

struct CompileOptions {
  Mode mode = Mode::infer;
  std::optional<int64_t> batch;      // fixed batch size; without one the code takes any (inference only)
  std::string cpu = "native";
  int threads = 0;                   // 0: the cores this process may use
  std::optional<uint64_t> seed;      // training: of dropout; none: the train section's
  bool batch_statistics = false;     // inference that normalizes with the batch's own statistics (`eval --stats batch`)
  bool optimizer = true;             // training: apply the train section's optimizer in the step
  bool keep_gradients = false;       // training: `grad/NAME` can be read
  // Training: over how many steps the learning rate's schedule runs, by default the train section's `steps`; the steps of an
  // epoch, for schedules that count those. Error where the schedule needs what is not known.
  std::optional<int64_t> run_steps = {}, steps_an_epoch = {};
  std::vector<std::string> passes = {};   // instead of the mode's pipeline
  std::string stop_after = {};            // run no pass behind this one
  bool verify_each = false;
  std::function<void(const std::string& pass, const std::string& graph)> on_change = {};
  std::string object_name = {};           // objects: NAME of NAME_infer, a C identifier; empty: the network's name
  bool profile = false;                   // compile so that the kernels can be timed one by one (`bench --profile`); not with checks.poison
  CodeChecks checks = {};                 // of code that runs in this process
  // Told how long the parser, each pass and each stage of code generation took.
  std::function<void(const std::string& phase, double milliseconds)> on_time = {};
  std::function<void(const std::string& warning)> on_warning = {};  // what is wrong with the weights, but not fatal
};

// The counts the compiler knows of one compiled program.
struct ProgramInfo {
  double flops = 0, bytes = 0;      // of one run at the compiled batch size (one example when it is symbolic)
  int64_t arena_bytes = 0;          // memory for what lies between kernels, and for each thread's scratch
  double compile_ms = 0;            // from text to ready code
  struct Kernel {
    std::string name;
    double flops = 0, bytes = 0;
  };
  std::vector<Kernel> kernels;      // in the order in which they run
};

// A compiled network with its buffers.
class Session {
 public:
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  // Copies `value` into the input of that name. All inputs of one run have the same batch size.
  void bind(const std::string& input, const Array& value);
  // Writes into the input's own buffer, for callers that fill it in place (a fixed batch size only).
  std::span<float> input_floats(const std::string& input);
  std::span<int32_t> input_integers(const std::string& input);
  // Inference, or one training step.
  void run();
  // Inference on the caller's memory, without a copy: one pointer an input and one an output, in the network's order, to so many examples
  // in row-major order, `examples` being the fixed batch size where there is one. No output may overlap an input or another output.
  // What bind() gave and read() gives belong to run() alone.
  void run(int64_t examples, std::span<const void* const> inputs, std::span<void* const> outputs);
  // An output by name; `loss`; `grad/NAME`; `state/NAME`.
  Array read(const std::string& name) const;
  // Borrowed view of a float output, valid until the next run.
  std::span<const float> view(const std::string& output) const;
  std::vector<std::string> readable() const;

  // Parameters and running statistics as they now are, in network order.
  WeightStore weights() const;
  // Everything a step changes beside those (momenta, step counter), for checkpoints.
  NamedArrays hidden_state() const;
  void restore(const WeightStore& weights, const NamedArrays& hidden_state);

  const ProgramInfo& info() const;
  int threads() const;

  struct Data;
  explicit Session(std::unique_ptr<Data> data);
  Data& data() const { return *data_; }  // for the library itself

 private:
  std::unique_ptr<Data> data_;
};

struct ObjectFiles {
  std::string object;   // the bytes of an ELF object, weights embedded
  std::string header;   // the text of its C header
};

struct Explanation {
  struct Entry {
    std::string op, path;         // batch_norm, "stage_1.batch_norm_1"; contraction, "convolution conv_1"
    std::string place;            // FILE:LINE
    std::string source_line;
    bool folded = false;          // gone from the graph (folded or dropped)
    std::string what;             // where it went, or why it stayed
  };
  std::vector<Entry> batch_norms, biases, contractions;   // of a contraction `what` is its tiles, blocks and copies
  double flops_before = 0, flops_after = 0, bytes_before = 0, bytes_after = 0;
  int64_t arena_before = 0, arena_after = 0;
  // Of inference with weights: the relative difference of the outputs that rounding the folded weights to f32 lets expect,
  // and the one measured on random inputs by the reference evaluator (absent for networks too large for it).
  std::optional<double> predicted_difference, measured_difference;
};

struct GradientCheck {
  std::string tensor;
  double relative_error = 0;   // norm of the difference over norm of the numeric gradient
  double tolerance = 0;
  bool passed = false;
};

// One value that is handed out both before and after one pass.
struct EquivalenceCheck {
  std::string pass;
  std::string value;           // "loss", "y", "grad/dense_1.weight", "update/batch_norm_1.mean"
  double relative_error = 0;   // largest difference over largest magnitude
  bool passed = false;
};

struct EvaluationResult {
  double loss = 0;       // an example, also where the train section sums over the batch
  double accuracy = 0;   // NaN where the targets are floats
  int64_t count = 0;
  int64_t not_finite = 0;   // examples whose prediction holds NaN or infinity
  std::vector<std::pair<std::string, double>> metrics = {};   // those of the train section, by name
};

struct Progress {
  int64_t step = 0, steps = 0, epoch = 0, epochs = 0;
  double loss = 0, accuracy = 0;          // running, an example, of the training batches of this epoch
  double examples_per_second = 0, seconds_left = 0;
  double rate = 0;                        // of training: the learning rate of the latest step
  int64_t tested_step = 0;                // of the latest test of the run; 0 before the first one
  bool validation = false;                // tests are of examples held out of the training data
  EvaluationResult test;
  // What a training run does between steps, `testing` or `estimating statistics`, and which share of it is done. Empty while it trains.
  std::string activity;
  double activity_share = 0;
};

// The result of one layer, or of the network (`output y`): compiled against the reference evaluator on the network as it was written.
struct LayerCheck {
  std::string layer;                  // `stage1.conv2d_1`; of a layer without parameters the name of its result
  std::string op, place;              // FILE:LINE
  double error = 0;                   // largest difference over largest magnitude
  double folding_predicted = 0;       // the part of it, norm over norm, that rounding the folded weights lets expect
  std::optional<double> folding_measured;   // by the evaluator; absent for networks too large for it
  bool passed = false;
};
struct VerifyOptions {
  NamedArrays inputs = {};            // by name; empty: random ones
  std::optional<int64_t> batch;       // compile for this batch size; without one for any
  uint64_t seed = 1;                  // of random inputs
  double bound = 1e-4;                // of every error
  int threads = 0;
  std::string cpu = "native";
  std::function<void(const Progress&)> on_progress = {};
  std::function<void(const std::string& warning)> on_warning = {};
};
struct Verification {
  std::vector<LayerCheck> layers;     // those that folding leaves, in order, and the network's outputs
  double worst = 0;
  std::string worst_layer;
  bool passed = true;
};

struct PassSummary {
  std::string name, summary;
};

// A network as its .bn file describes it.
class Network {
 public:
  static Network from_file(const std::string& path);
  static Network from_text(const std::string& text, const std::string& path = "<text>");
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  const std::string& name() const;
  std::vector<TensorInfo> inputs() const;
  // What a training step takes beside them, as the train section's loss names it; empty where that is an input of the network's own.
  std::vector<TensorInfo> targets() const;
  std::vector<TensorInfo> outputs() const;
  std::vector<TensorInfo> parameters() const;   // and running statistics, in network order
  bool trainable() const;                       // has a train section

  WeightStore initialize(uint64_t seed) const;
  // Throws unless the weights have all of this network's names and shapes; the error lists what is missing, misshapen or unknown.
  void check_weights(const WeightStore& weights) const;
  // A warning where the weights say that they are of another network, or of this one before its graph changed, though names and shapes fit;
  // else empty.
  std::string foreign_weights(const WeightStore& weights) const;
  // A note that lists the tensors of a file that the network has no use for, such as PyTorch's `num_batches_tracked`; empty where there are
  // none.
  std::string unused_weights(const WeightStore& weights) const;

  // The arrays of an .npz file as this network's inputs take them: integers become floats where the input holds floats, bytes among them
  // scaled as those the weights were trained on, else divided by 255; in training mode the targets become what the loss takes.
  NamedArrays load_inputs(const std::string& path, const WeightStore& weights, Mode mode = Mode::infer) const;

  // The network as text after parsing (ast, graph) or after the mode's pipeline and code generation. In training mode, and
  // with weights, passes or stop_after, the graph is what the pipeline made of it.
  std::string emit(Stage stage, const CompileOptions& options, const WeightStore* weights = nullptr) const;
  // The whole module after those passes, as legal .bn text.
  std::string optimize(const std::vector<std::string>& passes, const CompileOptions& options, const WeightStore* weights = nullptr) const;
  Session compile(const CompileOptions& options, const WeightStore& weights) const;
  ObjectFiles compile_object(const CompileOptions& options, const WeightStore& weights) const;

  Explanation explain(const CompileOptions& options, const WeightStore* weights = nullptr) const;
  // Its layers with shapes and counts; with `batch` of so many examples.
  NetworkSummary summarize(std::optional<int64_t> batch = {}) const;
  std::vector<GradientCheck> check_gradients(uint64_t seed) const;
  // Evaluates the network by the reference evaluator on random weights and inputs before and after each of `passes`, and
  // compares every output, loss, gradient and update that both have, with a tolerance of 1e-9; 1e-5 with `fold_weights`, where
  // constant-fold computes new weights and rounds them. The step to training (`prepare-training`) is not compared: it is meant to differ.
  std::vector<EquivalenceCheck> check_equivalence(const std::vector<std::string>& passes, uint64_t seed, bool fold_weights = false) const;
  // The compiled network (frozen, folded) against the reference evaluator on the network as it was written (frozen, not folded).
  Verification verify(const WeightStore& weights, const VerifyOptions& options = {}) const;
  // Outputs (and loss, gradients, states in training mode) from the reference evaluator, named as Session::read names them.
  NamedArrays evaluate_reference(const CompileOptions& options, const WeightStore& weights, const NamedArrays& inputs) const;

  struct Data;
  Data& data() const { return *data_; }

 private:
  explicit Network(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

std::string format_file(const std::string& path);   // canonical layout, comments kept
std::string format_text(const std::string& text, const std::string& path = "<text>");
std::vector<PassSummary> passes();
std::string ops_reference();      // docs/ops.md
std::string passes_reference();   // docs/passes.md

}  // namespace bnc
