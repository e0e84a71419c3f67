// Convolutions: values computed by PyTorch, sizes, what the layers stand for, and the passes that rewrite them.
#include <doctest/doctest.h>

#include "ir/op.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "support/files.h"
#include "support/op_cases.h"
#include "support/passes.h"

using namespace bnc;
using namespace bnc::test;

namespace {

using L = IntList;

// 7p mod 11 - 5 at position p.
Tensor sawtooth(std::vector<int64_t> dims) {
  Tensor tensor = Tensor::filled(DType::f32, std::move(dims), 0);
  for (size_t p = 0; p < tensor.data.size(); ++p) tensor.data[p] = static_cast<double>(static_cast<int>(p * 7 % 11) - 5);
  return tensor;
}

std::vector<double> value(const OpCase& test) {
  Bindings bindings;
  for (size_t k = 0; k < test.operands.size(); ++k)
    if (test.operands[k]) bindings["x" + std::to_string(k)] = sawtooth(concrete(test.operands[k]->shape, test.batch));
  return evaluate(make_graph(test).graph, bindings).outputs.at("y0").data;
}

Shape result_shape_of(const OpCase& test) { return make_graph(test).node->results[0].type.shape; }

// The only node of that op.
const Node& only(const Graph& graph, const char* op) {
  const Node* found = nullptr;
  for (const auto& node : graph.nodes())
    if (node->is(op)) {
      REQUIRE_FALSE(found);
      found = node.get();
    }
  REQUIRE(found);
  return *found;
}

std::string canonical(const std::string& body, const std::string& inputs) {
  return rewritten(parse_network(inputs, body).main(), {"canonicalize", "dead-code"});
}

const char* training = "loss = mean_squared_error(labels)\noptimizer = sgd(rate=0.1)";

}  // namespace

TEST_CASE("convolutions give what PyTorch gives") {
  CHECK(value({"conv2d", {f32({N, {5}, {4}, {2}}), f32({{3}, {3}, {1}, {4}}), {}}, {{"stride", L{2}}, {"padding", 1}, {"groups", 2}}, 1}) ==
        std::vector<double>{-6, -13, -47, 21, 10, -26, 30, 24, 0, -8, 11, 22, -19, 49, -26, -23, 3, 3, 33, 31, -5, -3, -27, -28});
  CHECK(value({"conv1d", {f32({N, {7}, {3}}), f32({{3}, {3}, {2}}), {}}, {{"stride", L{2}}, {"padding", 2}, {"dilation", L{2}}}, 1}) ==
        std::vector<double>{-6, -8, 18, 40, -42, -3, 12, -48});
  const AttributeMap transposed = {{"stride", L{2, 3}}, {"padding", L{1, 0}}, {"output_padding", L{1, 2}}};
  CHECK(value({"conv2d_transpose", {f32({N, {2}, {2}, {2}}), f32({{3}, {2}, {1}, {2}}), {}}, transposed, 1}) ==
        std::vector<double>{-11, -20, 0, -17, -8, 0, 0, 15, -22, 0, 3, -31, 0, 0, 10, 4, 0, 4, 16, 0, 0, -13, 14, 0, -16, -4, 0, 0});
}

TEST_CASE("a bias is added to every pixel") {
  const TensorType x = f32({N, {3}, {2}, {2}}), weight = f32({{2}, {2}, {2}, {3}});
  for (const char* op : {"conv2d", "conv2d_transpose"}) {
    const TensorType kernel = op == std::string("conv2d") ? weight : f32({{2}, {2}, {3}, {2}});
    const std::vector<double> without = value({op, {x, kernel, {}}}), with = value({op, {x, kernel, f32({{3}})}}),
                              bias = sawtooth({3}).data;
    for (size_t p = 0; p < with.size(); ++p) CHECK(with[p] == without[p] + bias[p % 3]);
  }
}

