// Data sets as tables: a line an example, a column or category a number, one column the targets.
#include <algorithm>
#include <charconv>
#include <map>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/table.h"

namespace bnc {

namespace {

using Kind = NumberText::Kind;
using Missing = DataOptions::Missing;

constexpr const char* fill_in =
    "\nhelp: fill missing values in, or give `--missing mean` (the column's mean stands for them) or `--missing drop` (such rows are left "
    "out)";

class TableReader {
 public:
  TableReader(const TableText& text, const ReadOptions& options) : text_(text), options_(options), choices_(options.choices) {
    std::vector<std::string> expected = named_columns(options.choices);
    expected.insert(expected.end(), options.target_names.begin(), options.target_names.end());
    const TableEncoding* known = options.model && options.model->table ? &*options.model->table : nullptr;
    if (known)
      for (const TableColumn& column : known->columns) expected.push_back(column.name);
    std::erase(expected, "");   // of a table without names
    survey_ = survey(text, expected);
    if (survey_.columns.size() < 2 && options.targets) {
      fail("{}:{}:1: a line has one field only, but needs numbers and a label, with commas, semicolons or tabs between them", text.path,
           survey_.first_line);
    }
    if (survey_.rows == 0) fail("{} holds no examples", text.path);
    choose_targets(known);
    if (known) encoding_ = *known, roles_ = match(*known, survey_, text.path, choices_);
    else encoding_ = encode_by(survey_, text.path, choices_, roles_);
    if (!options.targets) leave_targets();
    if (options.targets && !roles_.target) {
      fail("{} holds no column `{}` with the targets\nnote: its columns are {}", text.path, encoding_.target,
           fmt::join(survey_.names(), ", "));
    }
  }

  void fill(Dataset::Data& data) {
    CsvReader reader = text_.reader();
    if (survey_.has_names) reader.next();
    while (std::optional<Record> record = reader.next()) add(std::move(*record), data);
    data.files = {text_.path};
    data.id_name = roles_.id ? options_.choices.id : "";
    data.labels_file = text_.path;
    data.count = static_cast<int64_t>(data.lines.size());
    data.example_dims = {encoding_.width()};
    if (roles_.target && data.count > 0) {
      const bool joins = !roles_.more_targets.empty() && options_.target_names.size() <= 1;
      if (!joins && (survey_.columns[*roles_.target].is_text() || has_text_classes())) fill_classes(data);
      else if (!joins) fill_numbers(data);
    }
    fill_more(data);
    if (dropped_ > 0)
      data.notes.push_back(fmt::format("{}: {} of {} rows are left out: a value is missing", text_.path, dropped_, survey_.rows));
    if (!roles_.unused.empty()) {
      data.notes.push_back(fmt::format("{}: the network was trained without column{} `{}`, which {} left out", text_.path,
                                       roles_.unused.size() == 1 ? "" : "s", fmt::join(roles_.unused, "`, `"),
                                       roles_.unused.size() == 1 ? "is" : "are"));
    }
    data.table = std::move(encoding_);
  }

 private:
  // Where none are asked for the columns of several targets that a model was trained on, or those called like the targets of a network.
  void choose_targets(const TableEncoding* known) {
    if (!choices_.label.empty() || !choices_.targets.empty()) return;
    if (known && !known->more_targets.empty()) {
      std::vector<std::string> trained_on = {known->target};
      for (const TargetColumn& target : known->more_targets) trained_on.push_back(target.name);
      const bool has_all = std::all_of(trained_on.begin(), trained_on.end(),
                                       [&](const auto& name) { return survey_.find(name).has_value(); });
      if (has_all || options_.targets) choices_.targets = trained_on;
      return;
    }
    const std::vector<std::string>& names = options_.target_names;
    if (names.empty()) return;
    if (names.size() == 1) {
      if (!known && survey_.find(names[0])) choices_.label = names[0];
      return;
    }
    const bool has_all = std::all_of(names.begin(), names.end(), [&](const std::string& name) { return survey_.find(name).has_value(); });
    if (has_all) choices_.targets = names;
    else if (options_.targets) {
      fail("{}: the network has targets `{}`, but the columns are {}\nhelp: name their columns in that order with `--target COLUMN,...`",
           text_.path, fmt::join(names, "`, `"), fmt::join(survey_.names(), ", "));
    }
  }

