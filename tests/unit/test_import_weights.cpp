// State dicts into networks: which tensor becomes which parameter, in which layout, and what is refused.
#include <doctest/doctest.h>

#include "bnc/state_dict.h"
#include "runtime/layer_names.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;

// Tensors of those shapes, all numbers different: tensor k has 1000*k, 1000*k + 1 and so on.
WeightStore numbered(const Shapes& shapes) {
  WeightStore store;
  float next = 0;
  for (const auto& [name, dims] : shapes) {
    size_t count = 1;
    for (const int64_t dim : dims) count *= static_cast<size_t>(dim);
    std::vector<float> values(count);
    for (size_t k = 0; k < count; ++k) values[k] = next + static_cast<float>(k);
    store.set(name, dims, std::move(values));
    next += 1000;
  }
  return store;
}

struct Import {
  TemporaryFolder folder;
  Network network;

  explicit Import(const std::string& body) : network(Network::from_text("network net(x: " + body + "}\n", "net.bn")) {}

  ImportedWeights run(const Shapes& shapes, const std::string& map = "") {
    numbered(shapes).save(folder.path("w.safetensors"));
    const std::string path = map.empty() ? "" : folder.write("map.txt", map);
    return import_weights(network, StateDict::load(folder.path("w.safetensors")), path);
  }
  // The error, and the draft that goes with it.
  std::pair<std::string, std::string> refused(const Shapes& shapes, const std::string& map = "") {
    try {
      run(shapes, map);
    } catch (const UnmatchedTensors& error) {
      return {error.what(), error.draft()};
    } catch (const Error& error) {
      return {error.what(), ""};
    }
    return {};
  }
};

// The number of the tensor that a parameter is from.
int source_of(const ImportedWeights& imported, const std::string& name) {
  return static_cast<int>(imported.weights.values(name)[0]) / 1000;
}

std::vector<float> values_of(const ImportedWeights& imported, const std::string& name) {
  const auto values = imported.weights.values(name);
  return {values.begin(), values.end()};
}

}  // namespace

TEST_CASE("import: PyTorch's dense weight is turned round, also where it is square; that of bnc's own file is not") {
  Import import("f32[N, 2]) { return dense(x, 2) ");
  const ImportedWeights of_pytorch = import.run({{"fc.weight", {2, 2}}, {"fc.bias", {2}}});
  CHECK(of_pytorch.report.dialect == "PyTorch");
  CHECK(of_pytorch.report.by_shape == 2);
  CHECK(values_of(of_pytorch, "dense_1.weight") == std::vector<float>{0, 2, 1, 3});
  CHECK(of_pytorch.weights.metadata()[0].second == import.network.initialize(1).metadata()[0].second);
  const ImportedWeights of_bnc = import.run({{"dense_1.weight", {2, 2}}, {"dense_1.bias", {2}}});
  CHECK(of_bnc.report.dialect == "bnc");
  CHECK(of_bnc.report.by_name == 2);
  CHECK(values_of(of_bnc, "dense_1.weight") == std::vector<float>{0, 1, 2, 3});
  const ImportedWeights of_keras = import.run({{"dense/kernel:0", {2, 2}}, {"dense/bias:0", {2}}});
  CHECK(of_keras.report.dialect == "Keras");
  CHECK(values_of(of_keras, "dense_1.weight") == std::vector<float>{0, 1, 2, 3});
}

TEST_CASE("import: rows behind a flattened image are PyTorch's in another order, Keras's in the same") {
  Import import("f32[N, 1, 2, 3]) { return dense(relu(flatten(x)), 1, bias=false) ");
  const ImportedWeights of_pytorch = import.run({{"fc.weight", {1, 6}}});
  // Feature (column, channel) stands at channel * 2 + column there.
  CHECK(values_of(of_pytorch, "dense_1.weight") == std::vector<float>{0, 2, 4, 1, 3, 5});
  REQUIRE(of_pytorch.report.permuted.size() == 1);
  CHECK(of_pytorch.report.permuted[0] == "dense_1.weight: rows, [3, 1, 2] is [1, 2, 3] here");
  const ImportedWeights of_keras = import.run({{"dense/kernel", {6, 1}}});
  CHECK(values_of(of_keras, "dense_1.weight") == std::vector<float>{0, 1, 2, 3, 4, 5});
  CHECK(of_keras.report.permuted.empty());
}

