// Data sets as tables of comma-separated values: a line an example, a column a number, one column the labels.
#include <algorithm>
#include <array>
#include <charconv>
#include <cctype>
#include <map>
#include <span>

#include "runtime/csv_reader.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/number_text.h"

namespace bnc {

namespace {

using Kind = NumberText::Kind;

constexpr const char* fill_in = "\nhelp: fill missing values in, or leave such lines out";

bool equal_but_for_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
}

// What common tools write for a value they do not have. `nan` is a number, though one that is not finite.
bool is_missing(std::string_view text) {
  constexpr std::array words = {"na", "n/a", "#n/a", "<na>", "null", "none", "?", "-"};
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return equal_but_for_case(trimmed(text), word); });
}

bool is_name(const std::string& text) { return parse_number(text).kind == Kind::no_number && !is_missing(text); }
bool is_label(const std::string& text) { return equal_but_for_case(text, "label"); }

// Whether the first fields are 0, 1, 2 ..: what pandas calls columns that have no names, the first one empty where it is an index. Two of
// them may well be an example.
bool counts_up(const std::vector<Field>& fields, size_t count) {
  const size_t first = fields[0].text.empty() ? 1 : 0;
  for (size_t k = first; k < count; ++k)
    if (fields[k].text != std::to_string(k - first)) return false;
  return count > 2;
}

class Table {
 public:
  explicit Table(const std::string& path) : path_(path) {
    const std::vector<uint8_t> bytes = read_maybe_gzipped(path);
    CsvReader reader({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path_);
    std::optional<Record> record = reader.next();
    if (!record) fail("{} is empty", path);
    width_ = record->fields.size();
    first_line_ = record->line;
    if (width_ < 2) fail("{}:{}:1: a line has one field only, but needs numbers and a label, with commas between them", path, first_line_);
    read_header(*record);
    if (!header_.empty()) record = reader.next();
    for (; record; record = reader.next()) add(std::move(*record));
  }

  void fill(Dataset::Data& data) {
    drop_late_header();
    data.files = {path_};
    data.labels_file = path_;
    data.count = static_cast<int64_t>(labels_.size());
    data.example_dims = {static_cast<int64_t>(width_) - 1};
    data.values = std::move(values_);
    if (!labels_.empty()) {
      if (parse_number(labels_.front().text).kind == Kind::no_number) fill_classes(data);
      else fill_numbers(data);
    }
    data.lines = std::move(lines_);
  }

 private:
  // The first line holds names if one of them is `label`, one that should be a number is none, or they count the columns.
  void read_header(const Record& first) {
    label_ = width_ - 1;
    bool names = counts_up(first.fields, width_);
    counts_up_ = counts_up(first.fields, width_ - 1);
    for (size_t k = 0; k < width_; ++k) {
      const std::string& text = first.fields[k].text;
      if (is_label(text)) label_ = k;
      names |= is_label(text) || (k + 1 < width_ && is_name(text));
    }
    if (!names) return;
    for (const Field& field : first.fields) header_.push_back(field.text);
  }

  // The first line held names after all where there is a name over a column of numbers, or over one of other texts behind columns that
  // count.
  void drop_late_header() {
    if (!header_.empty() || labels_.size() < 2 || !is_name(labels_[0].text)) return;
    const auto rest = std::span(labels_).subspan(1);
    const bool over_numbers = std::all_of(rest.begin(), rest.end(),
                                          [](const Field& field) { return parse_number(field.text).kind == Kind::number; });
    const bool over_others = std::none_of(rest.begin(), rest.end(), [&](const Field& field) { return field.text == labels_[0].text; });
    if (!over_numbers && !(counts_up_ && over_others)) return;
    values_.erase(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(width_ - 1));
    labels_.erase(labels_.begin());
    lines_.erase(lines_.begin());
  }

  void add(Record record) {
    if (record.fields.size() != width_) {
      fail("{}:{}:1: this line has {} field{}, but line {} has {}", path_, record.line, record.fields.size(),
           record.fields.size() == 1 ? "" : "s", first_line_, width_);
    }
    for (size_t k = 0; k < width_; ++k) {
      if (k != label_) values_.push_back(number(record.fields[k], record.line, k));
    }
    labels_.push_back(std::move(record.fields[label_]));
    lines_.push_back(record.line);
  }

  float number(const Field& field, int64_t line, size_t column) const {
    const NumberText parsed = parse_number(field.text);
    if (parsed.kind == Kind::number) return parsed.value;
    const std::string name = column < header_.size() ? fmt::format("`{}`", header_[column]) : fmt::format("{}", column + 1);
    const std::string place = fmt::format("{}:{}:{}", path_, line, field.column);
    if (parsed.kind == Kind::empty) fail("{}: column {} is empty here{}", place, name, fill_in);
    const char* what = parsed.kind == Kind::too_large
                           ? "is out of the range of 32-bit floats\nhelp: give the column in a larger unit, or its logarithm"
                       : parsed.kind == Kind::not_finite ? "is not finite"
                                                         : "is no number";
    fail("{}: `{}` in column {} {}{}", place, field.text, name, what,
         parsed.kind == Kind::not_finite || is_missing(field.text) ? fill_in : "");
  }

  // Labels where all are written as whole numbers, else float targets.
  void fill_numbers(Dataset::Data& data) const {
    for (size_t k = 0; k < labels_.size(); ++k) {
      data.targets.push_back(number(labels_[k], lines_[k], label_));
      const std::string_view text = trimmed(labels_[k].text), digits = text.substr(text.starts_with('+'));
      int32_t whole = 0;
      if (parse_number(text).whole && std::from_chars(digits.data(), digits.data() + digits.size(), whole).ec == std::errc())
        data.labels.push_back(whole);
    }
    if (data.labels.size() == labels_.size()) data.targets.clear();
    else data.labels.clear();
  }

  // Text labels are numbered in alphabetical order.
  void fill_classes(Dataset::Data& data) const {
    std::map<std::string, int32_t> classes;
    for (size_t k = 0; k < labels_.size(); ++k) {
      if (labels_[k].text.empty()) fail("{}:{}:{}: the label is empty here{}", path_, lines_[k], labels_[k].column, fill_in);
      classes.emplace(labels_[k].text, 0);
    }
    for (auto& [name, number] : classes) {
      number = static_cast<int32_t>(data.class_names.size());
      data.class_names.push_back(name);
    }
    for (const Field& label : labels_) data.labels.push_back(classes.at(label.text));
    data.text_labels = true;
  }

  const std::string path_;
  size_t width_ = 0, label_ = 0;
  int64_t first_line_ = 1;
  bool counts_up_ = false;       // the first line, but for its last field
  std::vector<std::string> header_;
  std::vector<float> values_;
  std::vector<Field> labels_;
  std::vector<int64_t> lines_;   // of the labels
};

}  // namespace

void read_csv(const std::string& path, Dataset::Data& data) { Table(path).fill(data); }

}  // namespace bnc
