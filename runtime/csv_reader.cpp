#include "runtime/csv_reader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "runtime/error.h"
#include "runtime/number_text.h"

namespace bnc {

CsvReader::CsvReader(std::string_view text, const std::string& path, char delimiter) : rest_(text), path_(path), delimiter_(delimiter) {
  if (rest_.starts_with("\xef\xbb\xbf")) rest_.remove_prefix(3);
}

std::optional<Record> CsvReader::next() {
  while (!rest_.empty()) {
    Record found = record();
    const bool blank = std::all_of(found.fields.begin(), found.fields.end(),
                                   [](const Field& field) { return trimmed(field.text).empty(); });
    if (!blank || quoted_) return found;
  }
  return std::nullopt;
}

Record CsvReader::record() {
  Record record{line_, {}};
  column_ = 1;
  quoted_ = false;
  do record.fields.push_back(field());
  while (take({&delimiter_, 1}));
  if (!take_line_end() && !rest_.empty()) {
    if (rest_.front() == '\0') refuse(column_, "a zero byte: this is no text");
    refuse(column_, fmt::format("expected a {} or the end of the line", delimiter_name(delimiter_)));
  }
  ++line_;
  return record;
}

bool CsvReader::take(std::string_view text) {
  if (!rest_.starts_with(text)) return false;
  advance(text.size());
  return true;
}

bool CsvReader::take_line_end() {
  const size_t returns = std::min(rest_.find_first_not_of('\r'), rest_.size());
  if (rest_.substr(returns).starts_with('\n')) advance(returns + 1);
  else if (returns > 0) advance(1);
  else return false;
  return true;
}

void CsvReader::advance(size_t count) {
  rest_.remove_prefix(count);
  column_ += static_cast<int64_t>(count);
}

Field CsvReader::field() {
  Field field{"", column_};
  if (rest_.starts_with('"')) {
    quoted_ = true;
    field.text = quoted();
    return field;
  }
  const char stops[] = {delimiter_, '\r', '\n', '"', '\0'};
  const size_t length = std::min(rest_.find_first_of(std::string_view(stops, sizeof stops)), rest_.size());
  field.text = rest_.substr(0, length);
  advance(length);
  if (rest_.starts_with('"')) refuse(column_, "a quote inside of a field: the whole field must be in quotes, and a quote in it doubled");
  return field;
}

// Between quotes everything stands for itself, but a doubled quote for one.
std::string CsvReader::quoted() {
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

void CsvReader::refuse(int64_t column, const std::string& text) const { fail("{}:{}:{}: {}", path_, line_, column, text); }

namespace {

constexpr std::array<std::pair<char, const char*>, 4> delimiters = {{{',', "comma"}, {';', "semicolon"}, {'\t', "tab"}, {'|', "bar"}}};

}  // namespace

char find_delimiter(std::string_view text) {
  std::array<int64_t, delimiters.size()> counts{};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if ((c == '\n' || c == '\r') && std::any_of(counts.begin(), counts.end(), [](int64_t count) { return count > 0; })) break;
    for (size_t k = 0; k < delimiters.size(); ++k) counts[k] += c == delimiters[k].first;
  }
  return delimiters[static_cast<size_t>(std::max_element(counts.begin(), counts.end()) - counts.begin())].first;
}

const char* delimiter_name(char delimiter) {
  return std::find_if(delimiters.begin(), delimiters.end(), [&](const auto& entry) { return entry.first == delimiter; })->second;
}

}  // namespace bnc
