// What ops compute where it is easy to get wrong: statistics, batch norm's modes, dropout's masks, losses far out.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "ir/gradcheck.h"
#include "ir/op.h"
#include "support/op_cases.h"

using namespace bnc;
using namespace bnc::test;

namespace {

using Data = std::vector<double>;

Tensor tensor(std::vector<int64_t> dims, Data data) { return {DType::f32, std::move(dims), std::move(data)}; }

std::vector<Data> results_of(const OpCase& test, const Bindings& bindings) {
  Evaluation evaluation = evaluate(make_graph(test).graph, bindings);
  std::vector<Data> results;
  for (auto& [name, value] : evaluation.outputs) results.push_back(value.data);
  return results;
}

OpCase batch_norm(Shape shape, int axis, const char* mode, double epsilon = 1e-5) {
  TensorType c = f32({shape[axis]});
  return {"batch_norm", {f32(shape), c, c, c, c, {}}, {{"axis", axis}, {"mode", mode}, {"epsilon", epsilon}}};
}

Bindings batch_norm_bindings(Tensor x, Data gamma, Data beta, Data mean, Data variance) {
  std::vector<int64_t> c = {static_cast<int64_t>(gamma.size())};
  return {{"x0", std::move(x)}, {"x1", tensor(c, gamma)}, {"x2", tensor(c, beta)}, {"x3", tensor(c, mean)}, {"x4", tensor(c, variance)}};
}

bool all_finite(const Data& data) {
  return std::all_of(data.begin(), data.end(), [](double v) { return std::isfinite(v); });
}

Data dropout(const Data& x, int step, int stream, double rate, int64_t seed = 0) {
  OpCase test{"dropout", {f32({{static_cast<int64_t>(x.size())}}), i32({})}, {{"rate", rate}, {"stream", stream}, {"seed", seed}}};
  return results_of(test, {{"x0", tensor({static_cast<int64_t>(x.size())}, x)}, {"x1", {DType::i32, {}, {static_cast<double>(step)}}}})[0];
}

}  // namespace

TEST_CASE("moments do not cancel: mean 1e4, deviation 1") {
  RandomStream random(3, "moments");
  const int64_t m = 4001;
  Tensor x = tensor({m, 2}, Data(2 * m));
  long double sum = 0, squares = 0;
  for (int64_t k = 0; k < m; ++k) {
    x.data[2 * k] = static_cast<float>(1e4 + random.normal());
    x.data[2 * k + 1] = 1;
    sum += x.data[2 * k] - 1e4L;
  }
  for (int64_t k = 0; k < m; ++k) squares += (x.data[2 * k] - 1e4L - sum / m) * (x.data[2 * k] - 1e4L - sum / m);
  std::vector<Data> moments = results_of({"moments", {f32({N, {2}})}}, {{"x0", x}});
  CHECK(moments[0][0] == doctest::Approx(static_cast<double>(1e4L + sum / m)).epsilon(1e-14));
  CHECK(moments[1][0] == doctest::Approx(static_cast<double>(squares / m)).epsilon(1e-10));
  CHECK(moments[0][1] == 1);
  CHECK(moments[1][1] == 0);
}

TEST_CASE("a constant channel has variance exactly 0, and a finite result and gradient") {
  for (double value : {0.0, 0.1, -1e30, 1e-40, 12345.678}) {
    Tensor x = tensor({7, 1}, Data(7, value));
    std::vector<Data> results = results_of(batch_norm({N, {1}}, 1, "train"), batch_norm_bindings(x, {2}, {0.5}, {0}, {1}));
    CHECK(results[0] == Data(7, 0.5));
    CHECK(results[1] == Data{value});
    CHECK(results[2] == Data{0});

    TensorType c = f32({{1}});
    OpCase gradient{"batch_norm_input_gradient", {f32({N, {1}}), f32({N, {1}}), c, c, c, c, c}};
    Bindings bindings = {{"x0", tensor({7, 1}, {1, -1, 2, 0, 3, 1, 1})}, {"x1", x}, {"x2", tensor({1}, {2})}, {"x3", tensor({1}, {value})},
                         {"x4", tensor({1}, {0})}, {"x5", tensor({1}, {7})}, {"x6", tensor({1}, {0})}};
    CHECK(all_finite(results_of(gradient, bindings)[0]));
  }
}

