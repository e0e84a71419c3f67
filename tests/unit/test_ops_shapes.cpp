// Shape rules: what they give, and that each constraint of each op is held.
#include <doctest/doctest.h>

#include <set>

#include "ir/op.h"
#include "support/op_cases.h"
#include "support/refusals.h"

using namespace bnc;
using namespace bnc::test;

namespace {

const TensorType rows = f32({N, {5}}), of_five = f32({{5}}), of_three = f32({{3}});

std::string error_of(const Refusal& refusal) {
  try {
    make_graph({refusal.op, refusal.operands, refusal.attributes});
  } catch (const CompileError& error) {
    return error.diagnostics().at(0).text;
  }
  return "";
}

std::vector<TensorType> types_of(const OpCase& test) {
  const OpGraph graph = make_graph(test);
  std::vector<TensorType> types;
  for (const Result& result : graph.node->results) types.push_back(result.type);
  return types;
}

}  // namespace

TEST_CASE("each broken constraint is refused by its number, naming what is wrong") {
  for (const Refusal& refusal : refusals()) {
    const std::string text = error_of(refusal);
    INFO(OpCase{refusal.op, refusal.operands, refusal.attributes}.describe(), ": ", text);
    CHECK(text.starts_with(refusal.op + ": "));
    CHECK(text.ends_with("(C" + std::to_string(refusal.constraint) + ")"));
    for (const std::string& part : refusal.mentions) CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("every constraint of every op has a call that breaks it") {
  std::set<std::pair<std::string, int>> broken = {{"dense", 5}, {"constant", 1}};  // tested by themselves below
  for (const Refusal& refusal : refusals()) broken.insert({refusal.op, refusal.constraint});
  for (const OpDefinition& op : all_ops())
    for (size_t k = 1; k <= op.constraints.size(); ++k) {
      INFO(op.name, " C", k, ": ", op.constraints[k - 1]);
      CHECK(broken.count({op.name, static_cast<int>(k)}));
    }
}

TEST_CASE("a new dense weight needs units and features") {
  auto weight = [](TensorType type, int units) {
    Graph graph;
    std::vector<Value> operands = {GraphBuilder(graph).input("x", type)};
    AttributeMap attributes = {{"units", units}};
    return find_op("dense")->operands[1].parameter->type(InferContext(*find_op("dense"), operands, attributes, {}, "N"));
  };
  CHECK(weight(f32({N, {7}}), 5) == f32({{7}, {5}}));
  CHECK_THROWS_WITH_AS(weight(f32({N, {7}}), 0), doctest::Contains("(C5)"), CompileError);
  CHECK_THROWS_WITH_AS(weight(f32({{7}, N}), 5), doctest::Contains("(C2)"), CompileError);
  CHECK_THROWS_WITH_AS(weight(f32({N}), 5), doctest::Contains("(C2)"), CompileError);
}

TEST_CASE("a constant takes one number, or one for each element") {
  Graph graph;
  GraphBuilder builder(graph);
  auto constant = [&](NumberList value, Shape shape) { return builder.value("constant", {}, {{"value", value}, {"shape", shape}}).type(); };
  CHECK(constant({1}, {N, {3}}) == f32({N, {3}}));
  CHECK(constant({1, 2, 3}, {{3}}) == f32({{3}}));
  CHECK_THROWS_WITH_AS(constant({1, 2}, {{3}}), doctest::Contains("(C1)"), CompileError);
  CHECK_THROWS_WITH_AS(constant({1, 2}, {{2, true}}), doctest::Contains("(C1)"), CompileError);
}

TEST_CASE("results too large to count, or with the batch size twice, are refused at the node") {
  const TensorType large = f32({{int64_t{1} << 40}});
  CHECK_THROWS_WITH_AS(make_graph({"broadcast_to", {large}, {{"shape", Shape{{int64_t{1} << 23}, {int64_t{1} << 40}}}}}),
                       doctest::Contains("2^62"), CompileError);
  CHECK_THROWS_WITH_AS(make_graph({"add", {f32({N, {1}}), f32({{1}, N})}}), doctest::Contains("batch size twice"), CompileError);
  CHECK_THROWS_WITH_AS(make_graph({"matmul", {rows, f32({N, {5}})}, {{"transpose_right", true}}}), doctest::Contains("batch size twice"),
                       CompileError);
  CHECK_THROWS_WITH_AS(make_graph({"one_hot", {i32({{int64_t{1} << 60}})}, {{"classes", 8}}}), doctest::Contains("2^62"),
                       CompileError);
}

TEST_CASE("an error names each operand, its type and where it came from") {
  Refusal refusal{"matmul", 4, {rows, f32({{4}, {3}})}, {}, {}};
  try {
    make_graph({refusal.op, refusal.operands});
    FAIL("accepted");
  } catch (const CompileError& error) {
    const auto& notes = error.diagnostics().at(0).attached;
    REQUIRE(notes.size() == 2);
    CHECK(notes[0].text.find("`x0`") != std::string::npos);
    CHECK(notes[1].text.find("f32[4, 3]") != std::string::npos);
  }
}

TEST_CASE("the batch size moves through shapes") {
  CHECK(types_of({"reshape", {f32({N, {4}, {8}})}, {{"shape", Shape{{4, true}, {8}}}}}) == std::vector{f32({{4, true}, {8}})});
  CHECK(types_of({"reshape", {f32({{6, true}, {2}})}, {{"shape", Shape{{3}, {2, true}, {2}}}}}) == std::vector{f32({{3}, {2, true}, {2}})});
  CHECK(types_of({"flatten", {f32({{4}, N, {2}})}}) == std::vector{f32({{4}, {2, true}})});
  CHECK(types_of({"flatten", {f32({N})}}) == std::vector{f32({N, {1}})});
  CHECK(types_of({"matmul", {rows, rows}, {{"transpose_left", true}}}) == std::vector{f32({{5}, {5}})});
  CHECK(types_of({"matmul", {f32({N, {2}, {5}}), f32({{3}, {5}})}, {{"transpose_right", true}}}) == std::vector{f32({N, {2}, {3}})});
  CHECK(types_of({"reduce_sum", {f32({N, {5}, {2}})}, {{"axes", IntList{0, -1}}}}) == std::vector{f32({{5}})});
  CHECK(types_of({"add", {f32({{5}, {1}}), f32({N, {1}, {3}})}}) == std::vector{f32({N, {5}, {3}})});
  CHECK(types_of({"add", {i32({}), i32({N})}}) == std::vector{i32({N})});
  CHECK(types_of({"slice", {rows}, {{"axis", -1}, {"begin", 0}, {"end", 5}, {"step", 2}}}) == std::vector{f32({N, {3}})});
  CHECK(types_of({"batch_norm", {f32({N, {3}, {5}}), of_three, of_three, of_three, of_three}, {{"axis", 1}}}) ==
        std::vector{f32({N, {3}, {5}}), of_three, of_three});
}

TEST_CASE("batch_norm names a likely mistake in its statistics") {
  auto help = [](Symbol stats) {
    try {
      make_graph({"batch_norm", {rows, of_five, of_five, of_five, of_five}, {{"stats", std::move(stats)}}});
    } catch (const CompileError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(help({"ema", {{"decoy", 0.9}}}).find("did you mean `decay`?") != std::string::npos);
  CHECK(help({"ema", {{"momentum", 0.9}}}).find("decay = 1 - PyTorch's momentum") != std::string::npos);
}

TEST_CASE("losses say what their target must be") {
  CHECK(find_op("softmax_cross_entropy")->target_type(f32({N, {2}, {10}})) == i32({N, {2}}));
  CHECK(find_op("mean_squared_error")->target_type(rows) == rows);
  CHECK(find_op("binary_cross_entropy_with_logits")->target_type(rows) == rows);
  CHECK(find_op("multi_class_hinge")->target_type(rows) == i32({N}));
  CHECK(find_op("kl_divergence")->target_type(rows) == rows);
}

TEST_CASE("losses say what their weights must be: a number a row, or where rows are nothing to them a number an example") {
  const TensorType image = f32({N, {2}, {10}});
  for (const char* op :
       {"softmax_cross_entropy", "softmax_cross_entropy_with_probabilities", "kl_divergence", "multi_class_hinge"})
    CHECK(find_op(op)->weights_type(image) == f32({N, {2}}));
  for (const char* op : {"mean_squared_error", "mean_absolute_error", "huber", "hinge", "binary_cross_entropy_with_logits"}) {
    CHECK(find_op(op)->weights_type(image) == f32({N}));
    CHECK(find_op(op)->weights_type(f32({})) == f32({}));
  }
}
