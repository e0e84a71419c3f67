#include "runtime/objective.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "ir/op.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/finite.h"
#include "runtime/network.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

int64_t elements_an_example(const TensorType& type) {
  const auto count = element_count(type.shape);
  return count ? count->factor : 0;
}

// Extents beside 1 of one example, in order.
std::vector<int64_t> extents(const std::vector<int64_t>& dims) {
  std::vector<int64_t> result;
  std::copy_if(dims.begin(), dims.end(), std::back_inserter(result), [](int64_t dim) { return dim != 1; });
  return result;
}

bool is_rows_of_batch(const TensorType& type) { return type.rank() > 0 && type.shape[0] == Dim{1, true}; }

}  // namespace

int32_t answer_of(std::span<const float> scores) {
  size_t best = 0;
  for (size_t k = 0; k < scores.size(); ++k) {
    if (std::isnan(scores[k])) return -1;
    if (scores[k] > scores[best]) best = k;
  }
  return std::isfinite(scores[best]) ? static_cast<int32_t>(best) : -1;
}

Graph graph_with_loss(const Network& network) {
  if (!network.trainable())
    fail("network `{0}` has no train section, which gives the loss\nhelp: add `train {0} {{ loss = ... }}` to the file", network.name());
  CompileOptions options;
  options.mode = Mode::train;
  options.batch = std::max<int64_t>(2, network.data().train()->batch);
  Compilation compilation(network.data(), options, nullptr);
  for (Node* node : compilation.graph.nodes_of("batch_norm")) node->attributes["ghost"] = 0;   // batches of examples, not of ghost batches
  compilation.run_passes({"prepare-training"});
  return std::move(compilation.graph);
}

std::optional<TargetRule> target_rule(const Graph& graph) {
  const Node& loss = *graph.output(Output::Role::loss)->value.node;
  if (!loss.op->target_type) return std::nullopt;   // the network's own
  const TensorType &prediction = loss.operands[0].type(), &target = loss.operands[1].type();
  if (!is_rows_of_batch(prediction) || !is_rows_of_batch(target)) return std::nullopt;
  return TargetRule{.network = graph.name,
                    .loss = loss.op->name,
                    .type = to_string(target, graph.batch_symbol),
                    .class_numbers = target.dtype == DType::i32,
                    .shares = loss.is("binary_cross_entropy_with_logits"),
                    .width = elements_an_example(target),
                    .classes = prediction.shape.back().factor};
}

ExampleInput::ExampleInput(const Graph& graph, const Node* target) : network_(graph.name) {
  for (const Node* node : graph.nodes_of("input")) {
    if (node == target) continue;
    if (!name_.empty()) fail("network `{}` has inputs `{}` and `{}`, but a data set fills one", network_, name_, node->results[0].name);
    name_ = node->results[0].name;
    type_ = node->results[0].type;
  }
  for (const auto& node : graph.nodes()) {  // what `layout=nchw` becomes
    if (node->is("transpose") && node->operands[0].name() == name_)
      channels_first_ |= node->attribute("permutation").integers() == IntList{0, 2, 3, 1};
  }
  if (name_.empty() || type_.dtype != DType::f32 || !is_rows_of_batch(type_))
    fail("network `{}` has no input f32[{}, ...] that a data set could fill", network_, graph.batch_symbol);
  type_text_ = to_string(type_, graph.batch_symbol);
}

bool ExampleInput::fit(const Dataset::Data& data) const {
  if (data.example_size != elements_an_example(type_)) {
    fail("the examples of {} are [{}], {} numbers each, but input `{}` of network `{}` is {}{}", data.files.front(),
         fmt::join(data.example_dims, ", "), data.example_size, name_, network_, type_text_,
         data.table ? "\nnote: the columns are " + data.table->describe() : "");
  }
  std::vector<int64_t> input_dims;
  for (size_t k = 1; k < type_.shape.size(); ++k) input_dims.push_back(type_.shape[k].factor);
  const std::vector<int64_t> wanted = extents(input_dims), have = extents(data.example_dims);
  if (wanted.size() > 1 && have.size() > 1 && wanted != have) {
    fail("the examples of {} are [{}], but input `{}` of network `{}` is {}: as many numbers in another order", data.files.front(),
         fmt::join(data.example_dims, ", "), name_, network_, type_text_);
  }
  return channels_first_ && data.example_dims == input_dims;
}

