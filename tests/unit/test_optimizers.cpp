// Optimizers against their published formulas in float64: the graph that attach-optimizer makes, and the compiled step.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "bnc/bnc.h"
#include "ir/random.h"
#include "support/passes.h"

using namespace bnc;

namespace {

constexpr int steps = 25;

using Vector = std::vector<double>;

// A parameter with its optimizer's states.
struct Parameter {
  Vector w;
  bool decays = true;   // weight decay applies
  std::map<std::string, Vector> states = {};

  double& state(const std::string& kind, size_t i) {
    Vector& values = states[kind];
    values.resize(w.size());
    return values[i];
  }
};

double norm(const Vector& x) {
  double sum = 0;
  for (double each : x) sum += each * each;
  return std::sqrt(sum);
}

// Changes the gradients of both parameters before the step.
using Clip = std::function<void(Vector& g, Vector& k)>;
// Moves a parameter by its gradient in step t = 1, 2 ...
using Rule = std::function<void(Parameter& p, const Vector& g, int t)>;

// The gradients that each step is given, of every size from 1e-6 to 1, some of them 0.
Vector gradient(const std::string& name, size_t size, int t) {
  RandomStream random(static_cast<uint64_t>(t), name);
  Vector g(size);
  for (double& each : g) each = static_cast<float>(random.normal() * std::pow(10.0, -6 * random.uniform()) * (random.below(7) > 0));
  return g;
}

// The loss is linear in the parameters, so that the inputs are the gradients.
std::string source_with(const std::string& optimizer) {
  return "network net(g: f32[N, 13, 9], k: f32[N, 11]) {\n  parameter w: f32[13, 9] = normal(deviation=0.5)\n  parameter b: f32[11] = "
         "normal(deviation=0.5)\n  l = reduce_sum(w * g) + reduce_sum(b * k)\n  objective l\n  return y = g\n}\ntrain net {\n  loss = "
         "mean_squared_error(unused)\n  optimizer = " +
         optimizer + "\n  batch = 1\n}\n";
}

Vector doubles(std::span<const float> values) { return Vector(values.begin(), values.end()); }
std::vector<float> floats(const Vector& values) { return std::vector<float>(values.begin(), values.end()); }

void check_near(const Vector& ours, const Vector& expected, double tolerance) {
  REQUIRE(ours.size() == expected.size());
  Vector difference;
  for (size_t i = 0; i < ours.size(); ++i) difference.push_back(ours[i] - expected[i]);
  const double relative = norm(difference) / norm(expected);
  CHECK(relative <= tolerance);
}

// Runs the optimizer beside `rule`: by the reference evaluator, exact but for the rounding of float64, and compiled to 1e-6.
void check(const std::string& optimizer, const Rule& rule, const Clip& clip = {}) {
  INFO(optimizer);
  const Module module = parse_module(make_source(source_with(optimizer)));
  Graph graph = module.main().clone();
  PassContext context;
  context.train = &*module.train;
  run_passes(graph, {"prepare-training", "build-backward", "attach-optimizer"}, context);
  const Network network = Network::from_text(source_with(optimizer));
  const WeightStore weights = network.initialize(3);
  CompileOptions options;
  options.mode = Mode::train;
  Session session = network.compile(options, weights);

  Bindings bindings;
  for (const Node* node : graph.nodes_of("state"))
    bindings[node->results[0].name] = Tensor::filled(node->results[0].type.dtype, concrete(node->results[0].type.shape, 1), 0);
  Parameter w{doubles(weights.values("w"))}, b{doubles(weights.values("b")), optimizer.find("decay_all") != std::string::npos};
  bindings["w"] = {DType::f32, {13, 9}, w.w};
  bindings["b"] = {DType::f32, {11}, b.w};
  for (int t = 1; t <= steps; ++t) {
    const Vector g = gradient("g", 117, t), k = gradient("k", 11, t);
    Vector of_w = g, of_b = k;
    if (clip) clip(of_w, of_b);
    rule(w, of_w, t);
    rule(b, of_b, t);
    bindings["g"] = {DType::f32, {1, 13, 9}, g};
    bindings["k"] = {DType::f32, {1, 11}, k};
    for (const auto& [name, value] : evaluate(graph, bindings).updates) bindings[name] = value;
    session.bind("g", Array({1, 13, 9}, floats(g)));
    session.bind("k", Array({1, 11}, floats(k)));
    session.run();
  }
  check_near(bindings["w"].data, w.w, 1e-12);
  check_near(bindings["b"].data, b.w, 1e-12);
  check_near(doubles(session.weights().values("w")), w.w, 1e-6);
  check_near(doubles(session.weights().values("b")), b.w, 1e-6);
}

Rule sgd(double rate, double momentum, bool nesterov, double decay) {
  return [=](Parameter& p, const Vector& g, int) {
    for (size_t i = 0; i < g.size(); ++i) {
      const double d = g[i] + (p.decays ? decay * p.w[i] : 0);
      double& v = p.state("v", i);
      v = momentum * v + d;
      p.w[i] -= rate * (nesterov ? d + momentum * v : v);
    }
  };
}

Rule rmsprop(double rate, double smoothing, double momentum, double epsilon, double decay) {
  return [=](Parameter& p, const Vector& g, int) {
    for (size_t i = 0; i < g.size(); ++i) {
      const double d = g[i] + (p.decays ? decay * p.w[i] : 0);
      double &s = p.state("s", i), &v = p.state("v", i);
      s = smoothing * s + (1 - smoothing) * d * d;
      v = momentum * v + (s > 0 || epsilon > 0 ? d / (std::sqrt(s) + epsilon) : 0);
      p.w[i] -= rate * v;
    }
  };
}

struct Adam {
  double rate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, penalty = 0, decay = 0;
  bool amsgrad = false;

