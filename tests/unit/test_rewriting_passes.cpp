// canonicalize, constant-fold, common-subexpressions, dead-code and decompose: what they do and what they leave alone,
// each graph evaluated before and after on random data.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "ir/builder.h"
#include "ir/verify.h"
#include "support/files.h"
#include "support/passes.h"

using namespace bnc;
using namespace bnc::test;
using test::parse_network;
using test::rewritten;

namespace {

std::string after(const std::string& pass, const std::string& body, const std::string& inputs = "x: f32[N, 3], w: f32[3]") {
  Module module = parse_network(inputs, body);
  return rewritten(module.main(), {pass, "dead-code"});
}

// Whether the only thing the graph does is to return x.
bool is_identity(const std::string& text) { return text.find("{\n  return y = x\n}") != std::string::npos; }

}  // namespace

TEST_CASE("canonicalize removes identities") {
  for (const char* expression : {"x + 0", "0 + x", "x - 0", "x * 1", "1 * x", "x / 1", "neg(neg(x))", "reshape(x, shape=[N, 3])",
                                 "broadcast_to(x, shape=[N, 3])", "transpose(transpose(x))", "transpose(x, permutation=[0, 1])",
                                 "reshape(reshape(x, shape=[3*N]), shape=[N, 3])", "concat(x)", "slice(x, axis=1, begin=0, end=3)"}) {
    INFO(expression);
    CHECK(is_identity(after("canonicalize", std::string("return y = ") + expression)));
  }
}

TEST_CASE("canonicalize keeps what is no identity") {
  for (const char* expression : {"x * 0", "0 - x", "1 / x", "x + 1", "transpose(exp(transpose(x)))", "w + x",
                                 "w * constant(1, shape=[2, 3])", "slice(x, axis=1, begin=0, end=2)", "neg(x)"}) {
    INFO(expression);
    CHECK_FALSE(is_identity(after("canonicalize", std::string("return y = ") + expression)));
  }
  CHECK(contains(after("canonicalize", "return y = w * constant(1, shape=[2, 3])"), "mul(w, "));
  CHECK(contains(after("canonicalize", "return y = x * 0"), "mul(x, "));
}

TEST_CASE("canonicalize rewrites layers, and names stay with what replaces them") {
  const std::string text = after("canonicalize", "h = dense(flatten(x), 4)\nreturn y = h", "x: f32[N, 2, 3]");
  CHECK(contains(text, "= reshape(x, shape=[N, 6])\n"));
  CHECK(contains(text, "matmul("));
  CHECK(contains(text, "h: f32[N, 4] = bias("));
  CHECK_FALSE(contains(text, "dense("));
}

TEST_CASE("canonicalize counts axes one way") {
  CHECK(contains(after("canonicalize", "return y = softmax(x, axis=1)"), "softmax(x)"));
  CHECK(contains(after("canonicalize", "return y = softmax(x, axis=-2)", "x: f32[N, 2, 3]"), "softmax(x, axis=1)"));
  CHECK(contains(after("canonicalize", "return y = slice(x, axis=-1, begin=0, end=2)"), "slice(x, axis=1, begin=0, end=2)"));
  CHECK(contains(after("canonicalize", "return y = softmax(x, axis=1)", "x: f32[N, 2, 3]"), "softmax(x, axis=1)"));
}

TEST_CASE("canonicalize joins reshapes and transposes") {
  CHECK(contains(after("canonicalize", "return y = reshape(reshape(x, shape=[3*N]), shape=[N, 3, 1])"), "= reshape(x, shape=[N, 3, 1])"));
  const std::string text =
      after("canonicalize", "return y = transpose(transpose(x, permutation=[1, 2, 0]), permutation=[0, 2, 1])", "x: f32[N, 2, 3]");
  CHECK(contains(text, "f32[2, N, 3] = transpose(x, permutation=[1, 0, 2])"));
}

TEST_CASE("canonicalize orders and simplifies signs") {
  CHECK(contains(after("canonicalize", "return y = 2 * x"), "= mul(x, "));
  CHECK(contains(after("canonicalize", "return y = x + neg(w)"), "= sub(x, w)"));
  CHECK(contains(after("canonicalize", "return y = neg(w) + x"), "= sub(x, w)"));
  CHECK(contains(after("canonicalize", "return y = x - neg(w)"), "= add(x, w)"));
  const std::string relus = after("canonicalize", "return y = relu(relu(x))");
  CHECK(relus.find("relu(") == relus.rfind("relu("));
}

