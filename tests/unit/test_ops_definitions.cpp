// Every op definition is complete, and what the definitions say of themselves holds.
#include <doctest/doctest.h>

#include <set>

#include "ir/op.h"
#include "ir/ops_reference.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// What an op leaves empty; nothing for a complete one.
std::vector<std::string> missing_fields(const OpDefinition& op) {
  std::vector<std::string> missing;
  auto need = [&](bool present, const std::string& what) {
    if (!present) missing.push_back(what);
  };
  const bool bound = op.category == OpCategory::source && op.name != "constant";
  need(!op.name.empty(), "name");
  need(op.summary.ends_with("."), "summary");
  need(op.description.ends_with("."), "description");
  need(!op.results.empty(), "results");
  need(!op.example.empty(), "example");
  need(!op.operands.empty() || op.category == OpCategory::source, "operands");
  need(bound || !op.constraints.empty(), "constraints");
  need(bound || op.infer, "infer");
  need(bound || op.evaluate, "evaluate");
  need(!std::holds_alternative<std::monostate>(op.lowering), "lowering");
  bool differentiable = false;
  for (const OperandSpec& operand : op.operands) {
    need(!operand.name.empty() && !operand.doc.empty(), "operand doc");
    need(!operand.variadic || &operand == &op.operands.back(), "variadic operand at the end");
    if (operand.parameter)
      need(operand.parameter->type && !operand.parameter->initializer.name.empty(), "parameter rule of " + operand.name);
    differentiable |= operand.differentiable;
  }
  need(differentiable == static_cast<bool>(op.gradient), "gradient");
  for (const AttributeSpec& attribute : op.attributes) {
    need(!attribute.name.empty() && !attribute.doc.empty(), "attribute doc");
    need(attribute.kind != AttributeKind::symbol || !attribute.choices.empty(), "choices of " + attribute.name);
    if (!attribute.choices.empty() && attribute.fallback)
      need(std::count(attribute.choices.begin(), attribute.choices.end(), attribute.fallback->symbol().name) == 1,
           "fallback of " + attribute.name);
  }
  for (const ResultSpec& result : op.results) need(!result.name.empty() && !result.doc.empty(), "result doc");
  for (const std::string& constraint : op.constraints)
    need(!constraint.empty() && constraint[0] != 'C', "constraint text without its number");
  need((op.category == OpCategory::loss) == static_cast<bool>(op.target_type), "target type of a loss");
  need((op.category == OpCategory::loss) == static_cast<bool>(op.weights_type), "weights type of a loss");
  if (op.category == OpCategory::loss) {
    const OperandSpec& last = op.operands.back();
    need(op.operands.size() == 3 && last.name == "weights" && last.optional && !last.differentiable, "weights at the end");
  }
  return missing;
}

}  // namespace

TEST_CASE("no op leaves a field empty") {
  for (const OpDefinition& op : all_ops())
    for (const std::string& field : missing_fields(op)) FAIL_CHECK(op.name, " lacks ", field);
}

TEST_CASE("a definition that leaves a field empty is noticed") {
  REQUIRE(missing_fields(*find_op("batch_norm")).empty());
  auto lacks = [](void (*change)(OpDefinition&)) {
    OpDefinition op = *find_op("batch_norm");
    change(op);
    return missing_fields(op).size() == 1;
  };
  CHECK(lacks([](OpDefinition& op) { op.summary.clear(); }));
  CHECK(lacks([](OpDefinition& op) { op.description.clear(); }));
  CHECK(lacks([](OpDefinition& op) { op.results[1].doc.clear(); }));
  CHECK(lacks([](OpDefinition& op) { op.constraints.clear(); }));
  CHECK(lacks([](OpDefinition& op) { op.infer = nullptr; }));
  CHECK(lacks([](OpDefinition& op) { op.gradient = nullptr; }));
  CHECK(lacks([](OpDefinition& op) { op.evaluate = nullptr; }));
  CHECK(lacks([](OpDefinition& op) { op.lowering = std::monostate(); }));
  CHECK(lacks([](OpDefinition& op) { op.example.clear(); }));
  CHECK(lacks([](OpDefinition& op) { op.attributes[1].choices.clear(); }));
  CHECK(lacks([](OpDefinition& op) { op.operands[1].parameter->initializer.name.clear(); }));

  REQUIRE(missing_fields(*find_op("mean_squared_error")).empty());
  auto loss_lacks = [](void (*change)(OpDefinition&)) {
    OpDefinition op = *find_op("mean_squared_error");
    change(op);
    return missing_fields(op).size() == 1;
  };
  CHECK(loss_lacks([](OpDefinition& op) { op.target_type = nullptr; }));
  CHECK(loss_lacks([](OpDefinition& op) { op.weights_type = nullptr; }));
  CHECK(loss_lacks([](OpDefinition& op) { op.operands.pop_back(); }));
}

