// Data sets as tables of comma-separated values (RFC 4180): a line an example, a column a number, one column the labels.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "runtime/dataset.h"
#include "runtime/error.h"

namespace bnc {

namespace {

struct Field {
  std::string text;
  int64_t column = 1;   // where it begins in its line
};

struct Record {
  int64_t line = 1;
  std::vector<Field> fields;
};

// Takes one record after the other off a text.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& path) : rest_(text), path_(path) {
    if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);  // a byte order mark
  }

  std::optional<Record> next() {
    if (rest_.empty()) return std::nullopt;
    Record record{line_, {}};
    column_ = 1;
    do record.fields.push_back(field());
    while (take(","));
    if (!take("\r\n") && !take("\n") && !rest_.empty()) refuse(column_, rest_.front() == '\0' ? "a zero byte: this is no text" : "expected a comma or the end of the line");
    ++line_;
    return record;
  }

 private:
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    advance(text.size());
    return true;
  }

  void advance(size_t count) {
    rest_.remove_prefix(count);
    column_ += static_cast<int64_t>(count);
  }

  Field field() {
    Field field{"", column_};
    if (rest_.starts_with('"')) {
      field.text = quoted();
      return field;
    }
    const size_t length = std::min(rest_.find_first_of(std::string_view(",\r\n\"\0", 5)), rest_.size());
    field.text = rest_.substr(0, length);
    advance(length);
    if (rest_.starts_with('"')) refuse(column_, "a quote inside of a field: the whole field must be in quotes, and a quote in it doubled");
    return field;
  }

  // Between quotes everything stands for itself, but a doubled quote for one.
  std::string quoted() {
    const int64_t line = line_, column = column_;
    std::string text;
    while (true) {
      advance(1);
      const size_t length = rest_.find('"');
      if (length == std::string_view::npos) fail("{}:{}:{}: this quote is never closed", path_, line, column);
      const std::string_view part = rest_.substr(0, length);
      line_ += std::count(part.begin(), part.end(), '\n');
      text += part;
      advance(length + 1);
      if (!rest_.starts_with('"')) return text;
      text += '"';
    }
  }

  [[noreturn]] void refuse(int64_t column, const char* text) const { fail("{}:{}:{}: {}", path_, line_, column, text); }

  std::string_view rest_;
  const std::string& path_;
  int64_t line_ = 1, column_ = 1;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

template <class T>
std::errc parse(std::string_view text, T& value) {
  text = trimmed(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && (text.empty() || end != text.data() + text.size()) ? std::errc::invalid_argument : error;
}

bool is_number(const std::string& text) {
  float value = 0;
  return parse(text, value) != std::errc::invalid_argument;
}

bool is_label(const std::string& text) {
  return text.size() == 5 && std::equal(text.begin(), text.end(), "label", [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; });
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
    if (width_ < 2) fail("{}:1:1: a line has one field only, but needs numbers and a label, with commas between them", path);
    read_header(*record);
    if (!header_.empty()) record = reader.next();
    for (; record; record = reader.next()) add(std::move(*record));
  }

  void fill(Dataset::Data& data) {
    data.files = {path_};
    data.labels_file = path_;
    data.count = static_cast<int64_t>(labels_.size());
    data.example_dims = {static_cast<int64_t>(width_) - 1};
    data.values = std::move(values_);
    if (labels_.empty()) return;
    if (is_number(labels_.front().text)) fill_numbers(data);
    else fill_classes(data);
  }

 private:
  // The first line holds names if one of them is `label`, or one that should be a number is none.
  void read_header(const Record& first) {
    label_ = width_ - 1;
    bool names = false;
    for (size_t k = 0; k < width_; ++k) {
      const std::string& text = first.fields[k].text;
      if (is_label(text)) label_ = k;
      names |= is_label(text) || (k + 1 < width_ && !text.empty() && !is_number(text));
    }
    if (!names) return;
    for (const Field& field : first.fields) header_.push_back(field.text);
  }

  void add(Record record) {
    if (record.fields.size() != width_) {
      fail("{}:{}:1: this line has {} field{}, but line {} has {}", path_, record.line, record.fields.size(), record.fields.size() == 1 ? "" : "s", first_line_, width_);
    }
    for (size_t k = 0; k < width_; ++k) {
      if (k != label_) values_.push_back(number(record.fields[k], record.line, k));
    }
    labels_.push_back(std::move(record.fields[label_]));
    lines_.push_back(record.line);
  }

  float number(const Field& field, int64_t line, size_t column) const {
    float value = 0;
    const std::errc error = parse(field.text, value);
    if (error == std::errc() && std::isfinite(value)) return value;
    const std::string name = column < header_.size() ? fmt::format("`{}`", header_[column]) : fmt::format("{}", column + 1);
    const char* what = error == std::errc::result_out_of_range ? "is out of the range of 32-bit floats" : error == std::errc() ? "is not finite" : "is no number";
    if (trimmed(field.text).empty()) fail("{}:{}:{}: column {} is empty here\nhelp: fill missing values in, or leave such lines out", path_, line, field.column, name);
    fail("{}:{}:{}: `{}` in column {} {}", path_, line, field.column, field.text, name, what);
  }

  // Labels where all are written as whole numbers, else float targets.
  void fill_numbers(Dataset::Data& data) const {
    std::vector<int32_t> whole(labels_.size());
    bool all_whole = true;
    for (size_t k = 0; k < labels_.size() && all_whole; ++k) all_whole = parse(labels_[k].text, whole[k]) == std::errc();
    if (all_whole) {
      data.labels = std::move(whole);
      return;
    }
    for (size_t k = 0; k < labels_.size(); ++k) data.targets.push_back(number(labels_[k], lines_[k], label_));
  }

  // Text labels are numbered in alphabetical order.
  void fill_classes(Dataset::Data& data) const {
    std::map<std::string, int32_t> classes;
    for (size_t k = 0; k < labels_.size(); ++k) {
      if (labels_[k].text.empty()) fail("{}:{}:{}: the label is empty here", path_, lines_[k], labels_[k].column);
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
  std::vector<std::string> header_;
  std::vector<float> values_;
  std::vector<Field> labels_;
  std::vector<int64_t> lines_;   // of the labels
};

}  // namespace

void read_csv(const std::string& path, Dataset::Data& data) { Table(path).fill(data); }

}  // namespace bnc