TEST_CASE("a reduction over axes of extent 1 is a reshape") {
  for (const char* op : {"reduce_sum", "reduce_mean", "reduce_max"}) {
    INFO(op);
    CHECK(contains(after("canonicalize", std::string("return y = ") + op + "(x, axes=[1])", "x: f32[N, 1, 3]"),
                   "= reshape(x, shape=[N, 3])"));
    CHECK(contains(after("canonicalize", std::string("return y = ") + op + "(x, axes=[0, 1])", "x: f32[N, 1, 3]"), op));
  }
}

TEST_CASE("constant-fold evaluates expressions of constants") {
  CHECK(contains(after("constant-fold", "return y = x * exp(constant(0) + 1)"), fmt::format("constant({})", std::exp(1.0))));
  CHECK(contains(after("constant-fold", "c = constant([1, 2, 3], shape=[3])\nreturn y = x * (c * c)"), "constant([1, 4, 9], shape=[3])"));
  CHECK(contains(after("constant-fold", "c = constant([1, 2, 3], shape=[3])\nreturn y = x * (c * 0 + 0.5)"), "constant(0.5, shape=[3])"));
  CHECK(contains(after("constant-fold", "c = constant([3, 2, 3], shape=[3])\nreturn y = x * (c * c)"), "constant([9, 4, 9], shape=[3])"));
  CHECK(contains(after("constant-fold", "return y = x / element_count(x, axes=[1])"), "constant(3)"));
}

TEST_CASE("constant-fold keeps infinity, NaN and the sign of zero") {
  CHECK(contains(after("constant-fold", "return y = x + log(constant(0))"), "= constant(-inf)\n"));
  CHECK(contains(after("constant-fold", "return y = x + log(constant(0)) * 0"), "= constant(nan)\n"));
  CHECK(contains(after("constant-fold", "return y = x + constant([0, 1, 0], shape=[3]) * constant([1, 0, -1], shape=[3])"),
                 "constant([0, 0, -0.0], shape=[3])"));
}

TEST_CASE("constant-fold leaves what depends on the batch size or is too large") {
  CHECK(contains(after("constant-fold", "return y = x / element_count(x)"), "element_count(x)"));
  CHECK(contains(after("constant-fold", "return y = x + reduce_sum(exp(constant(1, shape=[300, 300])))"), "exp("));
  CHECK(contains(after("constant-fold", "return y = x + exp(constant(1, shape=[N, 3]))"), "exp("));
  Module module = parse_network("x: f32[N, 3]", "return y = x / element_count(x)");
  PassContext context;
  context.batch = 17;
  run_passes(module.main(), {"constant-fold"}, context);
  CHECK(contains(print(module.main()), "constant(51)"));
}

TEST_CASE("constant-fold turns expressions of weights into new ones, rounded once") {
  Module module = parse_network("x: f32[N, 3]",
                                "h = dense(x, 3, bias=false)\n"
                                "s = exp(dense_1.weight) * 3\n"
                                "return y = matmul(h, s) + reduce_sum(s), s");
  Graph graph = module.main().clone();
  Weights weights = initial_weights(graph, 4);
  PassContext context;
  context.weights = &weights;
  CHECK(run_passes(graph, {"constant-fold", "dead-code"}, context));
  CHECK(contains(print(graph), "parameter dense_1.weight.folded: f32[3, 3] = "));
  CHECK_FALSE(contains(print(graph), "exp("));
  REQUIRE(weights.find("dense_1.weight.folded"));
  const Weight& weight = *weights.find("dense_1.weight");
  for (int i = 0; i < 9; ++i)
    CHECK(weights.find("dense_1.weight.folded")->data[i] == static_cast<float>(std::exp(static_cast<double>(weight.data[i])) * 3));
  Bindings bindings;
  for (const auto& [name, value] : weights.entries()) bindings[name] = value.to_tensor();
  test::check_same_values(module.main(), graph, 1e-6, bindings);
  CHECK_FALSE(run_passes(graph, {"constant-fold", "dead-code"}, context));
}

TEST_CASE("constant-fold leaves weights alone in a graph that trains, and without weights") {
  const std::string body = "parameter w: f32[3] = ones\ns = exp(w)\nupdate w = s\nreturn y = x * s";
  Module module = parse_network("x: f32[N, 3]", body);
  Weights weights = initial_weights(module.main(), 4);
  PassContext context;
  context.weights = &weights;
  CHECK_FALSE(run_passes(module.main(), {"constant-fold"}, context));
  CHECK(contains(after("constant-fold", "parameter v: f32[3] = ones\nreturn y = x * exp(v)"), "exp(v)"));
}

