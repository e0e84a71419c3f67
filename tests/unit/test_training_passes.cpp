// prepare-training, build-backward and attach-optimizer: running statistics over several steps, gradients against
// numeric differences, the optimizer against its formula.
#include <doctest/doctest.h>

#include <cmath>

#include "support/passes.h"

using namespace bnc;
using test::parse_network;

namespace {

const std::string squares = "loss = mean_squared_error(target)\noptimizer = sgd(rate=0.1)";

Graph after(const Module& module, const std::vector<std::string>& passes, std::optional<int64_t> batch = {}, bool keep_gradients = true) {
  Graph graph = module.main().clone();
  PassContext context;
  context.train = module.train ? &*module.train : nullptr;
  context.batch = batch;
  context.keep_gradients = keep_gradients;
  run_passes(graph, passes, context);
  return graph;
}

// One training step: the updates take the place of what they update.
Evaluation step(const Graph& graph, Bindings& bindings) {
  Evaluation result = evaluate(graph, bindings);
  for (const auto& [name, value] : result.updates) bindings[name] = value;
  return result;
}

// The statistics of column c of x.
struct Batch {
  double mean = 0, variance = 0;
};

Batch statistics(const Tensor& x, int64_t c) {
  const int64_t rows = x.dims[0], columns = x.dims[1];
  Batch batch;
  for (int64_t r = 0; r < rows; ++r) batch.mean += x.data[r * columns + c] / static_cast<double>(rows);
  for (int64_t r = 0; r < rows; ++r) batch.variance += std::pow(x.data[r * columns + c] - batch.mean, 2) / static_cast<double>(rows);
  return batch;
}

// The running statistics of a batch norm over x: f32[N, 3] after each of five steps, against `expected(step, batches)`.
using Expected = std::function<double(const std::vector<double>& batches)>;
void check_running(const std::string& attributes, double bessel, const Expected& expected) {
  const Module module = parse_network("x: f32[N, 3]", "return y = batch_norm(x, " + attributes + ")", squares);
  const Graph graph = after(module, {"prepare-training"});
  constexpr int64_t rows = 5;
  Bindings bindings = test::random_bindings(graph, rows);
  for (const char* name : {"mean", "variance"}) bindings[std::string("batch_norm_1.") + name] = Tensor::filled(DType::f32, {3}, 0);
  if (bindings.count("batch_norm_1.count")) bindings["batch_norm_1.count"] = Tensor::filled(DType::f32, {}, 0);
  std::vector<double> means, variances;
  for (int t = 1; t <= 5; ++t) {
    bindings["x"] = test::random_tensor({DType::f32, {{1, true}, {3, false}}}, rows, "x" + std::to_string(t));
    means.push_back(statistics(bindings["x"], 1).mean);
    variances.push_back(statistics(bindings["x"], 1).variance * bessel);
    step(graph, bindings);
    INFO(attributes, " step ", t);
    CHECK(bindings["batch_norm_1.mean"].data[1] == doctest::Approx(expected(means)).epsilon(1e-12));
    CHECK(bindings["batch_norm_1.variance"].data[1] == doctest::Approx(expected(variances)).epsilon(1e-12));
  }
}

double moving_average(const std::vector<double>& batches, double decay) {
  double s = 0;
  for (double batch : batches) s = decay * s + (1 - decay) * batch;
  return s;
}

// The gradient of the loss by central differences of the float64 evaluator.
Tensor numeric_gradient(const Graph& graph, Bindings bindings, const std::string& name) {
  Tensor gradient = bindings.at(name);
  for (size_t i = 0; i < gradient.data.size(); ++i) {
    const double at = bindings.at(name).data[i], h = 1e-5;
    bindings.at(name).data[i] = at + h;
    const double above = evaluate(graph, bindings).loss;
    bindings.at(name).data[i] = at - h;
    gradient.data[i] = (above - evaluate(graph, bindings).loss) / (2 * h);
    bindings.at(name).data[i] = at;
  }
  return gradient;
}

double norm(const std::vector<double>& data) {
  double sum = 0;
  for (double x : data) sum += x * x;
  return std::sqrt(sum);
}

// Up to 1e-7 of the gradient's norm, or of 0.01 where it vanishes (a bias in front of a batch norm).
void check_close(const Tensor& analytic, const Tensor& numeric) {
  REQUIRE(analytic.dims == numeric.dims);
  std::vector<double> difference = analytic.data;
  for (size_t i = 0; i < difference.size(); ++i) difference[i] -= numeric.data[i];
  CHECK(norm(difference) <= 1e-7 * std::max(norm(numeric.data), 0.01));
}

void check_gradients(const std::string& inputs, const std::string& body, const std::string& loss,
                     std::vector<std::string> passes = {"prepare-training", "build-backward"}) {
  const Module module = parse_network(inputs, body, "loss = " + loss + "\noptimizer = sgd(rate=0.1)");
  const Graph graph = after(module, passes);
  Bindings bindings = test::random_bindings(graph, 7);
  const Evaluation result = evaluate(graph, bindings);
  size_t expected = 0;
  for (const char* kind : {"parameter", "input"})
    for (const Node* node : graph.nodes_of(kind)) {
      const std::string& name = node->results[0].name;
      if (node->results[0].type.dtype != DType::f32 || (node->is("parameter") && !is_trainable(*node))) continue;
      INFO("gradient of ", name);
      ++expected;
      REQUIRE(result.gradients.count(name) == 1);
      check_close(result.gradients.at(name), numeric_gradient(graph, bindings, name));
    }
  CHECK(result.gradients.size() == expected);
}

void check_refused(const std::function<void()>& run, const std::string& text) {
  CHECK_THROWS_WITH_AS(run(), doctest::Contains(text.c_str()), CompileError);
}

}  // namespace