  // Columns behind the first target: arrays of their own, or, of numbers, all of them the only target of the network.
  void fill_more(Dataset::Data& data) {
    const size_t more = roles_.more_targets.size();
    if (more == 0 || data.count == 0 || !roles_.target) return;
    const size_t rows = data.lines.size();
    if (options_.target_names.size() <= 1) {
      std::vector<float> joined;
      for (size_t k = 0; k < rows; ++k) {
        joined.push_back(number(targets_[k], data.lines[k], *roles_.target));
        for (size_t column = 0; column < more; ++column)
          joined.push_back(number(more_[k * more + column], data.lines[k], roles_.more_targets[column]));
      }
      data.target_dims = {static_cast<int64_t>(more) + 1};
      data.target_size = data.target_dims[0];
      data.targets = std::move(joined);
      return;
    }
    for (size_t column = 0; column < more; ++column) {
      FurtherArray& array = data.others.emplace_back();
      array.name = column + 1 < options_.target_names.size() ? options_.target_names[column + 1]
                                                             : survey_.columns[roles_.more_targets[column]].name;
      const auto field = [&](size_t k) -> const Field& { return more_[k * more + column]; };
      std::vector<std::string>& classes = encoding_.more_targets[column].classes;
      if (!classes.empty() || (may_learn_classes() && survey_.columns[roles_.more_targets[column]].is_text())) {
        array.integers = labels_of(field, data.lines, classes);
        array.classes = classes;
      } else {
        for (size_t k = 0; k < rows; ++k) array.floats.push_back(number(field(k), data.lines[k], roles_.more_targets[column]));
      }
    }
  }

  // Predictions do not need targets, and do without those of a table where any is missing.
  void leave_targets() {
    if (roles_.target && survey_.columns[*roles_.target].missing > 0) roles_.target.reset();
  }

  bool may_learn_classes() const { return !options_.model || !options_.model->table; }
  bool has_known_classes() const { return options_.model && !options_.model->classes.empty(); }
  // The classes of a model that was trained on a table are what stood in its column of targets.
  bool has_text_classes() const { return has_known_classes() && options_.model->table; }

  std::string place(int64_t line, const Field& field) const { return fmt::format("{}:{}:{}", text_.path, line, field.column); }
  std::string name_of(size_t column) const {
    return survey_.has_names ? fmt::format("`{}`", survey_.columns[column].name) : std::to_string(column + 1);
  }

  void add(Record record, Dataset::Data& data) {
    const size_t before = data.values.size();
    for (size_t k = 0; k < roles_.features.size(); ++k) {
      const size_t at = roles_.features[k];
      const Field& field = record.fields[at];
      if (is_missing(field.text) && options_.choices.missing == Missing::drop) return drop(before, data);
      if (encoding_.columns[k].is_text) add_category(encoding_.columns[k], field, record.line, at, data.values);
      else data.values.push_back(encoding_.columns[k].fill && is_missing(field.text) ? static_cast<float>(*encoding_.columns[k].fill)
                                                                                     : number(field, record.line, at));
    }
    if (roles_.target) {
      Field& target = record.fields[*roles_.target];
      if (is_missing(target.text) && options_.choices.missing == Missing::drop) return drop(before, data);
      for (const size_t column : roles_.more_targets)
        if (is_missing(record.fields[column].text) && options_.choices.missing == Missing::drop) return drop(before, data);
      targets_.push_back(std::move(target));
      for (const size_t column : roles_.more_targets) more_.push_back(std::move(record.fields[column]));
    }
    if (roles_.id) data.ids.push_back(std::move(record.fields[*roles_.id].text));
    data.lines.push_back(record.line);
  }

  void drop(size_t values, Dataset::Data& data) {
    data.values.resize(values);
    ++dropped_;
  }

  void add_category(const TableColumn& column, const Field& field, int64_t line, size_t at, std::vector<float>& values) const {
    const auto first = column.categories.begin(), end = column.categories.end();
    const auto found = std::lower_bound(first, end, field.text);
    values.resize(values.size() + column.categories.size(), 0);
    if (found != end && *found == field.text) {
      *(values.end() - (end - found)) = 1;
      return;
    }
    if (is_missing(field.text)) {
      if (!column.fill) fail("{}: column {} is empty here{}", place(line, field), name_of(at), fill_in);
    } else if (!options_.choices.unknown_as_zero) {
      fail("{}: `{}` in column {} was in no row that the network was trained on\nnote: these had {}\nhelp: correct it, or give `--unknown "
           "zero` (no category is set)",
           place(line, field), field.text, name_of(at), fmt::join(column.categories, ", "));
    }
  }

