// What a network predicts for a data set: classes with their probabilities, or numbers.
#include <algorithm>
#include <chrono>
#include <numeric>

#include "ir/integers.h"
#include "runtime/answer_kind.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/evaluator.h"
#include "runtime/network.h"
#include "runtime/objective.h"
#include "runtime/session.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

int64_t width_of(const Value& value) { return element_count(value.type().shape)->factor; }

class Predictor {
 public:
  Predictor(const Network& network, const WeightStore& weights, const PredictOptions& options)
      : network_(network), weights_(weights), graph_(network.data().graph()), model_(weights.data().metadata), options_(options),
        objective_(network.trainable() ? std::optional<Objective>(network) : std::nullopt), data_(open()) {
    const std::string source = training_data_of(weights);
    scored_ = objective_ && objective_->has_targets() && data_.data().has_targets();
    if (objective_) objective_->prepare(data_, model_, source, scored_);
    else data_.data().follow(model_, source);
    if (options.on_warning)
      for (const std::string& note : data_.data().notes) options.on_warning("note: " + note);
    if (objective_) shape_ = objective_->fit(data_, options.batch);
    if (!objective_) fit_inputs();
    if (scored_) total_ = objective_->no_score();
    choose_scheme();
    name_columns();
    CompileOptions compile;
    compile.cpu = options.cpu;
    compile.threads = options.threads;
    compile.on_warning = options.on_warning;
    compile.checks = options.checks;
    session_.emplace(network.compile(compile, weights));
  }

  Predictions run() {
    const auto start = std::chrono::steady_clock::now();
    const int64_t all = data_.count(), batch = std::min(options_.batch, all);
    Progress progress;
    progress.steps = divide_up(all, batch);
    for (int64_t first = 0; first < all; first += batch) {
      const int64_t count = std::min(batch, all - first);
      run_batch(first, count);
      for (int64_t k = 0; k < count; ++k) add_row(k);
      if (!options_.on_progress) continue;
      ++progress.step;
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      progress.examples_per_second = static_cast<double>(first + count) / seconds;
      progress.seconds_left = static_cast<double>(all - first - count) / progress.examples_per_second;
      options_.on_progress(progress);
    }
    found_.count = all;
    found_.ids = data_.data().ids;
    found_.id_name = data_.data().id_name;
    if (scored_) found_.figures = objective_->result(*total_, all);
    return std::move(found_);
  }

 private:
  Dataset open() const {
    ReadOptions read{.choices = options_.data_options, .model = &model_, .targets = false};
    if (objective_) read = objective_->read_options(options_.data_options, &model_, false);
    else
      for (const ExampleInput& input : example_inputs(graph_, {})) read.input_names.push_back(input.name());
    if (!objective_) read.input = example_inputs(graph_, {}).front().layout();
    return Dataset::Data::open(options_.data, "test", read);
  }

  // Of a network without a train section: further arrays in the order of its inputs.
  void fit_inputs() {
    const std::vector<ExampleInput> inputs = example_inputs(graph_, {});
    std::vector<FurtherArray>& others = data_.data().others;
    if (others.size() + 1 < inputs.size()) {
      fail("network `{}` has inputs `{}` and `{}`, but {} fills one\nhelp: an .npz file with an array for each input", network_.name(),
           inputs[0].name(), inputs[1].name(), data_.data().files.front());
    }
    for (size_t k = 0; k < inputs.size(); ++k) {
      inputs_.push_back(inputs[k].name());
      if (k == 0) inputs[k].fit(data_.data());
      else inputs[k].fit_further(others[k - 1], data_.data().files.front());
    }
  }

  void choose_scheme() {
    const Output& first = *std::find_if(graph_.outputs.begin(), graph_.outputs.end(),
                                        [](const Output& output) { return output.role == Output::Role::output; });
    if (objective_) {
      scheme_ = answer_kind(*objective_, objective_->comparison(), model_);
      scheme_.classes &= is_one_an_example(scheme_);
      for (const Objective::Comparison& each : objective_->comparisons()) {
        AnswerKind kind = answer_kind(*objective_, each, model_);
        if (each.output != scheme_.output && kind.classes && is_one_an_example(kind)) further_.push_back(std::move(kind));
      }
      return;
    }
    const int64_t width = width_of(first.value);
    const bool classes = !model_.classes.empty() && width == static_cast<int64_t>(model_.classes.size());
    const bool shares = first.value.node->is("softmax");
    const AnswerKind::Scores scores = shares ? AnswerKind::Scores::probabilities : AnswerKind::Scores::logits;
    scheme_ = {.output = first.name, .classes = classes, .scores = scores, .width = width, .names = model_.classes};
  }

  bool is_one_an_example(const AnswerKind& kind) const { return kind.width == objective_->width_of(kind.output); }

