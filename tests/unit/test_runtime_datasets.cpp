#include <zlib.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "bnc/bnc.h"
#include "runtime/batch_loader.h"
#include "runtime/objective.h"
#include "support/files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

std::string idx(const std::vector<int64_t>& dims, const std::string& data, char type = 8) {
  std::string bytes = {0, 0, type, static_cast<char>(dims.size())};
  for (const int64_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(dim >> shift & 0xff));
  }
  return bytes + data;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(bytes.size() + 200, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Three images of 2 x 2 pixels: example k has pixels 10k, 10k + 1, ...
std::string images() {
  std::string data;
  for (int k = 0; k < 3; ++k) {
    for (int pixel = 0; pixel < 4; ++pixel) data.push_back(static_cast<char>(10 * k + pixel));
  }
  return idx({3, 2, 2}, data);
}

std::string open_error(const std::string& spec, const std::string& split = "train") {
  return message_of<Error>([&] { Dataset::open(spec, split); });
}

constexpr const char *train_images = "train-images-idx3-ubyte", *train_labels = "train-labels-idx1-ubyte";

}  // namespace

TEST_CASE("IDX folders, gzipped or not, by split") {
  const TemporaryFolder folder;
  folder.write(train_images, images());
  folder.write(std::string(train_labels) + ".gz", gzip(idx({3}, {2, 0, 1})));
  const Dataset data = Dataset::open(folder.path() + ":train", "test");
  CHECK(data.count() == 3);
  CHECK(data.example_dims() == std::vector<int64_t>{2, 2, 1});
  CHECK(data.classes() == 3);
  std::vector<float> x(8);
  std::vector<int32_t> y(2);
  data.gather(std::vector<int64_t>{2, 0}, x, y);
  CHECK(x[0] == 20 / 255.0f);
  CHECK(x[7] == 3 / 255.0f);
  CHECK(y == std::vector<int32_t>{1, 2});
  CHECK(contains(open_error(folder.path(), "test"), "holds no test data"));
}

TEST_CASE("IDX files that are wrong are named with what is wrong") {
  const TemporaryFolder folder;
  const std::string labels = idx({3}, {2, 0, 1});
  folder.write(train_labels, labels);
  const std::string good = images();
  for (size_t length = 0; length < good.size(); ++length) {
    CAPTURE(length);
    folder.write(train_images, good.substr(0, length));
    CHECK(contains(open_error(folder.path()), train_images));
  }
  const std::string packed = gzip(good);
  for (size_t length = 0; length < packed.size(); ++length) {
    CAPTURE(length);
    folder.write(train_images, packed.substr(0, length));
    CHECK(contains(open_error(folder.path()), train_images));
  }
  const auto error = [&](const std::string& bytes) {
    folder.write(train_images, bytes);
    return open_error(folder.path());
  };
  CHECK(contains(error(good + "x"), "oversized: shape [3, 2, 2] takes 12 bytes, but 13 are there"));
  CHECK(contains(error("PK" + good), "not an IDX file"));
  CHECK(contains(error(idx({3, 2, 2}, std::string(48, '\0'), 0x0d)), "holds 32-bit floats"));
  CHECK(contains(error(idx({3}, {1, 2, 3})), "images have 3 or 4 dimensions, these have 1"));
  CHECK(contains(error(idx({2, 2, 2}, std::string(8, '\0'))), "holds 2 images, but"));
  CHECK(contains(error(idx({4294967295, 4294967295, 4294967295}, "")), "too large"));
  folder.write(train_labels, idx({0}, ""));
  CHECK(contains(error(idx({0, 2, 2}, "")), "holds no examples"));
  std::filesystem::remove(folder.path(train_labels));
  CHECK(contains(open_error(folder.path()), "but no train-labels-idx1-ubyte"));
}

TEST_CASE("CIFAR-10 batches become images with channels last, in the order of the files") {
  const TemporaryFolder folder;
  const auto record = [](int label, int red, int green, int blue) {
    return std::string(1, static_cast<char>(label)) + std::string(1024, static_cast<char>(red)) + std::string(1024, static_cast<char>(green)) + std::string(1024, static_cast<char>(blue));
  };
  folder.write("data_batch_2.bin", record(9, 3, 4, 5));
  folder.write("data_batch_1.bin", record(1, 0, 51, 255) + record(2, 1, 1, 1));
  folder.write("test_batch.bin", record(4, 9, 9, 9));
  const Dataset data = Dataset::open(folder.path(), "train");
  CHECK(data.count() == 3);
  CHECK(data.example_dims() == std::vector<int64_t>{32, 32, 3});
  std::vector<float> x(2 * 3072);
  std::vector<int32_t> y(2);
  data.gather(std::vector<int64_t>{0, 2}, x, y);
  CHECK(y == std::vector<int32_t>{1, 9});
  CHECK(std::vector<float>(x.begin() + 3, x.begin() + 6) == std::vector<float>{0, 0.2f, 1});
  CHECK(Dataset::open(folder.path(), "test").count() == 1);

  folder.write("data_batch_1.bin", record(1, 0, 0, 0) + "cut");
  CHECK(contains(open_error(folder.path()), "data_batch_1.bin: not whole CIFAR-10 records: 3076 bytes are 1 records of 3073 and 3 bytes more"));
  folder.write("data_batch_1.bin", record(10, 0, 0, 0));
  CHECK(contains(open_error(folder.path()), "label 10 of record 0 is out of range"));
}

