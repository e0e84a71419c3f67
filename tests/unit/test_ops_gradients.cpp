// Every op's gradient rule against central differences, and the check itself against wrong gradients.
#include <doctest/doctest.h>

#include "ir/gradcheck.h"
#include "ir/op.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// Adds loss = sum over the chosen results of sum(result * random numbers), and the gradient rule's answer for every
// differentiable operand as an output.
void add_loss_and_gradients(OpGraph& test, const std::vector<bool>& uses_result) {
  Graph& graph = test.graph;
  GraphBuilder builder(graph);
  GradientContext context{builder, *test.node, std::vector<Value>(test.node->results.size())};
  Value loss;
  for (size_t k = 0; k < test.node->results.size(); ++k) {
    if (!uses_result[k]) continue;
    Value result = test.node->result(static_cast<int>(k)), upstream = builder.input("upstream" + std::to_string(k), result.type());
    context.result_gradients[k] = upstream;
    Value term = builder.value("reduce_sum", {builder.mul(result, upstream)});
    loss = loss ? builder.add(loss, term) : term;
  }
  std::vector<Value> gradients = test.node->op->gradient(context);
  REQUIRE(gradients.size() == test.node->operands.size());
  graph.outputs = {{Output::Role::loss, "loss", loss}};
  for (size_t k = 0; k < gradients.size(); ++k) {
    const auto& specs = test.node->op->operands;
    Value operand = test.node->operands[k];
    bool differentiable = specs[std::min(k, specs.size() - 1)].differentiable && operand && operand.type().dtype == DType::f32;
    if (!gradients[k]) continue;
    INFO("operand ", k);
    CHECK(differentiable);
    CHECK(gradients[k].type() == operand.type());
    graph.outputs.push_back({Output::Role::gradient, operand.name(), gradients[k]});
  }
}

void add_upstream(const Graph& graph, int64_t batch, uint64_t seed, Bindings& bindings) {
  for (const auto& [name, value] : random_bindings(graph, batch, seed))
    if (name.starts_with("upstream")) bindings[name] = value;
}

bool is_float(const OpCase& test) { return !test.operands[0] || test.operands[0]->dtype == DType::f32; }

OpCase training_batch_norm() {
  TensorType c = f32({{4}});
  return {"batch_norm", {f32({N, {4}, {3}}), c, c, c, c, {}}, {{"axis", 1}, {"mode", "train"}}, 5};
}

// The largest relative error of the check, and whether all passed.
std::pair<double, bool> checked(const Graph& graph, const Bindings& bindings) {
  double worst = 0;
  bool passed = true;
  for (const GradientComparison& comparison : check_gradients(graph, bindings)) {
    worst = std::max(worst, comparison.relative_error);
    passed &= comparison.passed;
  }
  return {worst, passed};
}

}  // namespace

TEST_CASE("every gradient rule agrees with central differences") {
  for (const OpCase& test : op_cases()) {
    if (!find_op(test.op)->gradient || !is_float(test)) continue;
    OpGraph graph = make_graph(test);
    add_loss_and_gradients(graph, std::vector<bool>(graph.node->results.size(), true));
    for (uint64_t seed : {1, 2}) {
      Bindings bindings = make_bindings(test, seed);
      add_upstream(graph.graph, test.batch, seed, bindings);
      for (const GradientComparison& comparison : check_gradients(graph.graph, bindings, {.seed = seed})) {
        INFO(test.describe(), ", seed ", seed, ", ", comparison.tensor, ": relative error ", comparison.relative_error, ", ",
             comparison.skipped, " skipped");
        CHECK(comparison.passed);
        CHECK(comparison.compared > 0);
      }
    }
  }
}

TEST_CASE("every differentiable operand of every op gets a gradient in some case") {
  for (const OpDefinition& op : all_ops()) {
    for (size_t k = 0; k < op.operands.size(); ++k) {
      if (!op.operands[k].differentiable) continue;
      bool covered = false;
      for (const OpCase& test : op_cases()) {
        if (test.op != op.name || covered || !is_float(test)) continue;
        OpGraph graph = make_graph(test);
        add_loss_and_gradients(graph, std::vector<bool>(graph.node->results.size(), true));
        covered = graph.graph.output(Output::Role::gradient, "x" + std::to_string(k)) != nullptr;
      }
      INFO(op.name, " ", op.operands[k].name);
      CHECK(covered);
    }
  }
}