TEST_CASE("import: flattened images side by side keep their own orders") {
  Import import("f32[N, 1, 2, 2]) { return dense(concat(flatten(x), flatten(x), axis=1), 1, bias=false) ");
  CHECK(values_of(import.run({{"fc.weight", {1, 8}}}), "dense_1.weight") == std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7});
}

TEST_CASE("import: a convolution of PyTorch, a depthwise one of Keras, a missing gamma") {
  Import import("f32[N, 4, 4, 2]) { return batch_norm(conv2d(x, 4, [1, 3], groups=2, bias=false), epsilon=1e-3) ");
  const ImportedWeights of_pytorch =
      import.run({{"c.weight", {4, 1, 1, 3}}, {"b.weight", {4}}, {"b.bias", {4}}, {"b.running_mean", {4}}, {"b.running_var", {4}}});
  CHECK(values_of(of_pytorch, "conv_1.weight") == std::vector<float>{0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11});
  CHECK(source_of(of_pytorch, "batch_norm_1.beta") == 2);
  CHECK(source_of(of_pytorch, "batch_norm_1.variance") == 4);
  const ImportedWeights of_keras =
      import.run({{"c/depthwise_kernel", {1, 3, 2, 2}}, {"b/moving_variance", {4}}, {"b/moving_mean", {4}}, {"b/beta", {4}}});
  CHECK(values_of(of_keras, "conv_1.weight") == std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  CHECK(values_of(of_keras, "batch_norm_1.gamma") == std::vector<float>{1, 1, 1, 1});
  CHECK(of_keras.report.filled == std::vector<std::string>{"batch_norm_1.gamma = 1"});
  CHECK(source_of(of_keras, "batch_norm_1.mean") == 2);
  CHECK(of_keras.report.notes.empty());
}

TEST_CASE("import: Keras counts its layers from none, bnc from 1") {
  Import import("f32[N, 3]) { return dense(dense(dense(x, 3, bias=false), 3, bias=false), 3, bias=false) ");
  const ImportedWeights imported = import.run({{"dense/kernel", {3, 3}}, {"dense_1/kernel", {3, 3}}, {"dense_2/kernel", {3, 3}}});
  for (const int k : {0, 1, 2}) CHECK(source_of(imported, fmt::format("dense_{}.weight", k + 1)) == k);
  CHECK(imported.report.by_order == 3);
}

TEST_CASE("import: a file sorted by its names is read in the order of the numbers in them") {
  std::string body = "f32[N, 3]) { repeat 11 { x = dense(x, 3, bias=false) }\n return x ";
  Import import(body);
  Shapes shapes;
  for (const int k : {0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9}) shapes.push_back({fmt::format("net.{}.weight", k), {3, 3}});
  const ImportedWeights imported = import.run(shapes);
  CHECK(source_of(imported, "dense_3.weight") == 3);
  CHECK(source_of(imported, "dense_11.weight") == 2);
}

TEST_CASE("import: words that names share go before the order of the file") {
  Import import("f32[N, 3]) { return dense(x, 3, bias=false, name=left) + dense(x, 3, bias=false, name=right) ");
  const ImportedWeights exact = import.run({{"model.right.weight", {3, 3}}, {"model.left.weight", {3, 3}}});
  CHECK(exact.report.by_name == 2);
  CHECK(source_of(exact, "left.weight") == 1);
  const ImportedWeights alike = import.run({{"a.right_fc.weight", {3, 3}}, {"b.left_fc.weight", {3, 3}}});
  CHECK(alike.report.by_alike_names == 2);
  CHECK(source_of(alike, "left.weight") == 1);
  CHECK(source_of(alike, "right.weight") == 0);
}

TEST_CASE("import: a batch norm goes with its convolution, wherever a shortcut stands") {
  const std::string block = R"(f32[N, 4, 4, 2]) {
    h = batch_norm(conv2d(relu(batch_norm(conv2d(x, 3, 3, bias=false))), 3, 3, bias=false))
    return h + batch_norm(conv2d(x, 3, 1, bias=false))
  )";
  Import import(block);
  const auto norm = [](const std::string& name) {
    return Shapes{{name + ".weight", {3}}, {name + ".bias", {3}}, {name + ".running_mean", {3}}, {name + ".running_var", {3}}};
  };
  Shapes shapes = {{"other.0.weight", {3, 2, 1, 1}}};
  for (const auto& [conv, name, in] : {std::tuple("", "other.1", 0), {"conv1", "bn1", 2}, {"conv2", "bn2", 3}}) {
    if (in > 0) shapes.push_back({std::string(conv) + ".weight", {3, in, 3, 3}});
    const Shapes more = norm(name);
    shapes.insert(shapes.end(), more.begin(), more.end());
  }
  const ImportedWeights imported = import.run(shapes);
  CHECK(source_of(imported, "conv_3.weight") == 0);
  CHECK(source_of(imported, "batch_norm_3.gamma") == 1);
  CHECK(source_of(imported, "batch_norm_1.gamma") == 6);
  CHECK(source_of(imported, "batch_norm_2.gamma") == 11);
}

