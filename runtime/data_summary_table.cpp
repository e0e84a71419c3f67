// What stands in the columns of a table, and which of them look wrong.
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>

#include "runtime/data_summary.h"
#include "runtime/error.h"
#include "runtime/table.h"

namespace bnc {

namespace {

using Kind = NumberText::Kind;

constexpr int64_t least_rows = 20;          // to judge by
constexpr int64_t least_rows_a_value = 5;   // or a class
constexpr double same_but_for_scale = 0.9999;   // a correlation

std::string quote_column(const TableSurvey& survey, size_t k) {
  return survey.has_names ? "`" + survey.columns[k].name + "`" : std::to_string(k + 1);
}

bool has_identifier_name(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array names = {"id", "index", "uuid", "guid", "row", "unnamed: 0"};
  return std::find(names.begin(), names.end(), name) != names.end() || name.ends_with("_id");
}

// What a column has to do with the target and with the number of its row.
class Relation {
 public:
  void add_value(const std::string& value, int32_t group) {
    const auto [found, fresh] = groups_.emplace(value, group);
    if (!fresh && found->second != group) is_function_ = false;
    if (groups_.size() > most_number_classes) is_function_ = false, groups_.clear();
  }

  void add_number(double x, int32_t group) {
    auto [found, fresh] = ranges_.emplace(group, Range{x, x, 0});
    Range& range = found->second;
    range = {std::min(range.lowest, x), std::max(range.highest, x), range.count + 1};
  }

  void add_pair(double x, double y) { xx_ += x * x, yy_ += y * y, xy_ += x * y; }

  void add_row(double x, int64_t row) {
    if (row == 0) first_ = x;
    counts_up_ &= x == first_ + static_cast<double>(row);
  }
  void add_other_row() { counts_up_ = false; }
  bool counts_up() const { return counts_up_; }

  // Whether the column's value names the class, or the classes' numbers lie apart.
  bool tells_class(int64_t rows, size_t classes) const {
    if (classes < 2) return false;
    if (is_function_ && groups_.size() >= classes && rows >= static_cast<int64_t>(groups_.size()) * least_rows_a_value) return true;
    if (ranges_.size() != classes) return false;
    std::vector<Range> ranges;
    for (const auto& [group, range] : ranges_) ranges.push_back(range);
    std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.lowest < b.lowest; });
    for (size_t k = 0; k < ranges.size(); ++k)
      if (ranges[k].count < least_rows_a_value || (k > 0 && ranges[k - 1].highest >= ranges[k].lowest)) return false;
    return true;
  }

  double correlation() const { return xx_ > 0 && yy_ > 0 ? xy_ / std::sqrt(xx_ * yy_) : 0; }

 private:
  struct Range {
    double lowest = 0, highest = 0;
    int64_t count = 0;
  };
  std::map<std::string, int32_t> groups_;   // the class of each value
  bool is_function_ = true;
  std::map<int32_t, Range> ranges_;         // of the numbers of each class
  double xx_ = 0, yy_ = 0, xy_ = 0;         // of deviations from the means
  double first_ = 0;
  bool counts_up_ = true;
};

class TableSummary {
 public:
  TableSummary(const std::string& path, const DataOptions& options, DataSummary& summary)
      : options_(options), text_(TableText::read(path)), survey_(survey(text_, named_columns(options))),
        roles_(roles_of(survey_, text_.path, options)), summary_(summary) {}

  void run() {
    summary_.kind = "table";
    summary_.examples = survey_.rows;
    summary_.targets = "none";
    describe_columns();
    if (roles_.target) describe_target();
    relate();
    for (size_t k = 0; k < survey_.columns.size(); ++k) judge(k);
    try {
      TableRoles again;
      summary_.shape = {encode_by(survey_, text_.path, options_, again).width()};
    } catch (const Error&) {   // what reading the table tells
    }
  }

 private:
  const ColumnSurvey& column(size_t k) const { return survey_.columns[k]; }
  double mean(size_t k) const { return column(k).sum / static_cast<double>(std::max<int64_t>(1, column(k).numbers)); }
  bool is_input(size_t k) const { return std::find(roles_.features.begin(), roles_.features.end(), k) != roles_.features.end(); }

  std::string role(size_t k) const {
    if (is_input(k)) return "input";
    const bool more = std::find(roles_.more_targets.begin(), roles_.more_targets.end(), k) != roles_.more_targets.end();
    return roles_.target == k || more ? "target" : roles_.id == k ? "id" : "ignored";
  }

  void describe_columns() {
    for (size_t k = 0; k < survey_.columns.size(); ++k) {
      const ColumnSurvey& found = column(k);
      DataSummary::Column& described = summary_.columns.emplace_back();
      described.name = survey_.has_names ? found.name : std::to_string(k + 1);
      described.type = found.is_text()                    ? "category"
                       : found.numbers + found.texts == 0 ? "empty"
                       : found.whole == found.numbers     ? "whole number"
                                                          : "number";
      described.role = role(k);
      described.missing = found.missing;
      if (found.numbers > 0) described.lowest = found.lowest, described.highest = found.highest, described.mean = mean(k);
      described.different = found.many_values ? -1 : static_cast<int64_t>(found.values.size());
      if (found.is_text() && !found.many_values)
        for (const auto& [value, count] : found.values) described.categories.push_back({value, count});
    }
  }