TEST_CASE("bn-backward: gradients through each result of a training batch norm, alone and together") {
  for (int results = 1; results < 8; ++results) {
    OpGraph graph = make_graph(training_batch_norm());
    add_loss_and_gradients(graph, {(results & 1) != 0, (results & 2) != 0, (results & 4) != 0});
    Bindings bindings = make_bindings(training_batch_norm(), 5);
    add_upstream(graph.graph, 5, 5, bindings);
    INFO("results ", results);
    CHECK(checked(graph.graph, bindings).second);
  }
}

TEST_CASE("bn-backward: gamma of zero and negative gamma have gradients") {
  OpGraph graph = make_graph(training_batch_norm());
  add_loss_and_gradients(graph, {true, true, true});
  Bindings bindings = make_bindings(training_batch_norm(), 6);
  add_upstream(graph.graph, 5, 6, bindings);
  bindings.at("x1").data = {0, -2, 0.5, -0.001};
  CHECK(checked(graph.graph, bindings).second);
  Evaluation evaluation = evaluate(graph.graph, bindings);
  CHECK(evaluation.gradients.at("x1").data[0] != 0);
}

TEST_CASE("the gradient check catches a batch norm gradient without either of its hard terms") {
  enum { beta_term = 5, gamma_term = 6 };
  for (int term : {beta_term, gamma_term}) {
    OpGraph graph = make_graph(training_batch_norm());
    add_loss_and_gradients(graph, {true, false, false});
    Node* dx = graph.graph.output(Output::Role::gradient, "x0")->value.node;
    REQUIRE(dx->is("batch_norm_input_gradient"));
    dx->operands[term] = GraphBuilder::before(graph.graph, dx).constant(0, dx->operands[term].type());
    Bindings bindings = make_bindings(training_batch_norm(), 7);
    add_upstream(graph.graph, 5, 7, bindings);
    auto [error, passed] = checked(graph.graph, bindings);
    INFO("term ", term, ", error ", error);
    CHECK_FALSE(passed);
    CHECK(error > 1e-3);
  }
}

TEST_CASE("the gradient check catches the affine gradient in training mode and a gradient of zeros") {
  OpGraph graph = make_graph(training_batch_norm());
  add_loss_and_gradients(graph, {true, false, false});
  Bindings bindings = make_bindings(training_batch_norm(), 8);
  add_upstream(graph.graph, 5, 8, bindings);
  REQUIRE(checked(graph.graph, bindings).second);
  GraphBuilder builder(graph.graph);
  for (Output& output : graph.graph.outputs)
    if (output.name == "x1") output.value = builder.constant(0, output.value.type());
  CHECK_FALSE(checked(graph.graph, bindings).second);

  OpCase frozen = training_batch_norm();
  frozen.attributes["mode"] = "infer";
  OpGraph affine = make_graph(frozen);
  add_loss_and_gradients(affine, {true, false, false});
  REQUIRE(checked(affine.graph, bindings).second);
  affine.node->attributes["mode"] = "train";
  CHECK_FALSE(checked(affine.graph, bindings).second);
}

TEST_CASE("the gradient check skips the corner of a ReLU and says so") {
  OpCase test{"relu", {f32({N})}, {}, 4};
  OpGraph graph = make_graph(test);
  add_loss_and_gradients(graph, {true});
  Bindings bindings = make_bindings(test, 3);
  add_upstream(graph.graph, 4, 3, bindings);
  bindings.at("x0").data = {1, -1, 3e-5, 2};
  GradientComparison comparison = check_gradients(graph.graph, bindings).at(0);
  CHECK(comparison.passed);
  CHECK(comparison.skipped == 1);
  CHECK(comparison.compared == 3);
}

TEST_CASE("equal maxima share the gradient evenly") {
  OpGraph graph = make_graph({"reduce_max", {f32({{4}})}});
  add_loss_and_gradients(graph, {true});
  Evaluation evaluation = evaluate(graph.graph, {{"x0", {DType::f32, {4}, {2, 1, 2, 0}}}, {"upstream0", {DType::f32, {}, {3}}}});
  CHECK(evaluation.gradients.at("x0").data == std::vector<double>{1.5, 0, 1.5, 0});
}