TEST_CASE("import: layers that could be exchanged are refused, and a draft of the map is to be corrected") {
  Import import("f32[N, 3]) { return dense(dense(x, 3, bias=false), 3, bias=false) ");
  const Shapes shapes = {{"fc2.weight", {3, 3}}, {"fc1.weight", {3, 3}}};
  auto [text, draft] = import.refused({{"fc2.weight", {3, 3}}, {"fc1.weight", {3, 3}}, {"fc2.num_batches_tracked", {1}}});
  CHECK(contains(text, "2 layers could be exchanged"));
  CHECK(contains(draft, "? dense_1.weight = "));
  // Sorted by name, fc1 stands first; the numbers of its order here are against those of the names.
  const Shapes unsorted = {{"z.weight", {1}}, {"fc2.weight", {3, 3}}, {"fc1.weight", {3, 3}}};
  std::tie(text, draft) = import.refused(unsorted, "ignore = z.weight\n");
  CHECK(contains(text, "`fc2` stands before `fc1`, against the numbers in their names"));
  CHECK(contains(draft, "? dense_1.weight = fc2.weight\n? dense_2.weight = fc1.weight\n"));
  CHECK(contains(import.refused(shapes, draft).first, "map.txt:5:1: error: this line and another one are uncertain"));
  const std::string map = "# by hand\n dense_1.weight = fc1.weight\ndense_2.weight=fc2.weight\r\n";
  const ImportedWeights imported = import.run(shapes, map);
  CHECK(imported.report.by_map == 2);
  CHECK(source_of(imported, "dense_1.weight") == 1);
}

TEST_CASE("import: words that only one side has do not tell layers apart") {
  Import import("f32[N, 3]) { return dense(x, 3, bias=false) + dense(batch_norm(x), 3, bias=false) ");
  const auto [text, draft] = import.refused({{"bn.weight", {3}}, {"bn.bias", {3}}, {"bn.running_mean", {3}}, {"bn.running_var", {3}},
                                             {"up.weight", {3, 3}}, {"across.weight", {3, 3}}});
  CHECK(contains(text, "`up` stands before `across`, and neither names nor the layers around them"));
}

TEST_CASE("import: a shortcut by number alone is not taken for a layer of the branch") {
  Import import(R"(f32[N, 3]) {
    h = dense(dense(x, 3, bias=false, name=first), 3, bias=false, name=second)
    return h + dense(x, 3, bias=false, name=shortcut)
  )");
  // Sorted by name, `block_0` stands first, as Keras calls the shortcut.
  const Shapes shapes = {{"block_0/kernel", {3, 3}}, {"block_1/kernel", {3, 3}}, {"block_2/kernel", {3, 3}}};
  CHECK(contains(import.refused(shapes).first, "3 layers could be exchanged"));
}

