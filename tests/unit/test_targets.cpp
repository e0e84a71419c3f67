// The loss decides what a target is, whatever form it comes in; and numbers become a network's input by one rule.
#include <cmath>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "runtime/dataset.h"
#include "runtime/input_scale.h"
#include "runtime/objective.h"
#include "runtime/weight_store.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

Network network_with(const std::string& loss, int outputs) {
  return Network::from_text(
      fmt::format(
          "network n(x: f32[N, 2]) {{ return dense(x, {}) }}\ntrain n {{ loss = {}\noptimizer = sgd(rate=0.01)\nbatch = 2\nepochs = 2 }}",
          outputs, loss),
      "n.bn");
}

// The targets of a table with that column, as `kind value value ...` or the error.
std::string targets_of(const TemporaryFolder& folder, const std::string& loss, int outputs, const std::vector<std::string>& column,
                       const WeightStore& weights = {}) {
  std::string text;
  for (const std::string& target : column) text += "1,2," + target + "\n";
  const Objective objective(network_with(loss, outputs));
  try {
    const Dataset data = objective.open(folder.write("t.csv", text), "train", weights);
    std::string found = data.has_labels() ? "labels" : "floats";
    for (const int32_t label : data.data().labels) found += fmt::format(" {}", label);
    for (const float target : data.data().targets) found += fmt::format(" {}", target);
    return found;
  } catch (const Error& error) {
    return error.what();
  }
}

const std::string class_loss = "softmax_cross_entropy(labels)", square_loss = "mean_squared_error(labels)",
                  binary_loss = "binary_cross_entropy_with_logits(labels)";

}  // namespace

TEST_CASE("targets: the loss decides whether a column holds classes or numbers") {
  const TemporaryFolder folder;
  const auto of = [&](const std::string& loss, int outputs, const std::vector<std::string>& column) {
    return targets_of(folder, loss, outputs, column);
  };
  CHECK(of(class_loss, 3, {"0", "2", "1"}) == "labels 0 2 1");
  CHECK(of(class_loss, 3, {"0.0", "2.0", "1e0"}) == "labels 0 2 1");
  CHECK(of(class_loss, 2, {"b", "a"}) == "labels 1 0");
  CHECK(contains(of("softmax_cross_entropy(labels, ignore=[255])", 20, {"20", "255", "0"}), "labels from 0 to 20 the last layer has 21"));
  CHECK(of(square_loss, 1, {"17", "-3", "250000"}) == "floats 17 -3 250000");
  CHECK(of(square_loss, 1, {"3000000000", "1"}) == "floats 3000000000 1");
  CHECK(of(square_loss, 1, {"1", "2.5"}) == "floats 1 2.5");
  CHECK(of(square_loss, 1, {"0", "1"}) == "labels 0 1");
  CHECK(of(square_loss, 1, {"0.0", "1.0"}) == "labels 0 1");
  CHECK(of(square_loss, 3, {"0", "2"}) == "labels 0 2");
  CHECK(of(square_loss, 3, {"0.0", "2.0"}) == "labels 0 2");
  CHECK(of(binary_loss, 1, {"0", "1"}) == "labels 0 1");
  CHECK(of(binary_loss, 1, {"1.0", "0.0"}) == "labels 1 0");
  CHECK(of(binary_loss, 1, {"no", "yes"}) == "labels 0 1");
  CHECK(of(binary_loss, 1, {"0.25", "1"}) == "floats 0.25 1");
}