  void operator()(Parameter& p, const Vector& g, int t) const {
    for (size_t i = 0; i < g.size(); ++i) {
      const double d = g[i] + (p.decays ? penalty * p.w[i] : 0);
      double &m = p.state("m", i), &s = p.state("s", i), &greatest = p.state("greatest", i);
      m = beta1 * m + (1 - beta1) * d;
      s = beta2 * s + (1 - beta2) * d * d;
      greatest = amsgrad ? std::max(greatest, s) : s;
      const double deviation = std::sqrt(greatest / (1 - std::pow(beta2, t))) + epsilon,
                   step = deviation > 0 ? m / (1 - std::pow(beta1, t)) / deviation : 0;
      p.w[i] -= rate * (step + (p.decays ? decay * p.w[i] : 0));
    }
  }
};

Rule lamb(double rate, double beta1, double beta2, double epsilon, double decay) {
  return [=](Parameter& p, const Vector& g, int t) {
    Vector u(g.size());
    for (size_t i = 0; i < g.size(); ++i) {
      double &m = p.state("m", i), &s = p.state("s", i);
      m = beta1 * m + (1 - beta1) * g[i];
      s = beta2 * s + (1 - beta2) * g[i] * g[i];
      const double deviation = std::sqrt(s / (1 - std::pow(beta2, t))) + epsilon;
      u[i] = (deviation > 0 ? m / (1 - std::pow(beta1, t)) / deviation : 0) + (p.decays ? decay * p.w[i] : 0);
    }
    const double trust = p.decays && norm(p.w) > 0 && norm(u) > 0 ? norm(p.w) / norm(u) : 1;
    for (size_t i = 0; i < g.size(); ++i) p.w[i] -= rate * trust * u[i];
  };
}

}  // namespace

TEST_CASE("optimizers: sgd with momentum, Nesterov's momentum and weight decay") {
  check("sgd(rate=0.25)", sgd(0.25, 0, false, 0));
  check("sgd(rate=0.25, momentum=0.75)", sgd(0.25, 0.75, false, 0));
  check("sgd(rate=0.25, momentum=0.75, nesterov)", sgd(0.25, 0.75, true, 0));
  check("sgd(rate=0.25, weight_decay=0.1)", sgd(0.25, 0, false, 0.1));
  check("sgd(rate=0.1, momentum=0.9, nesterov, weight_decay=0.05, decay_all)", sgd(0.1, 0.9, true, 0.05));
}

TEST_CASE("optimizers: rmsprop with momentum and weight decay") {
  check("rmsprop(rate=0.01)", rmsprop(0.01, 0.99, 0, 1e-8, 0));
  check("rmsprop(rate=0.01, smoothing=0.9, momentum=0.5, epsilon=0.001, weight_decay=0.1)", rmsprop(0.01, 0.9, 0.5, 1e-3, 0.1));
}

TEST_CASE("optimizers: adam, adamw and amsgrad with weight decay") {
  check("adam(rate=0.01)", Adam{.rate = 0.01});
  check("adam(rate=0.01, beta1=0.8, beta2=0.9, epsilon=0.001, weight_decay=0.1)", Adam{0.01, 0.8, 0.9, 1e-3, 0.1});
  check("adam(rate=0.01, beta1=0, beta2=0)", Adam{0.01, 0, 0});
  check("adam(rate=0.01, beta1=0.25, beta2=0.125)", Adam{0.01, 0.25, 0.125});
  check("adam(rate=0.01, beta2=0.8, amsgrad)", Adam{.rate = 0.01, .beta2 = 0.8, .amsgrad = true});
  check("amsgrad(rate=0.01, beta2=0.8, weight_decay=0.1, decay_all)", Adam{.rate = 0.01, .beta2 = 0.8, .penalty = 0.1, .amsgrad = true});
  check("adamw(rate=0.01)", Adam{.rate = 0.01, .decay = 0.01});
  check("adamw(rate=0.01, weight_decay=0.5)", Adam{.rate = 0.01, .decay = 0.5});
  check("adamw(rate=0.01, beta2=0.8, weight_decay=0.5, decay_all, amsgrad)",
        Adam{.rate = 0.01, .beta2 = 0.8, .decay = 0.5, .amsgrad = true});
}