  static std::vector<std::string> class_names(const AnswerKind& kind) {
    std::vector<std::string> names = kind.names;
    for (int64_t k = 0; names.size() < static_cast<size_t>(kind.class_count()); ++k) names.push_back(std::to_string(k));
    return names;
  }

  void name_columns() {
    found_.classes = scheme_.classes;
    if (scheme_.classes) found_.columns = class_names(scheme_);
    for (const AnswerKind& kind : further_) {
      found_.further.push_back({kind.output, class_names(kind), {}});
      for (const std::string& name : found_.further.back().names)
        found_.number_columns.push_back(fmt::format("{}[{}]", kind.output, name));
    }
    std::vector<std::string>& columns = scheme_.classes ? found_.number_columns : found_.columns;
    const auto tells_classes = [&](const std::string& output) {
      return (scheme_.classes && output == scheme_.output) ||
             std::any_of(further_.begin(), further_.end(), [&](const AnswerKind& kind) { return kind.output == output; });
    };
    for (const Output& output : graph_.outputs) {
      if (output.role != Output::Role::output || output.value.type().dtype != DType::f32 || tells_classes(output.name)) continue;
      const Shape& shape = output.value.type().shape;
      if (shape.empty() || shape[0] != Dim{1, true}) continue;   // not a row an example
      const int64_t width = width_of(output.value);
      numbers_.emplace_back(output.name, width);
      for (int64_t k = 0; k < width; ++k) columns.push_back(width == 1 ? output.name : fmt::format("{}[{}]", output.name, k));
    }
    if (columns.empty() && !scheme_.classes) fail("network `{}` has no output of floats with a row an example", network_.name());
  }

  void run_batch(int64_t first, int64_t count) {
    indices_.resize(static_cast<size_t>(count));
    std::iota(indices_.begin(), indices_.end(), first);
    if (scored_) {
      run_examples(*session_, *objective_, data_, indices_, shape_, batch_);
      objective_->add_score(*total_, run_of(*session_, weights_), batch_, shape_.targets, count);
      return;
    }
    if (objective_) return run_examples(*session_, *objective_, data_, indices_, shape_, batch_);
    Session::Data& inside = session_->data();
    inside.set_batch(count);
    fill_batch(data_, indices_, {.batch = count, .targets = TargetKind::floats}, batch_);
    for (size_t k = 0; k < inputs_.size(); ++k) {
      ArgumentSlot& input = inside.input(inputs_[k]);
      const AlignedVector<float>& numbers = k == 0 ? batch_.x : batch_.others[k - 1].floats;
      std::copy(numbers.begin(), numbers.end(), input.floats());
      input.batch = count;
    }
    session_->run();
  }

  // The probabilities of the classes of one example; which one is answered.
  int32_t add_classes(const AnswerKind& kind, int64_t k, std::vector<float>& to) {
    const auto width = static_cast<size_t>(kind.width);
    const size_t begin = to.size();
    kind.add_probabilities(session_->view(kind.output).subspan(static_cast<size_t>(k) * width, width), to);
    return answer_of(std::span(to).subspan(begin));
  }

  void add_row(int64_t k) {
    for (size_t each = 0; each < further_.size(); ++each)
      found_.further[each].answers.push_back(add_classes(further_[each], k, found_.numbers));
    std::vector<float>& numbers = scheme_.classes ? found_.numbers : found_.values;
    for (const auto& [name, width] : numbers_) {
      const std::span<const float> row = session_->view(name).subspan(static_cast<size_t>(k * width), static_cast<size_t>(width));
      numbers.insert(numbers.end(), row.begin(), row.end());
    }
    if (scheme_.classes) found_.answers.push_back(add_classes(scheme_, k, found_.values));
  }

  const Network& network_;
  const WeightStore& weights_;
  const Graph& graph_;
  const ModelMetadata& model_;
  const PredictOptions& options_;
  std::optional<Objective> objective_;
  Dataset data_;
  bool scored_ = false;
  std::vector<std::string> inputs_;
  AnswerKind scheme_;
  std::vector<AnswerKind> further_;   // other outputs that tell classes apart
  BatchShape shape_;
  std::vector<std::pair<std::string, int64_t>> numbers_;   // outputs and their numbers an example
  std::optional<Session> session_;
  std::vector<int64_t> indices_;
  Batch batch_;
  std::optional<Objective::Score> total_;
  Predictions found_;
};

}  // namespace

Predictions predict(const Network& network, const WeightStore& weights, const PredictOptions& options) {
  return at_boundary([&] {
    if (options.batch < 1) fail("the batch size is {}, but must be at least 1", options.batch);
    return Predictor(network, weights, options).run();
  });
}

}  // namespace bnc