TEST_CASE("npz data sets: labels or float targets") {
  const TemporaryFolder folder;
  save_npz(folder.path("a.npz"), {{"x", Array({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
  CHECK(Dataset::open(folder.path("a.npz"), "train").classes() == 2);
  CHECK(contains(open_error(folder.path("a.npz:test")), "has no splits"));
  save_npz(folder.path("f.npz"), {{"x", Array({2, 3}, std::vector<float>(6))}, {"y", Array({2, 2}, std::vector<float>{1, 2, 3, 4})}});
  const Dataset floats = Dataset::open(folder.path("f.npz"), "train");
  CHECK_FALSE(floats.has_labels());
  std::vector<float> x(3), y(2);
  floats.gather(std::vector<int64_t>{1}, x, std::span<float>(y));
  CHECK(y == std::vector<float>{3, 4});
  save_npz(folder.path("b.npz"), {{"x", Array({2, 3}, std::vector<float>(6))}});
  CHECK(contains(open_error(folder.path("b.npz")), "there is no `y` (it holds: x)"));
  save_npz(folder.path("c.npz"), {{"x", Array({2, 3}, std::vector<float>(6))}, {"y", Array({3}, std::vector<int32_t>(3))}});
  CHECK(contains(open_error(folder.path("c.npz")), "`x` holds 2 examples, but `y` 3"));
}

TEST_CASE("data specifications that name nothing") {
  const TemporaryFolder folder;
  CHECK(contains(open_error("fashion-mnits"), "did you mean `fashion-mnist`?"));
  CHECK(contains(open_error(folder.path()), "holds no training data"));
  CHECK(contains(open_error(folder.write("a.csv", "1,2")), "is no data set"));
}

TEST_CASE("labels outside a network's classes and examples of another size are refused by name") {
  const Network network = Network::from_text("network n(x: f32[N, 4]) { return dense(x, 2) }\ntrain n { loss = softmax_cross_entropy(labels)\noptimizer = sgd(rate=0.1) }");
  const Objective objective(network);
  const TemporaryFolder folder;
  save_npz(folder.path("a.npz"), {{"x", Array({2, 2, 2}, std::vector<float>(8))}, {"y", Array({2}, std::vector<int32_t>{1, 2})}});
  CHECK(contains(message_of<Error>([&] { objective.fit(Dataset::open(folder.path("a.npz"), "train"), 1); }), "a.npz: label 2 of example 1 is out of range: network `n` tells 2 classes apart"));
  save_npz(folder.path("b.npz"), {{"x", Array({2, 5}, std::vector<float>(10))}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
  CHECK(contains(message_of<Error>([&] { objective.fit(Dataset::open(folder.path("b.npz"), "train"), 1); }), "are [5], 5 numbers each, but input `x` of network `n` is f32[N, 4]"));

  const Network planes = Network::from_text("network n(x: f32[N, 3, 2, 4] layout=nchw) { return dense(flatten(x), 2) }\n"
                                            "train n { loss = softmax_cross_entropy(labels)\noptimizer = sgd(rate=0.1) }");
  const auto fits = [&](const std::string& name, std::vector<int64_t> dims) {
    save_npz(folder.path(name), {{"x", Array(std::move(dims), std::vector<float>(48))}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
    Objective(planes).fit(Dataset::open(folder.path(name), "train"), 1);
  };
  CHECK_NOTHROW(fits("flat.npz", {2, 24}));
  CHECK_NOTHROW(fits("planes.npz", {2, 3, 1, 2, 4}));
  CHECK(contains(message_of<Error>([&] { fits("pixels.npz", {2, 2, 4, 3}); }), "are [2, 4, 3], but input `x` of network `n` is f32[N, 3, 2, 4]"));
}

TEST_CASE("the order of an epoch is a permutation that seed and epoch decide") {
  const std::vector<int64_t> order = shuffled_order(1000, 7, 0);
  CHECK(std::set<int64_t>(order.begin(), order.end()).size() == 1000);
  CHECK(*std::max_element(order.begin(), order.end()) == 999);
  CHECK(order == shuffled_order(1000, 7, 0));
  CHECK(order != shuffled_order(1000, 7, 1));
  CHECK(order != shuffled_order(1000, 8, 0));
}

TEST_CASE("the loader hands out the batches of the order, from any step on") {
  const TemporaryFolder folder;
  std::vector<float> x(17);
  std::iota(x.begin(), x.end(), 0.0f);
  save_npz(folder.path("a.npz"), {{"x", Array({17, 1}, x)}, {"y", Array({17}, std::vector<int32_t>(17))}});
  const Dataset data = Dataset::open(folder.path("a.npz"), "train");
  const BatchShape shape{5, TargetKind::labels, 2};
  BatchLoader from_start(data, shape, 3, 0), from_fifth(data, shape, 3, 5);
  for (int64_t step = 0; step < 12; ++step) {  // 3 batches an epoch, 2 examples left out
    const Batch& batch = from_start.next();
    const std::vector<int64_t> order = shuffled_order(17, 3, step / 3);
    for (int64_t k = 0; k < 5; ++k) CHECK(batch.x[static_cast<size_t>(k)] == static_cast<float>(order[static_cast<size_t>(step % 3 * 5 + k)]));
    if (step >= 5) CHECK(from_fifth.next().x == batch.x);
  }
}
