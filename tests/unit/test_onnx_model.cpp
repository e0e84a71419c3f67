// The reader of ONNX files: what it reads, and what it says of files that are wrong.
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "frontend/onnx/onnx_model.h"
#include "ir/diagnostic.h"
#include "support/files.h"
#include "support/onnx_bytes.h"

namespace bnc {

namespace {

using namespace bnc::test;
using namespace bnc::test::onnx;

std::string onnx_error(const std::string& bytes) {
  return message_of<CompileError>([&] { parse_onnx(bytes, "m.onnx"); });
}

// Whether a file is refused with its name and both texts.
bool refuses(const std::string& bytes, const std::string& what, const std::string& more = "") {
  const std::string error = onnx_error(bytes);
  const bool fits = contains(error, "m.onnx: ") && contains(error, what) && contains(error, more);
  if (!fits) MESSAGE("the error is: " << error);
  return fits;
}

// The one initializer of a model, read.
OnnxTensor read_initializer(const std::string& tensor) { return parse_onnx(model(sum_with(tensor)), "m.onnx").graph.initializers.at(0); }

const std::string weight = float_tensor("w", {2}, {1, -2});

}  // namespace

TEST_CASE("onnx: a model is read as it was written") {
  const GraphText graph{.nodes = {node("Conv", "first", {"x", "w", ""}, {"h", ""},
                                   {attribute("group", 2, integer(3, -2)), attribute("alpha", 1, "\x15" + raw<float>({0.5f})),
                                    attribute("pads", 7, integer(8, 1) + integer(8, 2)), attribute("auto_pad", 3, bytes(4, "VALID")),
                                    attribute("value", 4, bytes(5, float_tensor("", {}, {3})))}),
                              node("Relu", "", {"h"}, {"y"})},
                    .initializers = {weight},
                    .inputs = {value("x", {symbol("N"), size(2), "", size(-1)}), value("w", {size(2)})},
                    .outputs = {bytes(1, "y")}};
  const OnnxModel model = parse_onnx(test::onnx::model(graph, opset("ai.onnx.ml", 2) + bytes(14, entry("stride", "32\n"))), "m.onnx");
  CHECK(model.ir_version == 8);
  CHECK(model.producer == "by hand");
  CHECK(model.opset() == 13);
  CHECK(model.opset("ai.onnx.ml") == 2);
  CHECK(model.opset("other") == 0);
  CHECK(model.metadata.at("stride") == "32\n");

  REQUIRE(model.graph.nodes.size() == 2);
  const OnnxNode& node = model.graph.nodes[0];
  CHECK(node.describe() == "Conv node `first`");
  CHECK(model.graph.nodes[1].describe() == "Relu node that makes `y`");
  CHECK(node.has_input(1));
  CHECK_FALSE(node.has_input(2));
  CHECK_FALSE(node.has_input(3));
  CHECK_FALSE(node.has_output(1));
  CHECK(node.get<int64_t>("group", 1) == -2);
  CHECK(node.get<float>("alpha", 1) == 0.5f);
  CHECK(node.get<std::vector<int64_t>>("pads", {}) == std::vector<int64_t>{1, 2});
  CHECK(node.get<std::string>("auto_pad", "") == "VALID");
  CHECK(node.find<OnnxTensor>("value")->floats() == std::vector<float>{3});
  CHECK(node.find<float>("beta") == nullptr);
  CHECK(contains(message_of<CompileError>([&] { node.find<float>("group"); }),
                 "m.onnx: Conv node `first`: attribute `group` is an integer where a number is needed"));

  REQUIRE(model.graph.inputs.size() == 1);  // `w` has a value
  const std::vector<OnnxDim>& dims = *model.graph.inputs[0].dims;
  REQUIRE(dims.size() == 4);
  CHECK(dims[0].symbol == "N");
  CHECK_FALSE(dims[0].size);
  CHECK(dims[1].size == 2);
  CHECK_FALSE(dims[2].size);
  CHECK_FALSE(dims[3].size);
  CHECK_FALSE(model.graph.outputs[0].dims);
  CHECK(model.graph.initializer("w")->floats() == std::vector<float>{1, -2});
  CHECK(model.graph.initializer("x") == nullptr);
}

TEST_CASE("onnx: elements of every type, raw and in fields") {
  using Floats = std::vector<float>;
  using Integers = std::vector<int64_t>;
  CHECK(read_initializer(raw_tensor("w", 11, {2}, raw<double>({0.5, -3}))).floats() == Floats{0.5f, -3});
  CHECK(read_initializer(raw_tensor("w", 10, {5}, raw<uint16_t>({0x3c00, 0xc000, 0x0001, 0x7c00, 0x8400}))).floats() ==
        Floats{1, -2, 0x1p-24f, INFINITY, -0x1p-14f});
  CHECK(std::isnan(read_initializer(raw_tensor("w", 10, {}, raw<uint16_t>({0x7e00}))).floats()[0]));
  CHECK(read_initializer(raw_tensor("w", 16, {2}, raw<uint16_t>({0x3f80, 0xc000}))).floats() == Floats{1, -2});
  CHECK(read_initializer(raw_tensor("w", 9, {2}, std::string("\0\2", 2))).integers() == Integers{0, 1});
  CHECK(read_initializer(raw_tensor("w", 3, {2}, "\xff\x01")).integers() == Integers{-1, 1});
  CHECK(read_initializer(raw_tensor("w", 2, {2}, "\xff\x01")).floats() == Floats{255, 1});
  CHECK(read_initializer(raw_tensor("w", 7, {1, 2}, raw<int64_t>({-1, 5}))).integers() == Integers{-1, 5});
  CHECK(read_initializer(raw_tensor("w", 12, {1}, raw<uint32_t>({4'000'000'000}))).integers() == Integers{4'000'000'000});
  CHECK(read_initializer(raw_tensor("w", 1, {0, 7}, "")).floats().empty());

  CHECK(read_initializer(tensor_head("w", 1, {2}) + bytes(4, raw<float>({1, 2}))).floats() == Floats{1, 2});  // packed
  CHECK(read_initializer(tensor_head("w", 6, {2}) + integer(5, -7) + integer(5, 8)).integers() == Integers{-7, 8});
  CHECK(read_initializer(tensor_head("w", 10, {1}) + integer(5, 0x3c00)).floats() == Floats{1});
  CHECK(read_initializer(tensor_head("w", 7, {1}) + integer(7, -9)).integers() == Integers{-9});
  CHECK(read_initializer(tensor_head("w", 13, {1}) + integer(11, 9)).integers() == Integers{9});
  CHECK(read_initializer(tensor_head("w", 11, {1}) + bytes(10, raw<double>({0.25}))).floats() == Floats{0.25f});

  const auto error = [](const OnnxTensor& tensor) { return message_of<CompileError>([&] { tensor.integers(); }); };
  CHECK(contains(error(read_initializer(weight)), "m.onnx: tensor `w` has elements of type float where integers are needed"));
  CHECK(contains(error(read_initializer(raw_tensor("w", 13, {1}, raw<uint64_t>({~uint64_t{0}})))), "exceeds an int64"));
  const OnnxTensor text = read_initializer(tensor_head("w", 8, {1}) + bytes(6, "cat"));
  CHECK_FALSE(text.readable());
  CHECK(contains(message_of<CompileError>([&] { text.floats(); }), "of type string"));
}

TEST_CASE("onnx: tensors that cannot be are refused") {
  const auto refused = [](const std::string& tensor, const std::string& what) { return refuses(model(sum_with(tensor)), what); };
  CHECK(refused(float_tensor("w", {-2}, {1}), "tensor `w` has the dimension -2"));
  CHECK(refused(float_tensor("w", {int64_t{1} << 32, int64_t{1} << 32}, {}), "too large"));
  CHECK(refused(float_tensor("w", {int64_t{1} << 62, 0, 8}, {}), "too large"));
  CHECK(refused(float_tensor("w", std::vector<int64_t>(33, 1), {1}), "33 dimensions"));
  CHECK(refused(float_tensor("w", {3}, {1, 2}), "tensor `w` of type float and dimensions [3] takes 12 bytes, but has 8"));
  CHECK(refused(float_tensor("w", {1}, {1, 2}), "takes 4 bytes, but has 8"));
  CHECK(refused(tensor_head("w", 7, {2}) + integer(7, 1), "takes 16 bytes, but has 8"));
  CHECK(refused(tensor_head("w", 1, {1}), "takes 4 bytes, but has 0"));
  CHECK(refused(float_tensor("w", {int64_t{1} << 50}, {1}), "bytes, but has 4"));
  CHECK(refused(raw_tensor("w", 99, {1}, "x"), "tensor `w` has elements of type number 99"));
  CHECK(refused(raw_tensor("w", -1, {1}, "x"), "type number -1"));
  CHECK(refused(raw_tensor("w", 0, {1}, "x"), "has no element type"));
  CHECK(refused(tensor_head("w", 3, {1}) + integer(5, 200), "holds 200, which is no int8"));
  CHECK(refused(tensor_head("w", 10, {1}) + integer(5, 65536), "holds 65536, which is no float16"));
  CHECK(refused(weight + bytes(3, integer(1, 0)), "stored in segments"));
}

TEST_CASE("onnx: nodes are sorted, in the file's order where that will do") {
  GraphText graph{.nodes = {node("Relu", "c", {"b"}, {"y"}), node("Relu", "b", {"a"}, {"b"}), node("Relu", "a", {"x"}, {"a"}),
                        node("Relu", "free", {"x"}, {"z"})}};
  const OnnxModel read = parse_onnx(model(graph), "m.onnx");
  std::string order;
  for (const OnnxNode& node : read.graph.nodes) order += node.name + " ";
  CHECK(order == "a b c free ");
}

TEST_CASE("onnx: graphs that cannot be are refused") {
  const auto nodes = [](std::vector<std::string> nodes) { return model(GraphText{.nodes = std::move(nodes)}); };
  CHECK(refuses(nodes({node("Add", "sum", {"x", "v"}, {"y"})}), "Add node `sum`: there is no value `v`, which it reads"));
  CHECK(refuses(nodes({node("Add", "one", {"x", "b"}, {"a"}), node("Relu", "two", {"a"}, {"b"}), node("Relu", "end", {"b"}, {"y"})}),
                "is computed from its own result: the graph has a cycle", "node `"));
  CHECK(refuses(nodes({node("Relu", "self", {"y"}, {"y"})}), "Relu node `self`: its operand `y` is computed from its own result"));
  CHECK(refuses(nodes({node("Relu", "", {"x"}, {"y"}), node("Abs", "", {"x"}, {"y"})}), "value `y` is a result of the Abs node",
                "another value has that name"));
  CHECK(refuses(nodes({node("Relu", "", {"x"}, {"y", "y"})}), "another value has that name"));
  CHECK(refuses(nodes({node("Relu", "", {"x"}, {"x"})}), "value `x` is a result of the Relu node"));
  CHECK(refuses(nodes({node("Relu", "", {"x"}, {"z"})}), "there is no value `y`, which is an output"));
  CHECK(refuses(nodes({node("", "a", {"x"}, {"y"})}), "does not say which op"));
  CHECK(refuses(nodes({node("Relu", "a\nb", {"x"}, {"y"})}), "the name of a node holds a control character"));
  CHECK(refuses(nodes({node("Relu", "\xff", {"x"}, {"y"})}), "the name of a node is no UTF-8 at byte 0"));
  CHECK(refuses(nodes({node("Relu", "", {"x"}, {"y"}, {attribute("a", 2, ""), attribute("a", 2, "")})}), "attribute `a` is given twice"));
  CHECK(refuses(nodes({}), "its graph has no nodes"));

  GraphText graph{.nodes = {node("Relu", "", {"x"}, {"y"})}, .initializers = {weight, weight}};
  CHECK(refuses(model(graph), "value `w` is an initializer, but another value has that name"));
  graph.initializers = {float_tensor("", {}, {1})};
  CHECK(refuses(model(graph), "an initializer has no name"));
  graph.initializers.clear();
  graph.outputs.push_back(graph.outputs[0]);
  CHECK(refuses(model(graph), "output `y` is listed twice"));
  graph.outputs.clear();
  CHECK(refuses(model(graph), "its graph has no outputs"));
  graph.outputs = {value("y", {}, 77)};
  CHECK(refuses(model(graph), "value `y` has elements of type number 77"));
  graph.outputs = {value("y", {size(-3)})};
  CHECK(refuses(model(graph), "value `y` has the dimension -3"));
  graph.outputs = {bytes(1, "y") + bytes(2, bytes(4, ""))};
  CHECK(refuses(model(graph), "value `y` is no tensor", "zipmap=False"));
}

TEST_CASE("onnx: files that are something else are refused") {
  const GraphText graph{.nodes = {node("Relu", "", {"x"}, {"y"})}};
  CHECK(refuses("", "no ONNX model"));
  CHECK(refuses("network f(x: f32[N, 4]) { return x }", "no ONNX model"));
  CHECK(refuses(integer(1, 8), "holds no graph"));
  CHECK(refuses(bytes(7, graph_text(graph)), "names no version"));
  CHECK(refuses("PK\3\4", "zip archive"));
  CHECK(refuses("version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"));
  CHECK(refuses(integer(1, 8) + bytes(7, graph_text(graph)), "Relu node that makes `y`: the file does not say of which opset it is"));
  CHECK(parse_onnx(integer(1, 2) + bytes(7, graph_text(graph)), "m.onnx").opset() == 1);
  CHECK(refuses(model(graph, opset("ai.onnx", 12)), "names opset 12"));
  CHECK(refuses(model(graph, opset("other", 0)), "names opset 0 of domain `other`"));
  CHECK(contains(message_of<CompileError>([] { read_onnx("/no/such/m.onnx"); }), "cannot read /no/such/m.onnx: No such file"));
  CHECK(contains(message_of<CompileError>([] { read_onnx("/"); }), "Is a directory"));
}

TEST_CASE("onnx: a file cut short anywhere, or with any byte changed, ends in a model or an error") {
  const std::string whole = model(sum_with(weight));
  for (size_t length = 0; length < whole.size(); ++length) onnx_error(whole.substr(0, length));
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const char change : {'\x01', '\x08', '\x80', '\xff'}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      const std::string error = onnx_error(damaged);
      CHECK((error.empty() || contains(error, "m.onnx: ")));
    }
  }
}

TEST_CASE("onnx: what no importer can take of a node is kept with it") {
  const auto read = [](const std::string& attribute, const std::string& rest = "") {
    return parse_onnx(model(GraphText{.nodes = {node("If", "", {"x"}, {"y"}, {attribute})}}, rest), "m.onnx").graph.nodes[0];
  };
  const std::string plain = attribute("a", 2, integer(3, 1));
  CHECK(read(plain).unsupported.empty());
  const OnnxNode branch = read(attribute("then_branch", 5, bytes(6, bytes(2, "inner"))));
  CHECK(branch.unsupported == "attribute `then_branch` is a subgraph");
  CHECK(contains(branch.advice, "control flow"));
  CHECK(contains(read(attribute("s", 11, bytes(22, ""))).unsupported, "sparse tensor"));
  CHECK(contains(read(attribute("t", 40, "")).unsupported, "of a type that bnc does not know"));
  CHECK(contains(read(attribute("r", 2, bytes(21, "outer"))).unsupported, "attribute of a function"));
  CHECK(contains(read(plain, bytes(25, bytes(1, "If"))).unsupported, "a function that the model defines"));
  std::string deep = plain;
  for (int level = 0; level < 200; ++level) deep = attribute("g", 5, bytes(6, bytes(1, bytes(5, deep))));
  CHECK(refuses(model(GraphText{.nodes = {node("If", "", {"x"}, {"y"}, {deep})}}), "nested more than 100 deep"));
}

TEST_CASE("onnx: external data is read from the model's folder and nowhere else") {
  const TemporaryFolder outside;
  const std::string folder = outside.path("inside");
  std::filesystem::create_directories(folder + "/below");
  outside.write("secret", raw<float>({7, 7}));
  outside.write("inside/data", raw<float>({0, 1, -2, 0}));
  outside.write("inside/below/data", raw<float>({3, 4}));
  std::filesystem::create_symlink("../secret", folder + "/link");
  std::filesystem::create_symlink("below/data", folder + "/near");
  std::filesystem::create_directory_symlink("..", folder + "/up");
  using Entries = std::vector<std::pair<std::string, std::string>>;
  const auto read = [&](const Entries& entries) {
    const std::string path = outside.write("inside/m.onnx", model(sum_with(external_tensor("w", {2}, entries))));
    return read_onnx(path).graph.initializers[0].floats();
  };
  const auto refused = [&](const Entries& entries, const std::string& what) {
    const std::string error = message_of<CompileError>([&] { read(entries); });
    if (!contains(error, what)) MESSAGE("the error is: " << error);
    return contains(error, "m.onnx: tensor `w`") && contains(error, what);
  };
  CHECK(read({{"location", "data"}, {"offset", "4"}, {"length", "8"}}) == std::vector<float>{1, -2});
  CHECK(read({{"location", "below/data"}}) == std::vector<float>{3, 4});
  CHECK(read({{"location", "./below/../near"}}) == std::vector<float>{3, 4});
  for (const char* leaving : {"../secret", "below/../../secret", "link", "up/secret", "../none"})
    CHECK(refused({{"location", leaving}}, "outside of the model's folder"));
  CHECK(refused({{"location", outside.path("secret")}}, "outside of the model's folder"));
  CHECK(refused({{"location", folder + "/data"}}, "outside of the model's folder"));  // no absolute path
  CHECK(refused({{"location", "none"}}, "cannot be read: No such file"));
  CHECK(refused({{"location", "below"}}, "no regular file"));
  CHECK(refused({}, "does not say in which file"));
  CHECK(refused({{"location", "data"}, {"offset", "12"}}, "begins at byte 12 of `data`, which has 16"));
  CHECK(refused({{"location", "data"}, {"offset", "18446744073709551615"}}, "begins at byte 18446744073709551615"));
  CHECK(refused({{"location", "data"}, {"offset", "-4"}}, "its offset is no number"));
  CHECK(refused({{"location", "data"}, {"length", "4"}}, "of 8 bytes has 4 bytes in `data`"));
  CHECK(refuses(model(sum_with(external_tensor("w", {2}, {{"location", "data"}}))), "read the model from its file"));
}

}  // namespace bnc
