#include <cmath>

#include "bnc/bnc.h"
#include "ir/random.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

constexpr const char* session_source = R"(
network mlp(x: f32[N, 7]) {
  h = sigmoid(batch_norm(dense(x, 17)))
  h = relu(batch_norm(dense(h, 5, bias=false)))
  return scores = dense(h, 3), hidden = h
}
train mlp {
  loss      = softmax_cross_entropy(labels)  # of the first output
  optimizer = sgd(rate=0.1, momentum=0.9)
  batch     = 16
}
)";

Array random_floats(std::vector<int64_t> dims, uint64_t seed) {
  RandomStream random(seed, "test");
  int64_t size = 1;
  for (const int64_t dim : dims) size *= dim;
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = static_cast<float>(random.normal());
  return Array(std::move(dims), std::move(values));
}

Array random_labels(int64_t count) {
  RandomStream random(5, "labels");
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int32_t& value : values) value = static_cast<int32_t>(random.below(3));
  return Array({count}, std::move(values));
}

// Initial weights, with running statistics as if it had been trained.
WeightStore trained_weights(const Network& network) {
  WeightStore weights = network.initialize(3);
  for (const std::string& name : weights.names()) {
    std::vector<float> values(weights.values(name).begin(), weights.values(name).end());
    RandomStream random(11, name);
    for (float& value : values) value += 0.4f * static_cast<float>(random.uniform());
    weights.set(name, weights.dims(name), values);
  }
  return weights;
}

// Largest difference over the largest magnitude.
double difference(const Array& a, const Array& b) {
  REQUIRE(a.dims() == b.dims());
  double worst = 0, largest = 1e-3;
  for (size_t k = 0; k < a.floats().size(); ++k) {
    worst = std::max(worst, std::abs(double{a.floats()[k]} - b.floats()[k]));
    largest = std::max(largest, std::abs(double{b.floats()[k]}));
  }
  return worst / largest;
}

const Network& session_network() {
  static const Network mlp = Network::from_text(session_source, "mlp.bn");
  return mlp;
}

}  // namespace

TEST_CASE("frozen inference of any batch size agrees with the reference evaluator, one by one as in a batch") {
  const WeightStore weights = trained_weights(session_network());
  Session session = session_network().compile({}, weights);
  CHECK(session.readable() == std::vector<std::string>{"scores", "hidden"});
  const Array all = random_floats({33, 7}, 1);
  Array whole;
  for (const int64_t count : {33, 1, 15, 16, 17}) {
    CAPTURE(count);
    const Array x({count, 7}, std::vector<float>(all.floats().begin(), all.floats().begin() + count * 7));
    session.bind("x", x);
    session.run();
    for (const auto& [name, expected] : session_network().evaluate_reference({}, weights, {{"x", x}}))
      CHECK(difference(session.read(name), expected) < 2e-6);
    if (count == 33) whole = session.read("scores");
    for (size_t k = 0; k < static_cast<size_t>(count * 3); ++k)
      CHECK(session.view("scores")[k] == doctest::Approx(whole.floats()[k]).epsilon(1e-5));
  }
}

TEST_CASE("a training step: loss, outputs, gradients and running statistics agree with the reference evaluator") {
  const WeightStore weights = trained_weights(session_network());
  for (const int64_t batch : {5, 15, 16, 33}) {
    CAPTURE(batch);
    CompileOptions options;
    options.mode = Mode::train;
    options.batch = batch;
    options.optimizer = false;
    options.keep_gradients = true;
    const NamedArrays inputs = {{"x", random_floats({batch, 7}, 2)}, {"labels", random_labels(batch)}};
    Session session = session_network().compile(options, weights);
    for (const auto& [name, array] : inputs) session.bind(name, array);
    session.run();
    const NamedArrays reference = session_network().evaluate_reference(options, weights, inputs);
    std::vector<std::string> names = session.readable();
    CHECK(names.size() == reference.size());
    for (const auto& [name, expected] : reference) {
      CAPTURE(name);
      CHECK(std::find(names.begin(), names.end(), name) != names.end());
      const double tolerance = name == "grad/dense_1.bias" ? 1e-2 : 2e-5;  // in front of a batch norm: 0 but for rounding
      CHECK(difference(session.read(name), expected) < tolerance);
    }
    const Array dead = session.read("grad/dense_1.bias");
    for (const float value : dead.floats()) CHECK(std::abs(value) < 1e-6f);
    CHECK(session.weights().values("dense_2.weight")[0] == weights.values("dense_2.weight")[0]);
  }
}

