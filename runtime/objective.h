// The train section's loss as evaluation and the trainer see it: what it is taken of, and how a data set's targets fit it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "ir/graph.h"
#include "runtime/batch_loader.h"
#include "runtime/targets.h"

namespace bnc {

// The class that a row of scores names, its largest one; -1 where they name none: one is NaN, or the largest is infinite.
int32_t answer_of(std::span<const float> scores);

// A network with the loss of its train section, over batches of examples, also where it counts ghost batches. Error where it has none.
Graph graph_with_loss(const Network& network);
// What the loss of such a graph takes for targets; nothing where these are not one row an example.
std::optional<TargetRule> target_rule(const Graph& graph);

// The input of a network that the examples of a data set fill: its only one that is not the target.
class ExampleInput {
 public:
  // Error where there is none, or several.
  ExampleInput(const Graph& graph, const Node* target);
  const std::string& name() const { return name_; }
  // Error, naming both, where examples do not fit. Whether they are images with their channels first.
  bool fit(const Dataset::Data& data) const;

 private:
  std::string network_, name_, type_text_;
  TensorType type_;
  bool channels_first_ = false;   // images with layout=nchw
};

class Objective {
 public:
  // Error when the network has no train section.
  explicit Objective(const Network& network);

  const std::string& input() const { return input_.name(); }
  const std::string& target() const { return target_; }           // the input that takes the targets
  const std::string& prediction() const { return prediction_; }   // the output the loss is of

  // Opens a data set for weights that were trained on data of that kind.
  Dataset open(const std::string& spec, const std::string& default_split, const WeightStore& weights,
               const DataOptions& choices = {}) const;
  // Makes the numbers and the targets of `data` what network and loss take, by the rules of a model, which `source` has. Error where
  // they cannot be.
  void prepare(Dataset& data, const ModelMetadata& model, const std::string& source) const;
  const TargetRule& targets() const { return targets_; }
  const std::string& loss() const { return targets_.loss; }       // the op

  // How the examples of data that are prepared go into the network; Error naming both where they do not fit.
  BatchShape fit(const Dataset& data, int64_t batch) const;

  // Sums over the first `count` examples of a batch: losses, right answers, and predictions that hold a number that is not finite. A
  // loss that is a mean over the batch counts once an example, so that sums over batches divide by the number of examples.
  struct Score {
    double loss = 0;
    double right = 0;
    int64_t not_finite = 0;
  };
  Score score(std::span<const float> predictions, const Batch& batch, TargetKind kind, int64_t count) const;
  // How many of the first `count` predictions are right, which one that is not finite never is; NaN where the targets are floats.
  double right_answers(std::span<const float> predictions, const Batch& batch, TargetKind kind, int64_t count) const;
  // The loss an example of a training step that returned `loss`.
  double loss_an_example(double loss, int64_t batch) const { return averaged_ ? loss : loss / static_cast<double>(batch); }

 private:
  Graph graph_;              // the network with its loss
  ExampleInput input_;
  std::string target_, prediction_;
  TensorType target_type_, prediction_type_;
  TargetRule targets_;
  const Node* loss_ = nullptr;
  bool averaged_ = false;
};

}  // namespace bnc