TEST_CASE("bn-train: batch statistics over all axes but the channels, of unequal sizes") {
  // Channels 3 on axis 1 of [2, 3, 4]; channel c holds c*100 + 0..7.
  Tensor x = tensor({2, 3, 4}, Data(24));
  for (int n = 0; n < 2; ++n)
    for (int c = 0; c < 3; ++c)
      for (int w = 0; w < 4; ++w) x.data[(n * 3 + c) * 4 + w] = 100 * c + 4 * n + w;
  std::vector<Data> results = results_of(batch_norm({N, {3}, {4}}, 1, "train", 0.75),
                                         batch_norm_bindings(x, {1, -2, 0}, {0, 0, 7}, {9, 9, 9}, {9, 9, 9}));
  CHECK(results[1] == Data{3.5, 103.5, 203.5});
  CHECK(results[2] == Data{5.25, 5.25, 5.25});
  const double r = 1 / std::sqrt(6.0);
  for (int n = 0; n < 2; ++n)
    for (int w = 0; w < 4; ++w) {
      double difference = 4 * n + w - 3.5;
      CHECK(results[0][(n * 3 + 0) * 4 + w] == doctest::Approx(difference * r).epsilon(1e-14));
      CHECK(results[0][(n * 3 + 1) * 4 + w] == doctest::Approx(-2 * difference * r).epsilon(1e-14));
      CHECK(results[0][(n * 3 + 2) * 4 + w] == 7);
    }
}

TEST_CASE("bn-infer: stored statistics, the same for an example alone as in a batch; auto means infer") {
  Tensor x = tensor({3, 2}, {1, 2, 3, 4, 5, 6});
  Bindings all = batch_norm_bindings(x, {2, -1}, {0.5, 0}, {1, 2}, {3, 0.25}), alone = all;
  alone["x0"] = tensor({1, 2}, {3, 4});
  std::vector<Data> together = results_of(batch_norm({N, {2}}, 1, "infer"), all);
  CHECK(together == results_of(batch_norm({N, {2}}, 1, "auto"), all));
  CHECK(results_of(batch_norm({N, {2}}, 1, "infer"), alone)[0] == Data{together[0][2], together[0][3]});
  CHECK(together[0][2] == doctest::Approx(2 * (3 - 1) / std::sqrt(3.00001) + 0.5).epsilon(1e-14));
  CHECK(together[1] == Data{1, 2});
  CHECK(together[2] == Data{3, 0.25});
}

TEST_CASE("bn-one: a single element a channel is refused in training unless the node allows it") {
  OpCase single = batch_norm({{1}, {2}}, 1, "train");
  CHECK_THROWS_AS(make_graph(single), CompileError);
  single.attributes["allow_single"] = true;
  CHECK(results_of(single, batch_norm_bindings(tensor({1, 2}, {3, 4}), {1, 1}, {0.5, 7}, {0, 0}, {1, 1}))[0] == Data{0.5, 7});
  single = batch_norm({{1}, {2}}, 1, "infer");
  CHECK_NOTHROW(make_graph(single));
}

TEST_CASE("NaN and infinity in one channel reach its results and no other channel") {
  for (double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    Tensor x = tensor({3, 2}, {1, 2, bad, 3, 4, 5});
    std::vector<Data> results = results_of(batch_norm({N, {2}}, 1, "train"), batch_norm_bindings(x, {1, 1}, {0, 0}, {0, 0}, {1, 1}));
    for (int n = 0; n < 3; ++n) {
      CHECK(std::isnan(results[0][2 * n]));
      CHECK(std::isfinite(results[0][2 * n + 1]));
    }
    CHECK_FALSE(std::isfinite(results[1][0]));
    CHECK(std::isnan(results[2][0]));
    CHECK(std::isfinite(results[2][1]));
  }
}