TEST_CASE("targets: what does not fit the loss is told with its line and advice") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& loss, int outputs, const std::vector<std::string>& column) {
    return targets_of(folder, loss, outputs, column);
  };
  const std::string half = error(class_loss, 3, {"0", "0.5"});
  CHECK(contains(
      half, "t.csv:2: target 0.5 of example 1 is no class: the loss softmax_cross_entropy of network `n` takes whole numbers from 0 to 2"));
  CHECK(contains(half, "\nhelp: a network that predicts numbers has a loss such as mean_squared_error"));
  CHECK(contains(error(class_loss, 3, {"1", "3", "2"}),
                 "t.csv:2: label 3 of example 1 is out of range: network `n` tells 3 classes apart, 0 to 2\nhelp: labels count from 0: "
                 "subtract 1 from all"));
  CHECK(contains(error(square_loss, 3, {"0", "0.5"}), "t.csv:2: target 0.5 of example 1 is no class"));
  CHECK(contains(error(binary_loss, 1, {"0", "1", "2"}),
                 "t.csv:3: target 2 of example 2 is out of range: the loss binary_cross_entropy_with_logits of network `n` takes numbers "
                 "from 0 to 1"));
  CHECK(contains(error(square_loss, 1, {"red", "green", "blue"}),
                 "t.csv: the targets are text, such as `blue`, but the loss mean_squared_error of network `n` takes numbers"));

  save_npz(folder.path("a.npz"), {{"x", Array({2, 2}, std::vector<float>(4))}, {"y", Array({2, 3}, std::vector<float>{0, 1, 0, 1, 0, 0})}});
  const auto npz_error = [&](const std::string& loss, int outputs) {
    return message_of<Error>([&] { Objective(network_with(loss, outputs)).open(folder.path("a.npz"), "train", {}); });
  };
  CHECK(contains(npz_error(class_loss, 3),
                 "a.npz holds 3 targets an example, but the loss softmax_cross_entropy of network `n` takes the number of a class for each "
                 "(i32[N])\n"));
  CHECK(contains(npz_error(class_loss, 3), "\nhelp: of rows with a one for the class"));
  CHECK(contains(npz_error(square_loss, 2), "takes 2 numbers for each (f32[N, 2])\n"));
  CHECK(contains(npz_error(square_loss, 2), "\nhelp: give the last layer as many units as there are targets: 3"));
  CHECK(npz_error(square_loss, 3).empty());
}

TEST_CASE("targets: integers of several columns are numbers; a part of a file tells the examples of the whole") {
  const TemporaryFolder folder;
  save_npz(folder.path("a.npz"), {{"x", Array({2, 2}, std::vector<float>(4))}, {"y", Array({2, 2}, std::vector<int32_t>{3, -4, 5, 6})}});
  CHECK(Objective(network_with(square_loss, 2)).open(folder.path("a.npz"), "train", {}).data().targets == std::vector<float>{3, -4, 5, 6});
  std::string text;
  for (int k = 0; k < 10; ++k) text += "1,2,9\n\n";
  const std::string error =
      message_of<Error>([&] { Objective(network_with(class_loss, 3)).open(folder.write("b.csv", text) + ":test", "train", {}); });
  const Dataset test = Dataset::open(folder.path("b.csv") + ":test", "train");
  CHECK(test.data().origins.size() == 2);
  CHECK(contains(error,
                 fmt::format("b.csv:{}: label 9 of example {} is out of range", 2 * test.data().origins[0] + 1, test.data().origins[0])));
}

TEST_CASE("targets: what a network was trained on decides about 0 and 1") {
  const TemporaryFolder folder;
  WeightStore numbers, bits;
  numbers.data().metadata.targets = TargetMeaning::numbers;
  bits.data().metadata.targets = TargetMeaning::classes;
  CHECK(targets_of(folder, square_loss, 1, {"0", "1"}, numbers) == "floats 0 1");
  CHECK(targets_of(folder, square_loss, 1, {"0", "1"}, bits) == "labels 0 1");
  CHECK(targets_of(folder, square_loss, 1, {"0", "2"}, bits) == "floats 0 2");
}

