// A network is compiled twice: as it is, for its outputs, and probed, with the results of its layers as further outputs. Probes are only
// where no folding minds them, so that both are folded alike; kernels are fused differently.
#include "runtime/verification.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include <fmt/format.h>

#include "ir/op.h"
#include "passes/graph/rewrite.h"
#include "runtime/error.h"
#include "runtime/reference.h"
#include "runtime/session.h"

namespace bnc {

namespace {

constexpr int64_t usual_batch = 4;                  // of random inputs
constexpr double most_evaluated_flops = 2e9;        // what the evaluator does in a minute or so
constexpr size_t most_trials = 200;                 // of sets of probes
constexpr double least_checked_magnitude = 1e-6;            // below it a difference counts as absolute
const std::vector<std::string> freezing = {"canonicalize", "freeze"}, folding = {"canonicalize", "freeze", "fold-batch-norm"},
                               folding_weights = {"canonicalize", "freeze", "fold-batch-norm", "canonicalize", "constant-fold"};

// Places of nodes in a graph, counted from its first one.
using Places = std::vector<size_t>;

std::string output_name(size_t place) { return fmt::format("layer/{}", place); }

Network::Data with_probes(const Network::Data& network, const Places& places) {
  Network::Data probed{network.source, {}, 0};
  probed.module.train = network.module.train;
  probed.module.networks.push_back(network.graph().clone());
  Graph& graph = probed.module.networks.front();
  size_t place = 0;
  for (const auto& node : graph.nodes())
    if (std::binary_search(places.begin(), places.end(), place++))
      graph.outputs.push_back({Output::Role::output, output_name(place - 1), node->result()});
  return probed;
}

// Finds the nodes whose results can be outputs without hindering a folding.
class ProbeFinder {
 public:
  ProbeFinder(const Network::Data& network, CompileOptions options, const Weights& weights)
      : network_(network), options_(std::move(options)), weights_(weights) {
    options_.on_warning = {};
    fates_ = fates({});
  }

  Places find() {
    add(candidates());
    return chosen_;
  }

 private:
  // Results computed from the inputs. Of a batch norm and what it follows, one is usually gone when they are folded: with a linear layer
  // before it, that one's result, else its own.
  Places candidates() const {
    const Graph& graph = network_.graph();
    std::unordered_set<const Node*> computed, gone;
    for (const auto& node : graph.nodes()) {
      const auto reads = [&](const Value& operand) { return operand && computed.contains(operand.node); };
      if (node->is("input") || std::any_of(node->operands.begin(), node->operands.end(), reads)) computed.insert(node.get());
      if (node->is("batch_norm"))
        gone.insert(node->operands[0].node->op->category == OpCategory::linear ? node->operands[0].node : node.get());
    }
    const Uses uses(graph);
    Places places;
    size_t place = 0;
    for (const auto& each : graph.nodes()) {
      Node* node = each.get();
      const bool is_output = uses.is_output(node->result());
      if (!node->is("input") && !node->is("dropout") && !is_output && computed.contains(node) && !gone.contains(node) &&
          node->results[0].type.dtype == DType::f32)
        places.push_back(place);
      ++place;
    }
    return places;
  }

  // As many of them as leave every batch norm its fate; `places` are ascending.
  void add(const Places& places) {
    if (places.empty() || trials_ == most_trials) return;
    Places together = chosen_;
    together.insert(together.end(), places.begin(), places.end());
    std::sort(together.begin(), together.end());
    ++trials_;
    if (fates(together) == fates_) {
      chosen_ = std::move(together);
    } else if (places.size() > 1) {
      const auto middle = places.begin() + static_cast<std::ptrdiff_t>(places.size() / 2);
      add({places.begin(), middle});
      add({middle, places.end()});
    }
  }

  std::vector<std::string> fates(const Places& places) const {
    const Network::Data probed = with_probes(network_, places);
    Compilation compilation(probed, options_, &weights_);
    compilation.run_passes(folding);
    std::vector<std::string> texts;
    for (const Remark& remark : compilation.context.remarks) texts.push_back(remark.subject + " " + remark.text);
    return texts;
  }

