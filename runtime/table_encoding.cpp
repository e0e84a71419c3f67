// How the columns of a table become numbers: chosen for training data, matched by name for others.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/table.h"

namespace bnc {

namespace {

using Json = nlohmann::json;

// A column that an option names.
size_t column_of(const TableSurvey& survey, const std::string& name, const char* option, const std::string& path) {
  if (const auto found = survey.find(name)) return *found;
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  if (!survey.has_names && is_number && number >= 1 && number <= survey.columns.size()) return number - 1;
  if (!survey.has_names) {
    fail("{}: `--{} {}` names a column, but the table has no names\nhelp: give the number of the column, 1 to {}", path, option, name,
         survey.columns.size());
  }
  const std::string near = nearest_name(name, survey.names());
  fail("{} holds no column `{}`{}\nnote: its columns are {}", path, name, near.empty() ? "" : fmt::format("; did you mean `{}`?", near),
       fmt::join(survey.names(), ", "));
}

// The columns that options leave out, and the one that they carry through.
std::vector<bool> left_out(const TableSurvey& survey, const DataOptions& options, const std::string& path, TableRoles& roles) {
  std::vector<bool> out(survey.columns.size(), false);
  for (const std::string& name : options.ignore) out[column_of(survey, name, "ignore", path)] = true;
  if (!options.id.empty()) {
    roles.id = column_of(survey, options.id, "id", path);
    out[*roles.id] = true;
  }
  for (size_t k = 1; k < options.targets.size(); ++k) {
    roles.more_targets.push_back(column_of(survey, options.targets[k], "target", path));
    out[roles.more_targets.back()] = true;
  }
  return out;
}

// The column of the targets: the one that is asked for, else `label`, else the last one that is not left out.
std::optional<size_t> target_of(const TableSurvey& survey, const DataOptions& options, const std::string& path,
                                const std::vector<bool>& out) {
  if (!options.label.empty()) return column_of(survey, options.label, "label", path);
  if (!options.targets.empty()) return column_of(survey, options.targets.front(), "target", path);
  if (const auto found = survey.find("label"); found && !out[*found]) return found;
  for (size_t k = survey.columns.size(); k-- > 0;)
    if (!out[k]) return k;
  return std::nullopt;
}

TableColumn column_by(const ColumnSurvey& found, size_t number, const DataOptions& options, const std::string& path) {
  const std::string name = found.name.empty() ? std::to_string(number + 1) : "`" + found.name + "`";
  if (found.numbers + found.texts == 0) fail("{}: column {} is empty in all rows\nhelp: leave it out with `--ignore`", path, name);
  TableColumn column{found.name, found.is_text(), {}, {}};
  const bool fills = options.missing == DataOptions::Missing::mean;
  if (column.is_text) {
    if (found.many_values) {
      fail("{}: column {} holds {} and more different texts, which cannot be categories\nhelp: leave it out with `--ignore`", path, name,
           found.values.size());
    }
    for (const auto& [text, count] : found.values) column.categories.push_back(text);
    if (fills) column.fill = 0;   // no category
  } else if (fills) {
    column.fill = found.sum / static_cast<double>(found.numbers);
  }
  return column;
}

}  // namespace

std::vector<std::string> named_columns(const DataOptions& options) {
  std::vector<std::string> names = options.ignore;
  names.insert(names.end(), {options.label, options.id});
  names.insert(names.end(), options.targets.begin(), options.targets.end());
  std::erase_if(names, [](const std::string& name) { return name.empty() || parse_number(name).kind == NumberText::Kind::number; });
  return names;
}

TableRoles roles_of(const TableSurvey& survey, const std::string& path, const DataOptions& options) {
  TableRoles roles;
  const std::vector<bool> out = left_out(survey, options, path, roles);
  roles.target = target_of(survey, options, path, out);
  for (size_t k = 0; k < survey.columns.size(); ++k) {
    if (k == roles.target) continue;
    const bool is_target = std::find(roles.more_targets.begin(), roles.more_targets.end(), k) != roles.more_targets.end();
    if (!out[k]) roles.features.push_back(k);
    else if (survey.has_names && !is_target) roles.unused.push_back(survey.columns[k].name);
  }
  return roles;
}

TableEncoding encode_by(const TableSurvey& survey, const std::string& path, const DataOptions& options, TableRoles& roles) {
  roles = roles_of(survey, path, options);
  TableEncoding encoding;
  if (roles.target) encoding.target = survey.columns[*roles.target].name;
  for (const size_t k : roles.more_targets) encoding.more_targets.push_back({survey.columns[k].name, {}});
  encoding.ignored = std::exchange(roles.unused, {});   // that is known, and needs no note
  for (const size_t k : roles.features) encoding.columns.push_back(column_by(survey.columns[k], k, options, path));
  if (encoding.columns.empty()) fail("{} has no column but that of the targets: examples need at least one", path);
  return encoding;
}

namespace {

TableRoles match_names(const TableEncoding& encoding, const TableSurvey& survey, const std::string& path, const DataOptions& options) {
  TableRoles roles;
  std::vector<bool> used = left_out(survey, options, path, roles);
  std::vector<std::string> missing;
  for (const TableColumn& column : encoding.columns) {
    const auto found = survey.find(column.name);
    if (!found) {
      missing.push_back(column.name);
      continue;
    }
    roles.features.push_back(*found);
    used[*found] = true;
  }
  if (!missing.empty()) {
    const std::string near = nearest_name(missing.front(), survey.names());
    fail("{} holds no column `{}`, which the network was trained on{}\nnote: its columns are {}", path, fmt::join(missing, "`, `"),
         near.empty() ? "" : fmt::format("; is it `{}`?", near), fmt::join(survey.names(), ", "));
  }
  const bool chosen = !options.label.empty() || !options.targets.empty();
  roles.target = chosen ? target_of(survey, options, path, used) : survey.find(encoding.target);
  if (roles.target && used[*roles.target]) roles.target.reset();   // it is ignored
  if (roles.target) used[*roles.target] = true;
  std::vector<std::string> others = encoding.ignored;
  for (const TargetColumn& target : encoding.more_targets) others.push_back(target.name);
  for (const std::string& name : others)
    if (const auto found = survey.find(name)) used[*found] = true;
  for (size_t k = 0; k < used.size(); ++k)
    if (!used[k]) roles.unused.push_back(survey.columns[k].name);
  return roles;
}

}  // namespace

TableRoles match(const TableEncoding& encoding, const TableSurvey& survey, const std::string& path, const DataOptions& options) {
  if (encoding.has_names() && survey.has_names) return match_names(encoding, survey, path, options);
  TableRoles roles;
  const std::vector<bool> out = left_out(survey, options, path, roles);
  for (size_t k = 0; k < survey.columns.size(); ++k)
    if (!out[k]) roles.features.push_back(k);
  if (!options.label.empty() || roles.features.size() == encoding.columns.size() + 1) {
    roles.target = target_of(survey, options, path, out);
    std::erase(roles.features, *roles.target);
  }
  if (roles.features.size() != encoding.columns.size()) {
    fail("{} has {} columns, but the network was trained on {} of a table and its targets\nnote: these are {}", path, survey.columns.size(),
         encoding.columns.size(), encoding.describe());
  }
  return roles;
}

std::string TableEncoding::to_text() const {
  Json list = Json::array();
  for (const TableColumn& column : columns) {
    Json& entry = list.emplace_back();
    entry["name"] = column.name;
    entry["type"] = column.is_text ? "category" : "number";
    if (column.is_text) entry["categories"] = column.categories;
    if (column.fill) entry["missing"] = *column.fill;
  }
  Json json{{"columns", list}, {"target", target}, {"ignored", ignored}};
  for (const TargetColumn& each : more_targets) {
    Json& entry = json["more_targets"].emplace_back(Json{{"name", each.name}});
    if (!each.classes.empty()) entry["classes"] = each.classes;
  }
  return json.dump();
}

std::optional<TableEncoding> TableEncoding::parse(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    TableEncoding encoding;
    for (const Json& entry : json.at("columns").get<std::vector<Json>>()) {
      const auto type = entry.at("type").get<std::string>();
      if (type != "number" && type != "category") return std::nullopt;
      TableColumn& column = encoding.columns.emplace_back();
      column.name = entry.at("name").get<std::string>();
      column.is_text = type == "category";
      if (column.is_text) column.categories = entry.at("categories").get<std::vector<std::string>>();
      if (entry.contains("missing")) column.fill = entry["missing"].get<double>();
      if (column.is_text && (column.categories.empty() || !std::is_sorted(column.categories.begin(), column.categories.end())))
        return std::nullopt;
      if (column.fill && !(std::abs(*column.fill) <= std::numeric_limits<float>::max())) return std::nullopt;
    }
    encoding.target = json.at("target").get<std::string>();
    encoding.ignored = json.at("ignored").get<std::vector<std::string>>();
    if (json.contains("more_targets")) {
      for (const Json& entry : json["more_targets"].get<std::vector<Json>>()) {
        TargetColumn& target = encoding.more_targets.emplace_back(TargetColumn{entry.at("name").get<std::string>(), {}});
        if (entry.contains("classes")) target.classes = entry["classes"].get<std::vector<std::string>>();
      }
    }
    if (encoding.columns.empty()) return std::nullopt;
    return encoding;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace bnc