TEST_CASE("optimizers: lamb takes steps as long as the weights allow, and leaves vectors to Adam") {
  check("lamb(rate=0.01)", lamb(0.01, 0.9, 0.999, 1e-6, 0));
  check("lamb(rate=0.02, beta1=0.8, beta2=0.95, epsilon=0.001, weight_decay=0.1)", lamb(0.02, 0.8, 0.95, 1e-3, 0.1));
  check("lamb(rate=0.02, weight_decay=0.1, decay_all)", lamb(0.02, 0.9, 0.999, 1e-6, 0.1));
}

TEST_CASE("optimizers: without an epsilon, or with one that is 0 as f32, a weight that never had a gradient stays") {
  for (const char* epsilon : {"0", "1e-50"}) {
    check(fmt::format("adam(rate=0.01, epsilon={})", epsilon), Adam{.rate = 0.01, .epsilon = 0});
    check(fmt::format("adam(rate=0.01, beta1=0, beta2=0, epsilon={})", epsilon), Adam{.rate = 0.01, .beta1 = 0, .beta2 = 0, .epsilon = 0});
    check(fmt::format("rmsprop(rate=0.01, momentum=0.5, epsilon={})", epsilon), rmsprop(0.01, 0.99, 0.5, 0, 0));
    check(fmt::format("lamb(rate=0.01, weight_decay=0.1, epsilon={})", epsilon), lamb(0.01, 0.9, 0.999, 0, 0.1));
  }
}

