// Data sets by their specification on the command line.
#include "runtime/dataset.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "runtime/error.h"
#include "runtime/shuffle.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;

constexpr const char* fashion_folder = "/usr/share/datasets/fashion-mnist";
constexpr const char* kinds =
    "fashion-mnist, a folder of IDX files, of CIFAR-10 batches or with one folder of PNG or JPEG images a class, an .npz file with x and "
    "y, or a table (.csv, .tsv or, from stdin, -)";
constexpr double test_share = 0.2;   // of a file that has no split of its own

struct Specification {
  std::string source, split;
  bool split_given = false;
};

Specification parse_specification(const std::string& spec, const std::string& default_split) {
  Specification parts{spec, default_split};
  for (const std::string split : {"train", "test"}) {
    if (spec.size() > split.size() + 1 && spec.ends_with(":" + split))
      parts = {spec.substr(0, spec.size() - split.size() - 1), split, true};
  }
  if (parts.source == "-") parts.source = standard_input;
  return parts;
}

// The file of that name in the folder, or its gzipped form; empty where there is neither.
std::string find_file(const std::string& folder, const std::string& name) {
  for (const std::string& candidate : {name, name + ".gz"}) {
    std::error_code ignored;
    if (fs::exists(fs::path(folder) / candidate, ignored)) return (fs::path(folder) / candidate).string();
  }
  return "";
}

std::vector<std::string> cifar10_files(const std::string& folder, const std::string& split) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (split == "test" ? name == "test_batch.bin" : name.starts_with("data_batch_") && name.ends_with(".bin"))
      files.push_back(entry->path().string());
  }
  if (error) fail("cannot read {}: {}", folder, error.message());
  std::sort(files.begin(), files.end());
  return files;
}

void read_folder(const std::string& folder, const std::string& split, const ReadOptions& options, Dataset::Data& data) {
  const std::string stem = split == "test" ? "t10k" : "train";
  const std::string images = find_file(folder, stem + "-images-idx3-ubyte"), labels = find_file(folder, stem + "-labels-idx1-ubyte");
  data.has_own_splits = true;
  data.kind = "IDX";
  if (!images.empty() && !labels.empty()) return read_idx(images, labels, data);
  if (images.empty() != labels.empty())
    fail("{} holds {}, but no {}-{}", folder, images + labels, stem, images.empty() ? "images-idx3-ubyte" : "labels-idx1-ubyte");
  const std::vector<std::string> batches = cifar10_files(folder, split);
  data.kind = "CIFAR-10";
  if (!batches.empty()) return read_cifar10(batches, data);
  data.has_own_splits = false;
  if (read_image_folder(folder, split, options, data)) return;
  fail("{} holds no {} data: neither {}-images-idx3-ubyte[.gz] (IDX) nor {} (CIFAR-10) nor folders of PNG or JPEG images", folder,
       split == "test" ? "test" : "training", stem, split == "test" ? "test_batch.bin" : "data_batch_*.bin");
}