TEST_CASE("a regression with whole numbers trains, evaluates and runs alike") {
  const TemporaryFolder folder;
  const Network network = network_with(square_loss, 1);
  const std::string table = folder.write("t.csv", "1,2,17\n2,1,-3\n0,1,4\n1,1,250\n");
  const TrainResult result = train(network, {.data = table, .test = table, .out = folder.path("run")});
  CHECK(std::isnan(result.test.accuracy));
  CHECK(std::isfinite(result.test.loss));
  const WeightStore weights = WeightStore::load(result.weights_path);
  CHECK(evaluate(network, weights, {.data = table}).loss == doctest::Approx(result.test.loss).epsilon(1e-6));
  CHECK_NOTHROW(restat(network, weights, {.data = table}));

  save_npz(folder.path("in.npz"),
           {{"x", Array({2, 2}, std::vector<float>{1, 2, 2, 1})}, {"labels", Array({2}, std::vector<int32_t>{17, -3})}});
  const NamedArrays whole = network.load_inputs(folder.path("in.npz"), weights, Mode::train);
  CHECK(whole[1].second.dims() == std::vector<int64_t>{2, 1});
  CHECK(std::vector<float>(whole[1].second.floats().begin(), whole[1].second.floats().end()) == std::vector<float>{17, -3});
  const Network tells_apart = network_with(class_loss, 3);
  save_npz(folder.path("in.npz"), {{"x", Array({2, 2}, std::vector<float>{1, 2, 2, 1})}, {"labels", Array({2}, std::vector<float>{2, 0})}});
  const NamedArrays labels = tells_apart.load_inputs(folder.path("in.npz"), {}, Mode::train);
  CHECK(std::vector<int32_t>(labels[1].second.integers().begin(), labels[1].second.integers().end()) == std::vector<int32_t>{2, 0});
}

TEST_CASE("scale: bytes follow what the weights were trained on, or are refused") {
  const StoredNumbers bytes{true, 0, 255}, dark{true, 0, 1}, floats{false, 0, 255}, shares{false, 0, 1}, normalized{false, -2, 2};
  const auto divides = [](const StoredNumbers& numbers, const std::optional<StoredNumbers>& trained) {
    return divides_by_255(numbers, trained ? std::optional(scale_of(*trained)) : std::nullopt, "b.npz", "the training data of w");
  };
  const auto error = [&](const StoredNumbers& numbers, const StoredNumbers& trained) {
    return message_of<Error>([&] { divides(numbers, trained); });
  };
  CHECK(divides(bytes, std::nullopt));
  CHECK_FALSE(divides(floats, std::nullopt));
  CHECK(divides(bytes, bytes));
  CHECK(divides(dark, bytes));
  CHECK_FALSE(divides(bytes, floats));       // 0 to 255 stays 0 to 255
  CHECK(divides(bytes, shares));
  CHECK_FALSE(divides(shares, bytes));
  CHECK_FALSE(divides(normalized, floats));  // floats are what they are
  CHECK(contains(error(floats, bytes),
                 "b.npz holds numbers from 0 to 255, but the training data of w held bytes, which were divided by 255\nhelp:"));
  CHECK(contains(error(normalized, bytes), "b.npz holds numbers from -2 to 2"));
  CHECK(contains(error(bytes, normalized), "b.npz holds bytes from 0 to 255, but the training data of w held numbers from -2 to 2\nhelp:"));
  CHECK(contains(error(dark, shares), "a byte 1 may mean 1 or 1 / 255"));
  CHECK(contains(error(bytes, StoredNumbers{false, 0, 6}), "held numbers from 0 to 6"));
}

