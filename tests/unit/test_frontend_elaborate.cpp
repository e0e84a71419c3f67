#include <doctest/doctest.h>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/evaluate.h"
#include "ir/op.h"
#include "support/frontend.h"

namespace bnc {

using test::errors_of, test::graph_of, test::graph_of_body, test::parameter_names;
using Names = std::vector<std::string>;

namespace {

// What a compile-time expression is: it is made the value of a constant.
double number_of(const std::string& expression) {
  Graph graph = graph_of_body("return constant(" + expression + ")");
  return graph.outputs.at(0).value.node->attribute("value").number();
}

std::string many(const std::string& text, int count) {
  std::string all;
  for (int k = 0; k < count; ++k) all += text;
  return all;
}

bool boolean_of(const std::string& expression) { return number_of("if " + expression + " { 1 } else { 0 }") == 1; }

}  // namespace

TEST_CASE("parameters are named by layer and count, in the order in which they stand in the network") {
  Graph graph = graph_of(R"(
block cell(x, units) {
  h = dense(x, units, bias=false)
  return batch_norm(h)
}
block pair(x) {
  x = cell(x, 3)
  return cell(x, 4)
}
network f(x: f32[N, 5]) {
  h = pair(x)
  parameter scale: f32[4] = ones
  h = pair(dense(h, 7)) * scale
  h = dense(dense(h, 2), 3, name=head)
  return dense(h, 1)
}
)");
  Names names;
  for (const std::string& name : parameter_names(graph))
    if (name.ends_with("weight") || name.ends_with("gamma") || name.ends_with("variance") || name == "scale") names.push_back(name);
  CHECK(names == Names{"pair1.cell1.dense_1.weight", "pair1.cell1.batch_norm_1.gamma", "pair1.cell1.batch_norm_1.variance",
                       "pair1.cell2.dense_1.weight", "pair1.cell2.batch_norm_1.gamma", "pair1.cell2.batch_norm_1.variance", "scale",
                       "dense_1.weight", "pair2.cell1.dense_1.weight", "pair2.cell1.batch_norm_1.gamma",
                       "pair2.cell1.batch_norm_1.variance", "pair2.cell2.dense_1.weight", "pair2.cell2.batch_norm_1.gamma",
                       "pair2.cell2.batch_norm_1.variance", "dense_2.weight", "head.weight", "dense_3.weight"});
}

TEST_CASE("only layers that make parameters are counted, and a taken name is passed over") {
  CHECK(parameter_names(graph_of_body("parameter w: f32[4, 4] = he\nh = dense(x, weight=w, bias=false)\nparameter dense_1.weight: f32[4] = "
                                      "ones\nreturn dense(h, 2) * 2",
                                      "x: f32[N, 4]")) == Names{"w", "dense_1.weight", "dense_2.weight", "dense_2.bias"});
  CHECK(parameter_names(graph_of("block conv3(x) { return dense(x, 2) }\nnetwork f(x: f32[N, 4]) { return conv3(x) }\n")) ==
        Names{"conv3_1.dense_1.weight", "conv3_1.dense_1.bias"});
}

TEST_CASE("operands that can be made are made, given, drawn or left out") {
  Graph graph = graph_of_body(
      "parameter w: f32[4, 3] = ones\na = dense(x, 3, weight=w)\nb = dense(x, 3, weight=normal(deviation=0.5, trainable=false), "
      "bias=ones)\nc = dense(x, 3, bias=false)\nd = dense(x, 3, weight=w, bias=true)\nreturn a + b + c + d");
  CHECK(parameter_names(graph) == Names{"w", "dense_1.bias", "dense_2.weight", "dense_2.bias", "dense_3.weight", "dense_4.bias"});
  CHECK(to_string(Attribute(graph.find("dense_2.weight").node->attribute("initializer"))) == "normal(deviation=0.5, trainable=false)");
  CHECK(to_string(Attribute(graph.find("dense_2.bias").node->attribute("initializer"))) == "ones");
  CHECK(!is_trainable(*graph.find("dense_2.weight").node));
  CHECK(graph.find("a").node->operands[1] == graph.find("w"));
  CHECK(!graph.find("c").node->operands[2]);
}

TEST_CASE("tensors fill operands and compile-time values fill attributes") {
  Graph graph = graph_of_body(
      "a = softmax(x, 1)\nb = softmax(x=x, axis=1)\nc = constant([1, 2, 3], [3])\nd = concat([a, b], axis=1)\ne = transpose(x, [1, 0])\nf "
      "= reduce_sum(x, 0)\nreturn a");
  CHECK(graph.find("a").node->attributes == graph.find("b").node->attributes);
  CHECK(graph.find("c").type() == TensorType{DType::f32, {{3}}});
  CHECK(graph.find("d").type() == TensorType{DType::f32, {{1, true}, {8}}});
  CHECK(graph.find("e").type() == TensorType{DType::f32, {{4}, {1, true}}});
  CHECK(graph.find("f").type() == TensorType{DType::f32, {{4}}});
}

TEST_CASE("operators on tensors are ops, numbers beside them constants") {
  Graph graph = graph_of_body("return -x * 2 + x / 0.5 - x");
  Names ops;
  for (const auto& node : graph.nodes()) ops.push_back(node->op->name);
  CHECK(ops == Names{"input", "neg", "constant", "mul", "constant", "div", "add", "sub"});
  CHECK(graph_of_body("return i + 1", "i: i32[N]").outputs[0].value.type() == TensorType{DType::i32, {{1, true}}});
}

TEST_CASE("compile-time arithmetic") {
  CHECK(number_of("1 + 2 * 3 - -4") == 11);
  CHECK(number_of("7 / 2") == 3.5);
  CHECK(number_of("8 / 2") == 4);
  CHECK(number_of("-7 % 3") == 2);
  CHECK(number_of("7 % -3") == -2);
  CHECK(number_of("7.5 % 2") == 1.5);
  CHECK(number_of("floor(-7 / 2)") == -4);
  CHECK(number_of("max(1, 2.5, min(3, 4))") == 3);
  CHECK(number_of("length([1, 2] + [3])") == 3);
  CHECK(number_of("(0..4)[-1]") == 3);
  CHECK(number_of("length(3..0)") == 0);
  CHECK(number_of("[[1, 2], [3, 4]][1][0]") == 3);
  CHECK(number_of("x.shape[1]") == 4);
  CHECK(number_of("x.shape[0] * 6 / N / 2 + length(x.shape)") == 5);
  CHECK(number_of("9223372036854775807 - 1 + 1") == 9223372036854775807.0);
  CHECK(number_of("-inf") == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(number_of("nan")));
}

TEST_CASE("compile-time conditions") {
  CHECK(boolean_of("1 < 2 and not 2 <= 1 or false"));
  CHECK(boolean_of("1 == 1.0"));
  CHECK(boolean_of("[1, 2] == [1, 2]"));
  CHECK(boolean_of("[1, 2] != [1, 3]"));
  CHECK(boolean_of("x.shape == [N, 4]"));
  CHECK(boolean_of("mean != sum"));
  CHECK(boolean_of("1 != true"));
  CHECK(!boolean_of("false and 1 / 0 == 1"));
  CHECK(boolean_of("true or 1 / 0 == 1"));
}

TEST_CASE("repeat and if unroll; names last, loop variables do not") {
  Graph graph = graph_of_body(
      "i = 7\nn = 0\nrepeat i in 0..3 { n = n + i }\nrepeat 2 { n = n * 10 }\nrepeat a, b in [[1, 2], [3, 4]] {\n  if a == 3 { k = b } "
      "else if a == 1 { m = b }\n}\ny = constant([i, n, k, m], [4])\nrepeat 0 { y = x }\nreturn y");
  CHECK(graph.outputs[0].value.node->attribute("value").numbers() == NumberList{7, 300, 4, 2});
}

TEST_CASE("blocks take values of any kind, match shapes, choose defaults and return several values") {
  Graph graph = graph_of(R"(
block act(x, of=relu, twice=length([1]) == 2) {
  if twice { return of(of(x)) }
  return of(x)
}
block halves(x: f32[M, C], at: integer=C / 2) {
  return slice(x, axis=1, begin=0, end=at), slice(x, axis=1, begin=at, end=C), at
}
network f(x: f32[B, 6]) {
  a, b, n = halves(x)
  a = act(a)
  b = act(b, of=tanh, twice=true)
  return a, b * n
}
)");
  CHECK(print(graph) == R"(network f(x: f32[B, 6]) {
  a: f32[B, 3] = slice(x, axis=1, begin=0, end=3)
  b: f32[B, 3] = slice(x, axis=1, begin=3, end=6)
  a_2: f32[B, 3] = relu(a)
  t1: f32[B, 3] = tanh(b)
  b_2: f32[B, 3] = tanh(t1)
  t2: f32[] = constant(3)
  y_2: f32[B, 3] = mul(b_2, t2)
  return a = a_2, y_2
}
)");
}

