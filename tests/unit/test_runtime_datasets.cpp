#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <thread>

#include "bnc/bnc.h"
#include "runtime/batch_loader.h"
#include "runtime/dataset.h"
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
  CHECK(contains(error(idx({3, 0, 2}, "")), "are [0, 2, 1]: they hold nothing"));
  std::string damaged = gzip(good);
  damaged[damaged.size() - 6] = static_cast<char>(damaged[damaged.size() - 6] ^ 1);  // in the checksum
  CHECK(contains(error(damaged), "train-images-idx3-ubyte: its gzip stream is damaged"));
  folder.write(train_labels, good);
  CHECK(contains(error(good), "train-labels-idx1-ubyte: labels have 1 dimension, these have 3"));
  folder.write(train_labels, idx({0}, ""));
  CHECK(contains(error(idx({0, 2, 2}, "")), "holds no examples"));
  std::filesystem::remove(folder.path(train_labels));
  CHECK(contains(open_error(folder.path()), "but no train-labels-idx1-ubyte"));
}

TEST_CASE("CIFAR-10 batches become images with channels last, in the order of the files") {
  const TemporaryFolder folder;
  const auto record = [](int label, int red, int green, int blue) {
    return std::string(1, static_cast<char>(label)) + std::string(1024, static_cast<char>(red)) +
           std::string(1024, static_cast<char>(green)) + std::string(1024, static_cast<char>(blue));
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
  CHECK(contains(open_error(folder.path()),
                 "data_batch_1.bin: not whole CIFAR-10 records: 3076 bytes are 1 records of 3073 and 3 bytes more"));
  folder.write("data_batch_1.bin", record(10, 0, 0, 0));
  CHECK(contains(open_error(folder.path()), "label 10 of record 0 is out of range"));
}

TEST_CASE("npz data sets: labels or float targets") {
  const TemporaryFolder folder;
  save_npz(folder.path("a.npz"),
           {{"x", Array({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6})}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
  CHECK(Dataset::open(folder.path("a.npz"), "train").classes() == 2);
  CHECK(contains(open_error(folder.path("missing.npz:test")), "no data set"));
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
  CHECK(contains(open_error(folder.write("a.txt", "1,2")), "is no data set"));
}

TEST_CASE("tables: header or none, labels by name or last, whole numbers, text or floats") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& text) { return Dataset::open(folder.write("a.csv", text), "train"); };
  const auto rows = [](const Dataset& data) { return data.data().values; };
  const std::vector<float> numbers = {1, -2.5, 0.25, 1e3};
  for (const char* text : {"1,-2.5,2\n0.25,1e3,0\n", "a,b,class\r\n1,-2.5,2\r\n 0.25 ,+1000,0", "b,Label,a\n1,2,-2.5\n\"0.25\",0,1e3\n",
                           "\xef\xbb\xbf"
                           "0,1,label\n1,-2.5,2\n0.25,1e+3,0\n"}) {
    CAPTURE(text);
    const Dataset data = open(text);
    CHECK(data.count() == 2);
    CHECK(data.example_dims() == std::vector<int64_t>{2});
    CHECK(rows(data) == numbers);
    CHECK(data.data().labels == std::vector<int32_t>{2, 0});
    CHECK(data.data().class_names.empty());
  }
  const Dataset flowers = open("1,setosa\n2,\"iris \"\"v\"\",\n\"\n3,setosa\n");
  CHECK(flowers.data().labels == std::vector<int32_t>{1, 0, 1});
  CHECK(flowers.data().class_names == std::vector<std::string>{"iris \"v\",\n", "setosa"});
  const Dataset prices = open("1,2\n2,2.5\n");
  CHECK_FALSE(prices.has_labels());
  CHECK(prices.data().targets == std::vector<float>{2, 2.5f});
  CHECK(Dataset::open(folder.write("b.csv.gz", gzip("1,0\n2,1\n")), "train").count() == 2);
}

TEST_CASE("tables that are wrong are told with line and column") {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& text) { return open_error(folder.write("a.csv", text)); };
  CHECK(contains(error(""), "a.csv is empty"));
  CHECK(contains(error("a,b,label\n"), "a.csv holds no examples"));
  CHECK(contains(error("1\n2\n"), "a.csv:1:1: a line has one field only"));
  CHECK(contains(error("1,2,0\n1,2,0\n1,0\n"), "a.csv:3:1: this line has 2 fields, but line 1 has 3"));
  CHECK(contains(error("1,2,0\n\n1,2,0,3\n"), "a.csv:3:1: this line has 4 fields, but line 1 has 3"));
  CHECK(contains(error("\n \n1\n2\n"), "a.csv:3:1: a line has one field only"));
  CHECK(contains(error("a,b,c\n1,2,0\n1,x2,0\n"), "a.csv:3:3: `x2` in column `b` is no number"));
  CHECK(contains(error("1,2,0\n1,2;5,0\n"), "a.csv:2:3: `2;5` in column 2 is no number"));
  CHECK(contains(error("1,2,0\n1,,0\n"), "a.csv:2:3: column 2 is empty here"));
  CHECK(contains(error("1,2,0\nnan,2,0\n"), "a.csv:2:1: `nan` in column 1 is not finite\nhelp: fill missing values in"));
  CHECK(contains(error("1,NA,0\n1,2,0\n"), "a.csv:1:3: `NA` in column 2 is no number\nhelp: fill missing values in"));
  CHECK(contains(error("1,2,0\n1,0x1A,0\n"), "a.csv:2:3: `0x1A` in column 2 is no number"));
  CHECK(contains(error("1,2,0\n1,1e99,0\n"),
                 "a.csv:2:3: `1e99` in column 2 is out of the range of 32-bit floats\nhelp: give the column in a larger unit"));
  CHECK(contains(error("1,2,0\n1,2,one\n"), "a.csv:2:5: `one` in column 3 is no number"));
  CHECK(contains(error("1,2,a\n1,2,\n"), "a.csv:2:5: the label is empty here"));
  CHECK(contains(error("1,2,0\n1,\"2,0\n1,2,0\n"), "a.csv:2:3: this quote is never closed"));
  CHECK(contains(error("1,2,0\n1,2\"3,0\n"), "a.csv:2:4: a quote inside of a field"));
  CHECK(contains(error("1,2,0\n1,\"2\"3,0\n"), "a.csv:2:6: expected a comma or the end of the line"));
  CHECK(contains(error(std::string("1,2,0\n1,2\0,0\n", 14)), "a.csv:2:4: a zero byte"));
  CHECK(contains(error("\"a\nb\",c,label\n1,2,0\n1,2\n"), "a.csv:4:1: this line has 2 fields, but line 1 has 3"));
}