TEST_CASE("bn-running: ema weighs the old value by its decay") {
  check_running("stats=ema(decay=0.75), unbiased=false", 1, [](const auto& batches) { return moving_average(batches, 0.75); });
}

TEST_CASE("bn-variance: the stored variance is Bessel-corrected where the node says so") {
  const Module module = parse_network("x: f32[N, 3]", "return y = batch_norm(x, stats=ema(decay=0))", squares);
  const Graph graph = after(module, {"prepare-training"});
  Bindings bindings = test::random_bindings(graph, 5);
  const Batch batch = statistics(bindings["x"], 2);
  step(graph, bindings);
  CHECK(bindings["batch_norm_1.mean"].data[2] == doctest::Approx(batch.mean).epsilon(1e-12));
  CHECK(bindings["batch_norm_1.variance"].data[2] == doctest::Approx(batch.variance * 5 / 4).epsilon(1e-12));
}

TEST_CASE("bn-running: a corrected ema divides by 1 - d^t") {
  for (const auto& [text, decay] : {std::pair{"0.9", 0.9}, {"0.999", 0.999}, {"0", 0.0}})
    check_running(std::string("unbiased=false, stats=ema(corrected, decay=") + text + ")", 1, [&, decay = decay](const auto& batches) {
      return moving_average(batches, decay) / (1 - std::pow(decay, batches.size()));
    });
}

TEST_CASE("bn-running: cumulative is the plain average over all batches") {
  check_running("stats=cumulative", 5.0 / 4, [](const auto& batches) {
    double sum = 0;
    for (double batch : batches) sum += batch;
    return sum / static_cast<double>(batches.size());
  });
}

TEST_CASE("batch norms that share their statistics move them one after the other") {
  const Module module = parse_network("x: f32[N, 3], z: f32[N, 3]",
                                      "a = batch_norm(x, unbiased=false)\n"
                                      "b = batch_norm(z, unbiased=false, gamma=batch_norm_1.gamma, beta=batch_norm_1.beta, "
                                      "mean=batch_norm_1.mean, variance=batch_norm_1.variance)\n"
                                      "return y = a + b",
                                      squares);
  const Graph graph = after(module, {"prepare-training"});
  Bindings bindings = test::random_bindings(graph, 5);
  const double start = bindings["batch_norm_1.mean"].data[0], first = statistics(bindings["x"], 0).mean,
               second = statistics(bindings["z"], 0).mean;
  step(graph, bindings);
  CHECK(bindings["batch_norm_1.mean"].data[0] == doctest::Approx(0.9 * (0.9 * start + 0.1 * first) + 0.1 * second).epsilon(1e-12));
}

TEST_CASE("bn-frozen-grad: a batch norm in inference mode keeps its statistics in training") {
  const Module module = parse_network("x: f32[N, 3]", "return y = batch_norm(x, mode=infer)", squares);
  CHECK_FALSE(after(module, {"prepare-training"}).output(Output::Role::update));
}

