#include "runtime/report/record.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/file_bytes.h"
#include "runtime/json_numbers.h"
#include "runtime/report/answers_json.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

OrderedJson to_json(const EvaluationResult& result) {
  OrderedJson metrics = OrderedJson::object();
  for (const auto& [name, value] : result.metrics) metrics[name] = value;
  return {{"loss", result.loss}, {"accuracy", result.accuracy}, {"count", result.count}, {"metrics", metrics}};
}

EvaluationResult evaluation(const OrderedJson& json) {
  EvaluationResult result{number(json.at("loss")), number(json.at("accuracy")), whole_number<int64_t>(json.at("count"))};
  const OrderedJson metrics = json.value("metrics", OrderedJson::object());
  for (const auto& [name, value] : metrics.items()) result.metrics.emplace_back(name, number(value));
  return result;
}

constexpr std::array<const char*, 4> state_names = {"running", "stopped", "diverged", "done"};   // in the order of RunState

RunState state_named(const std::string& name) {
  const auto found = std::find(state_names.begin(), state_names.end(), name);
  return found == state_names.end() ? RunState::done : static_cast<RunState>(found - state_names.begin());
}

OrderedJson to_json(const RunCall& call) {
  return {{"started", call.started}, {"command", call.command}, {"machine", call.machine},
          {"version", call.version}, {"threads", call.threads}, {"first_step", call.first_step}};
}

RunCall call_of(const OrderedJson& json) {
  return {json.at("started").get<std::string>(), json.at("command").get<std::string>(),      json.at("machine").get<std::string>(),
          json.at("version").get<std::string>(), whole_number<int64_t>(json.at("threads")), whole_number<int64_t>(json.at("first_step"))};
}

OrderedJson to_json(const DivergenceRecord& divergence) {
  return {{"step", divergence.step}, {"tensor", divergence.tensor}, {"place", divergence.place}};
}

DivergenceRecord divergence_of(const OrderedJson& json) {
  return {whole_number<int64_t>(json.at("step")), json.at("tensor").get<std::string>(), json.at("place").get<std::string>()};
}

OrderedJson to_json(const OutputAnswers& answers) { return json_of(answers); }

OrderedJson to_json(const NormalizationHistograms& each) {
  return {{"batch_norm", each.batch_norm}, {"before", json_of(each.before)}, {"after", json_of(each.after)}};
}

template <class T> OrderedJson list(const std::vector<T>& values) {
  OrderedJson json = OrderedJson::array();
  for (const T& value : values) json.push_back(to_json(value));
  return json;
}

// Records of older versions lack some entries; their predictions, which had another form, are left out.
void read_json(const OrderedJson& json, RunRecord& record) {
  const auto entries = [&](const char* name) { return json.value(name, OrderedJson::array()); };
  record.network = json.at("network").get<std::string>();
  record.source_path = json.at("source_path").get<std::string>();
  record.source = json.at("source").get<std::string>();
  record.state = state_named(json.value("state", "done"));
  for (const OrderedJson& each : entries("calls")) record.calls.push_back(call_of(each));
  if (json.contains("steps")) record.steps = whole_number<int64_t>(json.at("steps"));
  if (json.contains("done")) record.done = whole_number<int64_t>(json.at("done"));
  for (const auto& [name, value] : json.at("settings").items()) record.settings.emplace_back(name, value.get<std::string>());
  record.watched = json.value("watched", record.watched);
  record.train = evaluation(json.at("train"));
  if (json.contains("validation")) record.validation = evaluation(json.at("validation"));
  record.test = evaluation(json.at("test"));
  if (json.value("final_set", "") == "validation") std::swap(record.validation, record.test);   // an older version's
  record.answered = json.value("answered", record.answered);
  for (const OrderedJson& each : entries("answers")) record.answers.push_back(answers_of(each));
  for (const OrderedJson& each : json.at("histograms")) {
    record.histograms.push_back(
        {each.at("batch_norm").get<std::string>(), histogram_from(each.at("before")), histogram_from(each.at("after"))});
  }
  if (json.contains("divergence") && !json.at("divergence").is_null()) record.divergence = divergence_of(json.at("divergence"));
}

std::string text_of(const std::string& path) {
  const auto file = open_file(path);
  return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
}

}  // namespace

int64_t steps_done(const RunRecord& run) { return std::max(run.done, run.history.empty() ? 0 : run.history.back().step); }

void write_record(const std::string& folder, const RunRecord& record) {
  OrderedJson settings = OrderedJson::object();
  for (const auto& [name, value] : record.settings) settings[name] = value;
  const OrderedJson json = {{"network", record.network},
                     {"source_path", record.source_path},
                     {"source", record.source},
                     {"state", state_names[static_cast<size_t>(record.state)]},
                     {"calls", list(record.calls)},
                     {"steps", record.steps},
                     {"done", record.done},
                     {"settings", settings},
                     {"watched", record.watched},
                     {"train", to_json(record.train)},
                     {"validation", to_json(record.validation)},
                     {"test", to_json(record.test)},
                     {"answered", record.answered},
                     {"answers", list(record.answers)},
                     {"histograms", list(record.histograms)},
                     {"divergence", record.divergence ? to_json(*record.divergence) : OrderedJson()}};
  write_file(fs::path(folder) / "report.json", json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
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
      read_json(OrderedJson::parse(text_of(facts)), record);
    } catch (const OrderedJson::exception&) {
      fail("{}: damaged: not the record of a training run", facts);
    }
  }
  const bool ended = record.state == RunState::done || record.state == RunState::diverged;
  if (ended && fs::exists(weights, ignored)) record.weights = WeightStore::load(weights);
  record.folder = folder;
  return record;
}

std::vector<RunCall> calls_of_run(const std::string& folder) {
  const std::string facts = fs::path(folder) / "report.json";
  std::error_code ignored;
  RunRecord record;
  if (!fs::exists(facts, ignored)) return {};
  try {
    read_json(OrderedJson::parse(text_of(facts)), record);
  } catch (const OrderedJson::exception&) {
    return {};
  }
  return record.calls;
}

}  // namespace bnc
