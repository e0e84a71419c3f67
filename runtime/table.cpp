#include "runtime/table.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/file_bytes.h"
#include "ir/utf8.h"

namespace bnc {

namespace {

using Kind = NumberText::Kind;

// Beyond so many different values a column of numbers, or one of text, is not listed.
constexpr size_t most_listed_numbers = 256, most_listed_texts = 10000;

bool equal_but_for_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

bool is_name(const std::string& text) { return parse_number(text).kind == Kind::no_number && !is_missing(text); }

// Whether the first fields are 0, 1, 2 ..: what pandas calls columns that have no names, the first one empty where it is an index. Two of
// them may well be an example.
bool counts_up(const std::vector<Field>& fields, size_t count) {
  const size_t first = fields[0].text.empty() ? 1 : 0;
  for (size_t k = first; k < count; ++k)
    if (fields[k].text != std::to_string(k - first)) return false;
  return count > 2;
}

// Whether the first line, which is not among what was surveyed, holds names.
bool holds_names(const std::vector<Field>& first, const std::vector<ColumnSurvey>& rest, const std::vector<std::string>& expected) {
  const size_t width = first.size();
  bool all_names = true, over_numbers = false;
  std::set<std::string> different;
  for (size_t k = 0; k < width; ++k) {
    const std::string& text = first[k].text;
    if (equal_but_for_case(text, "label")) return true;
    if (std::find(expected.begin(), expected.end(), text) != expected.end()) return true;
    const bool name = is_name(text), again = rest[k].values.contains(text);
    over_numbers |= name && (rest[k].numbers > rest[k].texts || (k + 1 < width && rest[k].numbers + rest[k].texts == 0));
    all_names &= name && !again && different.insert(text).second;
  }
  if (over_numbers || all_names || counts_up(first, width)) return true;
  const std::string& last = first.back().text;
  return counts_up(first, width - 1) && is_name(last) && !rest.back().values.contains(last);
}

}  // namespace

bool is_missing(std::string_view text) {
  constexpr std::array words = {"", "na", "n/a", "#n/a", "<na>", "null", "none", "nan", "-nan", "?", "-"};
  text = trimmed(text);
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return equal_but_for_case(text, word); });
}

int64_t TableEncoding::width() const {
  int64_t width = 0;
  for (const TableColumn& column : columns) width += column.width();
  return width;
}

std::string TableEncoding::describe() const {
  constexpr size_t most_categories = 6;
  std::vector<std::string> parts;
  for (size_t k = 0; k < columns.size(); ++k) {
    const TableColumn& column = columns[k];
    std::string part = column.name.empty() ? fmt::format("column {}", k + 1) : fmt::format("`{}`", column.name);
    if (column.is_text) {
      const size_t listed = std::min(column.categories.size(), most_categories);
      part += fmt::format(" as {} ({}{})", column.categories.size(),
                          fmt::join(column.categories.begin(), column.categories.begin() + static_cast<std::ptrdiff_t>(listed), ", "),
                          listed < column.categories.size() ? ", ..." : "");
    }
    parts.push_back(std::move(part));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void ColumnSurvey::add(const Field& field, int64_t line) {
  const NumberText parsed = parse_number(field.text);
  if (parsed.kind == Kind::number) {
    const double value = parsed.value;
    lowest = numbers == 0 ? value : std::min(lowest, value);
    highest = numbers == 0 ? value : std::max(highest, value);
    sum += value;
    whole += parsed.whole;
    ++numbers;
  } else if (is_missing(field.text)) {
    if (missing++ == 0) first_missing = {line, field.column, field.text};
    return;
  } else if (parsed.kind == Kind::no_number) {
    if (texts++ == 0) first_text = {line, field.column, field.text};
  }
  if (many_values) return;
  ++values[field.text];
  many_values = values.size() > (texts > 0 ? most_listed_texts : most_listed_numbers);
}

namespace {

// All of stdin. It can be read once, but a command may open its data again.
const std::vector<uint8_t>& standard_input_bytes() {
  static const std::vector<uint8_t> bytes = read_maybe_gzipped(standard_input);
  return bytes;
}

}  // namespace

TableText TableText::read(const std::string& path) {
  const bool from_stdin = path == standard_input;
  const std::vector<uint8_t> bytes = from_stdin ? standard_input_bytes() : read_maybe_gzipped(path);
  TableText text{from_stdin ? "<stdin>" : path, std::string(bytes.begin(), bytes.end())};
  if (const auto wrong = first_not_utf8(text.bytes)) {
    const std::string_view before = std::string_view(text.bytes).substr(0, *wrong);
    const size_t line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    fail("{}:{}:{}: a byte 0x{:02x} is no UTF-8\nhelp: save the table as UTF-8; from Latin-1, `iconv -f latin1 -t utf-8` makes it so",
         text.path, 1 + std::count(before.begin(), before.end(), '\n'), *wrong - line_start + 1,
         static_cast<unsigned char>(text.bytes[*wrong]));
  }
  std::string lower = path;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  text.delimiter = lower.ends_with(".tsv") || lower.ends_with(".tsv.gz") ? '\t' : find_delimiter(text.bytes);
  return text;
}

std::optional<size_t> TableSurvey::find(const std::string& name) const {
  for (size_t k = 0; k < columns.size(); ++k)
    if (has_names && columns[k].name == name) return k;
  for (size_t k = 0; k < columns.size(); ++k)
    if (has_names && equal_but_for_case(columns[k].name, name)) return k;
  return std::nullopt;
}

std::vector<std::string> TableSurvey::names() const {
  std::vector<std::string> names;
  for (const ColumnSurvey& column : columns) names.push_back(column.name);
  return names;
}

TableSurvey survey(const TableText& text, const std::vector<std::string>& expected) {
  CsvReader reader = text.reader();
  const std::optional<Record> first = reader.next();
  if (!first) fail("{} is empty", text.path);
  const size_t width = first->fields.size();
  TableSurvey found;
  found.columns.resize(width);
  found.first_line = first->line;
  const auto add = [&](const Record& record) {
    ++found.rows;
    for (size_t k = 0; k < width; ++k) found.columns[k].add(record.fields[k], record.line);
  };
  while (const std::optional<Record> record = reader.next()) {
    if (record->fields.size() != width) {
      fail("{}:{}:1: this line has {} field{}, but line {} has {}", text.path, record->line, record->fields.size(),
           record->fields.size() == 1 ? "" : "s", first->line, width);
    }
    add(*record);
  }
  found.has_names = holds_names(first->fields, found.columns, expected);
  if (!found.has_names) add(*first);
  else
    for (size_t k = 0; k < width; ++k) found.columns[k].name = trimmed(first->fields[k].text);
  return found;
}

}  // namespace bnc