TEST_CASE("NaN is the maximum wherever it stands, and passes through softmax and the losses") {
  for (int place = 0; place < 3; ++place) {
    Data row = {1, 2, 3};
    row[place] = NAN;
    Tensor x = tensor({1, 3}, row);
    CHECK(std::isnan(results_of({"reduce_max", {f32({N, {3}})}}, {{"x0", x}})[0][0]));
    for (const char* op : {"softmax", "log_softmax"}) {
      const std::vector<Data> results = results_of({op, {f32({N, {3}})}}, {{"x0", x}});
      for (double y : results[0]) CHECK(std::isnan(y));
    }
    CHECK(std::isnan(results_of({"softmax_cross_entropy", {f32({N, {3}}), i32({N})}}, {{"x0", x}, {"x1", {DType::i32, {1}, {0}}}})[0][0]));
  }
}

TEST_CASE("argmax is the first of equal maxima, or the first NaN") {
  auto index_of = [](const Data& row) {
    return results_of({"argmax", {f32({N, {4}})}}, {{"x0", tensor({1, 4}, row)}})[0][0];
  };
  CHECK(index_of({1, 3, 3, 2}) == 1);
  CHECK(index_of({-INFINITY, -INFINITY, -INFINITY, -INFINITY}) == 0);
  CHECK(index_of({-INFINITY, -INFINITY, -5, -INFINITY}) == 2);
  CHECK(index_of({1, INFINITY, NAN, NAN}) == 2);
  CHECK(index_of({NAN, INFINITY, 1, 2}) == 0);
}

TEST_CASE("erf keeps its sign and its limits") {
  const Data y = results_of({"erf", {f32({N, {5}})}}, {{"x0", tensor({1, 5}, {-INFINITY, -0.5, 0, 0.5, INFINITY})}})[0];
  CHECK(y[0] == -1);
  CHECK(y[1] == -y[3]);
  CHECK(y[2] == 0);
  CHECK(y[3] == doctest::Approx(0.5204998778130465).epsilon(1e-15));
  CHECK(y[4] == 1);
}

TEST_CASE("softmax and its loss stay finite far out") {
  Tensor x = tensor({1, 3}, {1000, 0, -1000});
  CHECK(results_of({"softmax", {f32({N, {3}})}}, {{"x0", x}})[0] == Data{1, 0, 0});
  CHECK(results_of({"log_softmax", {f32({N, {3}})}}, {{"x0", x}})[0] == Data{0, -1000, -2000});
  for (int label = 0; label < 3; ++label)
    CHECK(results_of({"softmax_cross_entropy", {f32({N, {3}}), i32({N})}}, {{"x0", x}, {"x1", {DType::i32, {1}, {double(label)}}}})[0][0] ==
          1000.0 * label);
  CHECK(results_of({"softplus", {f32({{3}})}}, {{"x0", tensor({3}, {1000, 0, -1000})}})[0] == Data{1000, std::log(2.0), 0});
}

TEST_CASE("binary cross-entropy keeps its digits where the answer is sure") {
  auto loss = [](double x, double t) {
    return results_of({"binary_cross_entropy_with_logits", {f32({N}), f32({N})}},
                      {{"x0", tensor({1}, {x})}, {"x1", tensor({1}, {t})}})[0][0];
  };
  CHECK(loss(20, 1) == doctest::Approx(std::log1p(std::exp(-20.0))).epsilon(1e-14));
  CHECK(loss(-20, 0) == doctest::Approx(std::log1p(std::exp(-20.0))).epsilon(1e-14));
  CHECK(loss(1000, 0) == 1000);
  CHECK(loss(-1000, 1) == 1000);
  CHECK(loss(0.3, 0.25) ==
        doctest::Approx(-0.25 * std::log(1 / (1 + std::exp(-0.3))) - 0.75 * std::log(1 - 1 / (1 + std::exp(-0.3)))).epsilon(1e-14));
}