TEST_CASE("common-subexpressions merges equal nodes") {
  CHECK(contains(after("common-subexpressions", "return y = exp(x) * exp(x)"), "mul(t1, t1)"));
  const std::string commuted = after("common-subexpressions", "return y = (x + w) * (w + x)");
  CHECK(contains(commuted, "mul(t1, t1)"));
  const std::string chained = after("common-subexpressions", "return y = relu(exp(x)) - relu(exp(x))");
  CHECK(contains(chained, "sub(t2, t2)"));
  CHECK(contains(after("common-subexpressions", "a, b = moments(x)\nc, d = moments(x)\nreturn y = x * a + d"), "moments(x)"));
}

TEST_CASE("common-subexpressions respects operand order, attributes and random draws") {
  CHECK_FALSE(contains(after("common-subexpressions", "return y = (x - w) * (w - x)"), "mul(t1, t1)"));
  CHECK_FALSE(contains(after("common-subexpressions", "return y = leaky_relu(x, slope=0.1) * leaky_relu(x, slope=0.2)"), "mul(t1, t1)"));
  CHECK_FALSE(contains(after("common-subexpressions", "return y = dropout(x) * dropout(x)"), "mul(t1, t1)"));
  const char* steps = "state s: i32[] = zeros\n";
  CHECK_FALSE(contains(after("common-subexpressions", std::string(steps) + "return y = dropout(x, s, stream=1) - dropout(x, s, stream=2)"),
                       "sub(t1, t1)"));
  CHECK(contains(after("common-subexpressions", std::string(steps) + "return y = dropout(x, s, stream=1) - dropout(x, s, stream=1)"),
                 "sub(t1, t1)"));
  const std::string shared =
      "a = batch_norm(x)\nb = batch_norm(x, gamma=batch_norm_1.gamma, beta=batch_norm_1.beta, mean=batch_norm_1.mean, "
      "variance=batch_norm_1.variance)\nreturn y = a - b";
  CHECK(contains(after("common-subexpressions", shared), "sub(a, b)"));
}

TEST_CASE("dead-code keeps outputs, inputs and what updates name") {
  const std::string text =
      after("dead-code", "parameter u: f32[3] = ones\nparameter v: f32[3] = ones\nd = exp(x * v)\nupdate u = w\nreturn y = x + 1");
  CHECK(contains(text, "net(x: f32[N, 3], w: f32[3])"));
  CHECK(contains(text, "parameter u"));
  CHECK_FALSE(contains(text, "parameter v"));
  CHECK_FALSE(contains(text, "exp("));
}

TEST_CASE("decompose leaves only ops that lower by themselves") {
  Module module = parse_network("x: f32[N, 5], labels: i32[N]",
                                "h = batch_norm(dense(x, 4), mode=infer)\nreturn y = softmax(h), z = softmax_cross_entropy(h, labels)");
  Graph graph = module.main().clone();
  PassContext context;
  CHECK(run_passes(graph, {"decompose"}, context));
  test::check_same_values(module.main(), graph);
  for (const auto& node : graph.nodes()) CHECK_FALSE(node->op->lowering_as<DecomposeLowering>());
  CHECK_FALSE(run_passes(graph, {"decompose"}, context));
}

TEST_CASE("freeze leaves inference only") {
  Module module = parse_network("x: f32[N, 5]", "h = dropout(batch_norm(dense(x, 4)))\nreturn y = h",
                                "loss = mean_squared_error(labels)\noptimizer = sgd(rate=0.1)");
  Graph trained = module.main().clone();
  PassContext context;
  context.train = &*module.train;
  run_passes(trained, {"prepare-training", "build-backward", "attach-optimizer", "freeze", "dead-code"}, context);
  CHECK_FALSE(trained.output(Output::Role::update));
  CHECK_FALSE(trained.output(Output::Role::loss));
  Graph plain = module.main().clone();
  CHECK(run_passes(plain, {"freeze", "dead-code"}, context));
  CHECK(contains(print(plain), "mode=infer"));
  CHECK_FALSE(contains(print(plain), "dropout"));
  test::check_same_values(module.main(), plain);
  CHECK_FALSE(run_passes(plain, {"freeze"}, context));
  // With batch statistics all take those, but what is frozen for good.
  context.batch_statistics = true;
  Graph batch = parse_network("x: f32[N, 5]", "a = batch_norm(x)\nb = batch_norm(a, mode=infer)\nreturn y = b").main().clone();
  CHECK(run_passes(batch, {"freeze"}, context));
  CHECK(batch.nodes_of("batch_norm")[0]->attribute("mode") == Attribute("train"));
  CHECK(batch.nodes_of("batch_norm")[1]->attribute("mode") == Attribute("infer"));
  CHECK_FALSE(batch.output(Output::Role::update));
}
