#include "runtime/objective.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "ir/evaluate.h"
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

std::vector<int64_t> dims_an_example(const TensorType& type) {
  std::vector<int64_t> dims;
  for (size_t k = 1; k < type.shape.size(); ++k) dims.push_back(type.shape[k].factor);
  return dims;
}

// What a constant is added to, which keeps a logarithm finite; else the formula itself.
const Formula* without_constant(const Formula& formula) {
  if (!formula.is_call("add")) return &formula;
  const Formula &left = formula.operands[0], &right = formula.operands[1];
  return right.is_call("constant") ? &left : left.is_call("constant") ? &right : &formula;
}

bool is_rows_of_batch(const TensorType& type) { return type.rank() > 0 && type.shape[0] == Dim{1, true}; }

}  // namespace

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

std::optional<TargetRule> target_rule(const Graph& step, const Node& target) {
  const Result& input = target.results[0];
  if (!is_rows_of_batch(input.type)) return std::nullopt;
  TargetRule rule{.network = step.name,
                  .loss = "loss",
                  .target = input.name,
                  .type = to_string(input.type, step.batch_symbol),
                  .class_numbers = input.type.dtype == DType::i32,
                  .width = elements_an_example(input.type)};
  for (const auto& node : step.nodes()) {
    const auto read = std::find_if(node->operands.begin(), node->operands.end(), [&](const Value& value) { return value.node == &target; });
    if (read == node->operands.end() || !node->op->target_type) continue;
    const TensorType& prediction = node->operands[0].type();
    rule.loss = node->op->name;
    rule.place = node->range;
    rule.spread = note_on_rows(node->operands[0], step.batch_symbol);
    rule.is_weight = read - node->operands.begin() > 1;
    rule.shares = node->is("binary_cross_entropy_with_logits") && !rule.is_weight;
    if (prediction.rank() > 0) rule.classes = prediction.shape.back().factor;
    if (node->op->attribute("ignore")) rule.ignore = node->attribute("ignore").integers();
    return rule;
  }
  rule.classes = rule.width;
  return rule;
}

std::vector<std::string> target_names(const Graph& step, const Graph& network) {
  const Uses uses(step);
  std::vector<std::string> names;
  for (Node* node : step.nodes_of("input")) {
    const std::vector<Node*>& readers = uses.of(node->result());
    const bool for_losses = !readers.empty() && std::all_of(readers.begin(), readers.end(), [&](const Node* reader) {
      return reader->op->target_type && reader->operands[0].node != node;
    });
    if (for_losses || !network.find(node->results[0].name)) names.push_back(node->results[0].name);
  }
  return names;
}

ExampleInput::ExampleInput(const Graph& graph, const Node& input)
    : network_(graph.name), name_(input.results[0].name), type_text_(to_string(input.results[0].type, graph.batch_symbol)),
      type_(input.results[0].type) {
  for (const auto& node : graph.nodes()) {  // what `layout=nchw` becomes
    if (node->is("transpose") && node->operands[0].name() == name_)
      channels_first_ |= node->attribute("permutation").integers() == IntList{0, 2, 3, 1};
  }
  if (type_.dtype == DType::f32 && is_rows_of_batch(type_)) return;
  const std::string text = fmt::format("input `{}` of network `{}` is {}; a data set fills inputs f32[{}, ...]", name_, network_,
                                       type_text_, graph.batch_symbol);
  Diagnostic refused{Severity::error, input.range, text, {}};
  refused.help(fmt::format("the batch size is the first dimension of an input, as in `{}: f32[{}, 784]`", name_, graph.batch_symbol));
  throw CompileError(std::move(refused));
}

void ExampleInput::fit(const std::vector<int64_t>& dims, const std::string& file, const std::string& note) const {
  int64_t size = 1;
  for (const int64_t dim : dims) size *= dim;
  if (size != elements_an_example(type_)) {
    fail("the examples of {0} are [{1}], {2} numbers each, but input `{3}` of network `{4}` is {5}{6}\nhelp: for all of them write "
         "`{3}: {7}, {1}]` in the head of the network",
         file, fmt::join(dims, ", "), size, name_, network_, type_text_, note, type_text_.substr(0, type_text_.find_first_of(",]")));
  }
  const std::vector<int64_t> wanted = extents(dims_an_example(type_)), have = extents(dims);
  if (wanted.size() > 1 && have.size() > 1 && wanted != have) {
    fail("the examples of {} are [{}], but input `{}` of network `{}` is {}: as many numbers in another order\nhelp: inputs are "
         "height x width x channels; for channels x height x width write `layout=nchw` behind the type of the input",
         file, fmt::join(dims, ", "), name_, network_, type_text_);
  }
}

