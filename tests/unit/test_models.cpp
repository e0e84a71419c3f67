// What weights say of their model, the hash of its graph, and the constants of its C header.
#include <cmath>

#include <doctest/doctest.h>

#include "bnc/bnc.h"
#include "ir/graph_hash.h"
#include "runtime/dataset.h"
#include "runtime/model_constants.h"
#include "runtime/network.h"
#include "runtime/overlap.h"
#include "runtime/weight_store.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

std::string hash_of(const std::string& text) { return graph_hash(Network::from_text(text).data().graph()); }

constexpr const char* two_layers = R"(network n(x: f32[N, 4]) {
  a = dense(x, 3, name=first)
  b = dense(x, 3, name=second)
  return relu(a - b)
}
)";

ModelMetadata described() {
  ModelMetadata model;
  model.network = "n";
  model.graph = "0123456789abcdef";
  model.version = "bnc 1";
  model.inputs = {{"x", "f32[N, 8, 6, 3]", {3, 8, 6}, true}, {"scale", "f32[N]", {}, false}};
  TrainingRecord& training = model.training.emplace();
  training.data = "d.csv";
  training.seed = UINT64_MAX;
  training.steps = 12;
  training.validation = EvaluationResult{0.25, NAN, 7, 0, {{"top_accuracy", 0.75}, {"accuracy", NAN}}};
  return model;
}

}  // namespace

TEST_CASE("the hash of a graph: names, layout and the order of independent lines are no part of it") {
  const std::string hash = hash_of(two_layers);
  CHECK(hash.size() == 16);
  CHECK(hash_of("network other(y: f32[B, 4]) { # a comment\nq = dense(y, 3, name=second)\np = dense(y, 3, name=first)\n"
                "unused = relu(p)\nscores = relu(p - q)\nreturn scores }") == hash);
  CHECK(hash_of("network n(x: f32[N, 4]) {\n"
                "return relu(dense(x, 3, weight=normal(deviation=2), name=first) - dense(x, 3, name=second)) }") == hash);
  const Network network = Network::from_text(two_layers);
  CHECK(hash_of(network.emit(Stage::graph, {})) == hash);
}

TEST_CASE("the hash of a graph: ops, operands, attributes, types, names of weights and outputs are part of it") {
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string text = two_layers;
    text.replace(text.find(from), from.size(), to);
    return hash_of(text);
  };
  const std::string hash = hash_of(two_layers);
  CHECK(changed("relu", "tanh") != hash);
  CHECK(changed("a - b", "b - a") != hash);
  CHECK(changed("dense(x, 3, name=first)", "dense(x, 3, name=first, bias=false)") != hash);
  CHECK(changed("relu(a - b)", "leaky_relu(a - b)") == changed("relu(a - b)", "leaky_relu(a - b, slope=0.01)"));
  CHECK(changed("relu(a - b)", "leaky_relu(a - b, slope=0.1)") != changed("relu(a - b)", "leaky_relu(a - b, slope=0.2)"));
  CHECK(changed("f32[N, 4]", "f32[N, 5]") != hash);
  CHECK(changed("name=second", "name=third") != hash);
  CHECK(changed("relu(a - b)", "a, b") != changed("relu(a - b)", "b, a"));
}

TEST_CASE("metadata: what describes a model reads back, and what is damaged is refused") {
  const std::map<std::string, std::string> entries = described().entries();
  CHECK(entries.at("bnc.inputs") == R"([{"example":[3,8,6],"layout":"nchw","name":"x","type":"f32[N, 8, 6, 3]"},)"
                                    R"({"name":"scale","type":"f32[N]"}])");
  const ModelMetadata again = ModelMetadata::parse(entries, "w");
  CHECK(again.entries() == entries);
  REQUIRE(again.training);
  CHECK(again.training->seed == UINT64_MAX);
  CHECK(again.training->validation->count == 7);
  CHECK(std::isnan(again.training->validation->accuracy));
  REQUIRE(again.training->validation->metrics.size() == 2);
  CHECK(again.training->validation->metrics[0] == std::pair<std::string, double>("top_accuracy", 0.75));
  CHECK_FALSE(again.training->test_result);
  for (const char* key : {"bnc.inputs", "bnc.training"}) {
    for (const char* text : {"", "x", "1", "[1]", R"({"data": 1})", R"([{"name": "x"}])", R"([{"name":"x","type":"t","example":[1.5]}])"}) {
      CAPTURE(key);
      CAPTURE(text);
      CHECK(contains(message_of<Error>([&] { ModelMetadata::parse({{key, text}}, "w"); }),
                     "w: its metadata hold `" + std::string(text) + "` under `" + key + "`"));
    }
  }
  for (const char* text : {"null", R"({"a":{"name":"x","type":"t"}})", R"([{"name":"x","type":"t","example":{"a":1}}])"}) {
    CAPTURE(text);
    CHECK(contains(message_of<Error>([&] { ModelMetadata::parse({{"bnc.inputs", text}}, "w"); }), "is no list of inputs"));
  }
  CHECK(ModelMetadata::parse({{"format", "pt"}}, "w").entries() == std::map<std::string, std::string>{{"format", "pt"}});
}