TEST_CASE("losses reduce by mean or sum over the rows") {
  Bindings squares = {{"x0", tensor({2, 2}, {1, 2, 3, 4})}, {"x1", tensor({2, 2}, {0, 2, 1, 1})}};
  CHECK(results_of({"mean_squared_error", {f32({N, {2}}), f32({N, {2}})}}, squares)[0][0] == 3.5);
  CHECK(results_of({"mean_squared_error", {f32({N, {2}}), f32({N, {2}})}, {{"reduction", "sum"}}}, squares)[0][0] == 14);
  Bindings classes = {{"x0", tensor({2, 2}, {0, 0, 0, 0})}, {"x1", {DType::i32, {2}, {0, 1}}}};
  OpCase entropy{"softmax_cross_entropy", {f32({N, {2}}), i32({N})}};
  CHECK(results_of(entropy, classes)[0][0] == doctest::Approx(std::log(2.0)).epsilon(1e-15));
  entropy.attributes["reduction"] = "sum";
  CHECK(results_of(entropy, classes)[0][0] == doctest::Approx(2 * std::log(2.0)).epsilon(1e-15));
}

TEST_CASE("a weighted mean divides by the weights, of all elements of an example") {
  const Bindings numbers = {{"x0", tensor({2, 2}, {1, 2, 3, 4})}, {"x1", tensor({2, 2}, {0, 2, 1, 1})}, {"x2", tensor({2}, {3, 0.5})}};
  const auto loss = [&](const char* op, AttributeMap attributes = {}) {
    return results_of({op, {f32({N, {2}}), f32({N, {2}}), f32({N})}, std::move(attributes)}, numbers)[0][0];
  };
  CHECK(loss("mean_squared_error") == doctest::Approx((3 * 1.0 + 0.5 * (4 + 9)) / 7));
  CHECK(loss("mean_squared_error", {{"reduction", "sum"}}) == doctest::Approx(3 * 1.0 + 0.5 * (4 + 9)));
  CHECK(loss("mean_absolute_error") == doctest::Approx((3 * 1.0 + 0.5 * (2 + 3)) / 7));
  CHECK(loss("huber", {{"delta", 1.5}}) == doctest::Approx((3 * 0.5 + 0.5 * 1.5 * (2 - 0.75 + 3 - 0.75)) / 7));
  CHECK(loss("hinge", {{"margin", 5.0}}) == doctest::Approx((3 * (5 + 1.0) + 0.5 * (2 + 1)) / 7));
}

TEST_CASE("ignored labels and class weights count as in PyTorch") {
  const double p0 = std::log(1 + std::exp(2.0)) - 2, p1 = std::log(1 + std::exp(2.0));   // -log_softmax of [2, 0]
  const Tensor logits = tensor({3, 2}, {2, 0, 2, 0, 2, 0}), labels{DType::i32, {3}, {0, 1, -100}}, weights = tensor({3}, {1, 4, 7});
  const auto loss = [&](AttributeMap attributes, bool weighted = false) {
    Bindings bindings = {{"x0", logits}, {"x1", labels}};
    if (weighted) bindings["x2"] = weights;
    const std::optional<TensorType> none, type = f32({N});
    return results_of({"softmax_cross_entropy", {f32({N, {2}}), i32({N}), weighted ? type : none}, std::move(attributes)}, bindings)[0][0];
  };
  const AttributeMap ignoring = {{"ignore", IntList{-100}}};
  AttributeMap both = ignoring;
  both["class_weights"] = NumberList{2, 3};
  CHECK(loss(ignoring) == doctest::Approx((p0 + p1) / 2).epsilon(1e-14));
  CHECK(loss(ignoring, true) == doctest::Approx((p0 + 4 * p1) / 5).epsilon(1e-14));
  CHECK(loss(both) == doctest::Approx((2 * p0 + 3 * p1) / 5).epsilon(1e-14));
  CHECK(loss(both, true) == doctest::Approx((2 * p0 + 12 * p1) / 14).epsilon(1e-14));
  both["reduction"] = "sum";
  CHECK(loss(both) == doctest::Approx(2 * p0 + 3 * p1).epsilon(1e-14));
  CHECK(loss({{"ignore", IntList{0, 1, -100}}}) == 0);
  CHECK(loss({{"class_weights", NumberList{0, 0}}}) == 0);
}

