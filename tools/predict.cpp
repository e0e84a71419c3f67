// `bnc predict`: what a network says about each example of a data set.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "tools/data_pass.h"

namespace bnc::tools {
namespace {

enum class Format { csv, tsv, npz };

// By the extension, so that no name lies.
Format format_of(const std::string& path) {
  const auto ends = [&](const char* extension) { return path.ends_with(extension); };
  if (path.empty() || path == "-" || ends(".csv")) return Format::csv;
  if (ends(".tsv")) return Format::tsv;
  if (ends(".npz")) return Format::npz;
  throw UsageError(fmt::format("`--output {}`: predictions are written as .csv, .tsv or .npz, or with `-` as CSV to stdout", path));
}

// A field of a table: in quotes where it has to be.
std::string field(const std::string& text, char delimiter) {
  if (text.find_first_of(std::string("\"\r\n") + delimiter) == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + '"';
}

// JSON has no NaN or infinity: null stands for them.
Json json_number(float value) { return std::isfinite(value) ? Json(std::stod(fmt::format("{}", value))) : Json(nullptr); }

class Rows {
 public:
  // In JSON objects a column that is carried through is called `id`.
  Rows(const Predictions& predictions, bool carries_column, std::optional<int64_t> top)
      : predictions_(predictions), id_(predictions.id_name), key_(carries_column ? "id" : id_), width_(predictions.columns.size()) {
    if (!top) return;
    if (!predictions.classes) throw UsageError("`--top` goes with classes, but this network predicts numbers");
    top_ = std::min(static_cast<size_t>(*top), width_);
  }

  std::string table(char delimiter) const {
    std::string text = line(header(), delimiter);
    for (int64_t k = 0; k < predictions_.count; ++k) text += line(fields(k), delimiter);
    return text;
  }

  Json json(int64_t k) const {
    Json object;
    if (!id_.empty()) object[key_] = predictions_.ids[static_cast<size_t>(k)];
    if (!predictions_.classes) {
      for (size_t column = 0; column < width_; ++column) object[predictions_.columns[column]] = json_number(value(k, column));
      add_further(object, k);
      return object;
    }
    const int32_t answer = predictions_.answers[static_cast<size_t>(k)];
    object["prediction"] = answer < 0 ? Json(nullptr) : Json(predictions_.columns[static_cast<size_t>(answer)]);
    object["probability"] = answer < 0 ? Json(nullptr) : json_number(value(k, static_cast<size_t>(answer)));
    Json& all = object["probabilities"] = Json::object();
    for (const size_t column : shown(k)) all[predictions_.columns[column]] = json_number(value(k, column));
    add_further(object, k);
    return object;
  }

 private:
  // What other outputs answer: nothing where a prediction is not finite.
  void add_further(Json& object, int64_t k) const {
    for (const auto& each : predictions_.further) {
      const int32_t answer = each.answers[static_cast<size_t>(k)];
      object[each.output] = answer < 0 ? Json(nullptr) : Json(each.names[static_cast<size_t>(answer)]);
    }
    for (size_t n = 0; n < predictions_.number_columns.size(); ++n) object[predictions_.number_columns[n]] = json_number(numbers(k)[n]);
  }

  float value(int64_t k, size_t column) const { return predictions_.values[static_cast<size_t>(k) * width_ + column]; }

  // What the network's other outputs give.
  std::span<const float> numbers(int64_t k) const {
    const size_t width = predictions_.number_columns.size();
    return std::span(predictions_.numbers).subspan(static_cast<size_t>(k) * width, width);
  }

  // The classes of an example: all in order, or the most probable ones first.
  std::vector<size_t> shown(int64_t k) const {
    std::vector<size_t> columns(width_);
    std::iota(columns.begin(), columns.end(), size_t{0});
    if (!top_) return columns;
    std::stable_sort(columns.begin(), columns.end(), [&](size_t a, size_t b) { return value(k, a) > value(k, b); });
    columns.resize(*top_);
    return columns;
  }

  std::vector<std::string> header() const {
    std::vector<std::string> names;
    if (!id_.empty()) names.push_back(id_);
    if (predictions_.classes) names.insert(names.end(), {"prediction", "probability"});
    if (!top_) names.insert(names.end(), predictions_.columns.begin(), predictions_.columns.end());
    for (size_t rank = 2; rank <= top_.value_or(0); ++rank)
      names.insert(names.end(), {fmt::format("prediction_{}", rank), fmt::format("probability_{}", rank)});
    for (const auto& each : predictions_.further) names.push_back(each.output);
    names.insert(names.end(), predictions_.number_columns.begin(), predictions_.number_columns.end());
    return names;
  }

  std::vector<std::string> fields(int64_t k) const {
    std::vector<std::string> fields;
    if (!id_.empty()) fields.push_back(predictions_.ids[static_cast<size_t>(k)]);
    const int32_t answer = predictions_.classes ? predictions_.answers[static_cast<size_t>(k)] : 0;
    if (predictions_.classes && !top_) add(fields, k, answer);
    for (const size_t column : shown(k)) {
      if (top_) add(fields, k, answer < 0 ? -1 : static_cast<int64_t>(column));
      else fields.push_back(number(value(k, column)));
    }
    for (const auto& each : predictions_.further) {
      const int32_t other = each.answers[static_cast<size_t>(k)];
      fields.push_back(other < 0 ? "" : each.names[static_cast<size_t>(other)]);
    }
    for (const float each : numbers(k)) fields.push_back(number(each));
    return fields;
  }

  // A class and its probability; nothing where the prediction is not finite.
  void add(std::vector<std::string>& fields, int64_t k, int64_t column) const {
    if (column < 0) return void(fields.insert(fields.end(), {"", ""}));
    fields.push_back(predictions_.columns[static_cast<size_t>(column)]);
    fields.push_back(number(value(k, static_cast<size_t>(column))));
  }

  static std::string number(float value) { return std::isnan(value) ? "nan" : fmt::format("{}", value); }

  static std::string line(const std::vector<std::string>& fields, char delimiter) {
    std::string text;
    for (const std::string& part : fields) text += (text.empty() ? "" : std::string(1, delimiter)) + field(part, delimiter);
    return text + '\n';
  }

  const Predictions& predictions_;
  const std::string id_, key_;
  const size_t width_;
  std::optional<size_t> top_;
};

// Arrays `prediction` (numbers of classes) and `probabilities`, or `values`.
NamedArrays arrays_of(const Predictions& found) {
  const std::vector<int64_t> dims = {found.count, static_cast<int64_t>(found.columns.size())};
  NamedArrays arrays = {{"values", Array(dims, found.values)}};
  if (found.classes) arrays = {{"prediction", Array({found.count}, found.answers)}, {"probabilities", Array(dims, found.values)}};
  for (const auto& each : found.further) arrays.emplace_back(each.output, Array({found.count}, each.answers));
  if (!found.number_columns.empty())
    arrays.emplace_back(found.classes ? "values" : "others",
                        Array({found.count, static_cast<int64_t>(found.number_columns.size())}, found.numbers));
  return arrays;
}

void report_figures(const Predictions& found) {
  if (found.classes) {
    const auto lost = std::count(found.answers.begin(), found.answers.end(), -1);
    if (lost > 0) message(fmt::format("warning: {} of {} predictions are not finite", lost, found.count));
  }
  if (!found.figures) return;
  message(fmt::format("by the targets of these data: {}", figures_text(*found.figures, 6)));
}

int run_predict(const Arguments& arguments) {
  arguments.required("data");
  const std::string output = arguments.text("output");
  const Format format = format_of(output);
  if (arguments.json() && !output.empty()) throw UsageError("`--json` prints the predictions, and goes without `--output`");
  DataPass pass(arguments, "predict", false);
  auto options = pass.options<PredictOptions>();
  options.on_warning = message;
  options.checks = arguments.checks();
  const Predictions found = predict(pass.network, pass.weights, options);
  pass.display.finish();
  const Rows rows(found, arguments.has("id"), arguments.integer("top"));
  if (arguments.json()) {
    for (int64_t k = 0; k < found.count; ++k) print_json(rows.json(k));
  } else if (format == Format::npz) {
    save_npz(output, arrays_of(found));
  } else {
    const std::string table = rows.table(format == Format::tsv ? '\t' : ',');
    if (output.empty() || output == "-") print(table);
    else write_file(output, table);
  }
  report_figures(found);
  if (!arguments.json() && !output.empty() && output != "-") message(fmt::format("{}: {} predictions", output, found.count));
  return exit_done;
}

}  // namespace

Command predict_command() {
  Command command{"predict",
                  "prints what a network predicts for each example of a data set",
                  "M.bn --weights W --data SPEC [-o OUT] [--id COLUMN] [--top K] [options]",
                  "bnc predict examples/mnist_mlp.bn --weights run/weights.safetensors --data fashion-mnist -o predictions.csv",
                  {},
                  {"model"},
                  run_predict};
  po::options_description options = data_pass_options(
      fmt::format("the data, of which targets are not needed: {} (default: test)", data_help), "examples a batch (default 100)");
  options.add_options()
      ("output,o", output_file("OUT", {".csv", ".tsv", ".npz"}),
       "where to write: .csv or .tsv, a line an example with the class, its probability and that of every class, or with the numbers "
       "predicted; .npz with arrays `prediction` and `probabilities`, or `values`; `-` for CSV on stdout, as without it")
      ("id", po::value<std::string>()->value_name("COLUMN"),
       "a column of a table that is carried through to the predictions; of images the name of the file always is")
      ("top", po::value<int64_t>()->value_name("K"), "of classes: only the K most probable ones, the first one first");
  add_check_options(options);
  command.options.add(options);
  return command;
}

}  // namespace bnc::tools
