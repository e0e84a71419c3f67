#include "runtime/model_constants.h"

#include <cmath>

#include <fmt/format.h>

namespace bnc {

namespace {

// A string literal of these bytes that means the same to every compiler of C and C++.
std::string literal(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f) quoted += fmt::format("\\{:03o}", byte);
    else if (c == '"' || c == '\\' || c == '?') quoted += std::string("\\") + c;   // `??` may begin a trigraph
    else quoted += c;
  }
  return quoted + '"';
}

std::string literals(const std::vector<std::string>& texts) {
  std::string list;
  for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + literal(text);
  return list;
}

std::string float_literal(double value) {
  std::string text = fmt::format("{}", static_cast<float>(value));
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text + "f";
}

std::string classes_text(const std::string& prefix, const std::vector<std::string>& classes, const std::string& output) {
  return fmt::format(R"(/* The classes: output {3} has a score for each, in this order; or one number, high for the second of two. */
#define {0}_CLASSES {1}
static const char *const {0}_class_names[{0}_CLASSES] = {{{2}}};

)",
                     prefix, classes.size(), literals(classes), output);
}

std::string columns_text(const std::string& prefix, const TableEncoding& table) {
  std::string categories, columns;
  for (size_t k = 0; k < table.columns.size(); ++k) {
    const TableColumn& column = table.columns[k];
    std::string names = "0";
    if (column.is_text) {
      names = fmt::format("{}_categories_{}", prefix, k);
      categories +=
          fmt::format("static const char *const {}[{}] = {{{}}};\n", names, column.categories.size(), literals(column.categories));
    }
    columns += fmt::format("  {{{}, {}, {}, {}, {}}},\n", literal(column.name), column.categories.size(), names, column.fill ? 1 : 0,
                           float_literal(column.fill.value_or(0)));
  }
  return fmt::format(
      R"(/* The columns of the table that the network was trained on. A row becomes an example of {0}_FEATURES floats, column after column:
 *   a number     is one float, as it stands in the row; where it is missing, `missing`
 *   a text       is a float for each of its categories: 1 for the one that stands in the row, 0 for the others; where it is missing, 0
 *                for all
 * The network was trained on no other texts than the categories, and on missing values only where `may_be_missing`. */
#define {0}_COLUMNS {1}
#define {0}_FEATURES {2}
struct {0}_column {{
  const char *name;                  /* in the first line of the table; "" where it had no names */
  int32_t categories;                /* how many there are of a text; 0 for a number */
  const char *const *category_names; /* null for a number */
  int32_t may_be_missing;
  float missing;
}};
{3}static const struct {0}_column {0}_columns[{0}_COLUMNS] = {{
{4}}};

)",
      prefix, table.columns.size(), table.width(), categories, columns);
}

}  // namespace

std::string model_constants(const std::string& prefix, const ModelMetadata& model, const std::string& output) {
  std::string text;
  if (!model.classes.empty()) text += classes_text(prefix, model.classes, output);
  if (model.table) text += columns_text(prefix, *model.table);
  if (model.input_scale && model.input_scale->from_bytes) {
    text += fmt::format("/* The network was trained on bytes (of pixels) divided by this number. */\n#define {}_BYTE_DIVISOR 255.0f\n\n",
                        prefix);
  }
  return text;
}

}  // namespace bnc
