#include "runtime/report/record.h"

#include <cmath>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/file_bytes.h"
#include "runtime/json_numbers.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json to_json(const EvaluationResult& result) { return {{"loss", result.loss}, {"accuracy", result.accuracy}, {"count", result.count}}; }
EvaluationResult evaluation(const Json& json) {
  return {number(json.at("loss")), number(json.at("accuracy")), whole_number<int64_t>(json.at("count"))};
}

Json to_json(const Prediction& prediction) {
  return {{"example", prediction.example},
          {"truth", prediction.truth},
          {"answer", prediction.answer},
          {"probability", prediction.probability},
          {"truth_probability", prediction.truth_probability},
          {"image", prediction.image}};
}

Prediction prediction(const Json& json) {
  return {whole_number<int64_t>(json.at("example")), whole_number<int32_t>(json.at("truth")),
          whole_number<int32_t>(json.at("answer")),  number(json.at("probability")),
          number(json.at("truth_probability")),      json.at("image").get<std::string>()};
}

Json to_json(const Histogram& histogram) { return {{"low", histogram.low}, {"high", histogram.high}, {"counts", histogram.counts}}; }
Histogram histogram(const Json& json) { return {number(json.at("low")), number(json.at("high")), whole_numbers(json.at("counts"))}; }

Json to_json(const NormalizationHistograms& each) {
  return {{"batch_norm", each.batch_norm}, {"before", to_json(each.before)}, {"after", to_json(each.after)}};
}

template <class T> Json list(const std::vector<T>& values) {
  Json json = Json::array();
  for (const T& value : values) json.push_back(to_json(value));
  return json;
}

void read_json(const Json& json, RunRecord& record) {
  record.network = json.at("network").get<std::string>();
  record.source_path = json.at("source_path").get<std::string>();
  record.source = json.at("source").get<std::string>();
  for (const auto& [name, value] : json.at("settings").items()) record.settings.emplace_back(name, value.get<std::string>());
  record.train = evaluation(json.at("train"));
  record.test = evaluation(json.at("test"));
  record.course_set = json.value("course_set", "test");   // those of older versions have none
  record.final_set = json.value("final_set", "test");
  record.class_names = json.at("class_names").get<std::vector<std::string>>();
  for (const Json& each : json.at("predictions")) record.predictions.push_back(prediction(each));
  record.mistakes = whole_number<int64_t>(json.at("mistakes"));
  for (const Json& row : json.at("confusion")) record.confusion.push_back(whole_numbers(row));
  for (const Json& each : json.at("histograms")) {
    record.histograms.push_back({each.at("batch_norm").get<std::string>(), histogram(each.at("before")), histogram(each.at("after"))});
  }
}

std::string text_of(const std::string& path) {
  const auto file = FileBytes::open(path);
  return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

}  // namespace

std::string RunRecord::class_name(size_t label) const { return label < class_names.size() ? class_names[label] : std::to_string(label); }

void write_record(const std::string& folder, const RunRecord& record) {
  Json settings = Json::object();
  for (const auto& [name, value] : record.settings) settings[name] = value;
  const Json json = {{"network", record.network}, {"source_path", record.source_path}, {"source", record.source}, {"settings", settings},
                     {"train", to_json(record.train)}, {"test", to_json(record.test)},
                     {"course_set", record.course_set}, {"final_set", record.final_set}, {"class_names", record.class_names},
                     {"predictions", list(record.predictions)}, {"mistakes", record.mistakes}, {"confusion", record.confusion},
                     {"histograms", list(record.histograms)}};
  write_file(fs::path(folder) / "report.json", json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

RunRecord read_record(const std::string& folder) {
  const fs::path root = folder;
  const std::string history = root / "history.csv", distributions = root / "distributions.csv", facts = root / "report.json",
                    weights = root / "weights.safetensors";
  std::error_code ignored;
  RunRecord record;
  if (!fs::exists(history, ignored))
    fail("{} is not the folder of a training run: it holds no history.csv\nhelp: `bnc train ... --out {}` makes one", folder, folder);
  record.history = parse_csv(text_of(history), history);
  if (fs::exists(distributions, ignored)) record.distributions = parse_distributions(text_of(distributions), distributions);
  if (fs::exists(facts, ignored)) {
    try {
      read_json(Json::parse(text_of(facts)), record);
    } catch (const Json::exception&) {
      fail("{}: damaged: not the record of a training run", facts);
    }
  }
  if (fs::exists(weights, ignored)) record.weights = WeightStore::load(weights);
  record.folder = folder;
  return record;
}

}  // namespace bnc