TEST_CASE("bn-one: one element a channel is refused with the layer and the shape") {
  const Module module = parse_network("x: f32[N, 3]", "return y = batch_norm(x)", squares);
  check_refused([&] { after(module, {"prepare-training"}, 1); },
                "error: batch_norm_1 normalizes over one element a channel: its operand `x` is f32[N, 3] and the batch size is 1");
  check_refused([&] { after(module, {"prepare-training"}, 1); }, "help: train with a batch of at least 2, or write allow_single=true");
  CHECK_NOTHROW(after(module, {"prepare-training"}, 2));
  CHECK_NOTHROW(after(module, {"prepare-training"}));
  const Module image = parse_network("x: f32[N, 2, 1, 3]", "return y = batch_norm(x)", squares);
  CHECK_NOTHROW(after(image, {"prepare-training"}, 1));
}

TEST_CASE("allow_single trains on one element: the variance of the batch is 0, also after Bessel's correction") {
  const Module module = parse_network("x: f32[N, 3]", "return y = batch_norm(x, allow_single=true)", squares);
  const Graph graph = after(module, {"prepare-training"}, 1);
  Bindings bindings = test::random_bindings(graph, 1);
  const double before = bindings["batch_norm_1.variance"].data[0];
  step(graph, bindings);
  CHECK(bindings["batch_norm_1.variance"].data[0] == doctest::Approx(0.9 * before).epsilon(1e-12));
  const Graph several = after(module, {"prepare-training"});
  bindings = test::random_bindings(several, 5);
  const double start = bindings["batch_norm_1.variance"].data[0], variance = statistics(bindings["x"], 0).variance;
  step(several, bindings);
  CHECK(bindings["batch_norm_1.variance"].data[0] == doctest::Approx(0.9 * start + 0.1 * variance * 5 / 4).epsilon(1e-12));
}

TEST_CASE("dropouts draw from streams of their own, anew in each step") {
  const Module module = parse_network("x: f32[N, 33]", "return a = dropout(x), b = dropout(x)", squares);
  const Graph graph = after(module, {"prepare-training"});
  Bindings bindings = test::random_bindings(graph, 4);
  bindings["training.step"] = Tensor::filled(DType::i32, {}, 0);
  const Evaluation first = step(graph, bindings), second = step(graph, bindings);
  CHECK(bindings["training.step"].data[0] == 2);
  CHECK(first.outputs.at("a").data != first.outputs.at("b").data);
  CHECK(first.outputs.at("a").data != second.outputs.at("a").data);
  for (Node* node : graph.nodes_of("dropout")) CHECK(node->attribute("seed").integer() == 0);
}

TEST_CASE("the seed of dropout is the run's, else the train section's") {
  const Module module = parse_network("x: f32[N, 33]", "return a = dropout(x), b = dropout(x)", std::string(squares) + "\nseed = 5");
  for (const std::optional<uint64_t> seed : {std::optional<uint64_t>(), std::optional<uint64_t>(8)}) {
    Graph graph = module.main().clone();
    PassContext context;
    context.train = &*module.train;
    context.seed = seed;
    run_passes(graph, {"prepare-training"}, context);
    for (Node* node : graph.nodes_of("dropout")) CHECK(node->attribute("seed").integer() == (seed ? 8 : 5));
  }
}

TEST_CASE("prepare-training appends the loss once, of the first output") {
  const Module module = parse_network("x: f32[N, 5]", "return y = dense(x, 3), z = x",
                                      "loss = softmax_cross_entropy(classes, reduction=sum)\noptimizer = sgd(rate=0.1)");
  Graph graph = after(module, {"prepare-training", "prepare-training"});
  CHECK(graph.find("classes").type() == TensorType{DType::i32, {{1, true}}});
  CHECK(graph.output(Output::Role::loss)->value.node->attribute("reduction").symbol().name == "sum");
  CHECK(graph.nodes_of("softmax_cross_entropy").size() == 1);
  const Module own =
      parse_network("x: f32[N, 5], classes: i32[N]", "return y = x", "loss = softmax_cross_entropy(classes)\noptimizer = sgd(rate=0.1)");
  CHECK(after(own, {"prepare-training"}).nodes_of("input").size() == 2);
}

