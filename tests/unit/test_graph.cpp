// The graph, its builder, its printer and its evaluation.
#include <doctest/doctest.h>

#include "ir/builder.h"
#include "ir/evaluate.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace bnc;

namespace {

const TensorType matrix{DType::f32, {{1, true}, {3, false}}};
const TensorType vector{DType::f32, {{3, false}}};

// y = relu(x + w), and the update of a state.
Graph example() {
  Graph graph;
  graph.name = "net";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", matrix);
  const Value w = builder.parameter("layer.weight", vector, {"normal", {{"deviation", 0.1}}});
  const Value s = builder.state("layer.mean", vector, {"zeros", {}});
  builder.named("h");
  const Value h = builder.add(x, w);
  const Value y = builder.value("relu", {h});
  Node* moments = builder.create("moments", {h});
  graph.outputs = {{Output::Role::output, "y", y},
                   {Output::Role::output, "h", h},
                   {Output::Role::update, "layer.mean", builder.add(s, moments->result(0))}};
  return graph;
}

Tensor tensor(std::vector<int64_t> dims, std::vector<double> data) { return {DType::f32, std::move(dims), std::move(data)}; }

}  // namespace

TEST_CASE("a graph prints in its flat form") {
  Graph graph = example();
  const Value h = graph.find("h");
  graph.outputs.push_back({Output::Role::loss, "loss", GraphBuilder(graph).value("reduce_sum", {h})});
  graph.outputs.push_back({Output::Role::gradient, "layer.weight", graph.find("layer.weight")});
  graph.find("t1").node->kernel = 2;
  CHECK(print(graph) ==
        "network net(x: f32[N, 3]) {\n"
        "  parameter layer.weight: f32[3] = normal(deviation=0.1)\n"
        "  state layer.mean: f32[3] = zeros\n"
        "  h: f32[N, 3] = add(x, layer.weight)\n"
        "  t1: f32[N, 3] = relu(h, in_kernel=2)\n"
        "  t2: f32[3], t3: f32[3] = moments(h)\n"
        "  t4: f32[3] = add(layer.mean, t2)\n"
        "  t5: f32[] = reduce_sum(h)\n"
        "  objective t5\n"
        "  gradient layer.weight = layer.weight\n"
        "  update layer.mean = t4\n"
        "  return y = t1, h\n"
        "}\n");
}

TEST_CASE("absent operands, attributes and constants print") {
  Graph graph;
  graph.name = "net";
  graph.batch_symbol = "B";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", matrix);
  const Value m = builder.input("m", vector);
  builder.value("moments_gradient", {x, m, {}, m});
  builder.value("dropout", {x}, {{"rate", 0.25}});
  builder.constant(0.5);
  builder.constant(0, TensorType{DType::i32, {{1, true}}});
  builder.constant(tensor({2}, {1, 2.5}));
  builder.value("reshape", {x}, {{"shape", Shape{{3, true}}}});
  CHECK(print(graph) ==
        "network net(x: f32[B, 3], m: f32[3]) {\n"
        "  t1: f32[B, 3] = moments_gradient(x, m, variance_gradient=m)\n"
        "  t2: f32[B, 3] = dropout(x, rate=0.25)\n"
        "  t3: f32[] = constant(0.5)\n"
        "  t4: i32[B] = constant(0, shape=[B], dtype=i32)\n"
        "  t5: f32[2] = constant([1, 2.5], shape=[2])\n"
        "  t6: f32[3*B] = reshape(x, shape=[3*B])\n"
        "}\n");
}

TEST_CASE("a module prints its train section") {
  Module module;
  module.networks.push_back(example());
  TrainSection train;
  train.network = "net";
  train.loss = Symbol{"softmax_cross_entropy", {{"labels", true}, {"reduction", "sum"}}};
  train.optimizer = {"sgd", {{"rate", 0.01}}};
  train.batch = 60;
  train.steps = 10;
  module.train = train;
  CHECK(print(module) == print(module.networks[0]) +
                             "\ntrain net {\n"
                             "  loss      = softmax_cross_entropy(labels, reduction=sum)\n"
                             "  optimizer = sgd(rate=0.01)\n"
                             "  batch     = 60\n"
                             "  steps     = 10\n"
                             "}\n");
  CHECK(module.main().name == "net");
}