TEST_CASE("a probability of 0 counts for nothing, whatever the logit") {
  const Bindings bindings = {{"x0", tensor({1, 3}, {0, 0, -INFINITY})}, {"x1", tensor({1, 3}, {0.25, 0.75, 0})}};
  const auto loss = [&](const char* op) { return results_of({op, {f32({N, {3}}), f32({N, {3}})}}, bindings)[0][0]; };
  CHECK(loss("softmax_cross_entropy_with_probabilities") == doctest::Approx(std::log(2.0)).epsilon(1e-14));
  CHECK(loss("kl_divergence") == doctest::Approx(std::log(2.0) + 0.25 * std::log(0.25) + 0.75 * std::log(0.75)).epsilon(1e-14));
}

TEST_CASE("the hinge of classes holds the others against the target") {
  const Bindings bindings = {{"x0", tensor({1, 3}, {1, 2.5, -INFINITY})}, {"x1", {DType::i32, {1}, {0}}}};
  CHECK(results_of({"multi_class_hinge", {f32({N, {3}}), i32({N})}}, bindings)[0][0] == doctest::Approx(2.5 / 3).epsilon(1e-14));
}

TEST_CASE("one_hot of labels out of range gives zeros") {
  CHECK(results_of({"one_hot", {i32({N})}, {{"classes", 2}}}, {{"x0", {DType::i32, {4}, {1, -1, 2, 0}}}})[0] ==
        Data{0, 1, 0, 0, 0, 0, 1, 0});
}

TEST_CASE("dropout keeps the right share, by step, stream and seed, and is the identity without a step") {
  const Data ones(20000, 1);
  for (double rate : {0.1, 0.5, 0.9}) {
    Data y = dropout(ones, 3, 0, rate);
    const auto kept = static_cast<double>(std::count_if(y.begin(), y.end(), [](double v) { return v != 0; }));
    CHECK(std::fabs(kept / 20000 - (1 - rate)) < 4 * std::sqrt(rate * (1 - rate) / 20000));
    for (double value : y) CHECK((value == 0 || value == 1 / (1 - rate)));
  }
  std::set<Data> masks;
  for (int step : {0, 1, 2, -1})
    for (int stream : {0, 1, 7})
      for (int64_t seed : {int64_t{0}, int64_t{1}, int64_t{9}, int64_t{1} << 32, INT64_MAX})
        masks.insert(dropout(ones, step, stream, 0.5, seed));
  CHECK(masks.size() == 60);
  CHECK(dropout(ones, 4, 2, 0.5) == dropout(ones, 4, 2, 0.5));
  CHECK(dropout({5, -3}, 9, 0, 0) == Data{5, -3});
  CHECK(results_of({"dropout", {f32({{2}}), {}}}, {{"x0", tensor({2}, {5, -3})}})[0] == Data{5, -3});
}

TEST_CASE("masks of different steps, streams and seeds are independent") {
  const Data ones(4096, 1);
  std::vector<Data> masks;
  for (int step = 0; step < 6; ++step) masks.push_back(dropout(ones, step, step % 2, 0.5));
  for (int seed : {1, 2, 3}) masks.push_back(dropout(ones, 0, 0, 0.5, seed));
  for (size_t a = 0; a < masks.size(); ++a)
    for (size_t b = 0; b < a; ++b) {
      double both = std::inner_product(masks[a].begin(), masks[a].end(), masks[b].begin(), 0.0) / 4;  // kept elements hold 2
      CHECK(std::fabs(both / 4096 - 0.25) < 5 * std::sqrt(0.25 * 0.75 / 4096));
    }
  // Neighbouring elements are independent too.
  double neighbours = std::inner_product(masks[0].begin() + 1, masks[0].end(), masks[0].begin(), 0.0) / 4;
  CHECK(std::fabs(neighbours / 4095 - 0.25) < 5 * std::sqrt(0.25 * 0.75 / 4095));
}

TEST_CASE("dropout passes NaN on, kept or not") {
  for (double value : dropout(Data(64, NAN), 1, 0, 0.5)) CHECK(std::isnan(value));
}