ExampleLayout ExampleInput::layout() const {
  return {dims_an_example(type_), channels_first_};
}

bool ExampleInput::fit(const Dataset::Data& data) const {
  fit(data.example_dims, data.files.front(), data.table ? "\nnote: the columns are " + data.table->describe() : "");
  return channels_first_ && data.example_dims == dims_an_example(type_);
}

void ExampleInput::fit_further(const FurtherArray& array, const std::string& file) const {
  fit(array.dims, fmt::format("array `{}` of {}", array.name, file), "");
}

std::vector<ExampleInput> example_inputs(const Graph& graph, const std::vector<std::string>& targets) {
  std::vector<ExampleInput> inputs;
  for (const Node* node : graph.nodes_of("input"))
    if (std::find(targets.begin(), targets.end(), node->results[0].name) == targets.end()) inputs.emplace_back(graph, *node);
  if (inputs.empty()) fail("network `{}` has no input that a data set could fill", graph.name);
  return inputs;
}

Objective::Objective(const Network& network) : section_(*network.data().train()), step_(graph_with_loss(network)) {
  const Formula& loss = section_.loss;
  const Graph& graph = network.data().graph();
  const std::vector<std::string> targets = target_names(step_, graph);
  inputs_ = example_inputs(step_, targets);
  find_fields(targets);
  find_comparisons(loss);
  const auto accuracy_is_of = std::find_if(comparisons_.begin(), comparisons_.end(),
                                           [&](const Comparison& each) { return !has_targets() || each.target == target_; });
  prediction_ = accuracy_is_of != comparisons_.end() ? accuracy_is_of->output : step_.output(Output::Role::output)->name;
  const TensorType& type = step_.output(Output::Role::output, prediction_)->value.type();
  if (!is_rows_of_batch(type) && has_targets())
    fail("the loss of network `{}` is not over one row an example: its prediction is {}\nhelp: the batch size is the first dimension of "
         "what it returns, as in f32[{}, 10]",
         graph.name, to_string(type, step_.batch_symbol), step_.batch_symbol);
  prediction_width_ = elements_an_example(type);
  row_width_ = type.rank() > 1 ? type.shape.back().factor : 1;
  formula_ = graph_of(loss, step_);
  averaged_ = !sums_over_batch(formula_);
  threshold_ = threshold_of(prediction_, target_);
  for (const Metric& metric : section_.metrics)
    if (!metric.definition()) formulas_.push_back(graph_of(metric.formula, step_));
}

void Objective::find_fields(const std::vector<std::string>& targets) {
  for (const std::string& name : targets) {
    const Node* node = step_.find(name).node;
    const std::optional<TargetRule> rule = target_rule(step_, *node);
    if (!rule) {
      fail("the loss of network `{}` is not over one row an example: `{}` is {}", step_.name, node->results[0].name,
           to_string(node->results[0].type, step_.batch_symbol));
    }
    fields_.push_back({node->results[0].name, node->results[0].type, *rule});
  }
  std::stable_partition(fields_.begin(), fields_.end(), [](const Field& field) { return !field.rule.is_weight; });
  if (has_targets()) target_ = fields_.front().name;
}

void Objective::find_comparisons(const Formula& formula) {
  if (formula.kind != Formula::Kind::call) return;
  for (const Formula& operand : formula.operands) find_comparisons(operand);
  const OpDefinition* op = find_op(formula.name);
  if (!op->target_type || formula.operands[1].kind != Formula::Kind::name) return;
  const Formula* compared = &formula.operands[0];
  const bool of_logarithm = compared->is_call("log");
  if (of_logarithm) compared = without_constant(compared->operands[0]);
  const TargetRule* rule = rule_of(formula.operands[1].name);
  if (compared->kind == Formula::Kind::call || (of_logarithm && !(rule && rule->class_numbers))) return;
  const Comparison found{op->name, name_in(step_, *compared), formula.operands[1].name, of_logarithm};
  const Output* output = step_.output(Output::Role::output, found.output);
  const auto is_known = [&](const ExampleInput& each) { return each.name() == found.target; };
  const bool is_target = rule || std::any_of(inputs_.begin(), inputs_.end(), is_known);
  const bool is_new = std::none_of(comparisons_.begin(), comparisons_.end(), [&](const Comparison& each) {
    return each.output == found.output && each.target == found.target;
  });
  if (output && is_target && is_new) comparisons_.push_back(found);
}

Objective::Comparison Objective::comparison() const {
  const auto found = std::find_if(comparisons_.begin(), comparisons_.end(), [&](const Comparison& each) {
    return each.output == prediction_ && each.target == target_;
  });
  return found != comparisons_.end() ? *found : Comparison{"", prediction_, target_};
}