// In small or capital letters.
bool has_extension(const std::string& path, std::string_view extension) {
  if (path.size() < extension.size()) return false;
  return std::equal(extension.begin(), extension.end(), path.end() - static_cast<std::ptrdiff_t>(extension.size()),
                    [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

std::vector<std::string> folder_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const std::string stem : {"train", "t10k"}) {
    for (const char* name : {"-images-idx3-ubyte", "-labels-idx1-ubyte"}) {
      if (std::string file = find_file(folder, stem + name); !file.empty()) files.push_back(file);
    }
  }
  for (const char* split : {"train", "test"}) {
    for (std::string& file : cifar10_files(folder, split)) files.push_back(std::move(file));
  }
  return files.empty() ? image_files(folder) : files;
}

void read_specification(const Specification& spec, const ReadOptions& options, Dataset::Data& data) {
  std::error_code ignored;
  if (spec.source == "fashion-mnist" && !fs::exists(spec.source, ignored)) {
    if (!fs::is_directory(fashion_folder, ignored))
      fail("fashion-mnist is not installed ({} is missing)\nhelp: apt-get install dataset-fashion-mnist", fashion_folder);
    data.class_names = {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"};
    return read_folder(fashion_folder, spec.split, options, data);
  }
  if (fs::is_directory(spec.source, ignored)) return read_folder(spec.source, spec.split, options, data);
  if (!fs::exists(spec.source, ignored)) {
    const std::string near = nearest_name(spec.source, {"fashion-mnist"});
    fail("no data set `{}`{}\nhelp: give {}", spec.source, near.empty() ? "" : fmt::format("; did you mean `{}`?", near), kinds);
  }
  data.kind = "arrays";
  if (has_extension(spec.source, ".npz")) return read_npz_dataset(spec.source, options, data);
  data.kind = "table";
  if (is_table(spec.source)) return read_table(spec.source, options, data);
  fail("{} is no data set: give {}", spec.source, kinds);
}

// Options that ask for what the data set has none of.
void check_options(const DataOptions& choices, const Dataset::Data& data) {
  if (!choices.id.empty() && !data.table) fail("{} is no table, of which `--id {}` could name a column", data.files.front(), choices.id);
  if (choices.resize && !data.images) fail("{} is no folder of images, which `--resize` could resize", data.files.front());
}

// NaN and infinity are mistakes in data, and would be in all weights after one step.
void check_finite(const Dataset::Data& data, const std::vector<float>& values, int64_t width, const char* what) {
  const auto found = std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (found == values.end()) return;
  const auto index = static_cast<int64_t>(found - values.begin());
  fail("{}: the {} of example {} hold {} at position {}; data must be finite", data.files.front(), what, index / width, *found,
       index % width);
}

}  // namespace

bool is_table(const std::string& path) {
  if (path == standard_input) return true;
  constexpr std::array extensions = {".csv", ".csv.gz", ".tsv", ".tsv.gz"};
  return std::any_of(extensions.begin(), extensions.end(), [&](const char* extension) { return has_extension(path, extension); });
}

Dataset::Dataset(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&&) noexcept = default;
Dataset::~Dataset() = default;

std::vector<std::string> Dataset::files(const std::string& spec) {
  return at_boundary([&] {
    const std::string source = parse_specification(spec, "").source;
    std::error_code ignored;
    if (fs::is_directory(source, ignored)) return folder_files(source);
    return fs::exists(source, ignored) ? std::vector<std::string>{source} : std::vector<std::string>{};
  });
}

Dataset Dataset::open(const std::string& spec, const std::string& default_split, const DataOptions& options) {
  return Data::open(spec, default_split, {.choices = options});
}

Dataset Dataset::Data::open(const std::string& spec, const std::string& default_split, const ReadOptions& options) {
  return at_boundary([&] {
    auto data = std::make_unique<Data>();
    data->spec = spec;
    const Specification parts = parse_specification(spec, default_split);
    read_specification(parts, options, *data);
    check_options(options.choices, *data);
    if (data->count == 0) fail("{} holds no examples", data->files.front());
    data->example_size = 1;
    for (const int64_t dim : data->example_dims) data->example_size *= dim;
    if (data->example_size == 0)
      fail("the examples of {} are [{}]: they hold nothing", data->files.front(), fmt::join(data->example_dims, ", "));
    if (options.input) data->bring_to(*options.input);
    check_finite(*data, data->values, data->example_size, "numbers");
    check_finite(*data, data->targets, data->target_size, "targets");
    for (const FurtherArray& other : data->others)
      check_finite(*data, other.floats, other.size, fmt::format("numbers of `{}`", other.name).c_str());
    Dataset whole(std::move(data));
    if (!parts.split_given || whole.data().has_own_splits) return whole;
    auto [train, test] = whole.split(test_share, 0);
    return parts.split == "test" ? std::move(test) : std::move(train);
  });
}

std::pair<Dataset, Dataset> Dataset::split(double share, uint64_t seed) const {
  return at_boundary([&] {
    const auto held_out = std::llround(share * static_cast<double>(count()));
    if (held_out < 1 || held_out >= count())
      fail("a share of {} of the {} examples of {} {}", share, count(), data_->spec, held_out < 1 ? "is none" : "leaves no others");
    std::vector<int64_t> order = shuffled_indices(count(), seed, "split");
    const auto middle = order.begin() + held_out;
    std::sort(order.begin(), middle);
    std::sort(middle, order.end());
    return std::pair(Dataset(data_->subset(std::span(middle, order.end()))), Dataset(data_->subset(std::span(order.begin(), middle))));
  });
}

int64_t Dataset::count() const { return data_->count; }
const std::vector<int64_t>& Dataset::example_dims() const { return data_->example_dims; }
bool Dataset::has_labels() const { return !data_->labels.empty(); }
const std::vector<int64_t>& Dataset::target_dims() const { return data_->target_dims; }

int64_t Dataset::classes() const {
  return data_->labels.empty() ? 0 : int64_t{*std::max_element(data_->labels.begin(), data_->labels.end())} + 1;
}

namespace {

// Height x width x channels of each example becomes channels x height x width.
template <class Number>
void bring_channels_first(std::vector<Number>& numbers, int64_t pixels, int64_t channels) {
  std::vector<Number> example(static_cast<size_t>(pixels * channels));
  for (auto begin = numbers.begin(); begin != numbers.end(); begin += pixels * channels) {
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c) example[static_cast<size_t>(c * pixels + p)] = *(begin + p * channels + c);
    std::copy(example.begin(), example.end(), begin);
  }
}

}  // namespace