TEST_CASE("names are unique, fresh and free again after an erase") {
  Graph graph = example();
  CHECK(graph.fresh_name("z") == "z");
  CHECK(graph.fresh_name("h") == "h_2");
  CHECK(graph.fresh_name("h") == "h_3");
  GraphBuilder builder(graph);
  CHECK_THROWS_AS(builder.input("h", vector), InternalError);
  builder.named("h");
  const Value extra = builder.neg(graph.find("h"));
  CHECK(extra.name() == "h_4");
  graph.rename(extra, "result");
  CHECK(graph.find("result") == extra);
  CHECK_FALSE(graph.find("h_4"));
  CHECK_THROWS_AS(graph.rename(extra, "x"), InternalError);
  graph.erase(extra.node);
  CHECK(graph.fresh_name("result") == "result");
}

TEST_CASE("builders insert before, after and at the end, and fill in defaults") {
  Graph graph = example();
  Node* relu = graph.find("t1").node;
  GraphBuilder before = GraphBuilder::before(graph, relu), after = GraphBuilder::after(graph, relu);
  const Value a = before.neg(graph.find("h")), b = before.neg(a);
  const Value c = after.neg(relu->result()), d = after.neg(c);
  std::vector<Node*> order;
  for (const auto& node : graph.nodes()) order.push_back(node.get());
  const auto place = std::find(order.begin(), order.end(), relu) - order.begin();
  CHECK(order[place - 2] == a.node);
  CHECK(order[place - 1] == b.node);
  CHECK(order[place + 1] == c.node);
  CHECK(order[place + 2] == d.node);
  const Node* moments = graph.nodes_of("moments")[0];
  CHECK(moments->attribute("axis").integer() == -1);
  CHECK_NOTHROW(verify(graph));
  CHECK_THROWS_AS(GraphBuilder(graph).create("relu", {graph.find("h")}, {{"slope", 1.0}}), InternalError);
}

TEST_CASE("replace_all_uses reaches operands and outputs, and insists on the type") {
  Graph graph = example();
  const Value h = graph.find("h"), y = graph.find("t1");
  graph.replace_all_uses(h, graph.find("x"));
  CHECK(y.node->operands[0] == graph.find("x"));
  CHECK(graph.output(Output::Role::output, "h")->value == graph.find("x"));
  CHECK_THROWS_AS(graph.replace_all_uses(y, graph.find("layer.weight")), InternalError);
}

TEST_CASE("uses count each reader once, and the outputs") {
  Graph graph = example();
  GraphBuilder(graph).add(graph.find("t4"), graph.find("t4"));
  const Uses uses(graph);
  CHECK(uses.of(graph.find("h")).size() == 2);
  CHECK(uses.is_output(graph.find("h")));
  CHECK(uses.count(graph.find("h")) == 3);
  CHECK(uses.of(graph.find("t4")).size() == 1);
  CHECK(uses.count(graph.find("t3")) == 0);
}

TEST_CASE("a clone is equal and independent") {
  Graph graph = example();
  graph.find("h").node->kernel = 4;
  graph.range.line = 7;
  Graph copy = graph.clone();
  CHECK(print(copy) == print(graph));
  CHECK(copy.range.line == 7);
  CHECK(copy.find("h").node != graph.find("h").node);
  CHECK_NOTHROW(verify(copy));
  GraphBuilder(copy).neg(copy.find("h"));
  CHECK(print(copy) != print(graph));
  CHECK(copy.fresh_name("h") == graph.fresh_name("h"));
}

