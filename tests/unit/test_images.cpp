// PNG and JPEG images, their sizes and channels, and folders of them as data sets.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "runtime/dataset.h"
#include "runtime/image.h"
#include "runtime/png.h"
#include "support/files.h"
#include "support/image_files.h"

using namespace bnc;
using namespace bnc::test;

namespace {

using Pixels = std::vector<uint8_t>;

Bytes view(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
Image decoded(const std::string& bytes) { return decode_image(view(bytes), "a.png"); }
std::string decode_error(const std::string& bytes) { return message_of<Error>([&] { decode_image(view(bytes), "a.png"); }); }

void check_image(const std::string& bytes, int64_t height, int64_t width, int64_t channels, const Pixels& pixels) {
  const ImageHeader header = read_image_header(view(bytes), "a.png");
  const Image image = decoded(bytes);
  for (const auto& found : {header, ImageHeader{image.height, image.width, image.channels}}) {
    CHECK(found.height == height);
    CHECK(found.width == width);
    CHECK(found.channels == channels);
  }
  CHECK(image.pixels == pixels);
}

int most_difference(const Pixels& a, const Pixels& b) {
  REQUIRE(a.size() == b.size());
  int most = 0;
  for (size_t k = 0; k < a.size(); ++k) most = std::max(most, std::abs(a[k] - b[k]));
  return most;
}

// Slow changes, which JPEG keeps.
Pixels slope(int64_t height, int64_t width, int64_t channels) {
  Pixels pixels;
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t channel = 0; channel < channels; ++channel) pixels.push_back(static_cast<uint8_t>(40 + 5 * y + 3 * x + 20 * channel));
  return pixels;
}

class Images {
 public:
  Images() = default;
  // A grey or RGB image of one value.
  void add(const std::string& name, uint8_t value, int64_t height = 2, int64_t width = 3, int64_t channels = 1) const {
    const Pixels pixels(static_cast<size_t>(height * width * channels), value);
    write(name, png_bytes(height, width, pixels, {.color_type = channels == 1 ? 0 : 2}));
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::filesystem::create_directories(std::filesystem::path(folder_.path(name)).parent_path());
    folder_.write(name, bytes);
  }
  Dataset open(const ReadOptions& options = {}, const std::string& suffix = "", const std::string& split = "train") const {
    return Dataset::Data::open(folder_.path() + suffix, split, options);
  }
  std::string error(const ReadOptions& options = {}, const std::string& suffix = "", const std::string& split = "train") const {
    return message_of<Error>([&] { open(options, suffix, split); });
  }
  std::string path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

ReadOptions for_input(std::vector<int64_t> dims, bool channels_first = false) {
  ReadOptions options;
  options.input = ExampleLayout{std::move(dims), channels_first};
  return options;
}

}  // namespace

TEST_CASE("images: PNG in all its forms becomes bytes of grey or RGB") {
  const Pixels grey = pattern(5, 7, 1), rgb = pattern(5, 7, 3);
  for (const bool interlaced : {false, true}) {
    CAPTURE(interlaced);
    check_image(png_bytes(5, 7, grey, {.color_type = 0, .interlaced = interlaced}), 5, 7, 1, grey);
    check_image(png_bytes(5, 7, rgb, {.color_type = 2, .interlaced = interlaced}), 5, 7, 3, rgb);
  }
  check_image(encode_png(5, 7, 3, rgb), 5, 7, 3, rgb);
  // Alpha is dropped.
  check_image(png_bytes(1, 2, {10, 0, 20, 255}, {.color_type = 4}), 1, 2, 1, {10, 20});
  check_image(png_bytes(1, 2, {1, 2, 3, 0, 4, 5, 6, 9}, {.color_type = 6}), 1, 2, 3, {1, 2, 3, 4, 5, 6});
  // 16 bits are rounded to 8: 0x0180 / 257 is 1.49, 0x0182 / 257 is 1.50.
  check_image(png_bytes(1, 4, {0x01, 0x80, 0x01, 0x82, 0xff, 0xff, 0x00, 0x00}, {.color_type = 0, .bits = 16}), 1, 4, 1, {1, 2, 255, 0});
  check_image(png_bytes(1, 8, {0b10110001}, {.color_type = 0, .bits = 1}), 1, 8, 1, {255, 0, 255, 255, 0, 0, 0, 255});
  check_image(png_bytes(1, 2, {0xf3}, {.color_type = 0, .bits = 4}), 1, 2, 1, {255, 51});
  const Pixels palette = {9, 8, 7, 1, 2, 3, 50, 60, 70};
  check_image(png_bytes(1, 3, {2, 0, 1}, {.color_type = 3, .palette = palette}), 1, 3, 3, {50, 60, 70, 9, 8, 7, 1, 2, 3});
  check_image(png_bytes(1, 4, {0b10000100}, {.color_type = 3, .bits = 2, .palette = palette, .alphas = {0, 128}}), 1, 4, 3,
              {50, 60, 70, 9, 8, 7, 1, 2, 3, 9, 8, 7});
}

TEST_CASE("images: JPEG, progressive or not, in grey, RGB and CMYK") {
  for (const bool progressive : {false, true}) {
    for (const int64_t channels : {1, 3}) {
      CAPTURE(progressive);
      CAPTURE(channels);
      const Image image = decoded(jpeg_bytes(9, 17, channels, slope(9, 17, channels), progressive));
      CHECK(image.height == 9);
      CHECK(image.width == 17);
      CHECK(image.channels == channels);
      CHECK(most_difference(image.pixels, slope(9, 17, channels)) <= 6);
    }
  }
  // Light that is left of C, M, Y and of K: their product.
  Pixels inks;
  for (int k = 0; k < 64; ++k) inks.insert(inks.end(), {200, 100, 50, 128});
  const Image image = decoded(jpeg_bytes(8, 8, 4, inks));
  CHECK(image.channels == 3);
  CHECK(std::abs(image.pixels[0] - 100) <= 2);
  CHECK(std::abs(image.pixels[1] - 50) <= 2);
  CHECK(std::abs(image.pixels[2] - 25) <= 2);
}

TEST_CASE("images: damaged files are told by name") {
  const std::string png = png_bytes(16, 16, pattern(16, 16, 3), {.color_type = 2}), jpeg = jpeg_bytes(32, 32, 3, pattern(32, 32, 3));
  for (const std::string& whole : {png, jpeg}) {
    for (const size_t length : {size_t{9}, size_t{20}, whole.size() / 2, whole.size() - 13}) {
      CAPTURE(length);
      CHECK(contains(decode_error(whole.substr(0, length)), "a.png: damaged: lib"));
    }
  }
  std::string flipped = png;
  flipped[60] = static_cast<char>(flipped[60] ^ 0x55);
  CHECK(contains(decode_error(flipped), "a.png: damaged: libpng says"));
  std::string lost = jpeg;
  lost.replace(lost.size() / 2, 40, std::string(40, '\xff') );
  CHECK(contains(decode_error(lost), "a.png: damaged: libjpeg says"));
  CHECK(decode_error("") == "error: a.png: the file is empty, and no image");
  CHECK(contains(decode_error("GIF89a...."), "a.png: neither a PNG nor a JPEG image\nhelp: "));
  std::string huge = png;   // a header that claims more than any memory holds
  huge.replace(16, 8, std::string("\x00\x0f\x42\x40\x00\x0f\x42\x40", 8));
  CHECK(contains(decode_error(huge), "a.png: damaged"));   // its checksum is another's
}

TEST_CASE("images: grey and colour") {
  const Image rgb{2, 3, 3, pattern(2, 3, 3)};
  CHECK(with_channels(rgb, 1).pixels == Pixels{43, 134, 196, 80, 178, 97});   // Image.convert("L") of Pillow 9.4
  CHECK(with_channels(Image{1, 2, 1, {7, 9}}, 3).pixels == Pixels{7, 7, 7, 9, 9, 9});
  CHECK(with_channels(Image{1, 1, 3, {255, 255, 255}}, 1).pixels == Pixels{255});
}

// The numbers are those of Image.resize((width, height), Resampling.BILINEAR) of Pillow 9.4.
TEST_CASE("images: resized as Pillow does") {
  const Image grey{5, 7, 1, pattern(5, 7, 1)};
  CHECK(resized(grey, 3, 4).pixels == Pixels{65, 140, 107, 93, 119, 117, 149, 117, 118, 140, 147, 121});
  CHECK(resized(grey, 8, 5).pixels == Pixels{
      30,  142, 64,  148, 89,  48,  163, 89,  128, 85,  72,  183, 123, 107, 85,  97,  124, 130, 150, 133,
      121, 110, 136, 148, 128, 146, 140, 143, 102, 69,  122, 106, 177, 135, 106, 102, 77,  202, 165, 140});
  CHECK(resized(grey, 2, 11).pixels ==
        Pixels{37, 82, 137, 155, 131, 75, 130, 144, 102, 99, 101, 111, 125, 137, 104, 127, 191, 144, 128, 155, 118, 85});
  CHECK(resized(grey, 1, 1).pixels == Pixels{123});
  CHECK(resized(grey, 5, 7).pixels == grey.pixels);
  CHECK(resized(Image{4, 6, 3, pattern(4, 6, 3)}, 3, 2).pixels ==
        Pixels{96, 130, 138, 117, 160, 117, 119, 140, 145, 133, 122, 127, 141, 127, 129, 125, 149, 112});
}

TEST_CASE("image folders: classes are folders in alphabetical order") {
  const Images images;
  images.add("dog/b.png", 4);
  images.add("dog/a.PNG", 3);
  images.add("cat/z.png", 2);
  images.write("cat/y.jpg", jpeg_bytes(2, 3, 1, Pixels(6, 1)));
  images.write(".DS_Store", "x");
  images.write("cat/Thumbs.db", "x");
  images.write(".hidden/a.png", "x");
  const Dataset data = images.open();
  CHECK(data.data().class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(data.data().labels == std::vector<int32_t>{0, 0, 1, 1});
  CHECK(data.data().ids == std::vector<std::string>{"cat/y.jpg", "cat/z.png", "dog/a.PNG", "dog/b.png"});
  CHECK(data.data().id_name == "file");
  CHECK(data.data().notes.empty());
  CHECK(data.example_dims() == std::vector<int64_t>{2, 3, 1});
  for (size_t k = 0; k < 4; ++k) CHECK(data.data().pixels[6 * k] == k + 1);
  CHECK(data.data().place(2) == images.path() + "/dog/a.PNG");
  CHECK(Dataset::files(images.path()).size() == 4);
  // What is neither is said.
  images.write("dog/list.txt", "x");
  images.write("cat/more/a.png", "x");
  images.write("loose.png", "x");
  images.write("empty/readme", "x");
  const Dataset again = images.open();
  const std::string notes = fmt::format("{}", fmt::join(again.data().notes, "\n"));
  CHECK(again.count() == 4);
  CHECK(contains(notes, "files that are no PNG or JPEG images are left out: dog/list.txt"));
  CHECK(contains(notes, "folders in the folders of classes are left out: cat/more"));
  CHECK(contains(notes, "images beside the folders of the classes are left out: loose.png"));
  CHECK(contains(notes, "folders without images are left out: empty"));
}

TEST_CASE("image folders: splits of their own, or the same part always") {
  const Images images;
  for (int k = 0; k < 10; ++k) images.add(fmt::format("{}/{}.png", k % 2 ? "odd" : "even", k), static_cast<uint8_t>(k));
  CHECK(images.open().count() == 10);
  CHECK(images.open({}, "", "test").count() == 10);
  const Dataset test = images.open({}, ":test"), train = images.open({}, ":train");
  CHECK(test.count() == 2);
  CHECK(train.count() == 8);
  CHECK(test.data().ids == images.open({}, ":test").data().ids);
  CHECK(test.data().place(0) == images.path() + "/" + test.data().ids[0]);

  const Images split;
  split.add("train/a/1.png", 1);
  split.add("train/b/1.png", 2);
  split.add("val/b/1.png", 2);
  CHECK(split.open().data().ids == std::vector<std::string>{"train/a/1.png", "train/b/1.png"});
  CHECK(contains(split.open().data().notes.front(), "folders beside `train` and `test` are left out: val"));
  CHECK(contains(split.error({}, "", "test"), "holds no folder `test` beside `train`\nhelp: "));
  split.add("test/b/1.png", 3);
  split.add("test/b/2.png", 3);
  CHECK(split.open({}, "", "test").data().ids == std::vector<std::string>{"test/b/1.png", "test/b/2.png"});
  CHECK(split.open({}, ":train", "test").count() == 2);
  CHECK(Dataset::files(split.path()).size() == 4);

  const Images named;   // classes that are called so
  named.add("train/1.png", 1);
  named.add("car/1.png", 1);
  CHECK(named.open().data().class_names == std::vector<std::string>{"car", "train"});
}

TEST_CASE("image folders: classes of a model by name, or by number") {
  const Images images;
  images.add("b/1.png", 1);
  images.add("c/1.png", 2);
  ModelMetadata model;
  model.classes = {"a", "b", "c"};
  const Dataset data = images.open({.model = &model});
  CHECK(data.data().labels == std::vector<int32_t>{1, 2});
  CHECK(data.data().class_names == model.classes);
  images.add("bb/1.png", 1);
  CHECK(contains(images.error({.model = &model}), "/bb: the folder `bb` is no class that the network was trained on; is it `b`?\nnote: "
                                                  "these are a, b, c"));
  CHECK(contains(images.error({.model = &model, .targets = false}), "for images without labels give their folder itself"));
  ModelMetadata numbers;
  numbers.targets = TargetMeaning::classes;
  CHECK(contains(images.error({.model = &numbers}), "the folder `b` is a class of that name, but the network was trained on classes that "
                                                    "have numbers"));
  const Images digits;
  digits.add("10/1.png", 1);
  digits.add("3/1.png", 1);
  CHECK(digits.open({.model = &numbers}).data().labels == std::vector<int32_t>{10, 3});
  CHECK(digits.open().data().class_names == std::vector<std::string>{"10", "3"});
}

TEST_CASE("image folders: images without labels") {
  const Images images;
  images.add("2.png", 2);
  images.add("10.png", 10);
  images.add("_/1.txt", 0);
  CHECK(contains(images.error(), "holds images, but no folders of images: the name of an image's folder is its label\nhelp: "));
  const Dataset data = images.open({.targets = false});
  CHECK(data.data().ids == std::vector<std::string>{"10.png", "2.png"});
  CHECK(!data.data().has_targets());
  const Images none;
  CHECK(contains(none.error(), "nor folders of PNG or JPEG images"));
}

TEST_CASE("image folders: the size that all have, or that they get") {
  const Images images;
  images.add("a/1.png", 9, 4, 4);
  images.add("a/2.png", 9, 4, 4);
  images.add("b/1.png", 7, 6, 3);
  CHECK(contains(images.error(), "images differ in height and width: a/1.png is 4x4, b/1.png is 6x3\nhelp: `--resize 4x4`"));
  CHECK(contains(images.error(for_input({8, 9, 1})), "help: `--resize 8x9` makes them alike"));
  ReadOptions options;
  options.choices.resize = ImageSize{3, 5};
  const Dataset data = images.open(options);
  CHECK(data.example_dims() == std::vector<int64_t>{3, 5, 1});
  CHECK(data.data().pixels.size() == 45);
  CHECK(data.data().pixels[0] == 9);
  CHECK(data.data().pixels[44] == 7);
  // It is kept, and followed.
  ModelMetadata model;
  model.images = data.data().images;
  model = ModelMetadata::parse(model.entries(), "w");
  REQUIRE(model.images);
  CHECK(model.images->resized);
  CHECK(images.open({.model = &model}).example_dims() == std::vector<int64_t>{3, 5, 1});
  ReadOptions other = for_input({3, 5, 1});
  other.choices.resize = ImageSize{5, 5};
  CHECK(contains(images.error(other), "the images are 5x5, but the network takes 3x5\nhelp: `--resize 3x5`"));
  for (const char* text : {"x", "[]", "{\"height\":0,\"width\":2,\"channels\":1,\"resized\":true}",
                           "{\"height\":2,\"width\":2,\"channels\":2,\"resized\":true}", "{\"height\":2,\"width\":2,\"channels\":1}"}) {
    CAPTURE(text);
    CHECK(contains(message_of<Error>([&] { ModelMetadata::parse({{"bnc.images", text}}, "w"); }), "which does not describe images"));
  }
}

TEST_CASE("image folders: the network decides about colour and the order of channels") {
  const Images images;
  images.write("a/1.png", png_bytes(2, 3, pattern(2, 3, 3), {.color_type = 2}));
  images.add("b/1.png", 7);
  CHECK(images.open().example_dims() == std::vector<int64_t>{2, 3, 3});
  const Pixels grey = {43, 134, 196, 80, 178, 97, 7, 7, 7, 7, 7, 7};
  for (const ReadOptions& options : {for_input({2, 3, 1}), for_input({2, 3}), for_input({6})})
    CHECK(images.open(options).data().pixels == grey);
  CHECK(images.open(for_input({18})).example_dims() == std::vector<int64_t>{2, 3, 3});
  const Dataset planes = images.open(for_input({3, 2, 3}, true));
  CHECK(planes.example_dims() == std::vector<int64_t>{3, 2, 3});
  for (int64_t channel = 0; channel < 3; ++channel) {
    for (int64_t k = 0; k < 6; ++k) CHECK(planes.data().pixels[static_cast<size_t>(6 * channel + k)] == pattern_at(k / 3, k % 3, channel));
  }
}

TEST_CASE("image folders: the first of several damaged files is told, on any number of threads") {
  const Images images;
  for (int k = 0; k < 30; ++k) images.add(fmt::format("a/{:02}.png", k), 1);
  const std::string cut = png_bytes(2, 3, Pixels(6, 1), {}).substr(0, 50);
  for (const int k : {7, 8, 20}) images.write(fmt::format("a/{:02}.png", k), cut);
  for (const int threads : {1, 2, 5}) {
    CAPTURE(threads);
    ReadOptions options;
    options.choices.threads = threads;
    CHECK(contains(images.error(options), "a/07.png: damaged"));
  }
}

TEST_CASE("data options: what a data set has none of is refused") {
  const Images images;
  images.add("a/1.png", 1);
  ReadOptions options;
  options.choices.id = "name";
  CHECK(contains(images.error(options), "is no table, of which `--id name` could name a column"));
  const TemporaryFolder folder;
  const std::string table = folder.write("t.csv", "a,label\n1,0\n2,1\n");
  CHECK(contains(message_of<Error>([&] { Dataset::open(table, "train", {.resize = ImageSize{2, 2}}); }), "is no folder of images"));
}