void Dataset::Data::bring_to(const ExampleLayout& input) {
  const std::vector<int64_t>& have = example_dims;
  if (!input.channels_first || have.size() != 3 || have == input.dims || input.dims != std::vector<int64_t>{have[2], have[0], have[1]}) return;
  bring_channels_first(pixels, have[0] * have[1], have[2]);
  bring_channels_first(values, have[0] * have[1], have[2]);
  example_dims = input.dims;
}

void Dataset::Data::gather_x(std::span<const int64_t> indices, std::span<float> x) const {
  if (x.size() != indices.size() * static_cast<size_t>(example_size))
    fail("{} examples take {} values, not {}", indices.size(), indices.size() * example_size, x.size());
  float* to = x.data();
  for (const int64_t index : indices) {
    if (index < 0 || index >= count) fail("example {} is out of range: {} holds {}", index, spec, count);
    if (values.empty()) {
      const uint8_t* from = pixels.data() + index * example_size;
      for (int64_t k = 0; k < example_size; ++k) to[k] = divide_bytes ? pixel_value(from[k]) : static_cast<float>(from[k]);
    } else {
      std::copy_n(values.data() + index * example_size, example_size, to);
    }
    to += example_size;
  }
}

void Dataset::gather(std::span<const int64_t> indices, std::span<float> x, std::span<int32_t> y) const {
  if (!has_labels()) fail("{} has no labels but float targets", data_->spec);
  if (y.size() != indices.size() * static_cast<size_t>(data_->target_size))
    fail("{} examples have {} labels, not {}", indices.size(), indices.size() * data_->target_size, y.size());
  data_->gather_x(indices, x);
  for (size_t k = 0; k < indices.size(); ++k)
    std::copy_n(data_->labels.data() + indices[k] * data_->target_size, data_->target_size,
                y.data() + k * static_cast<size_t>(data_->target_size));
}

void Dataset::gather(std::span<const int64_t> indices, std::span<float> x, std::span<float> y) const {
  if (has_labels()) fail("{} has labels and no float targets", data_->spec);
  if (y.size() != indices.size() * static_cast<size_t>(data_->target_size))
    fail("{} examples have {} targets, not {}", indices.size(), indices.size() * data_->target_size, y.size());
  data_->gather_x(indices, x);
  for (size_t k = 0; k < indices.size(); ++k)
    std::copy_n(data_->targets.data() + indices[k] * data_->target_size, data_->target_size,
                y.data() + k * static_cast<size_t>(data_->target_size));
}

namespace {

// The rows of `width` elements at those indices; nothing where there are no rows at all.
template <class T>
std::vector<T> rows_at(const std::vector<T>& rows, std::span<const int64_t> indices, int64_t width) {
  std::vector<T> taken;
  if (rows.empty()) return taken;
  taken.reserve(indices.size() * static_cast<size_t>(width));
  for (const int64_t index : indices) taken.insert(taken.end(), rows.begin() + index * width, rows.begin() + (index + 1) * width);
  return taken;
}

}  // namespace

std::unique_ptr<Dataset::Data> Dataset::Data::subset(std::span<const int64_t> indices) const {
  auto part = std::make_unique<Data>();
  part->spec = spec;
  part->files = files;
  part->count = static_cast<int64_t>(indices.size());
  part->example_dims = example_dims;
  part->example_size = example_size;
  part->pixels = rows_at(pixels, indices, example_size);
  part->values = rows_at(values, indices, example_size);
  part->labels = rows_at(labels, indices, target_size);
  part->labels_file = labels_file;
  part->target_dims = target_dims;
  part->target_size = target_size;
  part->targets = rows_at(targets, indices, target_size);
  for (const FurtherArray& other : others)
    part->others.push_back({other.name, other.dims, other.size, rows_at(other.floats, indices, other.size),
                            rows_at(other.integers, indices, other.size), other.classes});
  part->class_names = class_names;
  part->text_labels = text_labels;
  part->divide_bytes = divide_bytes;
  part->lines = rows_at(lines, indices, 1);
  part->table = table;
  part->kind = kind;
  part->images = images;
  part->has_own_splits = has_own_splits;
  part->id_name = id_name;
  part->ids = rows_at(ids, indices, 1);
  part->notes = notes;
  part->origins = origins.empty() ? std::vector<int64_t>(indices.begin(), indices.end()) : rows_at(origins, indices, 1);
  return part;
}

StoredNumbers Dataset::Data::stored_numbers() const {
  return values.empty() ? StoredNumbers::of(std::span(pixels)) : StoredNumbers::of(std::span(values));
}

void Dataset::Data::follow(const ModelMetadata& model, const std::string& source) {
  divide_bytes = divides_by_255(stored_numbers(), model.input_scale, files.front(), source);
}

std::string Dataset::Data::place(size_t k) const {
  if (images) return fmt::format("{}/{}", labels_file, ids[k]);
  return lines.empty() ? labels_file : fmt::format("{}:{}", labels_file, lines[k]);
}

}  // namespace bnc
