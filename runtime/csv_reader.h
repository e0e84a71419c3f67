// Records of a text of values with commas, or another delimiter, between them (RFC 4180).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bnc {

struct Field {
  std::string text;
  int64_t column = 1;   // where it begins in its line
};

struct Record {
  int64_t line = 1;
  std::vector<Field> fields;
};

// Takes one record after the other off a text. Lines end in LF, CR LF or CR, also where a tool wrote CR CR LF; a byte order mark in front
// is left out, and so are lines that hold nothing but spaces and delimiters.
class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& path, char delimiter = ',');
  std::optional<Record> next();

 private:
  Record record();
  bool take(std::string_view text);
  bool take_line_end();
  void advance(size_t count);
  Field field();
  std::string quoted();
  [[noreturn]] void refuse(int64_t column, const std::string& text) const;

  std::string_view rest_;
  const std::string& path_;
  const char delimiter_;
  int64_t line_ = 1, column_ = 1;
  bool quoted_ = false;   // the record has a field in quotes
};

// The delimiter that the first line of a text has most of, outside of quotes: comma, semicolon, tab or bar; a comma where it has none.
char find_delimiter(std::string_view text);
// How it is called in errors: "comma".
const char* delimiter_name(char delimiter);

}  // namespace bnc
