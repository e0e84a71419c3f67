// Running passes by name: order, callbacks, errors.
#include <doctest/doctest.h>

#include <set>

#include "support/passes.h"

using namespace bnc;

namespace {

Graph example_network() { return test::parse_network("x: f32[N, 3]", "return y = relu(dense(x, 2) + 0)").main().clone(); }

}  // namespace

TEST_CASE("an unknown pass is refused before any runs") {
  Graph graph = example_network();
  PassContext context;
  const std::string before = print(graph);
  CHECK_THROWS_WITH_AS(run_passes(graph, {"canonicalize", "constantfold"}, context),
                       "error: unknown pass `constantfold`\nhelp: did you mean `constant-fold`?\n", CompileError);
  CHECK_THROWS_WITH_AS(run_passes(graph, {"canonicalize"}, context, {.stop_after = "fus"}), doctest::Contains("did you mean `fuse`?"),
                       CompileError);
  CHECK_THROWS_WITH_AS(run_passes(graph, {"plan-memory"}, context), doctest::Contains("works on loops"), CompileError);
  CHECK(print(graph) == before);
}

TEST_CASE("callbacks see each pass, and only changes; stop_after stops") {
  Graph graph = example_network();
  PassContext context;
  std::vector<std::string> timed, changed;
  PassOptions options;
  options.stop_after = "dead-code";
  options.on_time = [&](const std::string& pass, double milliseconds) {
    CHECK(milliseconds >= 0);
    timed.push_back(pass);
  };
  options.on_change = [&](const std::string& pass, const Graph&) { changed.push_back(pass); };
  CHECK(run_passes(graph, {"common-subexpressions", "canonicalize", "dead-code", "constant-fold"}, context, options));
  CHECK(timed == std::vector<std::string>{"common-subexpressions", "canonicalize", "dead-code"});
  CHECK(changed == std::vector<std::string>{"canonicalize", "dead-code"});
  CHECK_FALSE(run_passes(graph, {"common-subexpressions", "dead-code"}, context));
}

TEST_CASE("a broken graph is told, unless checking is off") {
  Graph graph = example_network();
  graph.find("y").node->operands[0] = {};
  PassContext context;
  CHECK_THROWS_WITH_AS(run_passes(graph, {"dead-code"}, context), doctest::Contains("operand x is absent"), InternalError);
  CHECK_NOTHROW(run_passes(graph, {"dead-code"}, context, {.verify_each = false}));
}

TEST_CASE("remarks carry pass, layer and place") {
  Graph graph = test::parse_network("x: f32[N, 3]", "return y = batch_norm(relu(batch_norm(x)))").main().clone();
  PassContext context;
  context.current_pass = "some-pass";
  const Node* norm = graph.nodes_of("batch_norm")[1];
  context.decline(norm, "a reason");
  REQUIRE(context.remarks.size() == 1);
  const Remark& remark = context.remarks[0];
  CHECK(remark.kind == Remark::Kind::declined);
  CHECK(remark.pass == "some-pass");
  CHECK(remark.subject == "batch_norm y");
  CHECK(remark.path == "batch_norm_2");
  CHECK(remark.text == "a reason");
  CHECK(remark.range.line == 2);
}

TEST_CASE("every pass has a name of its own and is documented, and the pipelines name passes") {
  std::set<std::string> names;
  for (const PassInfo& pass : all_passes()) {
    INFO(pass.name);
    CHECK(names.insert(pass.name).second);
    CHECK_FALSE(pass.summary.empty());
    CHECK(pass.description.back() == '.');
    CHECK(find_pass(pass.name) == &pass);
  }
  CHECK_FALSE(find_pass("canonicalise"));
  for (const char* name : {"training", "inference"})
    for (const std::string& pass : pipeline(name)) CHECK(find_pass(pass));
}

TEST_CASE("what every pass of a pipeline leaves is legal text that reads back to itself") {
  const Module module = test::parse_network("x: f32[B, 2, 3]",
                                            "h = batch_norm(dense(flatten(x), 4), stats=ema(decay=0.99, corrected))\n"
                                            "h = dropout(leaky_relu(h, slope=0.1), rate=0.25)\n"
                                            "return y = softmax(dense(h, 3)), z = reduce_mean(h, axes=[1])",
                                            "loss = softmax_cross_entropy(labels)\noptimizer = sgd(rate=0.1, momentum=0.9)\nbatch = 16");
  for (const char* name : {"training", "inference"}) {
    Graph graph = module.main().clone();
    PassContext context;
    context.train = &*module.train;
    context.keep_gradients = true;
    PassOptions options;
    options.on_change = [](const std::string& pass, const Graph& changed) {
      INFO("after ", pass);
      const std::string text = print(changed);
      CHECK(print(parse_module(make_source(text)).main()) == text);
    };
    CHECK(run_passes(graph, pipeline(name), context, options));
  }
}