TEST_CASE("the sizes of results") {
  auto size = [](int64_t input, int64_t kernel, const AttributeMap& attributes) {
    const Shape y = result_shape_of({"conv1d", {f32({N, {input}, {1}}), f32({{kernel}, {1}, {1}}), {}}, attributes});
    REQUIRE(y.size() == 3);
    return y[1].factor;
  };
  for (int64_t input = 1; input < 12; ++input)
    for (int64_t stride : {1, 2, 3, 5})
      for (int64_t kernel : {1, 2, 3, 4})
        CHECK(size(input, kernel, {{"stride", L{stride}}, {"dilation", L{2}}}) == (input + stride - 1) / stride);
  CHECK(size(32, 3, {{"stride", L{2}}, {"padding", 1}}) == 16);
  CHECK(size(7, 7, {{"padding", "valid"}}) == 1);
  CHECK(size(10, 3, {{"padding", "valid"}, {"dilation", L{4}}}) == 2);
  CHECK(size(1, 5, {{"padding", L{4, 0}}}) == 1);
  const TensorType x = f32({N, {5}, {3}, {2}});
  CHECK(result_shape_of({"conv2d_transpose", {x, f32({{4}, {4}, {3}, {2}}), {}}, {{"stride", L{2}}}}) == Shape{N, {10}, {6}, {3}});
  CHECK(result_shape_of({"conv2d_transpose", {x, f32({{4}, {3}, {3}, {2}}), {}}, {{"stride", L{2}}, {"padding", "valid"}}}) ==
        Shape{N, {12}, {7}, {3}});
  CHECK(result_shape_of(
            {"conv2d_transpose", {x, f32({{3}, {3}, {3}, {2}}), {}}, {{"stride", L{2}}, {"padding", 1}, {"output_padding", L{1}}}}) ==
        Shape{N, {10}, {6}, {3}});
}

TEST_CASE("same pads as little as it takes, the odd zero at the end; numbers pad as PyTorch does") {
  auto padding = [](const std::string& arguments) {
    Graph graph = std::move(parse_network("x: f32[N, 8, 7, 2]", "return y = conv2d(x, 3, " + arguments + ")").main());
    PassContext context;
    canonicalize(graph, context);
    return only(graph, "convolution").attribute("padding").integers();
  };
  CHECK(padding("3") == L{1, 1, 1, 1});
  CHECK(padding("3, 2") == L{0, 1, 1, 1});
  CHECK(padding("[4, 5], [1, 3]") == L{1, 2, 2, 2});
  CHECK(padding("[1, 2], [3, 2]") == L{0, 0, 0, 1});
  CHECK(padding("3, dilation=[3, 1], stride=5") == L{2, 2, 0, 1});
  CHECK(padding("3, 2, 1") == L{1, 1, 1, 1});
  CHECK(padding("3, 2, [1, 0]") == L{1, 1, 0, 0});
  CHECK(padding("3, 2, [1, 2, 3, 4]") == L{1, 2, 3, 4});
  CHECK(padding("3, padding=valid") == L{0, 0, 0, 0});
}