TEST_CASE("sessions: what can be bound") {
  const WeightStore weights = session_network().initialize(1);
  CompileOptions fixed;
  fixed.batch = 4;
  Session session = session_network().compile(fixed, weights);
  const auto error = [&](const std::string& name, const Array& value) { return message_of<Error>([&] { session.bind(name, value); }); };
  CHECK(contains(error("y", random_floats({4, 7}, 1)), "network `mlp` has no input `y`\nhelp: "));
  CHECK(contains(error("x", Array({4, 7}, std::vector<int32_t>(28))), "input `x` is f32[N, 7], but the array bound to it is i32[4, 7]"));
  CHECK(contains(error("x", random_floats({4, 8}, 1)), "input `x` is f32[N, 7], but the array bound to it is f32[4, 8]"));
  CHECK(contains(error("x", random_floats({28}, 1)), "but the array bound to it is f32[28]"));
  CHECK(contains(error("x", random_floats({5, 7}, 1)), "compiled for N = 4, but the array bound to it is f32[5, 7]"));
  CHECK(contains(error("x", Array({0, 7}, std::vector<float>{})), "holds no example"));
  CHECK(contains(message_of<Error>([&] { session.run(); }), "input `x` of network `mlp` has not been bound"));
  CHECK(session.input_floats("x").size() == 28);
  session.run();
  CHECK(contains(message_of<Error>([&] { session.read("score"); }), "did you mean `scores`?"));
  CHECK(contains(message_of<Error>([&] { session.view("loss"); }), "nothing named `loss`"));
  CHECK(contains(message_of<Error>([&] { session.restore(weights, {}); }), "folded into its code"));
  Session any = session_network().compile({}, weights);
  CHECK(contains(message_of<Error>([&] { any.input_floats("x"); }), "fixed batch size"));
}

TEST_CASE("the inputs of a run have one batch size") {
  const Network two = Network::from_text("network two(a: f32[N, 3], b: f32[N, 3]) { return y = add(a, b) }");
  Session session = two.compile({}, two.initialize(0));
  session.bind("a", random_floats({2, 3}, 1));
  session.bind("b", random_floats({5, 3}, 1));
  CHECK(contains(message_of<Error>([&] { session.run(); }), "but `a` has 2 and `b` has 5"));
  session.bind("a", random_floats({5, 3}, 2));
  session.run();
  CHECK(session.read("y").floats()[14] == random_floats({5, 3}, 2).floats()[14] + random_floats({5, 3}, 1).floats()[14]);
}

TEST_CASE("weights that do not fit: everything wrong in one error") {
  WeightStore weights = session_network().initialize(1);
  WeightStore wrong;
  for (const std::string& name : weights.names()) {
    const std::vector<float> values(weights.values(name).begin(), weights.values(name).end());
    if (name == "dense_3.bias") continue;
    if (name == "dense_1.weight") wrong.set(name, {17, 7}, values);
    else wrong.set(name == "batch_norm_1.gamma" ? "batch_norm_1.gama" : name, weights.dims(name), values);
  }
  const std::string error = message_of<Error>([&] { session_network().compile({}, wrong); });
  CHECK(contains(error, "the weights do not fit network `mlp`"));
  CHECK(contains(error, "missing: `dense_3.bias` f32[3]"));
  CHECK(contains(error, "missing: `batch_norm_1.gamma` f32[17]"));
  CHECK(contains(error, "misshapen: `dense_1.weight` is f32[17, 7], but the network has f32[7, 17]"));
  CHECK(contains(error, "unknown: `batch_norm_1.gama` f32[17]; did you mean `batch_norm_1.gamma`?"));
}