TEST_CASE("outputs are named by the statement, the variable or y") {
  auto names = [](const std::string& statement) {
    Names names;
    for (const Output& output : graph_of_body("h = relu(x)\nh = tanh(h)\nreturn " + statement).outputs) names.push_back(output.name);
    return names;
  };
  CHECK(names("h") == Names{"h"});
  CHECK(names("tanh(h)") == Names{"y"});
  CHECK(names("tanh(h), x, relu(h)") == Names{"y", "x", "y_3"});
  CHECK(names("first = h, second = h") == Names{"first", "second"});
}

TEST_CASE("a variable may be called like a symbol, an op or an initializer") {
  Graph graph = graph_of_body(
      "sum = relu(x)\nnormal = tanh(x)\nones = constant(1, [4])\nrelu = relu(sum)\nz = mean_squared_error(sum, normal, reduction=sum)\nn = "
      "batch_norm(x, gamma=ones)\nreturn relu, z, n");
  CHECK(graph.find("z").node->operands[0].name() == "sum");
  CHECK(graph.find("z").node->attribute("reduction").symbol().name == "sum");
  CHECK(graph.find("n").node->operands[1].name() == "ones");
}

TEST_CASE("every node knows its line; inside a block it is the line of the block") {
  Graph graph = graph_of("block b(x) {\n  return relu(x)\n}\nnetwork f(x: f32[N, 4]) {\n  h = b(x)\n  return dense(h,\n    3)\n}\n");
  CHECK(graph.find("h").node->range.line == 2);
  CHECK(graph.find("x").node->range.line == 4);
  CHECK(graph.find("dense_1.weight").node->range.line == 6);
  CHECK(graph.outputs[0].value.node->range.column == 10);
}