TEST_CASE("clip cuts off at its bounds, and passes no gradient on at them") {
  const Data x = {-2, -1, -0.5, 0, 3, 6, 6.5}, dy(7, 2);
  const AttributeMap bounds = {{"low", -1.0}, {"high", 6.0}};
  CHECK(results_of({"clip", {f32({{7}})}, bounds}, {{"x0", tensor({7}, x)}}).at(0) == Data{-1, -1, -0.5, 0, 3, 6, 6});
  CHECK(results_of({"clip_gradient", {f32({{7}}), f32({{7}})}, bounds}, {{"x0", tensor({7}, dy)}, {"x1", tensor({7}, x)}}).at(0) ==
        Data{0, 0, 2, 2, 2, 0, 0});
}

TEST_CASE("a reduction over no axes of a scalar, and over all axes, is what it says") {
  CHECK(results_of({"reduce_mean", {f32({})}}, {{"x0", tensor({}, {3})}})[0] == Data{3});
  CHECK(results_of({"reduce_sum", {f32({{2}, {3}})}}, {{"x0", tensor({2, 3}, {1, 2, 3, 4, 5, 6})}})[0] == Data{21});
  CHECK(results_of({"reduce_max", {f32({{2}})}}, {{"x0", tensor({2}, {-5, -2})}})[0] == Data{-2});
  CHECK(results_of({"element_count", {f32({N, {3}})}, {{"axes", IntList{0}}}}, {{"x0", tensor({17, 3}, Data(51))}})[0] == Data{17});
}

TEST_CASE("one_minus_power keeps its digits where the power is near one") {
  const auto weight = [](double decay, int t) {
    return results_of({"one_minus_power", {i32({})}, {{"decay", decay}}}, {{"x0", {DType::i32, {}, {static_cast<double>(t)}}}})[0][0];
  };
  CHECK(weight(0.999, 1) == doctest::Approx(0.001).epsilon(1e-13));
  CHECK(weight(0.9, 3) == doctest::Approx(0.271).epsilon(1e-15));
  CHECK(weight(0.9, 0) == 0);
  CHECK(weight(0.999, 1000000) == 1);
}

TEST_CASE("trust_ratio is 1 where a norm is 0") {
  const Data weights = {3, 0, 2, 0}, step = {2, 5, 0, 0};
  CHECK(results_of({"trust_ratio", {f32({{4}}), f32({{4}})}}, {{"x0", tensor({4}, weights)}, {"x1", tensor({4}, step)}})[0] ==
        Data{1.5, 1, 1, 1});
}

TEST_CASE("i32 sums wrap around, as generated code does") {
  Bindings bindings = {{"x0", {DType::i32, {}, {2147483647}}}, {"x1", {DType::i32, {}, {1}}}};
  CHECK(results_of({"add", {i32({}), i32({})}}, bindings)[0] == Data{-2147483648.0});
}

TEST_CASE("random bindings suit what reads them") {
  Graph graph;
  GraphBuilder builder(graph);
  Value labels = builder.input("labels", i32({N}));
  Value gamma = builder.parameter("gamma", f32({{64}}), {"ones", {}});
  Value variance = builder.state("variance", f32({{64}}), {"ones", {}});
  builder.value("one_hot", {labels}, {{"classes", 4}});
  builder.mul(gamma, variance);
  Bindings bindings = random_bindings(graph, 33, 1);
  for (double label : bindings.at("labels").data) CHECK((label >= 0 && label < 4));
  for (double value : bindings.at("variance").data) CHECK(value > 0.1);
  const Data& scales = bindings.at("gamma").data;
  CHECK(std::any_of(scales.begin(), scales.end(), [](double v) { return v < 0; }));
  CHECK(std::all_of(scales.begin(), scales.end(), [](double v) { return std::fabs(v) >= 0.5; }));
  CHECK(bindings.at("gamma").data == random_bindings(graph, 33, 1).at("gamma").data);
  CHECK(bindings.at("gamma").data != random_bindings(graph, 33, 2).at("gamma").data);
}