TEST_CASE("layers make their parameters, by the names of the contract") {
  const Graph graph = std::move(parse_network("x: f32[N, 8, 6, 4]", R"(
    h = conv2d(x, 8, [5, 3], groups=2)
    h = conv2d(h, 2*h.shape[-1], groups=h.shape[-1], bias=false, name=depthwise)
    h = conv2d_transpose(h, 6, 2, groups=2)
    return y = conv1d(reshape(h, [N, 48, 6]), 5))").main());
  std::vector<std::string> parameters;
  for (const Node* node : graph.nodes_of("parameter"))
    parameters.push_back(node->results[0].name + " " + to_string(node->results[0].type) + " " + to_string(node->attribute("initializer")));
  CHECK(parameters == std::vector<std::string>{"conv_1.weight f32[5, 3, 2, 8] he", "conv_1.bias f32[8] zeros",
                                               "depthwise.weight f32[3, 3, 1, 16] he",
                                               "conv_transpose_1.weight f32[2, 2, 3, 16] he(fan_out)", "conv_transpose_1.bias f32[6] zeros",
                                               "conv_2.weight f32[3, 6, 5] he", "conv_2.bias f32[5] zeros"});
}

TEST_CASE("canonicalize makes layers of convolutions, biases and reshapes") {
  const std::string image = "x: f32[N, 6, 5, 4]";
  std::string text = canonical("return y = conv2d(x, 3, stride=2)", image);
  CHECK(contains(text, "convolution(x, conv_1.weight, stride=[2, 2], padding=[0, 1, 1, 1])"));
  CHECK(contains(text, "bias(t"));
  text = canonical("return y = conv2d_transpose(x, 3, stride=[2, 1], bias=false)", image);
  CHECK(contains(text, "convolution_input_gradient(x, conv_transpose_1.weight, size=[12, 5], stride=[2, 1], padding=[0, 1, 1, 1])"));
  CHECK_FALSE(contains(text, "bias"));
  text = canonical("return y = conv1d(x, 6, 2, groups=2)", "x: f32[N, 5, 4]");
  CHECK(contains(text, "reshape(x, shape=[N, 1, 5, 4])"));
  CHECK(contains(text, "padding=[0, 0, 0, 1], groups=2)"));
}

TEST_CASE("canonicalize makes a matrix product of a convolution of single pixels") {
  const std::string image = "x: f32[N, 6, 5, 4]";
  for (const char* layer : {"conv2d(x, 3, 1)", "conv2d(x, 3, 1, padding=valid, dilation=2)", "conv2d_transpose(x, 3, 1)",
                            "conv2d_transpose(x, 3, 1, padding=0)"}) {
    const std::string text = canonical("return y = " + std::string(layer), image);
    INFO(text);
    CHECK(contains(text, "matmul(x, "));
    CHECK_FALSE(contains(text, "convolution"));
  }
  for (const char* layer : {"conv2d(x, 3, 1, stride=[1, 2])", "conv2d(x, 3, 1, padding=1)", "conv2d(x, 2, 1, groups=2)",
                            "conv2d(x, 3, [1, 2])", "conv2d_transpose(x, 3, 1, 2)"}) {
    const std::string text = canonical("return y = " + std::string(layer), image);
    INFO(text);
    CHECK(contains(text, "convolution"));
    CHECK_FALSE(contains(text, "matmul"));
  }
  const std::string gradient = canonical("return y = convolution_weight_gradient(x, dy, kernel=[1, 1])", image + ", dy: f32[N, 6, 5, 3]");
  CHECK(contains(gradient, "transpose_left=true"));
  CHECK_FALSE(contains(gradient, "convolution"));
}

TEST_CASE("gradients of a convolutional network are the same before and after canonicalize") {
  const std::string body = R"(
    h = relu(batch_norm(conv2d(x, 4, stride=2)))
    h = h + conv2d(h, 4, groups=2, bias=false)
    h = conv2d(h, 8, 1)
    h = conv2d_transpose(h, 3, 2, 2)
    return y = conv1d(reshape(h, [N, 48, 3]), 2, padding=[2, 0]))";
  Module module = parse_network("x: f32[N, 7, 5, 2]", body, training);
  PassContext context;
  context.train = &*module.train;
  Graph layers = std::move(module.main()), canonical = layers.clone();
  canonicalize(canonical, context);
  for (Graph* graph : {&layers, &canonical}) {
    prepare_training(*graph, context);
    build_backward(*graph, context);
    verify(*graph);
  }
  CHECK(layers.outputs.size() > 10);
  check_same_values(layers, canonical, 1e-10);
}

TEST_CASE("bn-dead-bias: the bias of a convolution in front of a batch norm goes, and the update of the mean gets it back") {
  for (const char* layer : {"conv2d(x, 3, stride=2)", "conv2d(x, 3, 1)", "conv2d_transpose(x, 3)", "conv2d(x, 4, groups=2)"}) {
    INFO(layer);
    Module module = parse_network("x: f32[N, 5, 4, 2]", "return y = batch_norm(" + std::string(layer) + ")", training);
    Graph graph = std::move(module.main());
    PassContext context;
    context.train = &*module.train;
    canonicalize(graph, context);
    prepare_training(graph, context);
    const Graph before = graph.clone();
    CHECK(drop_dead_bias(graph, context));
    for (const auto& node : graph.nodes()) CHECK_FALSE(node->is("bias"));
    const Node& norm = only(graph, "batch_norm");
    CHECK((norm.operands[0].node->is("convolution") || norm.operands[0].node->is("convolution_input_gradient") ||
           norm.operands[0].node->is("matmul")));
    check_same_values(before, graph, 1e-10);
  }
}