  // Its classes, as far as they are known before the table is read as numbers.
  void describe_target() {
    const ColumnSurvey& target = column(*roles_.target);
    summary_.targets = "numbers";
    std::map<double, std::string> numbers;
    const bool whole = target.texts == 0 && target.whole == target.numbers;
    const bool classes = target.is_text() || (whole && may_be_classes(target.lowest, target.values.size(), target.numbers));
    if (target.many_values || !classes) return;
    summary_.targets = "classes";
    for (const auto& [value, count] : target.values) {
      if (target.is_text()) summary_.classes.push_back({value, count});
      groups_.emplace(value, static_cast<int32_t>(groups_.size()));
      if (!target.is_text()) numbers.emplace(parse_number(value).value, value);
    }
    for (const auto& [number, value] : numbers) summary_.classes.push_back({value, target.values.at(value)});
  }

  // The second time through the table.
  void relate() {
    relations_.resize(survey_.columns.size());
    CsvReader reader = text_.reader();
    if (survey_.has_names) reader.next();
    for (int64_t row = 0; const std::optional<Record> record = reader.next(); ++row)
      for (size_t k = 0; k < relations_.size(); ++k) relate(*record, k, row);
  }

  void relate(const Record& record, size_t k, int64_t row) {
    Relation& relation = relations_[k];
    const NumberText number = parse_number(record.fields[k].text);
    const bool is_number = number.kind == Kind::number;
    if (is_number) relation.add_row(number.value, row);
    else relation.add_other_row();
    if (!roles_.target || !is_input(k)) return;
    const std::string& target = record.fields[*roles_.target].text;
    if (!groups_.empty()) {
      const auto group = groups_.find(target);
      if (group == groups_.end() || is_missing(record.fields[k].text)) return;
      relation.add_value(record.fields[k].text, group->second);
      if (is_number) relation.add_number(number.value, group->second);
    } else if (const NumberText y = parse_number(target); is_number && y.kind == Kind::number) {
      relation.add_pair(number.value - mean(k), y.value - mean(*roles_.target));
    }
  }

  template <class... Values>
  void warn(fmt::format_string<Values...> text, Values&&... values) {
    summary_.warnings.push_back(fmt::format(text, std::forward<Values>(values)...));
  }

  void judge(size_t k) {
    const ColumnSurvey& found = column(k);
    const bool is_target = roles_.target == k, has_option = options_.missing != DataOptions::Missing::refuse;
    if (!is_target && !is_input(k)) return;
    const std::string name = quote_column(survey_, k);
    const std::string ignore = fmt::format("`--ignore {}` leaves it out", survey_.has_names ? found.name : std::to_string(k + 1));
    const int64_t filled = found.numbers + found.texts;
    if (filled == 0) return warn("column {} is empty in all rows; {}", name, ignore);
    if (found.missing > 0 && !has_option) {
      warn("column {} lacks {} of {} values, the first in line {}: `--missing mean` or `--missing drop` says what to do", name,
           found.missing, survey_.rows, found.first_missing.line);
    }
    if (!found.is_text() && found.texts > 0) {
      warn("column {} holds numbers, but also {} text{}, such as `{}` in line {}", name, found.texts, found.texts == 1 ? "" : "s",
           found.first_text.text, found.first_text.line);
    }
    if (is_target) return;
    const bool all_different = found.is_text() && (found.many_values || static_cast<int64_t>(found.values.size()) == filled);
    if (found.values.size() == 1 && found.missing == 0) {
      warn("column {} is `{}` in all rows, which tells nothing; {}", name, found.values.begin()->first, ignore);
    } else if (filled >= least_rows && all_different) {
      const char* rows = found.many_values ? "nearly every" : "every";
      warn("column {} holds another text in {} row, as names and identifiers do; {}", name, rows, ignore);
    } else if (survey_.rows >= least_rows && relations_[k].counts_up()) {
      warn("column {} counts the rows, from {} to {}; {}", name, found.lowest, found.highest, ignore);
    } else if (found.whole == filled && has_identifier_name(found.name)) {
      warn("column {} is an identifier by its name; {}", name, ignore);
    } else {
      judge_leak(k, name, ignore);
    }
  }

  void judge_leak(size_t k, const std::string& name, const std::string& ignore) {
    if (survey_.rows < least_rows) return;
    if (relations_[k].tells_class(survey_.rows, groups_.size()))
      warn("column {} alone tells the classes apart: is it made from the target, or known only after it? {}", name, ignore);
    else if (const double correlation = relations_[k].correlation(); std::abs(correlation) > same_but_for_scale)
      warn("column {} is the target but for scale (correlation {:.6f}): is it made from it? {}", name, correlation, ignore);
  }

  const DataOptions& options_;
  const TableText text_;
  const TableSurvey survey_;
  const TableRoles roles_;
  DataSummary& summary_;
  std::map<std::string, int32_t> groups_;   // the number of each text of the target, where it is a class
  std::vector<Relation> relations_;
};

}  // namespace

void summarize_table(const std::string& path, const DataOptions& options, DataSummary& summary) {
  TableSummary(path, options, summary).run();
}

}  // namespace bnc