TEST_CASE("one run reports every mistake once, and nothing that follows from another") {
  auto errors = errors_of(R"(
block b(x) {
  h = rleu(x)
  return tanh(h)
}
network f(x: f32[N, 4]) {
  a = b(x)
  c = b(a)
  d = dense(c, unts=3)
  repeat 3 { d = d + missing }
  if wrong { e = x } else { e = d }
  g = relu(e)
  return other, g
}
network h(y: f32[N, 4]) {
  return tahn(y), b(y)
}
)");
  Names texts;
  for (const Diagnostic& error : errors) texts.push_back(fmt::format("{}: {}", error.range.line, error.text));
  CHECK(texts ==
        Names{"3: unknown op or block `rleu`", "11: unknown name `wrong`", "13: unknown name `other`", "16: unknown op or block `tahn`"});
}

TEST_CASE("errors beyond the twentieth end the run, wherever they stand") {
  std::string body, settings;
  for (int k = 0; k < 15; ++k) body += fmt::format("  a{} = missing\n", k), settings += fmt::format("  wrong{} = 1\n", k);
  CHECK(errors_of("network f(x: f32[N, 4]) {\n" + body + "  return x\n}\ntrain f {\n" + settings + "}\n").size() == 20);
  CHECK(errors_of("network f(x: f32[N, 4]) {\n" + body + body + "  return x\n}\n").size() == 20);
}