TEST_CASE("tables as common tools write them") {
  const TemporaryFolder folder;
  const auto open = [&](const std::string& text, const std::string& name = "a.csv") {
    return Dataset::open(folder.write(name, text), "train");
  };
  const std::vector<float> numbers = {0.5f, 2, 0.25f, 4};
  const std::string bom = "\xef\xbb\xbf";
  for (const std::string& text :
       {std::string("0.5,2,1\n0.25,4,0\n\n"), std::string("0.5,2,1\n\n0.25,4,0\n\n\n"),
        std::string("\n0.5,2,1\n0.25,4,0\n  \n,,\n"),  // blank lines
        std::string("0,1,2\n0.5,2,1\n0.25,4,0\n"),     // pandas: columns without names
        std::string("0.5,2,1\r\n0.25,4,0\r\n\r\n"), std::string("0.5,2,1\r0.25,4,0\r"), std::string("0.5,2,1\r\r\n0.25,4,0\r\r\n"),
        bom + "\"a\",\"b\",\"label\"\r\n\"0.5\",\"2\",\"1\"\r\n\"0.25\",\"4\",\"0\"\r\n", bom + "0.5,2,1\n0.25,4,0"}) {
    CAPTURE(text);
    const Dataset data = open(text);
    CHECK(data.count() == 2);
    CHECK(data.data().values == numbers);
    CHECK(data.data().labels == std::vector<int32_t>{1, 0});
  }
  CHECK(open(",0,1\n0,0.5,1\n1,0.25,0\n").data().values == std::vector<float>{0, 0.5f, 1, 0.25f});   // with pandas' index
  for (const char* text : {"0,1,2,species\n1,2,3,cat\n4,5,6,dog\n1,2,3,cat\n",
                           "400.5,401,402,species\n1,2,3,1\n4,5,6,0\n1,2,3,1\n"}) {  // names, as the last column tells
    CAPTURE(text);
    CHECK(open(text).data().values == std::vector<float>{1, 2, 3, 4, 5, 6, 1, 2, 3});
    CHECK(open(text).classes() == 2);
  }
  CHECK(open("0,1,2,cat\n1,2,3,cat\n4,5,6,dog\n").count() == 3);
  CHECK(open("0,1\n1,0\n").count() == 2);                                                         // two columns have no room for such names
  CHECK(open("0,1,3\n1,0,3\n").count() == 2);
  CHECK(open("1,0\n2,1\n", "D.CSV").count() == 2);
  CHECK(open(gzip("1,0\n2,1\n"), "D.Csv.GZ").count() == 2);
  save_npz(folder.path("D.NPZ"), {{"x", Array({2, 3}, std::vector<float>(6))}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
  CHECK(Dataset::open(folder.path("D.NPZ"), "train").count() == 2);
  // The lines of errors count those left out.
  CHECK(contains(open_error(folder.write("b.csv", "0.5,2,1\r\r\n\r\n0.25,x,0\r\n")), "b.csv:3:6: `x` in column 2"));
}

TEST_CASE("a file without splits of its own is split by `:train` and `:test`, always the same way") {
  const TemporaryFolder folder;
  std::string text;
  for (int k = 0; k < 52; ++k) text += std::to_string(k) + "," + std::to_string(k % 3) + "\n";
  const std::string path = folder.write("a.csv", text);
  const Dataset train = Dataset::open(path + ":train", "train"), test = Dataset::open(path + ":test", "train"),
                whole = Dataset::open(path, "test");
  CHECK(whole.count() == 52);
  CHECK(test.count() == 10);
  std::vector<float> all = train.data().values;
  CHECK(std::is_sorted(all.begin(), all.end()));
  all.insert(all.end(), test.data().values.begin(), test.data().values.end());
  std::sort(all.begin(), all.end());
  CHECK(all == whole.data().values);
  for (size_t k = 0; k < 10; ++k) CHECK(test.data().labels[k] == static_cast<int32_t>(test.data().values[k]) % 3);
  CHECK(Dataset::open(path + ":test", "train").data().values == test.data().values);
  CHECK(whole.split(0.5, 1).first.data().values != whole.split(0.5, 2).first.data().values);
  CHECK(contains(open_error(folder.write("two.csv", "1,0\n2,1\n") + ":test"), "a share of 0.2 of the 2 examples"));
}

TEST_CASE("numbers that are not finite, and examples of nothing, are refused") {
  const TemporaryFolder folder;
  const auto error = [&](std::vector<float> x, Array y) {
    save_npz(folder.path("a.npz"), {{"x", Array({3, 2}, std::move(x))}, {"y", std::move(y)}});
    return open_error(folder.path("a.npz"));
  };
  const Array labels({3}, std::vector<int32_t>{0, 1, 0});
  CHECK(error({1, 2, 3, 4, 5, 6}, labels).empty());
  CHECK(contains(error({1, 2, 3, 4, 5, NAN}, labels), "a.npz: the numbers of example 2 hold nan at position 1"));
  CHECK(contains(error({1, 2, -INFINITY, 4, 5, 6}, labels), "the numbers of example 1 hold -inf at position 0"));
  CHECK(contains(error({1, 2, 3, 4, 5, 6}, Array({3, 1}, std::vector<float>{1, 2, NAN})), "the targets of example 2 hold nan"));
  save_npz(folder.path("b.npz"), {{"x", Array({3, 0}, std::vector<float>{})}, {"y", Array({3}, std::vector<int32_t>{0, 1, 0})}});
  CHECK(contains(open_error(folder.path("b.npz")), "are [0]: they hold nothing"));
}

TEST_CASE("labels outside a network's classes and examples of another size are refused by name") {
  const Network network = Network::from_text(
      "network n(x: f32[N, 4]) { return dense(x, 2) }\ntrain n { loss = softmax_cross_entropy(labels)\noptimizer = sgd(rate=0.1) }");
  const Objective objective(network);
  const TemporaryFolder folder;
  save_npz(folder.path("a.npz"), {{"x", Array({2, 2, 2}, std::vector<float>(8))}, {"y", Array({2}, std::vector<int32_t>{1, 2})}});
  CHECK(contains(message_of<Error>([&] { objective.open(folder.path("a.npz"), "train", {}); }),
                 "a.npz: label 2 of example 1 is out of range: network `n` tells 2 classes apart"));
  save_npz(folder.path("b.npz"), {{"x", Array({2, 5}, std::vector<float>(10))}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
  CHECK(contains(message_of<Error>([&] { objective.fit(objective.open(folder.path("b.npz"), "train", {}), 1); }),
                 "are [5], 5 numbers each, but input `x` of network `n` is f32[N, 4]"));

  CHECK(
      contains(message_of<Error>([&] { objective.open(folder.write("a.csv", "1,2,3,4,red\n1,2,3,4,green\n1,2,3,4,blue\n"), "train", {}); }),
               "a.csv: network `n` tells 2 classes apart, but there are 3 different labels"));
  const std::string negative = folder.write("n.csv", "1,2,3,4,-1\n");
  CHECK(contains(message_of<Error>([&] { objective.open(negative, "train", {}); }), "n.csv:1: label -1 of example 0 is out of range"));

  const Network planes = Network::from_text("network n(x: f32[N, 3, 2, 4] layout=nchw) { return dense(flatten(x), 2) }\n"
                                            "train n { loss = softmax_cross_entropy(labels)\noptimizer = sgd(rate=0.1) }");
  const auto fits = [&](const std::string& name, std::vector<int64_t> dims) {
    save_npz(folder.path(name), {{"x", Array(std::move(dims), std::vector<float>(48))}, {"y", Array({2}, std::vector<int32_t>{1, 0})}});
    return Objective(planes).fit(Dataset::open(folder.path(name), "train"), 1).planes;
  };
  CHECK(fits("images.npz", {2, 3, 2, 4}));
  CHECK_FALSE(fits("flat.npz", {2, 24}));
  CHECK_NOTHROW(fits("planes.npz", {2, 3, 1, 2, 4}));
  CHECK(contains(message_of<Error>([&] { fits("pixels.npz", {2, 2, 4, 3}); }),
                 "are [2, 4, 3], but input `x` of network `n` is f32[N, 3, 2, 4]"));
}

TEST_CASE("the order of an epoch is a permutation that seed and epoch decide") {
  const std::vector<int64_t> order = shuffled_order(1000, 7, 0);
  CHECK(std::set<int64_t>(order.begin(), order.end()).size() == 1000);
  CHECK(*std::max_element(order.begin(), order.end()) == 999);
  CHECK(order == shuffled_order(1000, 7, 0));
  CHECK(order != shuffled_order(1000, 7, 1));
  CHECK(order != shuffled_order(1000, 8, 0));
}

// However many there are.
TEST_CASE("an order leaves one example in its place on average") {
  int left = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const std::vector<int64_t> order = shuffled_order(8, seed, 0);
    for (int64_t k = 0; k < 8; ++k) left += order[static_cast<size_t>(k)] == k;
  }
  CHECK(left == doctest::Approx(2000).epsilon(0.1));
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
    for (int64_t k = 0; k < 5; ++k)
      CHECK(batch.x[static_cast<size_t>(k)] == static_cast<float>(order[static_cast<size_t>(step % 3 * 5 + k)]));
    if (step >= 5) CHECK(from_fifth.next().x == batch.x);
  }
}

TEST_CASE("batches are made ahead, as many as the loader has room for") {
  const TemporaryFolder folder;
  constexpr int64_t count = 128, batch = 64, steps = 12, side = 48;
  save_npz(folder.path("a.npz"), {{"x", Array({count, side, side, 3}, std::vector<float>(count * side * side * 3, 0.5f))},
                                  {"y", Array({count}, std::vector<int32_t>(count))}});
  const Dataset data = Dataset::open(folder.path("a.npz"), "train");
  BatchLoader loader(data, {batch, TargetKind::labels, 2}, 1, 0,
                     Augmentation({{"pad_and_crop", {{"pixels", 4}}}, {"flip", {}}}, {side, side, 3}, 1));
  const auto fills = [&](int64_t ready) {
    while (loader.ready() < ready) std::this_thread::yield();
    return loader.ready() == ready;
  };
  REQUIRE(loader.slots() > 2);
  CHECK(fills(loader.slots()));   // before anyone asks
  for (int64_t step = 0; step < steps; ++step) {
    loader.next();
    CHECK(fills(loader.slots() - 1));   // the one handed out keeps its room
  }
}

namespace {

// The images of one batch of `count` examples numbered 1, 2, ... from the first pixel on, after `steps`.
std::vector<float> augmented(std::vector<Symbol> steps, const ImageLayout& layout, int64_t count, int64_t step, uint64_t seed = 7) {
  std::vector<float> images(static_cast<size_t>(count * layout.height * layout.width * layout.channels));
  for (size_t k = 0; k < images.size(); ++k) images[k] = static_cast<float>(k + 1);
  Augmentation(std::move(steps), layout, seed).apply(images, step);
  return images;
}

}  // namespace

TEST_CASE("augmentation flips and moves whole images, every way it may and no other") {
  constexpr int64_t height = 3, width = 5, channels = 2, count = 400;
  const auto pixel = [](const std::vector<float>& images, int64_t example, int64_t y, int64_t x, int64_t c) {
    return images[static_cast<size_t>(((example * height + y) * width + x) * channels + c)];
  };
  const ImageLayout layout{height, width, channels};
  const std::vector<float> before = augmented({}, layout, count, 0);
  const std::vector<float> flipped = augmented({{"flip", {}}}, layout, count, 3),
                           cropped = augmented({{"pad_and_crop", {{"pixels", 2}}}}, layout, count, 3),
                           shifted = augmented({{"shift", {{"pixels", 1}}}}, layout, count, 3);
  int64_t turned = 0;
  std::set<std::pair<int64_t, int64_t>> crops, shifts;
  for (int64_t k = 0; k < count; ++k) {
    const auto agrees = [&](const auto& expected, const std::vector<float>& found) {
      for (int64_t y = 0; y < height; ++y)
        for (int64_t x = 0; x < width; ++x)
          for (int64_t c = 0; c < channels; ++c)
            if (pixel(found, k, y, x, c) != expected(y, x, c)) return false;
      return true;
    };
    const auto same = [&](int64_t y, int64_t x, int64_t c) { return pixel(before, k, y, x, c); };
    const auto mirrored = [&](int64_t y, int64_t x, int64_t c) { return pixel(before, k, y, width - 1 - x, c); };
    turned += agrees(mirrored, flipped);
    CHECK((agrees(mirrored, flipped) || agrees(same, flipped)));
    int matches = 0;
    for (int64_t down = -2; down <= 2; ++down) {
      for (int64_t right = -2; right <= 2; ++right) {
        const auto with_zeros = [&](int64_t y, int64_t x, int64_t c) {
          const bool inside = y - down >= 0 && y - down < height && x - right >= 0 && x - right < width;
          return inside ? pixel(before, k, y - down, x - right, c) : 0.0f;
        };
        const auto nearest = [&](int64_t y, int64_t x, int64_t c) {
          return pixel(before, k, std::clamp<int64_t>(y - down, 0, height - 1), std::clamp<int64_t>(x - right, 0, width - 1), c);
        };
        if (agrees(with_zeros, cropped)) ++matches, crops.emplace(down, right);
        if (std::abs(down) < 2 && std::abs(right) < 2 && agrees(nearest, shifted)) ++matches, shifts.emplace(down, right);
      }
    }
    CHECK(matches == 2);
  }
  CHECK(turned > count / 2 - 50);
  CHECK(turned < count / 2 + 50);
  CHECK(crops.size() == 25);
  CHECK(shifts.size() == 9);
}

TEST_CASE("augmentation depends on seed, step and place alone, and treats planes like pixels") {
  const std::vector<Symbol> steps = {{"pad_and_crop", {{"pixels", 2}}}, {"flip", {}}, {"shift", {{"pixels", 1}}}};
  const ImageLayout pixels{4, 5, 3}, planes{4, 5, 3, true};
  const std::vector<float> images = augmented(steps, pixels, 20, 11);
  CHECK(images == augmented(steps, pixels, 20, 11));
  CHECK(images != augmented(steps, pixels, 20, 12));
  CHECK(images != augmented(steps, pixels, 20, 11, 8));

  std::vector<float> turned(20 * 60);
  const auto turn = [&](const std::vector<float>& from, bool to_planes) {
    for (size_t k = 0; k < 20; ++k)
      for (size_t p = 0; p < 20; ++p)
        for (size_t c = 0; c < 3; ++c) {
          const size_t plane = k * 60 + c * 20 + p, pixel = k * 60 + p * 3 + c;
          turned[to_planes ? plane : pixel] = from[to_planes ? pixel : plane];
        }
    return turned;
  };
  std::vector<float> channels_first = turn(augmented({}, pixels, 20, 0), true);
  Augmentation(steps, planes, 7).apply(channels_first, 11);
  CHECK(turn(channels_first, false) == images);
}
