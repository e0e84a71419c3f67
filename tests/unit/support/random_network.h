// Networks with random weights for the tests of the batch-norm passes, and how to tell two of them apart.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ir/builder.h"
#include "ir/evaluate.h"
#include "ir/print.h"
#include "ir/random.h"
#include "ir/verify.h"
#include "passes/passes.h"

namespace bnc::test {

inline Shape shape_of(std::vector<int64_t> dims) {
  Shape shape;
  for (const int64_t dim : dims) shape.push_back({dim, false});
  return shape;
}
// A batch dimension in front.
inline Shape batched(std::vector<int64_t> dims) {
  Shape shape = shape_of(std::move(dims));
  shape.insert(shape.begin(), Dim{1, true});
  return shape;
}

// A graph under construction and the values of its sources.
class RandomNetwork {
 public:
  explicit RandomNetwork(uint64_t seed) : random_(seed, "fold test"), builder_(graph) { graph.name = "net"; }

  Graph graph;
  Bindings bindings;
  int64_t batch_size = 3;

  GraphBuilder& builder() { return builder_; }
  RandomStream& random() { return random_; }
  int below(int bound) { return static_cast<int>(random_.below(bound)); }

  Value input(Shape shape, const std::string& name = "x") {
    return bind(builder_.input(name, {DType::f32, shape}), [&] { return random_.normal(); });
  }
  Value parameter(Shape shape, const std::string& stem = "p") {
    return bind(builder_.parameter(graph.fresh_name(stem), {DType::f32, shape}, Symbol{"zeros", {}}), [&] { return random_.normal(); });
  }
  Value matmul(Value x, int64_t columns) {
    const int64_t rows = x.type().shape.back().factor;
    return builder_.value("matmul", {x, parameter(shape_of({rows, columns}), "weight")});
  }
  // A convolution of `x`, channels last, by a new weight.
  Value convolution(Value x, int64_t kernel_height, int64_t kernel_width, int64_t filters, AttributeMap window = {}) {
    const int64_t groups = window.count("groups") ? window.at("groups").integer() : 1;
    const Value weight = parameter(shape_of({kernel_height, kernel_width, x.type().shape[3].factor / groups, filters}), "weight");
    return builder_.value("convolution", {x, weight}, std::move(window));
  }
  Value bias(Value x, int axis = -1) { return builder_.value("bias", {x, parameter(channels(x, axis), "bias")}, {{"axis", axis}}); }
  Value relu(Value x) { return builder_.value("relu", {x}); }

  // Statistics as files hold them: scales of both signs and zero, variances from denormal to 1e9.
  Value batch_norm(Value x, int axis = -1, const char* mode = "infer") { return batch_norm_node(x, axis, mode)->result(); }
  Node* batch_norm_node(Value x, int axis = -1, const char* mode = "infer") {
    const Shape vector = channels(x, axis);
    const Value gamma = bind(new_parameter("gamma", vector), [&, positive = below(4) == 0] {
      return positive ? 0.1 + random_.uniform() : below(8) == 0 ? 0.0 : random_.normal();
    });
    const Value beta = bind(new_parameter("beta", vector), [&] { return random_.normal(); });
    const Value mean = bind(new_state("mean", vector), [&] { return 3 * random_.normal(); });
    const Value variance = bind(new_state("variance", vector), [&] {
      static const double magnitudes[] = {1, 0.01, 1e-20, 1e-40, 0, 1e9, 1, 2};
      return magnitudes[below(8)] * (0.5 + random_.uniform());
    });
    return builder_.create("batch_norm", {x, gamma, beta, mean, variance, Value{}}, {{"axis", axis}, {"mode", mode}, {"epsilon", 1e-3}});
  }

  void output(Value value) {
    graph.outputs.push_back({Output::Role::output, fmt::format("y{}", graph.outputs.size()), value});
  }

 private:
  RandomStream random_;
  GraphBuilder builder_;

