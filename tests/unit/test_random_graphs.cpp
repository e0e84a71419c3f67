// Random graphs through the rewriting passes and build-backward: the values stay, the gradients are those of the values.
// A failure prints its seed and the graph.
#include <doctest/doctest.h>

#include "ir/builder.h"
#include "support/passes.h"

using namespace bnc;

namespace {

const TensorType matrix{DType::f32, {{1, true}, {3, false}}};
const TensorType vector{DType::f32, {{3, false}}};

// Nodes over f32[N, 3], f32[N, 1], f32[3] and f32[], with identities, equal expressions and constants among them. All maps
// are smooth, and products are squashed, so that numeric derivatives are exact to many digits.
class RandomGraph {
 public:
  explicit RandomGraph(uint64_t seed) : random_(seed, "graph"), builder_(graph_) {
    graph_.name = "net";
    values_ = {builder_.input("x", matrix), builder_.input("z", matrix), builder_.parameter("w", vector, {"ones", {}}),
               builder_.constant(0), builder_.constant(1)};
    for (int i = 0; i < 20; ++i) values_.push_back(next());
    Value loss = builder_.constant(0);
    for (int i = 0; i < 3; ++i) {
      const Value value = values_[values_.size() - 1 - i];
      graph_.outputs.push_back({Output::Role::output, "y" + std::to_string(i), value});
      loss = builder_.add(loss, builder_.value("reduce_mean", {tanh(value)}));
    }
    graph_.outputs.push_back({Output::Role::loss, "loss", loss});
  }

  Graph take() { return std::move(graph_); }

 private:
  Value any() { return values_[random_.below(values_.size())]; }
  Value any_matrix() {
    Value value = any();
    while (value.type() != matrix) value = any();
    return value;
  }
  Value tanh(Value value) { return builder_.value("tanh", {value}); }

  Value next() {
    switch (random_.below(12)) {
      case 0: return builder_.neg(any());
      case 1: return builder_.value(random_.below(2) ? "sigmoid" : "softplus", {any()});
      case 2: return builder_.add(any(), any());
      case 3: return builder_.sub(any(), any());
      case 4: return tanh(builder_.mul(any(), any()));
      case 5: return builder_.div(any(), builder_.constant(1 + static_cast<double>(random_.below(2))));
      case 6: return views(any_matrix());
      case 7: return batch_norm(any_matrix());
      case 8: return builder_.value("reduce_mean", {any_matrix()}, {{"axes", IntList{1}}, {"keep_dims", true}});
      case 9:
        return builder_.create("moments", {any_matrix()}, {{"axis", random_.below(2) ? 1 : -1}})
            ->result(static_cast<int>(random_.below(2)));
      case 10: return halves(any_matrix());
      default: return builder_.mul(builder_.constant(static_cast<double>(random_.below(3))), tanh(any()));
    }
  }

  Value views(Value value) {
    const Value flat = builder_.reshape(value, {{3, true}});
    const Value back = builder_.reshape(flat, matrix.shape);
    return builder_.value("transpose", {builder_.value("transpose", {back})});
  }

  Value halves(Value value) {
    const auto slice = [&](int64_t begin, int64_t end) {
      return builder_.value("slice", {value}, {{"axis", 1}, {"begin", begin}, {"end", end}});
    };
    return builder_.value("concat", {slice(0, 1), slice(1, 3)}, {{"axis", random_.below(2) ? 1 : -1}});
  }

  Value batch_norm(Value value) {
    const std::string path = "batch_norm_" + std::to_string(++batch_norms_);
    const Value gamma = builder_.parameter(path + ".gamma", vector, {"ones", {}}),
                beta = builder_.parameter(path + ".beta", vector, {"zeros", {}});
    const Value mean = builder_.state(path + ".mean", vector, {"zeros", {}}),
                variance = builder_.state(path + ".variance", vector, {"ones", {}});
    const bool trains = random_.below(2);
    return builder_.value("batch_norm", {value, gamma, beta, mean, variance}, {{"epsilon", 0.1}, {"mode", trains ? "train" : "infer"}});
  }

  RandomStream random_;
  Graph graph_;
  GraphBuilder builder_;
  std::vector<Value> values_;
  int batch_norms_ = 0;
};

Graph after(const Graph& graph, const std::vector<std::string>& passes) {
  Graph copy = graph.clone();
  PassContext context;
  run_passes(copy, passes, context);
  return copy;
}

double loss_at(const Graph& graph, const Bindings& at, const std::map<std::string, Tensor>& direction, double distance) {
  Bindings bindings = at;
  for (const auto& [name, tensor] : direction)
    for (size_t i = 0; i < tensor.data.size(); ++i) bindings.at(name).data[i] += distance * tensor.data[i];
  return evaluate(graph, bindings).loss;
}

const std::vector<std::string> simplify = {"canonicalize", "constant-fold", "common-subexpressions", "dead-code", "decompose",
                                           "canonicalize", "constant-fold", "common-subexpressions", "dead-code"};

}  // namespace

TEST_CASE("rewriting passes keep the values of random graphs, and read back from text") {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const Graph graph = RandomGraph(seed).take();
    INFO("seed ", seed, "\n", print(graph));
    const Graph simple = after(graph, simplify);
    CHECK(simple.nodes().size() <= after(graph, {"decompose", "dead-code"}).nodes().size());
    const Bindings bindings = test::random_bindings(graph, 5);
    const Evaluation a = evaluate(graph, bindings), b = evaluate(simple, bindings);
    test::check_same(a.outputs, b.outputs, 1e-9);
    CHECK(print(parse_module(make_source(print(simple))).main()) == print(simple));
  }
}

TEST_CASE("gradients of random graphs are the derivatives of their loss, before and after simplification") {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    const Graph graph = after(RandomGraph(seed).take(), {"build-backward"});
    const Graph simple = after(graph, simplify);
    INFO("seed ", seed, "\n", print(graph));
    const Bindings bindings = test::random_bindings(graph, 5);
    const Evaluation a = evaluate(graph, bindings), b = evaluate(simple, bindings);
    double along = 0, size = 1e-3;
    std::map<std::string, Tensor> direction;
    for (const auto& [name, gradient] : a.gradients) {
      direction[name] = test::random_tensor({DType::f32, graph.find(name).type().shape}, 5, "direction of " + name);
      for (size_t i = 0; i < gradient.data.size(); ++i) {
        along += gradient.data[i] * direction[name].data[i];
        size += std::abs(gradient.data[i] * direction[name].data[i]);
        CHECK(std::abs(gradient.data[i] - b.gradients.at(name).data[i]) <= 1e-9 * (1 + std::abs(gradient.data[i])));
      }
    }
    const double h = 1e-4;
    const double numeric = (8 * (loss_at(graph, bindings, direction, h) - loss_at(graph, bindings, direction, -h)) -
                            (loss_at(graph, bindings, direction, 2 * h) - loss_at(graph, bindings, direction, -2 * h))) / (12 * h);
    CHECK(std::abs(along - numeric) <= 1e-6 * size);
  }
}