  const Network::Data& network_;
  CompileOptions options_;
  const Weights& weights_;
  std::vector<std::string> fates_;
  Places chosen_;
  size_t trials_ = 0;
};

double largest_error(const Tensor& expected, std::span<const float> found) {
  double difference = 0, magnitude = least_checked_magnitude;
  for (size_t i = 0; i < found.size(); ++i) {
    const double a = expected.data[i], b = found[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    if (!std::isfinite(a) || !std::isfinite(b)) return INFINITY;
    difference = std::max(difference, std::abs(a - b));
    magnitude = std::max(magnitude, std::abs(a));
  }
  for (const double a : expected.data)
    if (std::isfinite(a)) magnitude = std::max(magnitude, std::abs(a));
  return difference / magnitude;
}

LayerCheck checked_layer(const Node& node) {
  LayerCheck check;
  const std::string path = layer_path(node), &name = node.results[0].name;
  check.layer = !path.empty() ? path : is_made_up(name) ? fmt::format("{} {}", node.op->name, name) : name;
  check.op = node.op->name;
  if (node.range.known() && node.range.file) check.place = fmt::format("{}:{}", node.range.file->path, node.range.line);
  return check;
}

class Verifier {
 public:
  Verifier(const Network::Data& network, const WeightStore& weights, const Network::Data& expected, const WeightStore& expected_weights,
           const VerifyOptions& options)
      : network_(network), weights_(weights), expected_(expected), expected_weights_(expected_weights), options_(options) {
    compile_.batch = options.batch;
    compile_.cpu = options.cpu;
    compile_.threads = options.threads;
    compile_.on_warning = options.on_warning;
  }

  Verification run() {
    Session whole(std::make_unique<Session::Data>(network_, compile_, weights_, true));
    compile_.on_warning = {};
    const Places places = ProbeFinder(network_, compile_, weights_.data().weights).find();
    const Network::Data probed = with_probes(network_, places);
    Session layers(std::make_unique<Session::Data>(probed, compile_, weights_, true));
    const double flops = whole.info().flops / static_cast<double>(options_.batch.value_or(1));   // of one example
    bind_inputs(flops);
    for (const auto& [name, tensor] : inputs_)
      for (Session* session : {&whole, &layers}) session->bind(name, to_array(tensor));
    whole.run();
    layers.run();

    const bool measures = flops * static_cast<double>(batch_) <= most_evaluated_flops;
    evaluations_ = measures ? 2 : 1;
    Compilation frozen(with_probes(expected_, places), compile_, nullptr);
    frozen.run_passes(freezing);
    const auto expected = evaluate(frozen.graph, expected_weights_.data().weights, 0);
    Compilation folded(probed, compile_, &weights_.data().weights);
    folded.run_passes(folding_weights);
    std::map<std::string, Tensor> with_folding;
    if (measures) with_folding = evaluate(folded.graph, folded.weights, 1);

    const auto check = [&](const Session& session, const std::string& output, LayerCheck layer) {
      layer.error = largest_error(expected.at(output), session.view(output));
      layer.folding_predicted =
          predicted_folding_error(folded_tensors(folded.graph, folded.graph.output(Output::Role::output, output)->value));
      if (measures) layer.folding_measured = norm_error(expected.at(output), with_folding.at(output));
      layer.passed = layer.error <= options_.bound;
      result_.layers.push_back(std::move(layer));
    };
    size_t place = 0;
    for (const auto& node : network_.graph().nodes()) {
      if (std::binary_search(places.begin(), places.end(), place)) check(layers, output_name(place), checked_layer(*node));
      ++place;
    }
    for (const Output& output : network_.graph().outputs) {
      if (output.role != Output::Role::output || output.value.type().dtype != DType::f32) continue;
      LayerCheck layer = checked_layer(*output.value.node);
      layer.layer = "output " + output.name;
      check(whole, output.name, std::move(layer));
    }
    sum_up();
    return std::move(result_);
  }

 private:
  // As many examples as there are, or of random ones as many as the evaluator has time for.
  void bind_inputs(double flops) {
    const Graph& graph = network_.graph();
    if (options_.inputs.empty()) {
      const bool small = usual_batch * flops <= most_evaluated_flops;
      batch_ = options_.batch.value_or(small ? usual_batch : 1);
      inputs_ = random_inputs(graph, batch_, options_.seed);
      return;
    }
    for (const Node* input : graph.nodes_of("input")) {
      const std::string& name = input->results[0].name;
      const auto found = std::find_if(options_.inputs.begin(), options_.inputs.end(),
                                      [&](const auto& given) { return given.first == name; });
      if (found == options_.inputs.end()) fail("there is no array `{}` for the input of network `{}` of that name", name, graph.name);
      inputs_[name] = to_tensor(found->second);
    }
    batch_ = batch_size_of(graph, inputs_);
  }

  std::map<std::string, Tensor> evaluate(const Graph& graph, const Weights& weights, int64_t evaluation) const {
    return reference_outputs(graph, weights, inputs_, [&](int64_t done, int64_t nodes) {
      if (!options_.on_progress) return;
      Progress progress;
      progress.step = evaluation * nodes + done;
      progress.steps = evaluations_ * nodes;
      options_.on_progress(progress);
    });
  }

  // The layer of the largest error; where none is finite, the first of these.
  void sum_up() {
    for (const LayerCheck& layer : result_.layers) {
      result_.passed = result_.passed && layer.passed;
      if (!result_.worst_layer.empty() && !(layer.error > result_.worst)) continue;
      result_.worst = layer.error;
      result_.worst_layer = layer.layer;
    }
  }

  const Network::Data& network_;
  const WeightStore& weights_;
  const Network::Data& expected_;
  const WeightStore& expected_weights_;
  const VerifyOptions& options_;
  CompileOptions compile_;
  Bindings inputs_;
  int64_t batch_ = 1, evaluations_ = 1;
  Verification result_;
};

}  // namespace

Verification verify_against(const Network::Data& network, const WeightStore& weights, const Network::Data& expected,
                            const WeightStore& expected_weights, const VerifyOptions& options) {
  return Verifier(network, weights, expected, expected_weights, options).run();
}

Verification Network::verify(const WeightStore& weights, const VerifyOptions& options) const {
  return at_boundary([&] {
    check_weights(weights);
    return verify_against(*data_, weights, *data_, weights, options);
  });
}

}  // namespace bnc
