// The loss of a train section as evaluation and the trainer see it: what it is taken of, and how a data set fills what it reads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "ir/graph.h"
#include "runtime/batch_loader.h"
#include "runtime/dataset.h"
#include "runtime/metric_sums.h"
#include "runtime/targets.h"

namespace bnc {

// A network with the loss of its train section, over batches of examples, also where it counts ghost batches. Error where it has none.
Graph graph_with_loss(const Network& network);
// The inputs of such a graph that are targets: those that the network has not, and those of its own that nothing reads but losses as
// their targets.
std::vector<std::string> target_names(const Graph& step, const Graph& network);
// What such a graph takes for that input of it, which is a target; nothing where it is not one row an example.
std::optional<TargetRule> target_rule(const Graph& step, const Node& target);

// An input of a network that the examples of a data set fill.
class ExampleInput {
 public:
  // Error where the input does not take floats, a row an example.
  ExampleInput(const Graph& graph, const Node& input);
  const std::string& name() const { return name_; }
  const TensorType& type() const { return type_; }
  ExampleLayout layout() const;
  // Error, naming both, where examples do not fit. Whether they are images with their channels first.
  bool fit(const Dataset::Data& data) const;
  // The same for a further input.
  void fit_further(const FurtherArray& array, const std::string& file) const;

 private:
  void fit(const std::vector<int64_t>& dims, const std::string& file, const std::string& note) const;

  std::string network_, name_, type_text_;
  TensorType type_;
  bool channels_first_ = false;   // images with layout=nchw
};

// The inputs of a network that data fill: all that are not in `targets`. Error where there is none.
std::vector<ExampleInput> example_inputs(const Graph& graph, const std::vector<std::string>& targets);

class Objective {
 public:
  // Error when the network has no train section.
  explicit Objective(const Network& network);

  const std::string& input() const { return inputs_.front().name(); }
  // The first input with targets; empty where the loss takes none beside the network's outputs and inputs.
  const std::string& target() const { return target_; }
  const std::string& prediction() const { return prediction_; }   // the output that the first loss is of, or the first one
  bool has_targets() const { return !fields_.empty(); }
  const TargetRule& targets() const { return fields_.front().rule; }
  // A loss in the formula that is of an output itself, or of classes and its logarithm: its op, and the names of the output and of the
  // target or input that it is held against.
  struct Comparison {
    std::string loss, output, target;
    bool of_logarithm = false;
  };
  const std::vector<Comparison>& comparisons() const { return comparisons_; }   // in order, one for an output and a target
  Comparison comparison() const;   // of prediction() and target()
  // Of a target; null for an input.
  const TargetRule* rule_of(const std::string& target) const;
  // Which one of the targets it is, from 0, in the order in which data fill them.
  size_t place_of(const std::string& target) const;
  int64_t width_of(const std::string& output) const;              // numbers an example

  // How a data set is opened for this network.
  ReadOptions read_options(const DataOptions& choices, const ModelMetadata* model, bool targets = true) const;
  // Opens a data set for weights that were trained on data of that kind.
  Dataset open(const std::string& spec, const std::string& default_split, const WeightStore& weights,
               const DataOptions& choices = {}) const;
  // Makes the numbers and the targets of `data` what network and loss take, by the rules of a model, which `source` has. Error where
  // they cannot be. Without `with_targets` only the numbers.
  void prepare(Dataset& data, const ModelMetadata& model, const std::string& source, bool with_targets = true) const;

  // How the examples of data that are prepared go into the network; Error naming both where they do not fit.
  BatchShape fit(const Dataset& data, int64_t batch) const;
  // What a batch gives each input that data fill, by name.
  struct Binding {
    std::string input;
    const void* data;
  };
  std::vector<Binding> bindings(const Batch& batch, TargetKind kind) const;

  // What an evaluation knows of a batch that has been run: the values of an output by its name, and the weights.
  struct Run {
    std::function<std::span<const float>(const std::string& output)> output;
    const WeightStore* weights = nullptr;
  };

  // Sums over the first `count` examples of a batch: losses, right answers, and predictions that hold a number that is not finite. A
  // loss that is a mean over the batch counts once an example, so that sums over batches divide by the number of examples.
  struct Score {
    double loss = 0;
    double right = 0;
    int64_t not_finite = 0;
    std::vector<MetricSums> sums = {};         // of metrics that are no formula
    std::vector<double> formulas = {};         // sums of those that are, in the same way as the loss
  };
  Score no_score() const;
  // Adds a batch.
  void add_score(Score& score, const Run& run, const Batch& batch, TargetKind kind, int64_t count) const;
  EvaluationResult result(const Score& score, int64_t count) const;
  // How many of the first `count` predictions are right, which one that is not finite never is, of as many examples; NaN where the
  // targets are floats.
  double right_answers(std::span<const float> predictions, const Batch& batch, TargetKind kind, int64_t count) const;
  // The loss an example of a training step that returned `loss`.
  double loss_an_example(double loss, int64_t batch) const { return averaged_ ? loss : loss / static_cast<double>(batch); }

  // The floats or labels that a batch has for that target or input; not found where it is none.
  struct Numbers {
    std::span<const float> floats;
    std::span<const int32_t> integers;
    bool found = false;
  };
  Numbers numbers_of(const std::string& input, const Batch& batch, TargetKind kind) const;

 private:
  // An input that is no example but a target, or weights of examples.
  struct Field {
    std::string name;
    TensorType type;
    TargetRule rule;
  };

  void find_fields(const std::vector<std::string>& targets);
  void find_comparisons(const Formula& formula);
  void convert(FurtherArray& array, const Field& field, const Dataset::Data& data) const;
  Answers answers_of(const Metric& metric, const Run& run, const Batch& batch, TargetKind kind, int64_t count) const;
  double value_of(const Graph& formula, const Run& run, const Batch& batch, TargetKind kind, int64_t count) const;
  static bool sums_over_batch(const Graph& formula);
  double threshold_of(const std::string& prediction, const std::string& target) const;

  const TrainSection& section_;
  Graph step_;                        // the network with its loss
  std::vector<ExampleInput> inputs_;
  std::vector<Field> fields_;
  std::vector<Comparison> comparisons_;
  std::string target_, prediction_;
  int64_t prediction_width_ = 1;      // numbers an example
  int64_t row_width_ = 1;             // numbers a label
  double threshold_ = 0.5;            // of a prediction of one number
  Graph formula_;
  std::vector<Graph> formulas_;       // of metrics
  bool averaged_ = true;
};

}  // namespace bnc