TEST_CASE("import: what is left over on either side is listed with advice") {
  Import import("f32[N, 3]) { return dense(relu(dense(x, 5)), 2) ");
  auto [text, draft] = import.refused({{"a.weight", {5, 3}}, {"a.bias", {5}}, {"b.weight", {7, 5}}, {"b.bias", {7}}});
  CHECK(contains(text, "2 parameters find no tensor, 2 tensors are left over"));
  CHECK(contains(text, "no tensor for `dense_2.weight` f32[5, 2]"));
  CHECK(contains(text, "left over: `b.weight` F32[7, 5]"));
  CHECK(contains(draft, "? dense_2.weight =\n"));
  CHECK(contains(draft, "? ignore = b.bias\n"));
  CHECK(contains(draft, "\ndense_1.weight = a.weight\n"));
  text = import.refused({{"a.weight", {5, 3}}, {"b.weight", {2, 5}}, {"b.bias", {2}}}).first;
  CHECK(contains(text, "help: `dense_1` has a bias in the network and none in the file"));
  Import without("f32[N, 3]) { return dense(x, 5, bias=false) ");
  CHECK(contains(without.refused({{"a.weight", {5, 3}}, {"a.bias", {5}}}).first, "take `bias=false` out of the call"));
}

TEST_CASE("import: mistakes in a map have a place") {
  Import import("f32[N, 3]) { return dense(x, 5, bias=false) ");
  const auto refuse = [&](const std::string& map) { return import.refused({{"a.weight", {5, 3}}, {"b.weight", {4}}}, map).first; };
  CHECK(contains(refuse("dense_1.weight\n"), "map.txt:1:1: error: a line of a map is `parameter = tensor`"));
  CHECK(contains(refuse("\ndense_1.weight =\n"), "map.txt:2:1: error: "));
  CHECK(contains(refuse("dense_1.weigth = a.weight\n"), "map.txt:1:1: error: network `net` has no parameter `dense_1.weigth`"));
  CHECK(contains(refuse("dense_1.weigth = a.weight\n"), "help: did you mean `dense_1.weight`?"));
  CHECK(contains(refuse("dense_1.weight =  c.weight\n"), "map.txt:1:19: error: "));
  CHECK(contains(refuse("dense_1.weight = b.weight\n"), "`b.weight` is F32[4], which cannot become `dense_1.weight`, f32[3, 5]"));
  CHECK(contains(refuse("dense_1.weight = a.weight\ndense_1.weight = a.weight\n"),
                 "map.txt:2:1: error: `dense_1.weight` stands in the map twice"));
  CHECK(contains(refuse("\xff\n"), "map.txt:1:1: error: this line is not UTF-8"));
  CHECK(import.run({{"a.weight", {5, 3}}, {"b.weight", {4}}}, "ignore = b.weight").report.ignored == std::vector<std::string>{"b.weight"});
}

TEST_CASE("import: a scale that is not as long as the statistics is an error, no bug") {
  Import import("f32[N, 3]) { return batch_norm(x) ");
  const Shapes shapes = {{"b.weight", {2}}, {"b.bias", {3}}, {"b.running_mean", {3}}, {"b.running_var", {3}}};
  CHECK(contains(import.refused(shapes).first, "`b.weight` is F32[2], which cannot become `batch_norm_1.gamma`, f32[3]"));
}

TEST_CASE("import: a safetensors file whose length begins as a pickle does") {
  Import import("f32[N, 3]) { return dense(x, 5, bias=false) ");
  for (size_t more = 0; more < 300; more += 8) {   // a header of 128 bytes, among others
    CAPTURE(more);
    const std::string spare = "z" + std::string(more, 'z');
    CHECK(import.run({{"a.weight", {5, 3}}, {spare, {4}}}, "ignore = " + spare).report.by_shape == 1);
  }
}

TEST_CASE("import: names are compared by words and numbers") {
  const auto order = [](const char* first, const char* second) { return order_of(tokens_of(first), tokens_of(second)); };
  CHECK(order("conv2d", "conv2d_1") == NameOrder::grows);
  CHECK(order("layer2.conv1", "layer10.conv1") == NameOrder::grows);
  CHECK(order("layer10", "layer2") == NameOrder::falls);
  CHECK(order("encoder.0", "decoder.0") == NameOrder::words);
  CHECK(order("Conv2d", "conv") == NameOrder::same);
  CHECK(telling_words(tokens_of("layer2.0.downsample.0")) == std::set<std::string>{"shortcut"});
  CHECK(telling_words(tokens_of("features.3.conv_dw.bn")) == std::set<std::string>{"depthwise"});
}
