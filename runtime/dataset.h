// What a Dataset holds, and the readers of the file formats it comes from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/file_bytes.h"
#include "runtime/input_scale.h"
#include "runtime/metadata.h"

namespace bnc {

// One example as a network's input takes it.
struct ExampleLayout {
  std::vector<int64_t> dims;
  bool channels_first = false;   // of images
};
// The source of a table on stdin, which a specification calls `-`.
inline constexpr const char* standard_input = "/dev/stdin";

// How a data set is read.
struct ReadOptions {
  DataOptions choices;
  const ModelMetadata* model = nullptr;   // by whose rules: columns and classes are found by name
  bool targets = true;                    // they are needed; else a data set may have none
  // What the network calls what its data fill, in order; the first of each may have another name in the data.
  std::vector<std::string> input_names = {}, target_names = {};
  std::optional<ExampleLayout> input = {};   // decides whether images are grey
};

// What fills a further input or target of a network, or the weights of its examples: a row an example.
struct FurtherArray {
  std::string name;
  std::vector<int64_t> dims;         // of one example
  int64_t size = 1;
  std::vector<float> floats;
  std::vector<int32_t> integers;     // or these
  std::vector<std::string> classes = {};   // the names of integers that were text
};

struct Dataset::Data {
  std::string spec;
  std::string kind;                    // "table", "arrays", "IDX", "CIFAR-10", "images"
  std::vector<std::string> files;
  int64_t count = 0;
  std::vector<int64_t> example_dims;   // H, W, C of an image
  int64_t example_size = 0;
  std::vector<uint8_t> pixels;         // count * example_size, or empty and `values` is filled
  std::vector<float> values;
  std::vector<int32_t> labels;         // count * target_size, or empty and `targets` is filled
  std::string labels_file;
  std::vector<int64_t> target_dims;
  int64_t target_size = 1;
  std::vector<float> targets;
  std::vector<std::string> class_names;  // empty where they are not known
  std::vector<FurtherArray> others;
  bool text_labels = false;              // `class_names` are what the labels of this very file are
  bool divide_bytes = true;              // pixels become numbers in [0, 1], else they are numbers as they are
  std::vector<int64_t> lines;            // of a table: where each example stands
  std::optional<TableEncoding> table;    // the rules by which it was read
  std::optional<ImageRule> images;       // the rule by which images were read
  bool has_own_splits = false;           // else `:train` and `:test` are parts of the whole
  std::vector<std::string> ids;          // what stands in the column of a table that is carried through, or files of images; else empty
  std::string id_name;                   // that column, or `file`
  std::vector<std::string> notes;        // what a reader of the results should know
  std::vector<int64_t> origins;          // of a part: which example of the whole each is

  // Dataset::open by the rules of a model.
  static Dataset open(const std::string& spec, const std::string& default_split, const ReadOptions& options);
  // Images with their channels last, for a network whose input has them first.
  void bring_to(const ExampleLayout& input);
  void gather_x(std::span<const int64_t> indices, std::span<float> x) const;
  StoredNumbers stored_numbers() const;  // of the examples
  // Bytes are scaled by the rule of a model, which `source` has.
  void follow(const ModelMetadata& model, const std::string& source);
  bool has_targets() const { return !labels.empty() || !targets.empty(); }
  // Those examples in a data set of their own.
  std::unique_ptr<Data> subset(std::span<const int64_t> indices) const;
  // For errors about example `k`: where its target stands, and which example it is in the file.
  std::string place(size_t k) const;
  int64_t number_in_file(size_t k) const { return origins.empty() ? static_cast<int64_t>(k) : origins[k]; }
};

// The images (N x H x W or N x H x W x C of bytes) and labels of two IDX files, gzipped or not.
void read_idx(const std::string& images, const std::string& labels, Dataset::Data& data);
// Records of a label byte and 32 x 32 pixels in planes R, G, B, of all `files` in order.
void read_cifar10(const std::vector<std::string>& files, Dataset::Data& data);
// The PNG and JPEG images of DIR/CLASS, or of DIR/train/CLASS and DIR/test/CLASS; where targets are not needed, also those of DIR itself.
// Classes are the names of folders, in alphabetical order or as the model has them. False where the folder holds no images.
bool read_image_folder(const std::string& folder, const std::string& split, const ReadOptions& options, Dataset::Data& data);
// The files of both splits.
std::vector<std::string> image_files(const std::string& folder);
// By its extension; what stands on stdin always is one.
bool is_table(const std::string& path);
// Arrays `x` and `y` of a NumPy archive.
void read_npz_dataset(const std::string& path, const ReadOptions& options, Dataset::Data& data);
// An array with one row an example as targets: labels where it holds integers, else floats.
void set_targets(const Array& array, Dataset::Data& data);
FurtherArray further_array(const std::string& name, const Array& array);
// A table, gzipped or not. The first line may hold names. Targets are labels where all are whole numbers, or text, numbered in alphabetical
// order or as the model numbers them; else floats.
void read_table(const std::string& path, const ReadOptions& options, Dataset::Data& data);

}  // namespace bnc