TEST_CASE("options that cannot be") {
  const WeightStore weights = session_network().initialize(1);
  const auto error = [&](const CompileOptions& options) { return message_of<Error>([&] { session_network().compile(options, weights); }); };
  CHECK(contains(error({.batch = 0}), "batch size is 0"));
  CHECK(contains(error({.cpu = "znver44"}), "znver4"));
  CHECK(contains(error({.mode = Mode::train, .batch = 1}), "normalizes over one element a channel"));
  CHECK(contains(error({.passes = {"canonicalise"}}), "unknown pass `canonicalise`"));
  const Network untrained = Network::from_text("network n(x: f32[N, 2]) { return relu(x) }");
  CHECK(contains(message_of<Error>([&] { untrained.compile({.mode = Mode::train, .batch = 2}, untrained.initialize(0)); }),
                 "has no train section"));
  CHECK(contains(message_of<Error>([&] { Network::from_text("network n(x: f32[N, 2]) { return reul(x) }", "a.bn"); }), "a.bn:1:"));
  CHECK(contains(message_of<Error>([&] { Network::from_file("/nowhere/a.bn"); }), "/nowhere/a.bn"));
}

TEST_CASE("the network tells its parts, and its text at every stage") {
  CHECK(session_network().name() == "mlp");
  CHECK(session_network().inputs()[0].type == "f32[N, 7]");
  CHECK(session_network().inputs()[0].dims == std::vector<int64_t>{-1, 7});
  CHECK(session_network().outputs().size() == 2);
  CHECK(session_network().parameters()[0].name == "dense_1.weight");
  CHECK(session_network().parameters()[0].trainable);
  CHECK_FALSE(session_network().parameters()[4].trainable);
  const WeightStore weights = session_network().initialize(1);
  CHECK(weights.names()[4] == session_network().parameters()[4].name);
  for (const Mode mode : {Mode::infer, Mode::train}) {
    for (const Stage stage : {Stage::ast, Stage::graph, Stage::loops, Stage::llvm, Stage::assembly})
      CHECK_FALSE(session_network().emit(stage, {.mode = mode, .batch = 16}).empty());
  }
  CHECK(contains(session_network().emit(Stage::graph, {}), "batch_norm"));
  CHECK_FALSE(contains(session_network().emit(Stage::graph, {}, &weights), "batch_norm("));
  const ObjectFiles files = session_network().compile_object({}, weights);
  CHECK(files.object.starts_with("\x7f" "ELF"));
  CHECK(contains(files.header, "mlp_infer"));
  const Network again = Network::from_text(session_network().optimize({"canonicalize"}, {}));
  CHECK(again.parameters().size() == session_network().parameters().size());
}

TEST_CASE("explain: folded batch norms and dropped biases with their places") {
  const Explanation frozen = session_network().explain({});
  REQUIRE(frozen.batch_norms.size() == 2);
  for (const auto& entry : frozen.batch_norms) CHECK(entry.folded);
  CHECK(frozen.batch_norms[0].place == "mlp.bn:3");
  CHECK(frozen.batch_norms[0].source_line == "h = sigmoid(batch_norm(dense(x, 17)))");
  CHECK(frozen.flops_after < frozen.flops_before);
  CHECK(frozen.bytes_after < frozen.bytes_before);
  const Explanation training = session_network().explain({.mode = Mode::train, .batch = 16});
  REQUIRE(training.batch_norms.size() == 2);
  CHECK_FALSE(training.batch_norms[0].folded);
  REQUIRE(training.biases.size() >= 1);
  CHECK(training.biases[0].folded);
}

TEST_CASE("the targets of a network are what its loss names and the network does not have itself") {
  const auto targets = [](const std::string& inputs, const std::string& train) {
    return Network::from_text("network net(" + inputs + ") { return dense(x, 3) }\n" + train, "net.bn").targets();
  };
  const auto named = [](const std::string& loss) { return "train net { loss = " + loss + "\n optimizer = sgd(rate=0.1) }\n"; };
  const std::vector<TensorInfo> classes = targets("x: f32[N, 4]", named("softmax_cross_entropy(kind)"));
  REQUIRE(classes.size() == 1);
  CHECK(classes[0].name == "kind");
  CHECK(classes[0].type == "i32[N]");
  CHECK(classes[0].dims == std::vector<int64_t>{-1});
  CHECK(targets("x: f32[M, 4]", named("mean_squared_error(wanted)")).at(0).type == "f32[M, 3]");
  CHECK(targets("x: f32[N, 4], wanted: f32[N, 3]", named("mean_squared_error(wanted)")).empty());
  CHECK(targets("x: f32[N, 4]", "").empty());
}

