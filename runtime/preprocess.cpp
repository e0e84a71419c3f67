#include "runtime/preprocess.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ir/evaluate.h"
#include "ir/op.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/network.h"

namespace bnc {

namespace {

// Running statistics of the elements at each place (of `places`, which repeat along a row-major tensor).
class Measured {
 public:
  explicit Measured(size_t places) : places_(places) {}

  void add(const std::vector<double>& values) {
    for (size_t p = 0; p < values.size(); ++p) {
      Place& place = places_[p % places_.size()];
      const double x = values[p], distance = x - place.mean;
      place.mean += distance / ++place.count;   // Welford, "Note on a method for calculating corrected sums of squares and products", 1962
      place.squares += distance * (x - place.mean);
      place.lowest = std::min(place.lowest, x);
      place.highest = std::max(place.highest, x);
    }
  }

  // By method: mean and deviation, or minimum and range. A scale is never 0.
  std::pair<std::vector<float>, std::vector<float>> offset_and_scale(const std::string& method) const {
    std::pair<std::vector<float>, std::vector<float>> result;
    for (const Place& place : places_) {
      const bool min_max = method == "min_max";
      const double scale = min_max ? place.highest - place.lowest : std::sqrt(place.squares / place.count);
      result.first.push_back(static_cast<float>(min_max ? place.lowest : place.mean));
      result.second.push_back(static_cast<float>(scale) == 0 ? 1.0F : static_cast<float>(scale));
    }
    return result;
  }

  bool finite() const {
    return std::all_of(places_.begin(), places_.end(),
                       [](const Place& place) { return std::isfinite(place.mean) && std::isfinite(place.squares); });
  }

 private:
  struct Place {
    double count = 0, mean = 0, squares = 0, lowest = INFINITY, highest = -INFINITY;
  };
  std::vector<Place> places_;
};

[[noreturn]] void refuse(const Node& layer, const std::string& text, const char* help) {
  Diagnostic diagnostic{Severity::error, layer.range, text, {}};
  diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

// The graph of what the layer is applied to.
Graph operand_of(const Graph& network, const Node& layer) {
  Graph graph = network.clone();
  graph.outputs = {{Output::Role::output, "x", graph.find(layer.operands[0].name())}};
  PassContext context;
  run_passes(graph, {"dead-code"}, context);
  return graph;
}

// A layer that measures, and what computes its operand.
struct AdjustedLayer {
  const Node& node;
  Graph operand;
  Measured measured;

  AdjustedLayer(const Graph& network, const Node& layer, const std::string& input)
      : node(layer),
        operand(operand_of(network, layer)),
        measured(static_cast<size_t>(element_count(layer.operands[1].type().shape)->factor)) {
    for (int k : {1, 2})
      if (!layer.operands[k].node->is("state"))
        refuse(layer, fmt::format("the {} of preprocess is given, so training cannot measure it", layer.op->operands[k].name),
               "write method=given to keep it");
    const bool from_input = std::all_of(operand.nodes().begin(), operand.nodes().end(), [&](const auto& each) {
      return each->is("input") ? each->results[0].name == input || Uses(operand).count(each->result()) == 0
                               : !each->is("parameter") && !each->is("state");
    });
    if (!from_input)
      refuse(layer, fmt::format("preprocess measures the training set, but its operand is not computed from the input `{}` alone", input),
             "apply it to the input, in front of all layers");
  }
};

}  // namespace

void fit_preprocess(const Network& network, const std::string& input, const Dataset& data, BatchShape shape, WeightStore& weights) {
  constexpr int64_t batch_size = 256;
  const Graph& graph = network.data().graph();
  std::vector<AdjustedLayer> layers;
  for (const auto& node : graph.nodes())
    if (node->is("preprocess") && node->attribute("method").symbol().name != "given") layers.emplace_back(graph, *node, input);
  if (layers.empty()) return;

  Batch batch;
  std::vector<int64_t> indices;
  for (int64_t first = 0; first < data.count(); first += batch_size) {
    indices.resize(static_cast<size_t>(std::min(batch_size, data.count() - first)));
    std::iota(indices.begin(), indices.end(), first);
    shape.batch = static_cast<int64_t>(indices.size());
    fill_batch(data, indices, shape, batch);
    for (AdjustedLayer& layer : layers) {
      Bindings bindings;
      for (const Node* node : layer.operand.nodes_of("input")) {
        const TensorType& type = node->results[0].type;
        Tensor& tensor = bindings[node->results[0].name] = Tensor::filled(type.dtype, concrete(type.shape, shape.batch), 0);
        if (node->results[0].name == input) std::copy_n(batch.x.begin(), tensor.data.size(), tensor.data.begin());
      }
      layer.measured.add(evaluate(layer.operand, bindings).outputs.at("x").data);
    }
  }
  for (const AdjustedLayer& layer : layers) {
    if (!layer.measured.finite())
      refuse(layer.node, fmt::format("what preprocess is applied to is not finite for all examples of {}", data.data().spec),
             "measure it before it overflows");
    const auto [offset, scale] = layer.measured.offset_and_scale(layer.node.attribute("method").symbol().name);
    const std::vector<int64_t> dims = concrete(layer.node.operands[1].type().shape, 1);
    weights.set(layer.node.operands[1].name(), dims, offset);
    weights.set(layer.node.operands[2].name(), dims, scale);
  }
}

}  // namespace bnc