TEST_CASE("prepare-training respects a loss and updates of the graph's own") {
  const Module module = parse_network("x: f32[N, 3]",
                                      "a = batch_norm(x)\nb = batch_norm(x)\nupdate batch_norm_2.mean = batch_norm_2.variance\nl = "
                                      "reduce_sum(dropout(a * b))\nobjective l\nreturn y = l");
  const Graph graph = after(module, {"prepare-training"});
  CHECK(graph.output(Output::Role::update, "batch_norm_1.mean"));
  CHECK(graph.output(Output::Role::update, "batch_norm_2.mean")->value == graph.find("batch_norm_2.variance"));
  CHECK_FALSE(graph.output(Output::Role::update, "batch_norm_2.variance"));
  CHECK(graph.find("b").node->attribute("mode") == Attribute("train"));
  CHECK(graph.find("training.step"));
  CHECK(print(after(module, {"prepare-training", "prepare-training"})) == print(graph));
}

TEST_CASE("prepare-training refuses what has no loss or does not fit it") {
  check_refused([] { after(parse_network("x: f32[N, 5]", "return y = x"), {"prepare-training"}); }, "the network net has no train section");
  check_refused(
      [] {
        after(parse_network("x: f32[N, 5]", "h = x + 1\nreturn y = h", "loss = mean_squared_error(h)\noptimizer = sgd(rate=1)"),
              {"prepare-training"});
      },
      "the target `h` is no input of the network net");
  check_refused(
      [] {
        after(parse_network("x: f32[N, 5], t: f32[N, 4]", "return y = x", "loss = mean_squared_error(t)\noptimizer = sgd(rate=1)"),
              {"prepare-training"});
      },
      "f32[N, 4]");
  check_refused(
      [] {
        after(parse_network("x: f32[N, 5]", "return y = batch_norm(x, stats=cumulative, count=false)", squares), {"prepare-training"});
      },
      "needs the operand `count`");
}

TEST_CASE("build-backward: gradients of multi-layer networks agree with numeric ones") {
  check_gradients("x: f32[N, 5]", "h = sigmoid(batch_norm(dense(x, 4)))\nreturn y = dense(tanh(batch_norm(dense(h, 2))), 3)",
                  "softmax_cross_entropy(labels, reduction=sum)");
  check_gradients("x: f32[N, 2, 3]", "h = gelu(batch_norm(x, axis=1))\nreturn y = dense(flatten(h), 3)", "mean_squared_error(target)");
}

TEST_CASE("build-backward: values with several users add up, shared parameters too") {
  check_gradients("x: f32[N, 3]",
                  "h = tanh(dense(x, 3, weight=normal))\n"
                  "h = h * exp(h) + dense(h, weight=dense_1.weight, bias=dense_1.bias) / 2\n"
                  "return y = h - x",
                  "mean_squared_error(target)");
}

TEST_CASE("build-backward: broadcasting, shapes and reductions") {
  check_gradients("x: f32[N, 2, 3]",
                  "parameter s: f32[3] = ones\nparameter b: f32[2, 1] = ones\n"
                  "h = concat(x * s, x + b, axis=-1)\n"
                  "h = slice(h, axis=2, begin=1, end=6, step=2) - reduce_mean(h, axes=[1, 2], keep_dims=true)\n"
                  "return y = reduce_sum(transpose(h, permutation=[0, 2, 1]), axes=[1])",
                  "mean_squared_error(target)");
}

TEST_CASE("build-backward: the statistics that a batch norm hands out carry gradients") {
  check_gradients("x: f32[N, 3]", "h, m, v = batch_norm(exp(x))\nreturn y = h * m + v", "mean_squared_error(target, reduction=sum)");
}

TEST_CASE("build-backward through decomposed and canonical graphs alike") {
  check_gradients(
      "x: f32[N, 5]", "return y = softmax(dense(batch_norm(dense(x, 4)), 3))", "mean_squared_error(target)",
      {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "canonicalize", "constant-fold", "common-subexpressions",
       "dead-code", "decompose", "canonicalize", "constant-fold", "common-subexpressions", "dead-code"});
}

TEST_CASE("build-backward: zeros for what the loss does not depend on, nothing for what does not train") {
  const Module module =
      parse_network("x: f32[N, 3], z: f32[N, 2], k: i32[N]",
                    "parameter unused: f32[4] = ones\nparameter fixed: f32[3] = ones(trainable=false)\nreturn y = x * fixed", squares);
  const Graph graph = after(module, {"prepare-training", "build-backward"});
  CHECK(graph.output(Output::Role::gradient, "unused")->value.node->is("constant"));
  CHECK(graph.output(Output::Role::gradient, "z")->value.type() == graph.find("z").type());
  CHECK_FALSE(graph.output(Output::Role::gradient, "fixed"));
  CHECK_FALSE(graph.output(Output::Role::gradient, "k"));
  const Graph trained = after(module, {"prepare-training", "build-backward", "attach-optimizer"});
  CHECK_FALSE(trained.output(Output::Role::update, "unused"));
}