TEST_CASE("op names are unique, and found") {
  std::set<std::string> names;
  for (const OpDefinition& op : all_ops()) {
    CHECK(names.insert(op.name).second);
    CHECK(find_op(op.name) == &op);
  }
  CHECK(find_op("no_such_op") == nullptr);
}

TEST_CASE("every op but the sources has a test case") {
  std::set<std::string> covered;
  for (const OpCase& test : op_cases()) covered.insert(test.op);
  for (const OpDefinition& op : all_ops()) {
    INFO(op.name);
    CHECK((op.category == OpCategory::source || covered.count(op.name)));
  }
}

TEST_CASE("parameters a layer makes have the types its shape rule accepts") {
  struct Layer {
    const char* op;
    TensorType x;
    AttributeMap attributes;
  };
  const Layer layers[] = {{"dense", f32({N, {3}, {7}}), {{"units", 5}}},
                          {"batch_norm", f32({N, {7}, {5}}), {{"axis", 1}, {"stats", "cumulative"}}},
                          {"layer_norm", f32({N, {7}, {5}}), {{"axes", IntList{1, 2}}}},
                          {"rms_norm", f32({N, {7}, {5}}), {{"axes", IntList{1}}}},
                          {"group_norm", f32({N, {7}, {6}}), {{"groups", 2}}},
                          {"instance_norm", f32({N, {7}, {5}}), {}},
                          {"preprocess", f32({N, {7}, {5}}), {}},
                          {"preprocess", f32({N, {7}, {5}}), {{"per", "channel"}}},
                          {"preprocess", f32({N, {7}, {5}}), {{"per", "element"}}},
                          {"prelu", f32({N, {7}, {5}}), {{"axis", 1}}},
                          {"prelu", f32({N, {7}, {5}}), {{"shared", true}}},
                          {"conv2d", f32({N, {7}, {5}, {6}}), {{"filters", 4}, {"kernel", IntList{3, 2}}, {"groups", 2}}},
                          {"conv1d", f32({N, {7}, {6}}), {{"filters", 9}, {"groups", 3}}},
                          {"conv2d_transpose", f32({N, {3}, {2}, {6}}), {{"filters", 4}, {"kernel", IntList{3, 2}}, {"groups", 2}}}};
  for (const auto& [name, x, given] : layers) {
    const OpDefinition& op = *find_op(name);
    Graph graph;
    GraphBuilder builder(graph);
    std::vector<Value> operands = {builder.input("x", x)};
    AttributeMap attributes = given;
    for (const AttributeSpec& spec : op.attributes)
      if (spec.fallback) attributes.try_emplace(spec.name, *spec.fallback);
    for (size_t k = 1; k < op.operands.size(); ++k) {
      const ParameterRule& rule = *op.operands[k].parameter;
      InferContext context(op, operands, attributes, {}, graph.batch_symbol);
      bool wanted = !rule.wanted || rule.wanted(context);
      operands.push_back(wanted ? builder.parameter(op.operands[k].name, rule.type(context), rule.initializer) : Value{});
    }
    for (const AttributeSpec& spec : op.attributes)
      if (spec.layer_only) attributes.erase(spec.name);
    CHECK_NOTHROW(builder.create(name, operands, attributes));
  }
}

TEST_CASE("batch_norm makes a step count only for statistics that need it") {
  const ParameterRule& rule = *find_op("batch_norm")->operands[5].parameter;
  auto wanted = [&](Symbol stats) {
    AttributeMap attributes = {{"stats", std::move(stats)}};
    return rule.wanted(InferContext(*find_op("batch_norm"), {}, attributes, {}, "N"));
  };
  CHECK(wanted({"cumulative", {}}));
  CHECK(wanted({"ema", {{"decay", 0.9}, {"corrected", true}}}));
  CHECK_FALSE(wanted({"ema", {{"decay", 0.9}}}));
}

TEST_CASE("the reference describes every op, its attributes and constraints") {
  const std::string text = ops_reference();
  for (const OpDefinition& op : all_ops()) {
    INFO(op.name);
    CHECK(text.find("### `" + op.name + "`\n") != std::string::npos);
    for (const AttributeSpec& attribute : op.attributes) CHECK(text.find("| `" + attribute.name + "` |") != std::string::npos);
    for (const std::string& constraint : op.constraints) CHECK(text.find(": " + constraint + "\n") != std::string::npos);
  }
}