TEST_CASE("lists, shapes and names have limits, so that a few characters cannot take all memory") {
  const auto error = [](const std::string& body, const std::string& inputs = "x: f32[N, 4]") {
    const auto errors = errors_of("network f(" + inputs + ") {\n" + body + "\nreturn x\n}\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].range.known());
    return errors[0].text;
  };
  CHECK(error("a = [1, 2]\nrepeat 60 { a = [a, a] }") == "this list has more than 100000 elements");
  CHECK(error("a = 0..90000\nrepeat 1000000 { b = a }") == "all lists together have more than 10000000 elements");
  CHECK(error("a = 0..90000\nrepeat 1000000 { b = length(a) }") == "all lists together have more than 10000000 elements");
  CHECK(error("repeat 1000000000 { }") == "the network grows beyond 100000 operations");
  CHECK(error("a = 0..90000\nrepeat 90000 { y = reshape(x, a) }").find("reshape: ") == 0);
  CHECK(error("y = reshape(x, [N, 4" + many(", 1", 31) + "])") == "reshape: a tensor has at most 32 dimensions, not 33");
  CHECK(error("parameter w: f32[1" + many(", 1", 32) + "] = zeros") == "a tensor has at most 32 dimensions, not 33");
  CHECK(error("y = pad(x, low=[0, 4611686018427387904], high=[0, 1])").find("2^62") != std::string::npos);
  CHECK(error(many("a", 256) + " = 1") == "a name has at most 255 characters, not 256");
  CHECK(error("y = " + many("a.", 3000) + "a").find("at most 4095 characters") != std::string::npos);
}

TEST_CASE("the train section") {
  Module module = parse_module(make_source(
      "network f(x: f32[N, 4]) { return dense(x, 3) }\nnetwork g(x: f32[N, 4]) { return x }\ntrain f {\n  loss = "
      "softmax_cross_entropy(classes, reduction=sum)\n  optimizer = sgd(rate=1 / 8, momentum=0.5, nesterov)\n  batch = 2 * 30\n  epochs = "
      "3\n  seed = 7\n  patience = 1 + 4\n  augment = [pad_and_crop(2 * 2), flip, shift(pixels=1), shift]\n}\n"));
  CHECK(module.main().name == "f");
  const TrainSection& train = *module.train;
  CHECK(to_string(train.loss) == "softmax_cross_entropy(classes, reduction=sum)");
  CHECK(to_string(Attribute(train.optimizer)) == "sgd(rate=0.125, momentum=0.5, nesterov)");
  CHECK(train.batch == 60);
  CHECK(train.epochs == 3);
  CHECK(!train.steps);
  CHECK(train.seed == 7);
  CHECK(train.patience == 5);
  REQUIRE(train.augment.size() == 4);
  CHECK(to_string(Attribute(train.augment[0])) == "pad_and_crop(pixels=4)");
  CHECK(to_string(Attribute(train.augment[1])) == "flip");
  CHECK(to_string(Attribute(train.augment[2])) == "shift(pixels=1)");
  CHECK(to_string(Attribute(train.augment[3])) == "shift(pixels=2)");
  CHECK(train.optimizer_range.line == 5);
  CHECK(print(parse_module(make_source(print(module)))) == print(module));
}

TEST_CASE("changes to images that are none are told from those there are") {
  const auto error = [](const std::string& augment) {
    return errors_of(
               "network f(x: f32[N, 4, 4]) { return x }\ntrain f {\n  loss = mean_squared_error(y)\n  optimizer = sgd(rate=0.1)\n  augment "
               "= " +
               augment + "\n}\n")
        .at(0)
        .text;
  };
  CHECK(error("[flip, flop]") == "unknown change to images `flop`");
  CHECK(error("[flip(1)]") == "`flip` takes no arguments");
  CHECK(error("[shift(1, 2)]") == "`shift` takes one number of pixels");
  CHECK(error("[shift(pixel=1)]") == "`shift` has no argument `pixel`");
  CHECK(error("pad_and_crop(0)") == "`pixels` is an integer of at least 1, but this is the integer 0");
  CHECK(error("[4]") == "expected a change to images, as in `[pad_and_crop(4), flip]`");
}

TEST_CASE("layout= brings an input to channels last, and an output back to channels first") {
  Graph graph = graph_of(R"(
network f(x: f32[N, 3, 5, 7] layout=nchw, signal: f32[N, 2, 9] layout=ncw) {
  image: f32[N, 5, 7, 3] = relu(x)
  wave: f32[N, 9, 2] = tanh(signal)
  return image layout=nchw, y = wave layout=ncw, wave
}
)");
  CHECK(print(graph) == R"(network f(x: f32[N, 3, 5, 7], signal: f32[N, 2, 9]) {
  x_2: f32[N, 5, 7, 3] = transpose(x, permutation=[0, 2, 3, 1])
  signal_2: f32[N, 9, 2] = transpose(signal, permutation=[0, 2, 1])
  image: f32[N, 5, 7, 3] = relu(x_2)
  wave: f32[N, 9, 2] = tanh(signal_2)
  image_2: f32[N, 3, 5, 7] = transpose(image, permutation=[0, 3, 1, 2])
  wave_2: f32[N, 2, 9] = transpose(wave, permutation=[0, 2, 1])
  return image = image_2, y = wave_2, wave
}
)");
  // `layout` is an ordinary name everywhere else.
  CHECK(graph_of("network f(layout: f32[N, 3]) {\n  x = layout\n  layout = relu(x)\n  return layout = layout, x\n}\n").outputs[0].name ==
        "layout");
}

}  // namespace bnc