TEST_CASE("weights tell callers of the library what they are of") {
  const Network network = Network::from_text(two_layers);
  const Network other =
      Network::from_text("network m(x: f32[N, 4]) {\n  return tanh(dense(x, 3, name=first) - dense(x, 3, name=second))\n}\n");
  const WeightStore weights = network.initialize(1);
  CHECK(network.foreign_weights(weights).empty());
  CHECK(contains(other.foreign_weights(weights), "warning: the file is of network `n` (x: f32[N, 4]), which computes something else"));
  bool found = false;
  for (const auto& [key, text] : weights.metadata()) found |= key == "bnc.network" && text == "n";
  CHECK(found);
  CHECK(other.foreign_weights(WeightStore()).empty());
}

TEST_CASE("constants of a C header: nothing where nothing is known, strings that no compiler reads otherwise") {
  ModelMetadata model;
  CHECK(model_constants("n", model, "scores").empty());
  model.classes = {"a\"b\\c", "what\?\?!", "\xc3\xbc\n9"};
  CHECK(contains(model_constants("n", model, "scores"), "output scores has a score for each"));
  CHECK(contains(model_constants("n", model, "scores"), R"(n_class_names[n_CLASSES] = {"a\"b\\c", "what\?\?!", "\303\274\0129"};)"));
  model.table.emplace().columns = {{"size", false, {}, 2.5}, {"", false, {}, {}}, {"color", true, {"blue", "red"}, 0}};
  const std::string text = model_constants("n", model, "scores");
  CHECK(contains(text, "#define n_COLUMNS 3\n#define n_FEATURES 4\n"));
  CHECK(contains(text, "n_categories_2[2] = {\"blue\", \"red\"};"));
  CHECK(contains(text, "  {\"size\", 0, 0, 1, 2.5f},\n  {\"\", 0, 0, 0, 0.0f},\n  {\"color\", 2, n_categories_2, 1, 0.0f},\n"));
  CHECK_FALSE(contains(text, "BYTE_DIVISOR"));
  model.input_scale = InputScale{true, 0, 1};
  CHECK(contains(model_constants("n", model, "scores"), "#define n_BYTE_DIVISOR 255.0f\n"));
}

TEST_CASE("constants of a C header: classes and columns that are not this network's are left out") {
  const Network network = Network::from_text("network n(x: f32[N, 4]) {\n  h = dense(x, 3)\n  return dense(x, 5), kind = h\n}\n");
  const auto header = [&](size_t classes, size_t columns) {
    ModelMetadata model;
    model.classes.assign(classes, "c");
    model.table.emplace().columns.resize(columns);
    const WeightStore weights = network.initialize(1);
    return network.compile_object({}, make_store(weights.data().weights, model)).header;
  };
  CHECK(contains(header(3, 4), "output kind has a score for each"));
  CHECK(contains(header(3, 4), "#define n_FEATURES 4\n"));
  CHECK_FALSE(contains(header(4, 4), "n_CLASSES"));
  CHECK_FALSE(contains(header(2, 5), "n_FEATURES"));
}

TEST_CASE("examples that two data sets have in common are those with the same numbers and target") {
  const TemporaryFolder folder;
  const auto open = [&](const char* name, const std::string& text) { return Dataset::open(folder.write(name, text), "train"); };
  const Dataset a = open("a.csv", "1,2,0\n3,4,1\n5,6,0\n"), b = open("b.csv", "3,4,1\n1,2,1\n5,6,0\n5,6,0\n"),
                wide = open("w.csv", "1,2,3,0\n");
  CHECK(examples_in_common(a.data(), a.data()) == 3);
  CHECK(examples_in_common(b.data(), a.data()) == 3);
  CHECK(examples_in_common(a.data(), b.data()) == 2);
  CHECK(examples_in_common(a.data(), wide.data()) == 0);
  CHECK(repeated_examples(a.data()) == 0);
  CHECK(repeated_examples(b.data()) == 1);
}