TEST_CASE("build-backward needs a loss, and runs once") {
  const Module module = parse_network("x: f32[N, 3]", "return y = dense(x, 2)", squares);
  check_refused([&] { after(module, {"build-backward"}); }, "the network net has no loss");
  CHECK(print(after(module, {"prepare-training", "build-backward"})) ==
        print(after(module, {"prepare-training", "build-backward", "build-backward"})));
}

TEST_CASE("attach-optimizer: sgd, momentum and Nesterov in PyTorch's form") {
  for (const auto& [optimizer, momentum, nesterov] : {std::tuple{"sgd(rate=0.25)", 0.0, false},
                                                      {"sgd(rate=0.25, momentum=0.5)", 0.5, false},
                                                      {"sgd(rate=0.25, momentum=0.5, nesterov)", 0.5, true}}) {
    INFO(optimizer);
    const Module module = parse_network("x: f32[N, 3]", "parameter w: f32[3] = ones\nreturn y = x * w",
                                        std::string("loss = mean_squared_error(target)\noptimizer = ") + optimizer);
    const Graph graph = after(module, {"prepare-training", "build-backward", "attach-optimizer"});
    Bindings bindings = test::random_bindings(graph, 5);
    if (momentum > 0) bindings["optimizer.w.velocity"] = Tensor::filled(DType::f32, {3}, 0);
    double w = bindings["w"].data[1], velocity = 0;
    for (int t = 0; t < 4; ++t) {
      const double g = step(graph, bindings).gradients.at("w").data[1];
      velocity = momentum * velocity + g;
      w -= 0.25 * (nesterov ? g + momentum * velocity : velocity);
      CHECK(bindings["w"].data[1] == doctest::Approx(w).epsilon(1e-12));
    }
  }
}

TEST_CASE("attach-optimizer takes the gradients from the outputs, unless they are to stay") {
  const Module module = parse_network("x: f32[N, 3]", "return y = dense(x, 2)", squares);
  const std::vector<std::string> passes = {"prepare-training", "build-backward", "attach-optimizer"};
  CHECK_FALSE(after(module, passes, {}, false).output(Output::Role::gradient));
  CHECK(after(module, passes, {}, true).output(Output::Role::gradient, "x"));
}

TEST_CASE("attach-optimizer refuses unknown optimizers and arguments") {
  const auto attach = [](const std::string& optimizer) {
    Module module = parse_network("x: f32[N, 3]", "return y = dense(x, 2)", "loss = mean_squared_error(target)\noptimizer = sgd(rate=0.1)");
    module.train->optimizer =
        parse_network("x: f32[N, 3]", "return y = x", "loss = mean_squared_error(t)\noptimizer = " + optimizer).train->optimizer;
    after(module, {"prepare-training", "build-backward", "attach-optimizer"});
  };
  check_refused([&] { attach("sdg(rate=1)"); }, "unknown optimizer `sdg`");
  check_refused([&] { attach("sdg(rate=1)"); }, "did you mean `sgd`?");
  check_refused([&] { attach("sgd(rate=1, momentm=0.9)"); }, "did you mean `momentum`?");
  check_refused([&] { attach("sgd(momentum=0.9)"); }, "sgd needs a learning rate");
  check_refused([&] { attach("sgd(rate=true)"); }, "`rate` of sgd is true");
  check_refused([&] { attach("sgd(rate=1, nesterov)"); }, "nesterov needs a momentum");
}

TEST_CASE("the training pipeline computes what the graph before its rewrites does") {
  const Module module = parse_network("x: f32[N, 17]", "h = dropout(relu(batch_norm(dense(x, 15))))\nreturn y = dense(h, 3)",
                                      "loss = softmax_cross_entropy(labels)\noptimizer = sgd(rate=0.1, momentum=0.9)");
  const std::vector<std::string>& whole = pipeline("training");
  const Graph before = after(module, {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer"});
  Bindings bindings = test::random_bindings(before, 16);
  const Graph rewritten = after(module, std::vector<std::string>(whole.begin(), whole.end() - 1));
  const Evaluation a = evaluate(before, bindings), b = evaluate(rewritten, bindings);
  test::check_same(a.outputs, b.outputs, 1e-12);
  test::check_same(a.updates, b.updates, 1e-12);
  CHECK(a.loss == doctest::Approx(b.loss).epsilon(1e-12));
}