TEST_CASE("sum_to undoes broadcasting") {
  Graph graph;
  GraphBuilder builder(graph);
  const Value g = builder.input("g", {DType::f32, {{1, true}, {2, false}, {3, false}}});
  graph.outputs = {{Output::Role::output, "a", builder.sum_to(g, vector)},
                   {Output::Role::output, "b", builder.sum_to(g, {DType::f32, {{2, false}, {1, false}}})},
                   {Output::Role::output, "c", builder.sum_to(g, {})},
                   {Output::Role::output, "d", builder.sum_to(g, g.type())}};
  std::vector<double> data(12);
  for (int i = 0; i < 12; ++i) data[i] = i;
  const Evaluation result = evaluate(graph, {{"g", tensor({2, 2, 3}, data)}});
  CHECK(result.outputs.at("a").data == std::vector<double>{18, 22, 26});
  CHECK(result.outputs.at("b").dims == std::vector<int64_t>{2, 1});
  CHECK(result.outputs.at("b").data == std::vector<double>{24, 42});
  CHECK(result.outputs.at("c").data == std::vector<double>{66});
  CHECK(graph.output(Output::Role::output, "d")->value == g);
}

TEST_CASE("evaluation gives outputs, updates and every value by name") {
  const Graph graph = example();
  const Bindings bindings = {
      {"x", tensor({2, 3}, {1, -2, 3, 3, -4, 5})}, {"layer.weight", tensor({3}, {0, 1, 2})}, {"layer.mean", tensor({3}, {10, 0, 0})}};
  const Evaluation result = evaluate(graph, bindings);
  CHECK(result.outputs.at("y").data == std::vector<double>{1, 0, 5, 3, 0, 7});
  CHECK(result.updates.at("layer.mean").data == std::vector<double>{12, -2, 6});
  CHECK(evaluate_all(graph, bindings).at("t3").data == std::vector<double>{1, 1, 1});
}

TEST_CASE("evaluation refuses what is missing or misshapen") {
  const Graph graph = example();
  Bindings bindings = {{"x", tensor({2, 3}, {0, 0, 0, 0, 0, 0})}, {"layer.mean", tensor({3}, {0, 0, 0})}};
  CHECK_THROWS_WITH_AS(evaluate(graph, {}), "error: no value is given for the input `x`: f32[N, 3]\n", CompileError);
  CHECK_THROWS_WITH_AS(evaluate(graph, bindings), "error: no value is given for the parameter `layer.weight`: f32[3]\n", CompileError);
  bindings["layer.weight"] = tensor({2}, {0, 0});
  CHECK_THROWS_WITH_AS(evaluate(graph, bindings), "error: the parameter `layer.weight` is f32[3], but the value given has the shape [2]\n",
                       CompileError);
  Graph two = example();
  GraphBuilder(two).input("z", {DType::f32, {{2, true}}});
  bindings["z"] = tensor({6}, std::vector<double>(6));
  CHECK_THROWS_WITH_AS(evaluate(two, bindings), "error: the inputs disagree on the batch size: `x` gives 2, `z` gives 3\n", CompileError);
}

TEST_CASE("evaluate_value computes one expression of weights in float64") {
  Graph graph;
  GraphBuilder builder(graph);
  const Value w = builder.parameter("w", vector, {"ones", {}}), s = builder.state("s", vector, {"ones", {}});
  const Value product = builder.mul(builder.add(w, s), builder.constant(1e-9));
  Weights weights;
  weights.set("w", Weight::owned({3}, {1, 2, 3}));
  weights.set("s", Weight::owned({3}, {1, 1, 1}));
  CHECK(evaluate_value(product, weights).data == std::vector<double>{2 * 1e-9, 3 * 1e-9, 4 * 1e-9});
}

TEST_CASE("weights keep their order through replacement and removal") {
  Weights weights;
  for (const char* name : {"c", "a", "b"}) weights.set(name, Weight::owned({1}, {1}));
  weights.set("a", Weight::owned({2}, {5, 6}));
  CHECK(weights.entries()[1].first == "a");
  CHECK(weights.find("a")->data[1] == 6);
  CHECK(weights.erase("c"));
  CHECK_FALSE(weights.erase("c"));
  CHECK(weights.entries()[0].first == "a");
  CHECK(weights.find("b")->data[0] == 1);
  CHECK(Weight::from_tensor(tensor({1}, {0.1})).data[0] == 0.1f);
}
