// What batch normalization means here, one test a label of docs/batch-norm.md and one a known trap, against the formulas
// written out plainly.
#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

namespace {

constexpr double epsilon = 1e-3;  // of RandomNetwork's batch norms

// One channel of a tensor, in order, with the channels along `axis`.
std::vector<double> channel_of(const Tensor& tensor, int axis, int64_t channel) {
  int64_t inner = 1;
  for (size_t i = axis + 1; i < tensor.dims.size(); ++i) inner *= tensor.dims[i];
  std::vector<double> values;
  for (int64_t p = 0; p < tensor.size(); ++p)
    if (p / inner % tensor.dims[axis] == channel) values.push_back(tensor.data[p]);
  return values;
}

struct PlainMoments {
  double mean = 0, variance = 0, count = 0;
};

PlainMoments plain_moments(const std::vector<double>& values) {
  PlainMoments moments;
  moments.count = static_cast<double>(values.size());
  for (const double x : values) moments.mean += x / moments.count;
  for (const double x : values) moments.variance += (x - moments.mean) * (x - moments.mean) / moments.count;
  return moments;
}

bool near(double actual, double expected, double tolerance = 1e-11) {
  return std::abs(actual - expected) <= tolerance * std::max(1.0, std::abs(expected));
}

// A network that is one batch norm over x, and its parts.
struct NormalizationLayer {
  RandomNetwork net;
  Value x;
  Node* node;