  static Shape channels(Value x, int axis) { return {x.type().shape[axis < 0 ? axis + x.type().rank() : axis]}; }
  Value new_parameter(const std::string& stem, Shape shape) {
    return builder_.parameter(graph.fresh_name(stem), {DType::f32, shape}, Symbol{"zeros", {}});
  }
  Value new_state(const std::string& stem, Shape shape) {
    return builder_.state(graph.fresh_name(stem), {DType::f32, shape}, Symbol{"zeros", {}});
  }
  template <class Draw> Value bind(Value value, Draw draw) {
    Tensor tensor = Tensor::filled(DType::f32, concrete(value.type().shape, batch_size), 0);
    for (double& element : tensor.data) element = draw();
    bindings[value.name()] = std::move(tensor);
    return value;
  }
};

// The largest difference of two sets of tensors, each measured against the largest element of the first.
inline double difference(const std::map<std::string, Tensor>& expected, const std::map<std::string, Tensor>& actual) {
  REQUIRE(expected.size() == actual.size());
  double worst = 0;
  for (const auto& [name, tensor] : expected) {
    const Tensor& other = actual.at(name);
    REQUIRE(tensor.dims == other.dims);
    double largest = 1e-30, distance = 0;
    for (size_t i = 0; i < tensor.data.size(); ++i) {
      if (std::isnan(tensor.data[i]) != std::isnan(other.data[i])) return INFINITY;
      if (std::isnan(tensor.data[i]) || tensor.data[i] == other.data[i]) continue;
      largest = std::max(largest, std::abs(tensor.data[i]));
      distance = std::max(distance, std::abs(tensor.data[i] - other.data[i]));
    }
    worst = std::max(worst, distance / largest);
  }
  return worst;
}

inline int count(const Graph& graph, const char* op) { return static_cast<int>(graph.nodes_of(op).size()); }

inline std::vector<std::string> remarks(const PassContext& context, Remark::Kind kind) {
  std::vector<std::string> texts;
  for (const Remark& remark : context.remarks)
    if (remark.kind == kind) texts.push_back(remark.text);
  return texts;
}

// The values of the parameters and states.
inline Weights weights_of(const RandomNetwork& net) {
  Weights weights;
  for (const char* kind : {"parameter", "state"})
    for (const Node* node : net.graph.nodes_of(kind))
      weights.set(node->results[0].name, Weight::from_tensor(net.bindings.at(node->results[0].name)));
  return weights;
}

// Folds, and checks what must hold of any network: the same results, a legal graph, and nothing left to fold.
inline PassContext check_fold(RandomNetwork& net, Weights* weights = nullptr) {
  const auto before = evaluate(net.graph, net.bindings).outputs;
  INFO(print(net.graph));
  PassContext context;
  context.weights = weights;
  fold_batch_norm(net.graph, context);
  verify(net.graph);
  INFO(print(net.graph));
  CHECK(difference(before, evaluate(net.graph, net.bindings).outputs) < 1e-12);
  const std::string folded = print(net.graph);
  PassContext again;
  again.weights = weights;
  CHECK_FALSE(fold_batch_norm(net.graph, again));
  CHECK(print(net.graph) == folded);
  return context;
}

// What training passes look at: a squared error against `labels`.
inline PassContext training_context(std::optional<int64_t> batch = {}) {
  static const TrainSection section = [] {
    TrainSection train;
    train.loss = Symbol{"mean_squared_error", {{"labels", true}}};
    return train;
  }();
  PassContext context;
  context.train = &section;
  context.batch = batch;
  return context;
}

// Every batch norm folds, the first one into `place`.
inline void check_folded(RandomNetwork& net, const std::string& place, int folded = 1) {
  const PassContext context = check_fold(net);
  CHECK(count(net.graph, "batch_norm") == 0);
  CHECK(count(net.graph, "scale_shift") == 0);
  const auto done = remarks(context, Remark::Kind::done);
  REQUIRE(done.size() == static_cast<size_t>(folded));
  CHECK_MESSAGE(done[0].find(place) != std::string::npos, done[0]);
  CHECK(remarks(context, Remark::Kind::declined).empty());
}

// The one reason to decline, which must contain `part`.
inline void check_declined(RandomNetwork& net, const std::string& part) {
  const auto declined = remarks(check_fold(net), Remark::Kind::declined);
  REQUIRE(declined.size() == 1);
  CHECK_MESSAGE(declined[0].find(part) != std::string::npos, declined[0]);
  CHECK(count(net.graph, "batch_norm") == 1);
}

}  // namespace bnc::test