TEST_CASE("inference on memory of the caller gives the bits of bound arrays") {
  const Network network = Network::from_text(session_source);
  const WeightStore weights = trained_weights(network);
  for (const std::optional<int64_t> batch : {std::optional<int64_t>(6), std::optional<int64_t>()}) {
    CompileOptions options;
    options.batch = batch;
    Session session = network.compile(options, weights);
    const Array x = random_floats({6, 7}, 4);
    session.bind("x", x);
    session.run();
    // One element further than anything is aligned to.
    std::vector<float> given(x.floats().begin(), x.floats().end()), scores(6 * 3 + 1, -1), hidden(6 * 5 + 1, -1);
    given.insert(given.begin(), 0);
    const void* inputs[] = {given.data() + 1};
    void* outputs[] = {scores.data() + 1, hidden.data() + 1};
    session.run(6, inputs, outputs);
    const auto expected = session.read("scores"), expected_hidden = session.read("hidden");
    CHECK(std::equal(scores.begin() + 1, scores.end(), expected.floats().begin()));
    CHECK(std::equal(hidden.begin() + 1, hidden.end(), expected_hidden.floats().begin()));
    CHECK(scores[0] == -1);

    CHECK_THROWS_WITH_AS(session.run(0, inputs, outputs), doctest::Contains("no example"), Error);
    CHECK_THROWS_WITH_AS(session.run(6, {}, outputs), doctest::Contains("1 inputs and 2 outputs"), Error);
    void* same[] = {scores.data(), scores.data() + 17};
    CHECK_THROWS_WITH_AS(session.run(6, inputs, same), doctest::Contains("overlaps"), Error);
    void* over_input[] = {given.data() + 4, hidden.data()};
    CHECK_THROWS_WITH_AS(session.run(6, inputs, over_input), doctest::Contains("overlaps that of `x`"), Error);
    void* nowhere[] = {nullptr, hidden.data()};
    CHECK_THROWS_WITH_AS(session.run(6, inputs, nowhere), doctest::Contains("null"), Error);
    if (batch) CHECK_THROWS_WITH_AS(session.run(5, inputs, outputs), doctest::Contains("N = 6, but 5"), Error);

    // What was bound is still there.
    session.run();
    CHECK(std::equal(scores.begin() + 1, scores.end(), session.view("scores").begin()));
  }
  CompileOptions training;
  training.mode = Mode::train;
  Session session = network.compile(training, weights);
  CHECK_THROWS_WITH_AS(session.run(16, {}, {}), doctest::Contains("only inference"), Error);
}

TEST_CASE("a batch on memory of the caller may be larger than any before") {
  const Network network = Network::from_text(session_source);
  Session session = network.compile({}, trained_weights(network));
  for (const int64_t batch : {2, 300, 7}) {
    const Array x = random_floats({batch, 7}, 4);
    std::vector<float> scores(static_cast<size_t>(batch) * 3), hidden(static_cast<size_t>(batch) * 5);
    const void* inputs[] = {x.floats().data()};
    void* outputs[] = {scores.data(), hidden.data()};
    session.run(batch, inputs, outputs);
    session.bind("x", x);
    session.run();
    CHECK(std::equal(scores.begin(), scores.end(), session.view("scores").begin()));
  }
}

TEST_CASE("what weights say of their model can be set") {
  const Network network = Network::from_text(session_source);
  WeightStore weights = network.initialize(1);
  weights.set_metadata({{"bnc.classes", "[\"a\",\"b\"]"}, {"origin", "elsewhere"}});
  CHECK(weights.metadata() == std::vector<std::pair<std::string, std::string>>{{"bnc.classes", "[\"a\",\"b\"]"}, {"origin", "elsewhere"}});
  CHECK_THROWS_WITH_AS(weights.set_metadata({{"bnc.classes", "a, b"}}), doctest::Contains("bnc.classes"), Error);
}