  NormalizationLayer(const char* mode, Shape shape, int axis, int64_t batch, uint64_t seed = 1) : net(seed) {
    net.batch_size = batch;
    x = net.input(std::move(shape));
    node = net.batch_norm_node(x, axis, mode);
    for (int k = 0; k < 3; ++k) net.output(node->result(k));
  }
  int axis() const {
    return node->attribute("axis").integer() < 0 ? x.type().rank() - 1 : static_cast<int>(node->attribute("axis").integer());
  }
  int64_t channels() const { return node->results[1].type.shape[0].factor; }
  Tensor& value(const char* name) { return net.bindings.at(name); }
  std::map<std::string, Tensor> run() { return evaluate(net.graph, net.bindings).outputs; }
};

// The layer as a training graph whose prediction is y.
void prepare(NormalizationLayer& layer, std::optional<int64_t> batch = {}) {
  layer.net.graph.outputs.resize(1);
  PassContext context = training_context(batch);
  prepare_training(layer.net.graph, context);
  layer.net.bindings["labels"] = Tensor::filled(DType::f32, concrete(layer.x.type().shape, layer.net.batch_size), 0.25);
}

std::string preparing_fails(NormalizationLayer& layer, std::optional<int64_t> batch = {}) {
  layer.net.graph.outputs.resize(1);
  PassContext context = training_context(batch);
  try {
    prepare_training(layer.net.graph, context);
  } catch (const CompileError& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_SUITE("batch-norm semantics") {
  TEST_CASE("bn-train: batch mean, biased variance, epsilon inside the root") {
    for (const int axis : {-1, 1, 2}) {
      CAPTURE(axis);
      NormalizationLayer layer("train", batched({4, 3, 5}), axis, 7);
      const auto results = layer.run();
      for (int64_t c = 0; c < layer.channels(); ++c) {
        const auto x = channel_of(layer.value("x"), layer.axis(), c), y = channel_of(results.at("y0"), layer.axis(), c);
        const PlainMoments moments = plain_moments(x);
        CHECK(near(results.at("y1").data[c], moments.mean));
        CHECK(near(results.at("y2").data[c], moments.variance));
        const double gamma = layer.value("gamma").data[c], beta = layer.value("beta").data[c];
        for (size_t i = 0; i < x.size(); ++i)
          REQUIRE(near(y[i], gamma * (x[i] - moments.mean) / std::sqrt(moments.variance + epsilon) + beta));
      }
    }
  }

  TEST_CASE("bn-infer: the stored statistics, and one example alone gives what it gives in a batch") {
    for (const int axis : {-1, 1}) {
      NormalizationLayer layer("infer", batched({4, 5}), axis, 6);
      const Tensor together = layer.run().at("y0");
      const Tensor x = layer.value("x");
      for (int64_t c = 0; c < layer.channels(); ++c) {
        const auto in = channel_of(x, layer.axis(), c), out = channel_of(together, layer.axis(), c);
        const double scale = layer.value("gamma").data[c] / std::sqrt(layer.value("variance").data[c] + epsilon);
        for (size_t i = 0; i < in.size(); ++i)
          REQUIRE(near(out[i], (in[i] - layer.value("mean").data[c]) * scale + layer.value("beta").data[c]));
      }
      for (int64_t example = 0; example < 6; ++example) {
        layer.value("x") = Tensor{DType::f32, {1, 4, 5}, {x.data.begin() + example * 20, x.data.begin() + (example + 1) * 20}};
        const Tensor alone = layer.run().at("y0");
        for (int i = 0; i < 20; ++i) REQUIRE(alone.data[i] == together.data[example * 20 + i]);
      }
    }
  }

  TEST_CASE("bn-running and bn-variance: three rules, biased and Bessel-corrected, over five steps") {
    const Symbol rules[] = {{"ema", {{"decay", 0.7}}}, {"ema", {{"decay", 0.7}, {"corrected", true}}}, {"cumulative", {}}};
    for (int rule = 0; rule < 3; ++rule)
      for (const bool unbiased : {true, false}) {
        CAPTURE(rule);
        CAPTURE(unbiased);
        NormalizationLayer layer("train", batched({3, 5}), 1, 4);
        layer.node->attributes["stats"] = rules[rule];
        layer.node->attributes["unbiased"] = unbiased;
        if (rule > 0) {
          layer.node->operands[5] = GraphBuilder::before(layer.net.graph, layer.node).state("count", {}, Symbol{"zeros", {}});
          layer.net.bindings["count"] = Tensor::filled(DType::f32, {}, 0);
        }
        prepare(layer);
        verify(layer.net.graph);
        const Tensor first_mean = layer.value("mean"), first_variance = layer.value("variance");
        std::vector<PlainMoments> steps[3];
        const int count = 5;
        for (int step = 0; step < count; ++step) {
          for (double& element : layer.value("x").data) element = layer.net.random().normal() * (step + 1) + step;
          for (int c = 0; c < 3; ++c) steps[c].push_back(plain_moments(channel_of(layer.value("x"), 1, c)));
          for (auto& [name, next] : evaluate(layer.net.graph, layer.net.bindings).updates) layer.net.bindings[name] = next;
        }
        for (int c = 0; c < 3; ++c) {
          double weight_of_start = rule == 0 ? std::pow(0.7, count) : 0, mean = weight_of_start * first_mean.data[c],
                 variance = weight_of_start * first_variance.data[c];
          for (int step = 0; step < count; ++step) {
            const double decayed = 0.3 * std::pow(0.7, count - 1 - step);
            const double weight = rule == 0 ? decayed : rule == 1 ? decayed / (1 - std::pow(0.7, count)) : 1.0 / count;
            mean += weight * steps[c][step].mean;
            variance += weight * steps[c][step].variance * (unbiased ? 20.0 / 19 : 1);
          }
          CHECK(near(layer.value("mean").data[c], mean));
          CHECK(near(layer.value("variance").data[c], variance));
        }
      }
  }

  TEST_CASE("bn-variance: normalization is biased whatever is stored") {
    NormalizationLayer biased("train", batched({5}), -1, 3), unbiased("train", batched({5}), -1, 3);
    biased.node->attributes["unbiased"] = false;
    unbiased.node->attributes["unbiased"] = true;
    CHECK(biased.run().at("y0").data == unbiased.run().at("y0").data);
  }

  TEST_CASE("bn-restat: one pass with fixed weights gives the plain average over all batches, whatever was stored before") {
    NormalizationLayer layer("train", batched({3}), -1, 4);
    layer.node->attributes["stats"] = Symbol{"cumulative", {}};
    layer.node->operands[5] = GraphBuilder::before(layer.net.graph, layer.node).state("count", {}, Symbol{"zeros", {}});
    layer.net.bindings["count"] = Tensor::filled(DType::f32, {}, 0);
    for (const char* state : {"mean", "variance"})
      for (double& element : layer.value(state).data) element = 1e6;
    prepare(layer);
    std::vector<double> seen[3];
    for (int step = 0; step < 7; ++step) {
      for (double& element : layer.value("x").data) element = 5 + layer.net.random().normal();
      for (int c = 0; c < 3; ++c)
        for (const double x : channel_of(layer.value("x"), 1, c)) seen[c].push_back(x);
      for (auto& [name, next] : evaluate(layer.net.graph, layer.net.bindings).updates) layer.net.bindings[name] = next;
    }
    for (int c = 0; c < 3; ++c) CHECK(near(layer.value("mean").data[c], plain_moments(seen[c]).mean, 1e-9));
  }

  TEST_CASE("bn-backward: the gradients of scale and shift, and both hard terms of that by x") {
    NormalizationLayer layer("train", batched({3, 4}), 1, 5);
    prepare(layer);
    PassContext context = training_context();
    build_backward(layer.net.graph, context);
    const Evaluation result = evaluate(layer.net.graph, layer.net.bindings);
    for (int c = 0; c < 3; ++c) {
      const auto x = channel_of(layer.value("x"), 1, c), y = channel_of(result.outputs.at("y0"), 1, c),
                 dx = channel_of(result.gradients.at("x"), 1, c);
      const PlainMoments moments = plain_moments(x);
      const double gamma = layer.value("gamma").data[c], root = std::sqrt(moments.variance + epsilon);
      double beta_gradient = 0, gamma_gradient = 0;
      std::vector<double> dy, normalized;
      for (size_t i = 0; i < x.size(); ++i) {
        dy.push_back(2 * (y[i] - 0.25) / 60);  // of the mean squared error over 60 elements
        normalized.push_back((x[i] - moments.mean) / root);
        beta_gradient += dy[i];
        gamma_gradient += dy[i] * normalized[i];
      }
      CHECK(near(result.gradients.at("beta").data[c], beta_gradient));
      CHECK(near(result.gradients.at("gamma").data[c], gamma_gradient));
      for (size_t i = 0; i < x.size(); ++i)
        CHECK(near(dx[i], gamma / root * (dy[i] - beta_gradient / 20 - normalized[i] * gamma_gradient / 20)));
    }
  }

  TEST_CASE("bn-frozen-grad: in inference mode inside training the gradient is the affine one") {
    NormalizationLayer layer("infer", batched({3, 4}), 1, 5);
    prepare(layer);
    CHECK(layer.node->attribute("mode").symbol().name == "infer");
    CHECK_FALSE(layer.net.graph.output(Output::Role::update, "mean"));
    PassContext context = training_context();
    build_backward(layer.net.graph, context);
    const Evaluation result = evaluate(layer.net.graph, layer.net.bindings);
    for (int c = 0; c < 3; ++c) {
      const auto x = channel_of(layer.value("x"), 1, c), y = channel_of(result.outputs.at("y0"), 1, c),
                 dx = channel_of(result.gradients.at("x"), 1, c);
      const double root = std::sqrt(layer.value("variance").data[c] + epsilon), mean = layer.value("mean").data[c];
      double beta_gradient = 0, gamma_gradient = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const double dy = 2 * (y[i] - 0.25) / 60;
        beta_gradient += dy;
        gamma_gradient += dy * (x[i] - mean) / root;
        CHECK(near(dx[i], dy * layer.value("gamma").data[c] / root));
      }
      CHECK(near(result.gradients.at("beta").data[c], beta_gradient));
      CHECK(near(result.gradients.at("gamma").data[c], gamma_gradient));
    }
  }

  TEST_CASE("bn-one: a single element a channel in training is refused, naming layer and shape") {
    NormalizationLayer batch_of_one("train", batched({5}), -1, 1);
    const std::string text = preparing_fails(batch_of_one, 1);
    CHECK(text.find("batch_norm") != std::string::npos);
    CHECK(text.find("f32[N, 5]") != std::string::npos);
    CHECK(text.find("allow_single=true") != std::string::npos);

    NormalizationLayer positions("train", batched({4, 5}), -1, 1);  // four elements a channel
    CHECK(preparing_fails(positions, 1) == "");
    NormalizationLayer two("train", batched({5}), -1, 2);
    CHECK(preparing_fails(two, 2) == "");
    NormalizationLayer unknown("train", batched({5}), -1, 2);
    CHECK(preparing_fails(unknown) == "");
  }

  TEST_CASE("bn-one: allowed where the node says so, and finite") {
    for (const bool unbiased : {true, false}) {
      NormalizationLayer layer("train", batched({5}), -1, 1);
      layer.node->attributes["allow_single"] = true;
      layer.node->attributes["unbiased"] = unbiased;
      prepare(layer, 1);
      const Evaluation result = evaluate(layer.net.graph, layer.net.bindings);
      CHECK(result.outputs.at("y0").data == layer.value("beta").data);
      for (int c = 0; c < 5; ++c) CHECK(near(result.updates.at("variance").data[c], 0.9 * layer.value("variance").data[c]));
    }
  }
}

TEST_SUITE("batch-norm traps") {
  TEST_CASE("mean 1e4 and deviation 1: nothing cancels") {
    NormalizationLayer layer("train", batched({16, 3}), -1, 33);
    for (double& element : layer.value("x").data) element = static_cast<float>(1e4 + layer.net.random().normal());
    const auto results = layer.run();
    for (int c = 0; c < 3; ++c) {
      const PlainMoments moments = plain_moments(channel_of(layer.value("x"), 2, c));
      CHECK(near(results.at("y1").data[c], moments.mean, 1e-12));
      CHECK(std::abs(results.at("y2").data[c] - moments.variance) < 1e-9 * moments.variance);
    }
  }

  TEST_CASE("a constant channel: variance exactly 0, output and gradients finite") {
    NormalizationLayer layer("train", batched({4, 3}), -1, 5);
    for (int64_t p = 1; p < layer.value("x").size(); p += 3) layer.value("x").data[p] = 0.1;
    CHECK(layer.run().at("y2").data[1] == 0);
    prepare(layer);
    PassContext context = training_context();
    build_backward(layer.net.graph, context);
    const Evaluation result = evaluate(layer.net.graph, layer.net.bindings);
    for (const double y : channel_of(result.outputs.at("y0"), 2, 1)) CHECK(near(y, layer.value("beta").data[1]));
    for (const auto& [name, gradient] : result.gradients)
      for (const double element : gradient.data) CHECK(std::isfinite(element));
  }

  TEST_CASE("gamma of zero and below: output and gradients as the formula says") {
    for (const char* mode : {"train", "infer"})
      for (const double gamma : {0.0, -0.5}) {
        NormalizationLayer layer(mode, batched({3}), -1, 5);
        for (double& element : layer.value("gamma").data) element = gamma;
        prepare(layer);
        PassContext context = training_context();
        build_backward(layer.net.graph, context);
        const Evaluation result = evaluate(layer.net.graph, layer.net.bindings);
        double sum = 0;
        for (const double element : result.gradients.at("gamma").data) sum += std::abs(element);
        CHECK(std::isfinite(sum));
        CHECK(sum > 0);  // a scale of zero still learns
        if (gamma == 0)
          for (const double element : result.gradients.at("x").data) CHECK(element == 0);
      }
  }

  TEST_CASE("variances from denormal to 1e9") {
    NormalizationLayer layer("infer", batched({4}), -1, 3);
    layer.value("variance").data = {1e-42, 1e-20, 1e9, 0};
    const auto results = layer.run();
    for (const double y : results.at("y0").data) CHECK(std::isfinite(y));
  }

  TEST_CASE("NaN and infinity in one channel reach all of it in training, and no other channel") {
    for (const double poison : {static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
      NormalizationLayer layer("train", batched({4, 3}), -1, 5);
      layer.value("x").data[1] = poison;
      const Tensor y = layer.run().at("y0");
      for (const double element : channel_of(y, 2, 1)) CHECK_FALSE(std::isfinite(element));
      for (const double element : channel_of(y, 2, 0)) CHECK(std::isfinite(element));
    }
  }

  TEST_CASE("with the batch's statistics every example alone gives the same answer, with stored ones it does not") {
    for (const bool batch_statistics : {true, false}) {
      RandomNetwork net(5);
      net.batch_size = 1;
      net.output(net.batch_norm(net.matmul(net.input(batched({5})), 7), -1, "auto"));
      PassContext context;
      context.batch_statistics = batch_statistics;
      freeze(net.graph, context);
      const Tensor first = evaluate(net.graph, net.bindings).outputs.at("y0");
      for (double& element : net.bindings.at("x").data) element = net.random().normal();
      const Tensor second = evaluate(net.graph, net.bindings).outputs.at("y0");
      CHECK((first.data == second.data) == batch_statistics);
    }
  }

  TEST_CASE("folding rounds once from float64, and the weights to resume training from stay as they are") {
    RandomNetwork net(6);
    net.output(net.relu(net.batch_norm(net.bias(net.matmul(net.input(batched({5})), 7)))));
    Weights weights;
    for (const auto& [name, tensor] : net.bindings)
      if (name != "x") {
        weights.set(name, Weight::from_tensor(tensor));
        net.bindings[name] = weights.find(name)->to_tensor();
      }
    const size_t stored = weights.entries().size();
    PassContext context;
    context.weights = &weights;
    run_passes(net.graph, {"fold-batch-norm", "constant-fold", "dead-code"}, context);
    const Node* matmul = net.graph.nodes_of("matmul")[0];
    const Weight* folded = weights.find(matmul->operands[1].name());
    REQUIRE(folded);
    const auto value = [&](const char* name) { return net.bindings.at(name).data; };
    for (int row = 0; row < 5; ++row)
      for (int c = 0; c < 7; ++c) {
        const double exact = value("weight")[row * 7 + c] * (value("gamma")[c] / std::sqrt(value("variance")[c] + epsilon));
        CHECK(std::abs(folded->data[row * 7 + c] - exact) <= std::abs(exact) * 0x1.0001p-24);  // half a unit in the last place
      }
    size_t unchanged = 0;
    for (const auto& [name, tensor] : net.bindings)
      if (const Weight* weight = weights.find(name)) unchanged += weight->to_tensor().data == tensor.data;
    CHECK(unchanged == stored);
  }
}
