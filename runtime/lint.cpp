// Looks for what is wrong with a network's weights: numbers that cannot be, channels that do nothing, statistics that are not the data's.
#include <algorithm>
#include <cmath>

#include "ir/op.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/population.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

constexpr double dead_gamma = 1e-3;         // a channel's deviation behind the batch norm
constexpr double tiny_variance = 0.1;       // of epsilon
constexpr double drifted_mean = 0.5;        // deviations of the data
constexpr double drifted_variance = 2;      // ratio, either way

class Linter {
 public:
  Linter(const Network& network, const WeightStore& weights) : network_(network), weights_(weights.data().weights) {}

  void check_numbers() {
    for (const Node* node : weight_nodes(network_.data().graph())) {
      const std::string& name = node->results[0].name;
      scan(
          *node, name, "not-finite", LintFinding::Severity::error, [](float value) { return !std::isfinite(value); }, "not a finite number",
          "training has diverged, or the file is damaged: go back to an earlier checkpoint, with a lower rate");
    }
  }

  void check_batch_norm(const Node& node) {
    const double epsilon = node.attribute("epsilon").number();
    const std::string gamma = operand(node, "gamma"), mean = operand(node, "mean"), variance = operand(node, "variance");
    scan(
        node, variance, "negative-variance", LintFinding::Severity::error, [](float value) { return value < 0; },
        "no variance can be negative", "estimate the statistics again: `bnc restat`");
    scan(
        node, variance, "tiny-variance", LintFinding::Severity::warning,
        [&](float value) { return value >= 0 && value < tiny_variance * epsilon; },
        fmt::format("far below epsilon = {}, so that the channel is all but constant, and epsilon rather than the data sets its scale",
                    format_number(epsilon)),
        "the layer in front of it has dead outputs there: they can be left out, or trained again from other initial weights");
    scan(
        node, gamma, "dead-gamma", LintFinding::Severity::warning, [](float value) { return std::abs(value) < dead_gamma; },
        "so near to 0 that the channel is the constant beta",
        "the channel can be left out; where many are dead, weight decay on gamma or the rate is too high");
    if (is_as_initialized(mean, variance)) {
      add(node, mean, "initial-statistics", LintFinding::Severity::warning, size(mean),
          "and the variance beside it are still as initialized, 0 and 1",
          "the network was not trained, or its statistics were not saved: estimate them with `bnc restat`");
    }
  }

  void check_drift(const Node& node, const std::map<std::string, PooledMoments>& population) {
    const std::string mean = operand(node, "mean"), variance = operand(node, "variance");
    const auto found = population.find(mean);
    const Weight *stored_mean = weights_.find(mean), *stored_variance = weights_.find(variance);
    if (found == population.end() || !stored_mean || !stored_variance || is_as_initialized(mean, variance)) return;
    const double epsilon = node.attribute("epsilon").number();
    int64_t drifted = 0;
    size_t worst = 0;
    double worst_distance = 0;
    for (size_t k = 0; k < stored_mean->data.size(); ++k) {
      const double actual = found->second.variance(k) + epsilon, stored = stored_variance->data[k] + epsilon;
      const double shift = std::abs(stored_mean->data[k] - found->second.mean[k]) / std::sqrt(actual),
                   ratio = std::max(stored / actual, actual / stored);
      const double distance = std::max(shift / drifted_mean, ratio / drifted_variance);
      if (!(distance > 1)) continue;
      ++drifted;
      if (!(distance > worst_distance)) continue;
      worst = k;
      worst_distance = distance;
    }
    if (drifted == 0) return;
    add(node, mean, "drift", LintFinding::Severity::warning, drifted,
        fmt::format("and the variance beside it are not those of the data, in {} of {} channels: channel {} has {:.4g} and {:.4g} stored, "
                    "but {:.4g} and {:.4g} in the data",
                    drifted, size(mean), worst, stored_mean->data[worst], stored_variance->data[worst], found->second.mean[worst],
                    found->second.variance(worst)),
        "estimate them again: `bnc restat`; or, with stats=ema, train longer or with a lower decay");
  }

  std::vector<LintFinding> take() { return std::move(findings_); }

 private:
  static std::string operand(const Node& node, const char* name) {
    return node.operands[static_cast<size_t>(node.op->operand_index(name))].name();
  }

  int64_t size(const std::string& tensor) const { return static_cast<int64_t>(weights_.find(tensor)->data.size()); }

  // One finding for all numbers of a tensor that are `bad`. What is no tensor of the file, as it is computed, is passed over.
  template <class Predicate>
  void scan(const Node& node, const std::string& tensor, const char* kind, LintFinding::Severity severity, const Predicate& bad,
            const std::string& what, const char* advice) {
    const Weight* weight = weights_.find(tensor);
    if (!weight) return;
    const auto first = std::find_if(weight->data.begin(), weight->data.end(), bad);
    if (first == weight->data.end()) return;
    const int64_t count = std::count_if(first, weight->data.end(), bad);
    const std::string others = count > 1 ? fmt::format(", and likewise {} more of {}", count - 1, weight->data.size()) : "";
    add(node, tensor, kind, severity, count, fmt::format("holds {} in place {}{}: {}", *first, first - weight->data.begin(), others, what),
        advice);
  }

  bool is_as_initialized(const std::string& mean, const std::string& variance) const {
    const Weight *m = weights_.find(mean), *v = weights_.find(variance);
    const auto all = [](const Weight& weight, float value) {
      return std::all_of(weight.data.begin(), weight.data.end(), [&](float each) { return each == value; });
    };
    return m && v && all(*m, 0) && all(*v, 1);
  }

  void add(const Node& node, const std::string& tensor, const char* kind, LintFinding::Severity severity, int64_t count,
           const std::string& what, const std::string& advice) {
    const bool error = severity == LintFinding::Severity::error;
    Diagnostic diagnostic{error ? Severity::error : Severity::warning, node.range, fmt::format("`{}` {}", tensor, what), {}};
    diagnostic.help(advice);
    const std::string place = node.range.known() ? fmt::format("{}:{}", node.range.file->path, node.range.line) : "";
    findings_.push_back({severity, kind, tensor, place, what, advice, count, size(tensor), render(diagnostic)});
  }

  const Network& network_;
  const Weights& weights_;
  std::vector<LintFinding> findings_;
};

}  // namespace

std::vector<LintFinding> lint(const Network& network, const WeightStore& weights, const LintOptions& options) {
  return at_boundary([&] {
    network.check_weights(weights);
    Linter linter(network, weights);
    linter.check_numbers();
    const auto batch_norms = network.data().graph().nodes_of("batch_norm");
    for (const Node* node : batch_norms) linter.check_batch_norm(*node);
    if (!options.data.empty()) {
      const Dataset data = Objective(network).open(options.data, "train", weights, options.data_options);
      const auto population = population_moments(network, weights, data,
                                                 {options.batch, options.threads, options.cpu, options.on_progress});
      for (const Node* node : batch_norms) linter.check_drift(*node, population);
    }
    return linter.take();
  });
}

}  // namespace bnc