  float number(const Field& field, int64_t line, size_t column) const {
    const NumberText parsed = parse_number(field.text);
    if (parsed.kind == Kind::number) return parsed.value;
    const std::string at = place(line, field), name = name_of(column);
    if (parsed.kind == Kind::empty) fail("{}: column {} is empty here{}", at, name, fill_in);
    if (parsed.kind == Kind::too_large) {
      fail("{}: `{}` in column {} is out of the range of 32-bit floats\nhelp: give the column in a larger unit, or its logarithm", at,
           field.text, name);
    }
    const bool decimal_comma = text_.delimiter != ',' && field.text.find(',') != std::string::npos;
    fail("{}: `{}` in column {} is {}{}", at, field.text, name, parsed.kind == Kind::not_finite ? "not finite" : "no number",
         parsed.kind == Kind::not_finite || is_missing(field.text) ? fill_in
         : decimal_comma ? "\nhelp: numbers have a decimal point here, not a comma"
                         : "");
  }

  // Labels where all are written as whole numbers, else float targets.
  void fill_numbers(Dataset::Data& data) const {
    for (size_t k = 0; k < targets_.size(); ++k) {
      data.targets.push_back(number(targets_[k], data.lines[k], *roles_.target));
      const std::string_view text = trimmed(targets_[k].text), digits = text.substr(text.starts_with('+'));
      int32_t whole = 0;
      if (parse_number(text).whole && std::from_chars(digits.data(), digits.data() + digits.size(), whole).ec == std::errc())
        data.labels.push_back(whole);
    }
    if (data.labels.size() == targets_.size()) data.targets.clear();
    else data.labels.clear();
  }

  void fill_classes(Dataset::Data& data) const {
    if (options_.model && options_.model->targets && !has_known_classes()) {
      fail(
          "{}: the label `{}` is text, but the network was trained on numbers of classes, whose names its weights do not know\nhelp: write "
          "the numbers that the training data had",
          place(data.lines[0], targets_[0]), targets_[0].text);
    }
    if (has_known_classes()) data.class_names = options_.model->classes;
    data.labels = labels_of([&](size_t k) -> const Field& { return targets_[k]; }, data.lines, data.class_names);
    data.text_labels = true;
  }

  // The numbers of text labels: by the names of `classes`; where there are none they become those that occur, in alphabetical order.
  template <class FieldOf>
  std::vector<int32_t> labels_of(const FieldOf& field, const std::vector<int64_t>& lines, std::vector<std::string>& classes) const {
    std::map<std::string, int32_t> numbers;
    for (size_t k = 0; k < lines.size(); ++k) {
      if (field(k).text.empty()) fail("{}: the label is empty here{}", place(lines[k], field(k)), fill_in);
      if (classes.empty()) numbers.emplace(field(k).text, 0);
    }
    for (const auto& [name, number] : numbers) classes.push_back(name);
    for (size_t k = 0; k < classes.size(); ++k) numbers[classes[k]] = static_cast<int32_t>(k);
    std::vector<int32_t> labels;
    for (size_t k = 0; k < lines.size(); ++k) {
      const auto found = numbers.find(field(k).text);
      if (found == numbers.end()) refuse_class(field(k), lines[k], classes);
      labels.push_back(found->second);
    }
    return labels;
  }

  [[noreturn]] void refuse_class(const Field& label, int64_t line, const std::vector<std::string>& classes) const {
    const std::string near = nearest_name(label.text, classes);
    fail("{}: the label `{}` is no class that the network was trained on{}\nnote: these are {}", place(line, label), label.text,
         near.empty() ? "" : fmt::format("; is it `{}`?", near), fmt::join(classes, ", "));
  }

  const TableText& text_;
  const ReadOptions& options_;
  DataOptions choices_;            // with the columns of a network's targets
  TableSurvey survey_;
  TableEncoding encoding_;
  TableRoles roles_;
  std::vector<Field> targets_, more_;
  int64_t dropped_ = 0;
};

}  // namespace

void read_table(const std::string& path, const ReadOptions& options, Dataset::Data& data) {
  const TableText text = TableText::read(path);
  TableReader(text, options).fill(data);
}

}  // namespace bnc