Objective::Objective(const Network& network)
    : graph_(graph_with_loss(network)), input_(graph_, graph_.output(Output::Role::loss)->value.node->operands[1].node) {
  loss_ = graph_.output(Output::Role::loss)->value.node;
  const Value prediction = loss_->operands[0], target = loss_->operands[1];
  averaged_ = loss_->attribute("reduction").symbol().name == "mean";
  prediction_type_ = prediction.type();
  target_ = target.name();
  target_type_ = target.type();
  for (const Output& output : graph_.outputs) {
    if (output.role == Output::Role::output && output.value == prediction && prediction_.empty()) prediction_ = output.name;
  }
  const std::optional<TargetRule> rule = target_rule(graph_);
  if (!rule) {
    fail("the loss of network `{}` is not over one row an example: its prediction is {}", graph_.name,
         to_string(prediction_type_, graph_.batch_symbol));
  }
  targets_ = *rule;
}

BatchShape Objective::fit(const Dataset& data, int64_t batch) const {
  return {.batch = batch, .targets = kind_of(data.data(), targets_), .classes = targets_.classes, .planes = input_.fit(data.data())};
}

void Objective::prepare(Dataset& data, const ModelMetadata& model, const std::string& source) const {
  Dataset::Data& content = data.data();
  content.follow(model, source);
  convert_targets(content, targets_, model.targets);
}

Dataset Objective::open(const std::string& spec, const std::string& default_split, const WeightStore& weights,
                        const DataOptions& choices) const {
  Dataset data = Dataset::Data::open(spec, default_split, {.choices = choices, .model = &weights.data().metadata});
  prepare(data, weights.data().metadata, training_data_of(weights));
  return data;
}

Objective::Score Objective::score(std::span<const float> predictions, const Batch& batch, TargetKind kind, int64_t count) const {
  const auto taken = [count](const TensorType& type, const auto& values) {
    Tensor tensor{type.dtype, concrete(type.shape, count), {}};
    tensor.data.assign(values.begin(), values.begin() + tensor.size());
    return tensor;
  };
  const Tensor prediction = taken(prediction_type_, predictions);
  const Tensor target = kind == TargetKind::labels ? taken(target_type_, batch.labels) : taken(target_type_, batch.float_targets);
  double loss = loss_->op->evaluate(EvaluateContext{*loss_, {&prediction, &target}, count})[0].data[0];
  if (std::isnan(loss)) loss = std::nan("");   // without a sign
  int64_t not_finite = 0;
  const auto width = static_cast<size_t>(elements_an_example(prediction_type_));
  for (size_t k = 0; k < static_cast<size_t>(count); ++k) not_finite += !all_finite(predictions.subspan(k * width, width));
  return {averaged_ ? loss * static_cast<double>(count) : loss, right_answers(predictions, batch, kind, count), not_finite};
}

double Objective::right_answers(std::span<const float> predictions, const Batch& batch, TargetKind kind, int64_t count) const {
  if (kind == TargetKind::floats) return std::nan("");
  const int64_t width = elements_an_example(prediction_type_);
  const double threshold = loss_->is("binary_cross_entropy_with_logits") ? 0.0 : 0.5;
  int64_t right = 0;
  for (int64_t k = 0; k < count; ++k) {
    const std::span<const float> row = predictions.subspan(static_cast<size_t>(k * width), static_cast<size_t>(width));
    const bool is_number = width == 1 && kind == TargetKind::number && std::isfinite(row[0]);
    const int32_t answer = is_number ? row[0] > threshold : answer_of(row);
    right += answer == batch.labels[static_cast<size_t>(k)];
  }
  return static_cast<double>(right);
}

}  // namespace bnc