namespace {

// Images of 2 pixels of which the first is bright in class 1, as floats or as bytes.
std::string images(const TemporaryFolder& folder, const std::string& name, bool bytes, float scale = 1) {
  std::vector<float> x;
  std::vector<int32_t> y;
  std::string raw;
  for (int k = 0; k < 40; ++k) {
    for (const int pixel : {k % 2 ? 200 + k % 20 : 40 + k % 20, 100}) {
      x.push_back(static_cast<float>(pixel) * scale);
      raw.push_back(static_cast<char>(pixel));
    }
    y.push_back(k % 2);
  }
  save_npz(folder.path(name), {{"x", Array({40, 2}, x)}, {"y", Array({40}, y)}});
  if (!bytes) return folder.path(name);
  // The same archive with `x` as IDX bytes, which need no other tool: a folder.
  std::filesystem::create_directories(folder.path("idx"));
  const auto idx = [](std::string head, const std::string& data) {
    return std::string{0, 0, 8, static_cast<char>(head.size() / 4)} + head + data;
  };
  std::string labels;
  for (const int32_t label : y) labels.push_back(static_cast<char>(label));
  folder.write("idx/t10k-images-idx3-ubyte", idx(std::string{0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 2}, raw));
  folder.write("idx/t10k-labels-idx1-ubyte", idx(std::string{0, 0, 0, 40}, labels));
  folder.write("idx/train-images-idx3-ubyte", idx(std::string{0, 0, 0, 40, 0, 0, 0, 1, 0, 0, 0, 2}, raw));
  folder.write("idx/train-labels-idx1-ubyte", idx(std::string{0, 0, 0, 40}, labels));
  return folder.path("idx");
}

}  // namespace

TEST_CASE("scale: weights trained on 0 to 255 are right on bytes, and those trained on bytes refuse 0 to 255") {
  const TemporaryFolder folder;
  const Network network = Network::from_text(
      "network n(x: f32[N, 2]) { return dense(batch_norm(x), 2) }\ntrain n { loss = softmax_cross_entropy(labels)\noptimizer = "
      "sgd(rate=1)\nbatch = 20\nepochs = 60 }");
  const std::string floats = images(folder, "f.npz", false), bytes = images(folder, "f2.npz", true),
                    shares = images(folder, "s.npz", false, 1 / 255.0f);
  const TrainResult wide = train(network, {.data = floats, .test = bytes, .out = folder.path("wide")});
  CHECK(wide.test.accuracy == 1);
  const WeightStore weights = WeightStore::load(wide.weights_path);
  std::map<std::string, std::string> entries = weights.data().metadata.entries();
  CHECK(entries["bnc.input.range"] == "[40.0,219.0]");
  CHECK(entries["bnc.input.scale"] == "as stored");
  CHECK(entries["bnc.targets"] == "classes");
  CHECK(evaluate(network, weights, {.data = bytes}).accuracy == 1);
  CHECK(evaluate(network, weights, {.data = floats}).accuracy == 1);
  const WeightStore again = restat(network, weights, {.data = bytes});
  std::map<std::string, std::string> later = again.data().metadata.entries();
  for (auto* all : {&entries, &later}) all->erase("bnc.training");   // its figures are gone
  CHECK(later == entries);
  CHECK(again.values("batch_norm_1.mean")[1] == 100);

  const TrainResult narrow = train(network, {.data = bytes, .test = shares, .out = folder.path("narrow")});
  CHECK(narrow.test.accuracy == 1);
  const WeightStore pixels = WeightStore::load(narrow.weights_path);
  CHECK(contains(message_of<Error>([&] { evaluate(network, pixels, {.data = floats}); }),
                 "f.npz holds numbers from 40 to 219, but the training data of " + narrow.weights_path + " held bytes"));
  CHECK(contains(message_of<Error>([&] { restat(network, pixels, {.data = floats}); }), "held bytes"));
  CHECK(contains(message_of<Error>([&] { train(network, {.data = bytes, .test = floats}); }),
                 "f.npz holds numbers from 40 to 219, but the training data " + bytes + " held bytes"));
  CHECK(contains(message_of<Error>([&] { train(network, {.data = floats, .weights = narrow.weights_path}); }), "held bytes"));

  // Without metadata, as ever.
  WeightStore bare;
  for (const std::string& name : pixels.names())
    bare.set(name, pixels.dims(name), {pixels.values(name).begin(), pixels.values(name).end()});
  CHECK(evaluate(network, bare, {.data = bytes}).accuracy == 1);
}
