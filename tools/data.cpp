// `bnc data`: what bnc understands of a data set, before anything is trained on it.
#include <algorithm>

#include <fmt/format.h>

#include "tools/command.h"
#include "tools/diagnostics.h"

namespace bnc::tools {
namespace {

constexpr size_t most_classes = 40, most_categories = 6, longest_text = 48;

std::string shortened(const std::string& text) {
  if (text.size() <= longest_text) return text;
  size_t length = longest_text;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;   // not within a character of UTF-8
  return text.substr(0, length) + "...";
}

bool has_numbers(const DataSummary::Column& column) { return column.type == "number" || column.type == "whole number"; }

std::string range_of(const DataSummary::Column& column) {
  if (has_numbers(column)) return fmt::format("{:g} to {:g}, mean {:g}", column.lowest, column.highest, column.mean);
  if (column.categories.empty()) return column.different < 0 ? "too many to list" : "";
  std::vector<std::string> values;
  for (size_t k = 0; k < std::min(column.categories.size(), most_categories); ++k) values.push_back(shortened(column.categories[k].value));
  if (values.size() < column.categories.size()) values.push_back("...");
  return fmt::format("{}: {}", column.categories.size(), fmt::join(values, ", "));
}

// Rows with each column as wide as its longest field, but for the last one.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows)
    for (size_t k = 0; k < row.size(); ++k) widths[k] = std::max(widths[k], row[k].size());
  std::string text;
  for (const auto& row : rows) {
    for (size_t k = 0; k + 1 < row.size(); ++k) text += fmt::format("{:<{}}  ", row[k], widths[k]);
    text += row.back() + '\n';
  }
  return text;
}

std::string columns_text(const DataSummary& data) {
  std::vector<std::vector<std::string>> rows = {{"column", "is", "type", "missing", "values"}};
  for (const DataSummary::Column& column : data.columns)
    rows.push_back({shortened(column.name), column.role, column.type, std::to_string(column.missing), range_of(column)});
  return "\n" + aligned(rows);
}

std::string classes_text(const DataSummary& data) {
  std::vector<std::vector<std::string>> rows = {{"class", "examples"}};
  for (size_t k = 0; k < std::min(data.classes.size(), most_classes); ++k) {
    const auto& [name, count] = data.classes[k];
    const double share = data.examples > 0 ? 100.0 * static_cast<double>(count) / static_cast<double>(data.examples) : 0;
    rows.push_back({shortened(name), fmt::format("{} ({:.1f} %)", count, share)});
  }
  const size_t more = data.classes.size() - std::min(data.classes.size(), most_classes);
  return "\n" + aligned(rows) + (more > 0 ? fmt::format("and {} more\n", more) : "");
}

std::string text_of(const std::string& spec, const DataSummary& data) {
  std::vector<std::vector<std::string>> rows = {{"data", fmt::format("{} ({})", spec, data.kind)},
                                                {"examples", std::to_string(data.examples)}};
  if (data.test_examples) rows.push_back({"tests", std::to_string(*data.test_examples)});
  if (!data.shape.empty()) rows.push_back({"shape", fmt::format("[{}]", fmt::join(data.shape, ", "))});
  if (data.problem.empty())
    rows.push_back({"numbers", fmt::format("{:g} to {:g}{}", data.lowest, data.highest, data.bytes ? ", from bytes divided by 255" : "")});
  rows.push_back({"targets", data.targets == "classes" ? fmt::format("{} classes", data.classes.size()) : data.targets});
  std::string text = aligned(rows);
  if (!data.columns.empty()) text += columns_text(data);
  if (!data.classes.empty()) text += classes_text(data);
  std::string remarks;
  for (const std::string& note : data.notes) remarks += fmt::format("note: {}\n", note);
  for (const std::string& warning : data.warnings) remarks += fmt::format("warning: {}\n", warning);
  if (!data.problem.empty()) remarks += fmt::format("`bnc train` refuses this: {}\n", data.problem);
  return text + (remarks.empty() ? "" : "\n" + painted(remarks, stdout));
}

// The shortest text that is that float.
Json number_of(double value) { return std::stod(fmt::format("{}", static_cast<float>(value))); }

Json counts(const std::vector<DataSummary::Count>& values) {
  Json object = Json::object();
  for (const auto& [value, count] : values) object[value] = count;
  return object;
}

Json json_of(const DataSummary& data) {
  Json columns = Json::array();
  for (const DataSummary::Column& column : data.columns) {
    Json& entry = columns.emplace_back();
    entry = {{"name", column.name}, {"type", column.type}, {"role", column.role}, {"missing", column.missing}};
    entry["different"] = column.different < 0 ? Json() : Json(column.different);
    if (has_numbers(column)) {
      entry["lowest"] = number_of(column.lowest);
      entry["highest"] = number_of(column.highest);
      entry["mean"] = column.mean;
    }
    if (!column.categories.empty()) entry["categories"] = counts(column.categories);
  }
  Json json = {{"kind", data.kind}, {"examples", data.examples}, {"shape", data.shape}};
  if (data.test_examples) json["test_examples"] = *data.test_examples;
  if (data.problem.empty()) json.update({{"bytes", data.bytes}, {"lowest", number_of(data.lowest)}, {"highest", number_of(data.highest)}});
  json.update({{"targets", data.targets},
               {"classes", counts(data.classes)},
               {"columns", columns},
               {"notes", data.notes},
               {"warnings", data.warnings},
               {"problem", data.problem.empty() ? Json() : Json(data.problem)}});
  return json;
}

int run_data(const Arguments& arguments) {
  const std::string spec = arguments.required("spec");
  const DataSummary data = summarize_data(spec, arguments.data_options());
  if (arguments.json()) print_json(json_of(data));
  else print(text_of(spec, data));
  return exit_done;
}

}  // namespace

Command data_command() {
  Command command{"data", "prints what bnc understands of a data set, and what looks wrong with it", "SPEC [options]",
                  "bnc data fashion-mnist", {}, {"spec"}, run_data};
  po::options_description options("Options");
  options.add_options()("id", po::value<std::string>()->value_name("COLUMN"), "of a table: a column that only names the rows");
  add_data_options(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
