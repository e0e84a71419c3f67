// Every invariant of the graph, broken once.
#include <doctest/doctest.h>

#include <functional>

#include "ir/builder.h"
#include "ir/verify.h"

using namespace bnc;

namespace {

const TensorType vector{DType::f32, {{3, false}}};

// x -> h = x + w -> y = leaky_relu(h), with an update, a gradient and a loss.
Graph sound() {
  Graph graph;
  graph.name = "net";
  GraphBuilder builder(graph);
  const Value x = builder.input("x", vector);
  const Value w = builder.parameter("w", vector, {"ones", {}});
  const Value s = builder.state("s", vector, {"ones", {}});
  builder.named("h");
  const Value h = builder.add(x, w);
  builder.named("y");
  const Value y = builder.value("leaky_relu", {h}, {{"slope", 0.1}});
  builder.named("l");
  const Value loss = builder.value("reduce_sum", {y});
  graph.outputs = {{Output::Role::output, "y", y},
                   {Output::Role::loss, "loss", loss},
                   {Output::Role::gradient, "w", h},
                   {Output::Role::gradient, "x", h},
                   {Output::Role::update, "s", s}};
  return graph;
}

void check_broken(const char* text, const std::function<void(Graph&)>& breaks) {
  Graph graph = sound();
  breaks(graph);
  CHECK_THROWS_WITH_AS(verify(graph), doctest::Contains(text), InternalError);
}

}  // namespace

TEST_CASE("a sound graph passes") { CHECK_NOTHROW(verify(sound())); }

TEST_CASE("operands stand before their users and belong to the graph") {
  check_broken("add h: operand left does not stand before it",
               [](Graph& g) { g.nodes().splice(g.nodes().begin(), g.nodes(), g.position(g.find("h").node)); });
  check_broken("does not stand before it", [](Graph& g) {
    static Graph other = sound();
    g.find("h").node->operands[0] = other.find("x");
  });
  check_broken("operand right is no result", [](Graph& g) { g.find("h").node->operands[1].index = 1; });
}

TEST_CASE("operands match the definition") {
  check_broken("has 1 operands, its op defines 2", [](Graph& g) { g.find("h").node->operands.pop_back(); });
  check_broken("operand right is absent", [](Graph& g) { g.find("h").node->operands[1] = {}; });
}

TEST_CASE("attributes are complete, of the right kind, and no others") {
  check_broken("attribute slope is missing", [](Graph& g) { g.find("y").node->attributes.clear(); });
  check_broken("attribute slope is of the wrong kind", [](Graph& g) { g.find("y").node->attributes["slope"] = 1; });
  check_broken("has an attribute that its op does not define", [](Graph& g) { g.find("y").node->attributes["alpha"] = 1.0; });
}

TEST_CASE("result types are those of the shape rule") {
  check_broken("result h is f32[4], the shape rule gives f32[3]", [](Graph& g) { g.find("h").node->results[0].type.shape[0].factor = 4; });
  check_broken("its shape rule refuses", [](Graph& g) {
    g.find("w").node->results[0].type.shape[0].factor = 4;
  });
  check_broken("has 0 results", [](Graph& g) { g.find("l").node->results.clear(); });
}

TEST_CASE("names are unique") {
  check_broken("the name h occurs twice", [](Graph& g) { g.find("y").node->results[0].name = "h"; });
  check_broken("has a result without a name", [](Graph& g) { g.find("y").node->results[0].name.clear(); });
}

TEST_CASE("outputs exist, and gradients and updates fit what they name") {
  check_broken("output y is not computed", [](Graph& g) { g.outputs[0].value = {}; });
  check_broken("the loss is not f32[]", [](Graph& g) { g.outputs[1].value = g.find("h"); });
  check_broken("gradient of v, which is not in the graph", [](Graph& g) { g.outputs[2].name = "v"; });
  check_broken("gradient of w has another type", [](Graph& g) { g.outputs[2].value = g.find("l"); });
  check_broken("gradient of s, which is neither a parameter nor an input", [](Graph& g) { g.outputs[2].name = "s"; });
  check_broken("update of x, which is neither a parameter nor a state", [](Graph& g) { g.outputs[4].name = "x"; });
}
