#include "runtime/divergence.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "ir/op.h"
#include "passes/graph/rewrite.h"
#include "runtime/finite.h"
#include "runtime/network.h"
#include "runtime/session.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// What the graph computes, in order.
std::vector<Value> computed_values(const Graph& graph) {
  std::vector<Value> values;
  for (const auto& node : graph.nodes()) {
    if (node->op->category == OpCategory::source) continue;
    for (size_t k = 0; k < node->results.size(); ++k)
      if (node->results[k].type.dtype == DType::f32) values.push_back(node->result(static_cast<int>(k)));
  }
  return values;
}

// Of values that are handed out at a time: a quarter of the memory that is free.
int64_t most_state_bytes() { return std::max<int64_t>(int64_t{256} << 20, ::sysconf(_SC_AVPHYS_PAGES) / 4 * ::sysconf(_SC_PAGESIZE)); }

class StepProbe {
 public:
  StepProbe(const Network& network, const Objective& objective, CompileOptions options, const PendingStep& step)
      : network_(network), objective_(objective), options_(std::move(options)), step_(step),
        values_(computed_values(network.data().graph())) {
    options_.mode = Mode::train;
    options_.optimizer = false;
  }

  std::optional<NotFiniteTensor> find() {
    for (size_t begin = 0, end = 0; begin < values_.size(); begin = end) {
      for (int64_t bytes = 0; end < values_.size() && (end == begin || bytes < limit_); ++end) bytes += bytes_of(values_[end]);
      const Session session = run(begin, end, false);
      for (size_t k = begin; k < end; ++k)
        if (const auto found = check(session, output_name(k), values_[k])) return found;
    }
    return find_gradient();
  }

 private:
  static std::string output_name(size_t k) { return fmt::format("probed/{}", k); }

  std::vector<int64_t> dims_of(const TensorType& type) const { return concrete(type.shape, options_.batch.value_or(1)); }
  int64_t bytes_of(Value value) const { return element_count(dims_of(value.type())) * static_cast<int64_t>(sizeof(float)); }

  std::optional<NotFiniteTensor> find_gradient() {
    const Session session = run(0, 0, true);
    if (!all_finite(session.view("loss"))) return NotFiniteTensor{"loss", "the loss", network_.data().train()->loss_range};
    const auto nodes = weight_nodes(network_.data().graph());
    const std::vector<std::string> names = session.readable();
    for (auto node = nodes.rbegin(); node != nodes.rend(); ++node) {
      const std::string& tensor = (*node)->results[0].name;
      if (std::find(names.begin(), names.end(), "grad/" + tensor) == names.end()) continue;
      const Array gradient = session.read("grad/" + tensor);
      if (all_finite(gradient.floats())) continue;
      return NotFiniteTensor{"grad/" + tensor, fmt::format("the gradient of `{}`, {}", tensor, counted(gradient.floats(), gradient.dims())),
                             (*node)->range};
    }
    return std::nullopt;
  }

  // The step without its update, with these values handed out.
  Session run(size_t begin, size_t end, bool gradients) {
    Network::Data probed{network_.data().source, {}, 0};
    probed.module.train = network_.data().module.train;
    probed.module.networks.push_back(network_.data().graph().clone());
    Graph& graph = probed.module.networks.front();
    const std::vector<Value> values = computed_values(graph);
    for (size_t k = begin; k < end; ++k) graph.outputs.push_back({Output::Role::output, output_name(k), values[k]});
    options_.keep_gradients = gradients;
    Session session(std::make_unique<Session::Data>(probed, options_, step_.weights, false));
    NamedArrays hidden = session.hidden_state();
    for (auto& [name, array] : hidden)
      for (const auto& [given, value] : step_.hidden_state)
        if (given == name) array = value;
    session.restore(step_.weights, hidden);
    for (const auto& [input, numbers] : objective_.bindings(step_.batch, step_.targets)) session.data().lend(input, numbers);
    session.run();
    return session;
  }

  static std::string counted(std::span<const float> values, const std::vector<int64_t>& dims) {
    const auto bad = std::count_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
    return fmt::format("{}: {} of its {} numbers", show(dims), bad, values.size());
  }

  std::optional<NotFiniteTensor> check(const Session& session, const std::string& output, Value value) const {
    const std::span<const float> numbers = session.view(output);
    if (all_finite(numbers)) return std::nullopt;
    const std::string path = layer_path(*value.node), name = path.empty() ? value.node->op->name : path;
    return NotFiniteTensor{name, fmt::format("the result of `{}`, {}", name, counted(numbers, dims_of(value.type()))), value.node->range};
  }

  const Network& network_;
  const Objective& objective_;
  CompileOptions options_;
  const PendingStep& step_;
  const std::vector<Value> values_;
  const int64_t limit_ = most_state_bytes();
};

}  // namespace

std::optional<NotFiniteTensor> first_not_finite(const Network& network, const Objective& objective, CompileOptions options,
                                                const PendingStep& step) {
  return StepProbe(network, objective, std::move(options), step).find();
}

}  // namespace bnc