const TargetRule* Objective::rule_of(const std::string& target) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const Field& each) { return each.name == target; });
  return found == fields_.end() ? nullptr : &found->rule;
}

size_t Objective::place_of(const std::string& target) const {
  const auto found = std::find_if(fields_.begin(), fields_.end(), [&](const Field& each) { return each.name == target; });
  return static_cast<size_t>(found - fields_.begin());
}

int64_t Objective::width_of(const std::string& output) const {
  return elements_an_example(step_.output(Output::Role::output, output)->value.type());
}

ReadOptions Objective::read_options(const DataOptions& choices, const ModelMetadata* model, bool targets) const {
  ReadOptions options{.choices = choices, .model = model, .targets = targets && has_targets()};
  options.input = inputs_.front().layout();
  for (const ExampleInput& input : inputs_) options.input_names.push_back(input.name());
  for (const Field& field : fields_) options.target_names.push_back(field.name);
  return options;
}

Dataset Objective::open(const std::string& spec, const std::string& default_split, const WeightStore& weights,
                        const DataOptions& choices) const {
  Dataset data = Dataset::Data::open(spec, default_split, read_options(choices, &weights.data().metadata));
  prepare(data, weights.data().metadata, training_data_of(weights));
  return data;
}

void Objective::prepare(Dataset& data, const ModelMetadata& model, const std::string& source, bool with_targets) const {
  Dataset::Data& content = data.data();
  content.follow(model, source);
  if (with_targets && has_targets()) convert_targets(content, targets(), model.targets);
  std::vector<FurtherArray> further;
  const auto take = [&](const std::string& name) -> FurtherArray* {
    const auto found = std::find_if(content.others.begin(), content.others.end(), [&](const auto& each) { return each.name == name; });
    return found == content.others.end() ? nullptr : &*found;
  };
  for (size_t k = 1; k < inputs_.size(); ++k) {
    FurtherArray* array = take(inputs_[k].name());
    if (!array) {
      fail("network `{}` has inputs `{}` and `{}`, but {} fills one\nhelp: an .npz file with an array for each input", step_.name, input(),
           inputs_[k].name(), content.files.front());
    }
    inputs_[k].fit_further(*array, content.files.front());
    if (array->floats.empty()) array->floats.assign(array->integers.begin(), array->integers.end());
    array->integers.clear();
    further.push_back(std::move(*array));
  }
  for (size_t k = 1; with_targets && k < fields_.size(); ++k) {
    FurtherArray* array = take(fields_[k].name);
    if (!array) {
      fail("the loss of network `{}` takes `{}` {}, which {} does not hold\nhelp: give {}", step_.name, fields_[k].name,
           fields_[k].rule.type, content.files.front(),
           content.table ? "a column of that name, or `--target COLUMN,...`" : "an .npz file with an array of that name");
    }
    convert(*array, fields_[k], content);
    further.push_back(std::move(*array));
  }
  content.others = std::move(further);
}

// A further target as the loss takes it.
void Objective::convert(FurtherArray& array, const Field& field, const Dataset::Data& data) const {
  Dataset::Data one;
  one.files = data.files;
  one.labels_file = fmt::format("{}: `{}`", data.labels_file, array.name);
  one.count = data.count;
  one.target_dims = array.dims;
  one.target_size = array.size;
  one.targets = std::move(array.floats);
  one.labels = std::move(array.integers);
  one.class_names = array.classes;
  one.text_labels = !array.classes.empty();
  convert_targets(one, field.rule, TargetMeaning::numbers);
  array.floats.assign(one.targets.begin(), one.targets.end());
  array.integers = std::move(one.labels);
  if (field.type.dtype != DType::f32 || array.integers.empty()) return;
  array.floats.assign(array.integers.begin(), array.integers.end());
  if (kind_of(one, field.rule) == TargetKind::one_hot) {
    array.size = field.rule.classes;
    array.floats.assign(array.integers.size() * static_cast<size_t>(array.size), 0.0f);
    for (size_t k = 0; k < array.integers.size(); ++k)
      array.floats[k * static_cast<size_t>(array.size) + static_cast<size_t>(array.integers[k])] = 1.0f;
  }
  array.integers.clear();
}

BatchShape Objective::fit(const Dataset& data, int64_t batch) const {
  BatchShape shape{.batch = batch, .planes = inputs_.front().fit(data.data())};
  if (!has_targets()) return shape;
  shape.targets = kind_of(data.data(), targets());
  shape.classes = targets().classes;
  return shape;
}

}  // namespace bnc
