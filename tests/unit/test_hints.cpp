// What hints tell people to write is legal, and what they speak of is not already something here.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/hints.h"
#include "ir/op.h"
#include "ir/ops/learning_rate.h"
#include "passes/optimizers/optimizer.h"
#include "support/files.h"

namespace bnc {

namespace {

using test::contains;
using test::message_of;
using Place = Hint::Place;

bool compiles(const std::string& text) {
  try {
    parse_module(make_source(text, "hint.bn"));
    return true;
  } catch (const CompileError&) {
    return false;
  }
}

TrainSection trained(const std::string& settings) {
  return *parse_module(make_source("network f(x: f32[N, 784]) { return dense(x, 10) }\ntrain f {\n" + settings + "\n}\n", "hint.bn")).train;
}

// A statement or expression, over rows, sequences or images.
bool is_legal_in_network(const std::string& code) {
  const std::string statement = code.starts_with("h = ") ? code : "h = " + code;
  for (const char* shape : {"N, 784", "N, 28, 28", "N, 28, 28, 8"})
    if (compiles(fmt::format("network f(x: f32[{0}], y: f32[{0}]) {{\n  parameter w: f32[784, 4] = he\n  {1}\n  return x\n}}\n", shape,
                             statement)))
      return true;
  return false;
}

}  // namespace

TEST_CASE("what a hint on a call tells to write is legal") {
  for (const Hint& hint : all_hints()) {
    if (hint.place != Place::layer || hint.instead.empty()) continue;
    CAPTURE(hint.instead);
    if (hint.instead.starts_with("network")) continue;
    CHECK(is_legal_in_network(hint.instead));
    for (const std::string& written : hint.written) {
      const std::string op = op_like(written);
      if (!op.empty() && op != "interpolate" && op != "normalize") CHECK_MESSAGE(hint.instead.starts_with(op + "("), written);
    }
  }
}

TEST_CASE("what a hint on an argument tells to write is an argument of the op") {
  for (const Hint& hint : all_hints()) {
    if (hint.place != Place::argument) continue;
    for (const std::string& name : hint.ops) {
      CAPTURE(name);
      const OpDefinition* op = find_op(name);
      REQUIRE(op);
      for (const std::string& written : hint.written) CHECK_MESSAGE((op->operand_index(written) < 0 && !op->attribute(written)), written);
      if (hint.instead.empty()) continue;
      const std::string instead = hint.instead.substr(0, hint.instead.find('='));
      CHECK_MESSAGE((op->operand_index(instead) >= 0 || op->attribute(instead)), instead);
    }
  }
}

TEST_CASE("what a hint on a train section tells to write is legal") {
  const std::string loss = "loss = softmax_cross_entropy(labels)\n", optimizer = "optimizer = sgd(rate=0.1)\n";
  for (const Hint& hint : all_hints()) {
    if (hint.instead.empty()) continue;
    CAPTURE(hint.instead);
    if (hint.place == Place::setting) {
      const std::string name = hint.instead.substr(0, hint.instead.find(' '));
      CHECK_NOTHROW(OptimizerSettings(trained((name == "loss" ? "" : loss) + (name == "optimizer" ? "" : optimizer) + hint.instead)));
    }
    if (hint.place == Place::loss) CHECK_NOTHROW(trained(optimizer + "loss = " + hint.instead));
    if (hint.place == Place::optimizer) CHECK_NOTHROW(OptimizerSettings(trained(loss + "optimizer = " + hint.instead)));
    if (hint.place == Place::optimizer_argument) {
      const std::string rate = hint.instead.starts_with("rate") ? "" : "rate=0.1, ";
      for (const OptimizerDefinition& of : all_optimizers()) {
        if (!hint.ops.empty() && std::find(hint.ops.begin(), hint.ops.end(), of.name) == hint.ops.end()) continue;
        CAPTURE(of.name);
        CHECK_NOTHROW(OptimizerSettings(trained(fmt::format("{}optimizer = {}({}{})", loss, of.name, rate, hint.instead))));
      }
    }
    if (hint.place == Place::schedule) {
      const TrainSection section = trained(loss + "optimizer = sgd(rate=" + hint.instead + ")");
      Symbol schedule = *section.optimizer.find("rate")->get_if<Symbol>();
      std::erase_if(schedule.arguments, [](const auto& argument) { return argument.first == "in_epochs"; });
      if (ops::schedule_has_length(schedule.name)) schedule.arguments.emplace_back("steps", int64_t{100});
      CHECK(!ops::check_schedule(schedule));
    }
  }
}

TEST_CASE("what a hint on a word tells to write is legal") {
  for (const Hint& hint : all_hints()) {
    if (hint.instead.empty()) continue;
    CAPTURE(hint.instead);
    if (hint.place == Place::type) CHECK(compiles("network f(x: " + hint.instead + ") { return x }"));
    if (hint.place == Place::parameter_type) {
      const std::map<std::string, std::string> values = {{"integer", "1"}, {"number", "0.5"}, {"boolean", "true"},
                                                         {"symbol", "relu"}, {"tensor", "x"}, {"list", "[1]"}};
      CHECK(compiles(fmt::format("block b(x, p: {}) {{ return x }}\nnetwork f(x: f32[N, 784]) {{ return b(x, {}) }}", hint.instead,
                                 values.at(hint.instead))));
    }
    if ((hint.place == Place::word || hint.place == Place::sign) && hint.instead.starts_with("network")) CHECK(compiles(hint.instead));
    if (hint.place == Place::word && hint.instead.starts_with("block"))
      CHECK(compiles(hint.instead + "\nnetwork f(x: f32[N, 784]) { return stage(x, 10) }"));
    if (hint.place == Place::word && hint.instead.starts_with("repeat"))
      CHECK(compiles("network f(x: f32[N, 784]) {\n  h = x\n  " + hint.instead + "\n  return h\n}"));
  }
}

TEST_CASE("a call of what does not exist is told what does") {
  const auto said = [](const std::string& call, const std::string& blocks = "") {
    const std::string text = blocks + "\nnetwork f(x: f32[N, 28, 28, 1]) {\n  h = " + call + "\n  return x\n}\n";
    return message_of<CompileError>([&] { parse_module(make_source(text, "hint.bn")); });
  };
  const std::string own = "block Linear(x, units) { return dense(flatten(x), units) }";
  CHECK(contains(said("max_pool(2)(x)"), "at once: `max_pool(x, ...)`"));
  CHECK(contains(said("LeakyReLU(0.1)(x)"), "at once: `leaky_relu(x, ...)`"));
  CHECK(contains(said("Stage(8)(x)"), "at once: `Stage(x, ...)`"));
  CHECK(contains(said("linear(x, 8)", own), "did you mean `Linear`?"));
  CHECK(contains(said("nn.Parameter(x)"), "a parameter is declared"));
  CHECK(contains(said("F.interpolate(x)"), "write `resize(x, scale=2)`"));
  CHECK(contains(said("torch.abs(x)"), "write `abs(...)`, with the tensor as its first argument"));
  CHECK(contains(said("s(x, 8)", "block s(x, units: int) { return x }"), "unknown type `int`"));
  CHECK(contains(said("s(x, 8)", "block s(x, units: int) { return x }"), "write `integer`"));
}

TEST_CASE("a word has one hint, found without modules, case and separators") {
  CHECK(find_hint(Place::layer, "torch.nn.functional.max_pool2d") == find_hint(Place::layer, "MaxPool2D"));
  CHECK(hint(Place::argument, "momentum", "batch_norm").find("decay=0.9") != std::string::npos);
  CHECK(hint(Place::argument, "momentum", "dense").empty());
  CHECK(hint(Place::value, "None").find("left out") != std::string::npos);
  CHECK(hint(Place::value, "none").empty());
  CHECK(hint(Place::layer, "no_such_layer").empty());
  CHECK(op_like("torch.Abs") == "abs");
  CHECK(op_like("nn.Parameter").empty());
  for (const Hint& hint : all_hints())
    for (const std::string& written : hint.written) {
      CAPTURE(written);
      CHECK(find_hint(hint.place, written, hint.ops.empty() ? "" : hint.ops.front()) == &hint);
      if (hint.instead.empty()) CHECK(!hint.why.empty());
    }
}

}  // namespace bnc
