// Tables of text: what stands in their columns, and by which rules they become numbers.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bnc/bnc.h"
#include "runtime/csv_reader.h"
#include "runtime/number_text.h"

namespace bnc {

// A column of the examples. One of numbers is an element of an example; one of text is an element a category: a one for the row's own
// among zeros.
struct TableColumn {
  std::string name;                      // empty where the table has no names
  bool is_text = false;
  std::vector<std::string> categories;   // of text, in alphabetical order
  std::optional<double> fill;            // what stands for a missing number: the training data's mean

  int64_t width() const { return is_text ? static_cast<int64_t>(categories.size()) : 1; }
};

// A column of targets behind the first.
struct TargetColumn {
  std::string name;                   // empty where the table has no names
  std::vector<std::string> classes;   // where it holds text, in the order of their numbers
};

// The rules by which a table became the examples that a network was trained on; they travel with its weights.
struct TableEncoding {
  std::vector<TableColumn> columns;   // in the order of the elements
  std::string target;                 // the name of the column of targets; empty where the table has no names
  std::vector<TargetColumn> more_targets = {};   // of several targets those behind the first
  std::vector<std::string> ignored;   // columns that are left out

  int64_t width() const;
  bool has_names() const { return !columns.empty() && !columns.front().name.empty(); }
  // What a row's elements come from: "`age`, `color` as 2 (blue, red)".
  std::string describe() const;

  // As JSON, for the metadata of a weights file.
  std::string to_text() const;
  // Nothing where the text is damaged.
  static std::optional<TableEncoding> parse(const std::string& text);
};

// A place in a table, and the text there.
struct TablePlace {
  int64_t line = 0, column = 0;   // 0: nowhere
  std::string text;
};

// What stands in one column.
struct ColumnSurvey {
  std::string name;
  int64_t numbers = 0, whole = 0, missing = 0, texts = 0;   // `whole` are among the numbers
  double lowest = 0, highest = 0, sum = 0;                  // of the numbers
  std::map<std::string, int64_t> values;                    // how often each text stands there, also those that are numbers
  bool many_values = false;                                 // too many to list: `values` are some of them
  TablePlace first_text, first_missing;

  void add(const Field& field, int64_t line);
  // Whether it holds text, among which there may be numbers: not numbers, among which there is a mistake.
  bool is_text() const { return texts > numbers; }
};

// A table in memory, unzipped.
struct TableText {
  std::string path, bytes;
  char delimiter = ',';

  // By the extension tabs, else what the first line has most of. Error where the file cannot be read.
  static TableText read(const std::string& path);
  CsvReader reader() const { return CsvReader(bytes, path, delimiter); }
};

struct TableSurvey {
  std::vector<ColumnSurvey> columns;
  bool has_names = false;
  int64_t rows = 0, first_line = 1;

  // The first column of that name, exactly or, where there is none, but for case.
  std::optional<size_t> find(const std::string& name) const;
  std::vector<std::string> names() const;
};

// Reads the whole table once. The first line holds names where one of them is `label` or in `expected`, where the columns are counted, or
// where it holds text over columns of numbers, or text that does not come again in any column. Error with the place where lines differ in
// their number of fields.
TableSurvey survey(const TableText& text, const std::vector<std::string>& expected);

// Which column of a table is what.
struct TableRoles {
  std::vector<size_t> features;   // of each column of an encoding, which one of the table
  std::optional<size_t> target, id;
  std::vector<size_t> more_targets;  // of several targets those behind the first
  std::vector<std::string> unused;   // names of columns that are nothing
};

// The target and the id that options name or that are found; the features are all columns beside them that are not ignored.
TableRoles roles_of(const TableSurvey& survey, const std::string& path, const DataOptions& options);
// The columns that options name, but for numbers of columns: names that the first line holds where it holds names.
std::vector<std::string> named_columns(const DataOptions& options);

// The rules for a table that a network is to be trained on: all columns that are not the target, the id or ignored. Error where there is
// no such column.
TableEncoding encode_by(const TableSurvey& survey, const std::string& path, const DataOptions& options, TableRoles& roles);
// The columns of another table by an encoding's names, or by their order where either has no names. Error where one is missing.
TableRoles match(const TableEncoding& encoding, const TableSurvey& survey, const std::string& path, const DataOptions& options);

// What common tools write for a value that they do not have; NaN among it.
bool is_missing(std::string_view text);

}  // namespace bnc
