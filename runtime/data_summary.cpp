#include "runtime/data_summary.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/overlap.h"

namespace bnc {

namespace {

constexpr size_t most_named = 5;   // in one warning
// The most frequent class is so many times as frequent as the rarest.
constexpr int64_t uneven = 10;

// Examples that come again, among the training data and in the test data.
void find_duplicates(const Dataset::Data& data, const Dataset::Data* test, DataSummary& summary) {
  if (const int64_t again = repeated_examples(data); again > 0) {
    summary.notes.push_back(
        fmt::format("{} of {} examples are equal to one before: a part that is held out may hold them too", again, data.count));
  }
  if (!test) return;
  if (const int64_t shared = examples_in_common(*test, data); shared > 0) {
    summary.warnings.push_back(
        fmt::format("{} of {} test examples stand among the training examples too: the network has seen them", shared, test->count));
  }
}

void count_classes(const Dataset::Data& data, DataSummary& summary) {
  std::map<int32_t, int64_t> counts;
  for (const int32_t label : data.labels) ++counts[label];
  if (!data.text_labels && data.class_names.empty() && !may_be_classes(counts.begin()->first, counts.size(), data.count)) return;
  summary.targets = "classes";
  for (const auto& [label, count] : counts) {
    const bool named = label >= 0 && static_cast<size_t>(label) < data.class_names.size();
    summary.classes.push_back({named ? data.class_names[static_cast<size_t>(label)] : std::to_string(label), count});
  }
  const int64_t most = counts.rbegin()->first + 1, absent = most - static_cast<int64_t>(counts.size());
  if (data.text_labels || absent <= 0) return;
  std::vector<int64_t> numbers;
  for (int64_t label = 0; label < most && numbers.size() < most_named; ++label)
    if (!counts.contains(static_cast<int32_t>(label))) numbers.push_back(label);
  summary.warnings.push_back(fmt::format("of the classes 0 to {} {} have no example: {}{}", most - 1, absent, fmt::join(numbers, ", "),
                                         absent > static_cast<int64_t>(numbers.size()) ? ", ..." : ""));
}

void judge_classes(DataSummary& summary) {
  if (summary.classes.empty()) return;
  const auto less = [](const DataSummary::Count& a, const DataSummary::Count& b) { return a.count < b.count; };
  const auto [least, most] = std::minmax_element(summary.classes.begin(), summary.classes.end(), less);
  if (summary.classes.size() == 1) {
    summary.warnings.push_back(fmt::format("all examples are of one class, `{}`: there is nothing to learn", most->value));
  } else if (most->count >= uneven * least->count) {
    const double share = 100.0 * static_cast<double>(most->count) / static_cast<double>(summary.examples);
    summary.warnings.push_back(
        fmt::format("the classes are uneven: `{}` has {} examples, `{}` {}: to say `{}` always is right for {:.1f} %", most->value,
                    most->count, least->value, least->count, most->value, share));
  }
}

// Numbers that are the same in all examples.
void find_constants(const Dataset::Data& data, DataSummary& summary) {
  if (data.example_dims.size() != 1 || data.table || data.count < 2) return;
  std::vector<int64_t> constant;
  for (int64_t at = 0; at < data.example_size; ++at) {
    const auto value = [&](int64_t k) {
      const auto place = static_cast<size_t>(k * data.example_size + at);
      return data.values.empty() ? static_cast<float>(data.pixels[place]) : data.values[place];
    };
    int64_t k = 1;
    while (k < data.count && value(k) == value(0)) ++k;
    if (k == data.count) constant.push_back(at);
  }
  if (constant.empty()) return;
  const std::span<const int64_t> named = std::span(constant).first(std::min(constant.size(), most_named));
  summary.warnings.push_back(fmt::format("{} of the {} numbers of an example are the same in all, and tell nothing: at {}{}",
                                         constant.size(), data.example_size, fmt::join(named, ", "),
                                         named.size() < constant.size() ? ", ..." : ""));
}

void summarize(const Dataset::Data& data, DataSummary& summary) {
  summary.kind = data.kind;
  summary.examples = data.count;
  summary.shape = data.example_dims;
  const StoredNumbers numbers = data.stored_numbers();
  summary.bytes = numbers.bytes;
  summary.lowest = numbers.bytes ? numbers.lowest / 255 : numbers.lowest;
  summary.highest = numbers.bytes ? numbers.highest / 255 : numbers.highest;
  summary.targets = data.has_targets() ? "numbers" : "none";
  if (!data.labels.empty() && data.target_size == 1) count_classes(data, summary);
  summary.notes.insert(summary.notes.end(), data.notes.begin(), data.notes.end());
  find_constants(data, summary);
}

// The other split, where there is one and none was asked for.
std::optional<Dataset> test_split(const std::string& spec, const Dataset& data, const ReadOptions& options) {
  if (!data.data().has_own_splits || spec.ends_with(":train") || spec.ends_with(":test")) return std::nullopt;
  try {
    return Dataset::Data::open(spec, "test", options);
  } catch (const Error&) {
    return std::nullopt;
  }
}

constexpr std::string_view error_prefix = "error: ";

}  // namespace

DataSummary summarize_data(const std::string& spec, const DataOptions& options) {
  return at_boundary([&] {
    DataSummary summary;
    const ReadOptions reading{.choices = options, .targets = false};
    const std::vector<std::string> files = Dataset::files(spec);
    if (files.size() != 1 || !is_table(files.front())) {
      const Dataset data = Dataset::Data::open(spec, "train", reading);
      summarize(data.data(), summary);
      const std::optional<Dataset> test = test_split(spec, data, reading);
      if (test) summary.test_examples = test->count();
      find_duplicates(data.data(), test ? &test->data() : nullptr, summary);
      judge_classes(summary);
      return summary;
    }
    summarize_table(files.front(), options, summary);   // in full, whichever part is asked for
    try {
      const Dataset data = Dataset::Data::open(spec, "train", {.choices = options});
      summary.classes.clear();
      summarize(data.data(), summary);
      find_duplicates(data.data(), nullptr, summary);
    } catch (const Error& error) {
      summary.problem = std::string_view(error.what()).starts_with(error_prefix) ? error.what() + error_prefix.size() : error.what();
    }
    judge_classes(summary);
    return summary;
  });
}

}  // namespace bnc