TEST_CASE("optimizers: arguments are judged as f32, in which code computes with them") {
  const auto refusal = [](const std::string& optimizer) {
    try {
      const Network network = Network::from_text(source_with(optimizer));
      network.compile({.mode = Mode::train}, network.initialize(1));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::pair<const char*, const char*> refused[] = {
      {"sgd(rate=0.1, momentum=0.999999999)", "`momentum` of sgd is 0.999999999, which is 1 as f32"},
      {"rmsprop(rate=0.1, momentum=0.999999999)", "`momentum` of rmsprop is 0.999999999, which is 1 as f32"},
      {"sgd(rate=1e39)", "`rate` of sgd is 1e+39, which is inf as f32"},
      {"sgd(rate=0.1, weight_decay=1e39)", "`weight_decay` of sgd is 1e+39"},
      {"sgd(rate=0.1, clip_norm=1e-50)", "`clip_norm` of sgd is 1e-50, which is 0 as f32"},
      {"sgd(rate=0.1, clip_value=1e-46)", "`clip_value` of sgd is 1e-46, which is 0 as f32"},
      {"adam(rate=0.1, epsilon=1e39)", "`epsilon` of adam is 1e+39, which is inf as f32"},
      {"adam(rate=0.1, beta2=0.99999999999999999)", "`beta2` of adam is 1"},
      {"sgd(rate=cosine(start=1e39, steps=5))", "`start` of `cosine` is 1e+39, which is inf as f32"},
  };
  for (const auto& [optimizer, part] : refused)
    CHECK_MESSAGE(refusal(optimizer).find(part) != std::string::npos, optimizer << ": " << refusal(optimizer));
  // What is computed of a decay is 1 - decay and log(decay), which hold far nearer to 1.
  for (const char* optimizer :
       {"adam(rate=0.1, beta2=0.999999999)", "sgd(rate=1e-50)", "sgd(rate=step(start=0.1, every=5, factor=0.999999999))"})
    CHECK(refusal(optimizer).empty());
}

TEST_CASE("optimizers: the rate follows a schedule, as long as the train section says") {
  const auto half = [](double from, double to, double part) { return to + (from - to) * (1 + std::cos(std::acos(-1.0) * part)) / 2; };
  check("sgd(rate=cosine(start=0.5, end=0.125), momentum=0.5)\n  steps = 19", [&](Parameter& p, const Vector& g, int t) {
    for (size_t i = 0; i < g.size(); ++i)
      p.w[i] -= half(0.5, 0.125, std::min(1.0, (t - 1) / 19.0)) * (p.state("v", i) = 0.5 * p.state("v", i) + g[i]);
  });
  check("adamw(rate=constant(start=0.01, warmup=9), weight_decay=0.5)", [](Parameter& p, const Vector& g, int t) {
    Adam{.rate = std::min(0.01, 0.001 * t), .decay = 0.5}(p, g, t);
  });
  check("lamb(rate=step(start=0.02, every=10, factor=0.5))", [](Parameter& p, const Vector& g, int t) {
    lamb(0.02 * std::pow(0.5, (t - 1) / 10), 0.9, 0.999, 1e-6, 0)(p, g, t);
  });
}

TEST_CASE("optimizers: gradients are clipped by value, by their common norm, or both") {
  const auto by_value = [](Vector& g, Vector& k) {
    for (Vector* each : {&g, &k})
      for (double& x : *each) x = std::clamp(x, -0.25, 0.25);
  };
  const auto by_norm = [](double limit, Vector& g, Vector& k) {
    const double factor = std::min(1.0, limit / (std::hypot(norm(g), norm(k)) + 1e-6));
    for (Vector* each : {&g, &k})
      for (double& x : *each) x *= factor;
  };
  check("sgd(rate=0.25, clip_value=0.25)", sgd(0.25, 0, false, 0), by_value);
  check("sgd(rate=0.25, momentum=0.5, clip_norm=0.5)", sgd(0.25, 0.5, false, 0), [&](Vector& g, Vector& k) { by_norm(0.5, g, k); });
  check("sgd(rate=0.25, clip_norm=100)", sgd(0.25, 0, false, 0));
  check("amsgrad(rate=0.01, weight_decay=0.1, clip_value=0.25, clip_norm=0.5)", Adam{.rate = 0.01, .penalty = 0.1, .amsgrad = true},
        [&](Vector& g, Vector& k) {
          by_value(g, k);
          by_norm(0.5, g, k);
        });
}

TEST_CASE("optimizers: the counts of a run's epochs become steps") {
  const Module module = parse_module(make_source(source_with("sgd(rate=step(start=0.5, at=[2, 3], warmup=1, in_epochs))")));
  Graph graph = module.main().clone();
  PassContext context;
  context.train = &*module.train;
  context.steps_an_epoch = 7;
  run_passes(graph, {"prepare-training", "build-backward", "attach-optimizer"}, context);
  CHECK(print(graph).find("learning_rate(training.step, schedule=step(start=0.5, at=[14, 21], warmup=7))") != std::string::npos);
}

namespace {

loops::Program step_of(const std::string& optimizer) {
  const Module module =
      parse_module(make_source("network net(x: f32[N, 16, 16, 3]) {\n  h = relu(batch_norm(conv2d(x, 40, bias=false)))\n  h = "
                               "relu(batch_norm(conv2d(h, 24, stride=2)))\n  return dense(dropout(dense(flatten(h), 130)), 10)\n}\ntrain "
                               "net {\n  loss = softmax_cross_entropy(labels)\n  optimizer = " +
                               optimizer + "\n}\n"));
  Graph graph = module.main().clone();
  PassContext context;
  context.train = &*module.train;
  context.batch = 24;
  run_passes(graph, pipeline("training"), context);
  return lower_to_loops(graph, context);
}

}  // namespace

TEST_CASE("optimizers: a parameter and what is kept for it are written in one kernel") {
  const size_t plain = step_of("sgd(rate=0.1)").kernels.size();
  for (const std::string optimizer :
       {"sgd(rate=0.1, momentum=0.9, nesterov, weight_decay=0.1)", "rmsprop(rate=0.1, momentum=0.9)", "adam(rate=0.1, weight_decay=0.1)",
        "adamw(rate=step(start=0.1, every=10), amsgrad)", "amsgrad(rate=0.1, clip_norm=1)"}) {
    INFO(optimizer);
    const loops::Program program = step_of(optimizer);
    if (optimizer.find("clip_norm") == std::string::npos) CHECK(program.kernels.size() <= plain + 1);
    std::map<std::string, std::set<std::string>> writers;   // by parameter: the kernels that write it, or a state of it
    for (const loops::Kernel& kernel : program.kernels) {
      for (int buffer : kernel.writes) {
        std::string name = program.buffers[static_cast<size_t>(buffer)].name;
        const bool is_state = name.starts_with("optimizer.");
        if (is_state) name = name.substr(10, name.rfind('.') - 10);
        if (is_state || program.find_buffer("optimizer." + name + ".square") >= 0 ||
            program.find_buffer("optimizer." + name + ".velocity") >= 0)
          writers[name].insert(kernel.name);
      }
    }
    CHECK(writers.size() == 10);
    for (const auto& [parameter, kernels] : writers) {
      INFO(parameter);
      CHECK(kernels.size() == 1);
    }
  }
}
