// Graphs written as a person would write them: the same graph comes back, in few lines, under names that are told.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "frontend/frontend.h"
#include "frontend/write_source.h"
#include "ir/graph_hash.h"
#include "ir/print.h"
#include "support/frontend.h"
#include "support/places.h"

namespace bnc {

namespace {

// The text of a graph, which must give the graph back once its parameters are renamed, and be the same whenever it is written.
std::string written(const Graph& graph, SourceNames* names = nullptr) {
  SourceNames found;
  const std::string text = write_source(graph, {}, &found);
  CAPTURE(text);
  const Module again = parse_module(make_source(text, "written.bn"));
  CHECK(graph_hash(again.main()) == graph_hash(renamed(graph, found)));
  CHECK(write_source(graph) == text);
  CHECK(format_source(make_source(text)) == text);
  if (names) *names = found;
  return text;
}

int64_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

// A network without any structure but that of its graph.
Graph flat(const std::string& text) { return test::graph_of(print(test::graph_of(text))); }

constexpr const char* resnet20 = R"(block normalized(x, channels, kernel, stride=1) {
  return batch_norm(conv2d(x, channels, kernel, stride=stride, padding=floor(kernel / 2), bias=false))
}
block residual(x, channels, stride) {
  h = relu(normalized(x, channels, 3, stride=stride))
  h = normalized(h, channels, 3)
  if stride != 1 { x = normalized(x, channels, 1, stride=stride) }
  return relu(h + x)
}
network resnet20(x: f32[N, 3, 32, 32] layout=nchw) {
  h = relu(normalized(x, 16, 3))
  repeat channels, first in [[16, 1], [32, 2], [64, 2]] {
    repeat stride in [first, 1, 1] { h = residual(h, channels, stride) }
  }
  return logits = dense(global_average_pool(h), 10)
}
)";

}  // namespace

TEST_CASE("every example is written as the graph that it is, in few lines") {
  for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/examples")) {
    if (entry.path().extension() != ".bn") continue;
    CAPTURE(entry.path().string());
    const Module module = parse_module(read_source(entry.path().string()));
    const std::string text = written(module.main());
    const bool unrolled = entry.path().filename().string().starts_with("lstm");   // carries two values, for which there is no loop yet
    if (!unrolled) CHECK(lines_of(text) <= 50);
  }
}

TEST_CASE("a flat ResNet-20 comes out in at most 60 lines, as blocks and loops, channels first at its edge") {
  const std::string text = written(flat(resnet20));
  CAPTURE(text);
  CHECK(lines_of(text) <= 60);
  CHECK(text.find("block residual(x, channels)") != std::string::npos);
  CHECK(text.find("repeat 3 { h = residual(h, 16) }") != std::string::npos);
  CHECK(text.find("x: f32[N, 3, 32, 32] layout=nchw") != std::string::npos);
  CHECK(text.find("return logits = dense(global_average_pool(h), 10)") != std::string::npos);
  CHECK(text.find("parameter ") == std::string::npos);
}

TEST_CASE("the names tell what became of every parameter and state") {
  const Graph graph = flat(resnet20);
  SourceNames names;
  const std::string text = written(graph, &names);
  const std::vector<std::string> before = test::parameter_names(graph);
  CHECK(names.size() == before.size());
  const Module again = parse_module(make_source(text, "written.bn"));
  for (const std::string& name : before) {
    CAPTURE(name);
    REQUIRE(names.contains(name));
    REQUIRE(again.main().find(names[name]));
    CHECK(again.main().find(names[name]).type() == graph.find(name).type());
  }
}

TEST_CASE("what a layer would not make is declared, and what is shared too") {
  const std::string text = written(test::graph_of_body(
      "parameter w: f32[4, 4] = he\nparameter s: f32[3] = ones\nh = relu(dense(dense(x, weight=w, bias=false), weight=w))\nreturn h, s"));
  CAPTURE(text);
  CHECK(text.find("parameter w: f32[4, 4] = he") != std::string::npos);
  CHECK(text.find("parameter s: f32[3] = ones") != std::string::npos);
}

TEST_CASE("initializers are kept where they are wanted, and that a parameter is not trained always") {
  const Graph graph = test::graph_of_body("return dense(x, 3, weight=normal(deviation=0.1), bias=ones(trainable=false))");
  CHECK(written(graph).find("dense(x, 3, weight=normal(deviation=0.1), bias=ones(trainable=false))") != std::string::npos);
  SourceOptions options;
  options.initializers = false;
  CHECK(write_source(graph, options).find("dense(x, 3, bias=zeros(trainable=false))") != std::string::npos);
}

TEST_CASE("numbers stand beside tensors, operators keep their order, and results have their names") {
  const std::string text =
      written(test::graph_of_body("a = (x - 0.5) * 2\nb = -a / (1 + a * a)\nm, v = moments(b)\nreturn first = b, m, v"));
  CAPTURE(text);
  CHECK(text.find("(x - 0.5) * 2") != std::string::npos);
  CHECK(text.find("/ (1 + ") != std::string::npos);
  CHECK(text.find("moments(") != std::string::npos);
}

TEST_CASE("a block speaks of the batch size through its tensor") {
  const std::string text = written(test::graph_of(
      "block mix(x, units) {\n  h = relu(dense(x, units))\n  h = reshape(h, [x.shape[0], 2, units / 2])\n  h = tanh(h + x.shape[1])\n"
      "  h = flatten(softmax(h))\n  return batch_norm(dense(h, 6))\n}\n"
      "network f(x: f32[N, 6]) { return mix(sigmoid(mix(relu(mix(x, 4)), 8)), 12) }\n"));
  CAPTURE(text);
  CHECK(text.find("block ") != std::string::npos);
}

TEST_CASE("inputs of channels first keep their order and names beside others") {
  written(test::graph_of_body("return relu(transpose(x, permutation=[0, 2, 1])), relu(x_2)", "x: f32[N, 3, 5], x_2: f32[N, 4]"));
  const std::string text =
      written(test::graph_of("network f(x: f32[N, 3, 8, 8] layout=nchw) {\n  return image = relu(conv2d(x, 4)) layout=nchw\n}\n"));
  CHECK(text.find("return image = relu(conv2d(x, 4, 3)) layout=nchw") != std::string::npos);
}

TEST_CASE("a comment stands above the network, and names that cannot be written are replaced") {
  Graph graph = test::graph_of_body("return relu(x)");
  graph.name = "torch-jit export";
  graph.outputs[0].name = "1/out";
  const std::string text = write_source(graph, {.comment = "from model.onnx", .initializers = true});
  CHECK(text.starts_with("# from model.onnx\n\nnetwork torch_jit_export("));
  CHECK(text.find("return out = relu(x)") != std::string::npos);
}

}  // namespace bnc
