// Data sets: how they are read, what they hold, what is understood of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bnc {

struct ImageSize {
  int64_t height = 0, width = 0;
};

// How a data set is read where there is a choice.
struct DataOptions {
  // Of a table: the column of the targets (by default `label`, else the last one), columns that are left out, and one whose text is
  // carried through to predictions. By name, or by number from 1 in a table without names.
  std::string label;
  // Of a table: the columns of several targets, in place of `label`: one for each target of the network, or all for its only one.
  std::vector<std::string> targets = {};
  std::vector<std::string> ignore;
  std::string id;
  // A missing value of a table is an error, becomes the mean of the training data's column, or its row is left out.
  enum class Missing { refuse, mean, drop };
  Missing missing = Missing::refuse;
  // A text that was in no row of the training data is an error, or all of its column's categories are 0.
  bool unknown_as_zero = false;
  // Of a folder of images: the size that all get. Without one they must have one size, or weights tell the size their data got.
  std::optional<ImageSize> resize = {};
  int threads = 0;   // that read images; 0: the cores this process may use
};

// A labelled data set, loaded whole: images as f32 in [0, 1] (N x H x W x C), or an archive's `x` and a table's columns as
// stored (u1 counts as pixels); targets are i32 labels, or floats.
class Dataset {
 public:
  // SPEC of the command line; `default_split` is "train" or "test".
  static Dataset open(const std::string& spec, const std::string& default_split, const DataOptions& options = {});
  // The files that a specification is read from, of either split; empty where there are none.
  static std::vector<std::string> files(const std::string& spec);
  Dataset(Dataset&&) noexcept;
  Dataset& operator=(Dataset&&) noexcept;
  ~Dataset();
  int64_t count() const;
  const std::vector<int64_t>& example_dims() const;
  bool has_labels() const;      // i32 labels, not float targets
  int64_t classes() const;      // largest label + 1
  const std::vector<int64_t>& target_dims() const;   // of one example; [] for labels
  // Copies examples `indices` into `x`, and their labels or float targets into `y`.
  void gather(std::span<const int64_t> indices, std::span<float> x, std::span<int32_t> y) const;
  void gather(std::span<const int64_t> indices, std::span<float> x, std::span<float> y) const;
  // The examples without a share of them, and that share, chosen at random by `seed`, each in the order they had. Error where
  // `share` leaves either side empty.
  std::pair<Dataset, Dataset> split(double share, uint64_t seed) const;

  struct Data;
  Data& data() const { return *data_; }  // for the library itself

 private:
  explicit Dataset(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

// What is understood of a data set, also of a table that would be refused.
struct DataSummary {
  // How often a value stands there.
  struct Count {
    std::string value;
    int64_t count = 0;
  };
  struct Column {
    std::string name;                           // its number where the table has no names
    std::string type;                           // number, whole number, category, empty
    std::string role;                           // input, target, id, ignored
    int64_t missing = 0;
    double lowest = 0, highest = 0, mean = 0;   // of its numbers
    int64_t different = 0;                      // values; -1 where there are too many to count
    std::vector<Count> categories;              // of a column of text
  };

  std::string kind;                  // table, arrays, IDX, CIFAR-10, images
  int64_t examples = 0;
  std::optional<int64_t> test_examples;   // where a folder has both splits and the specification names none
  std::vector<int64_t> shape;        // of one example; of a table that would be refused it may not be known, and is empty
  bool bytes = false;                // its numbers are stored as bytes, and divided by 255
  double lowest = 0, highest = 0;    // of those that the network takes in
  std::string targets;               // classes, numbers, none
  std::vector<Count> classes;
  std::vector<Column> columns;       // of a table
  std::vector<std::string> notes;
  std::vector<std::string> warnings; // what looks wrong
  std::string problem;               // why training on it is refused; empty where it is not
};
// The training split where the specification names none. Error where nothing can be told.
DataSummary summarize_data(const std::string& spec, const DataOptions& options = {});

}  // namespace bnc
