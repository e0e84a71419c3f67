#include "runtime/training_record.h"

#include <fmt/format.h>

#include "runtime/json_numbers.h"

namespace bnc {

namespace {

using OrderedJson = nlohmann::ordered_json;

OrderedJson figures_as_json(const std::optional<EvaluationResult>& figures) {
  if (!figures) return nullptr;
  OrderedJson json = {{"loss", figures->loss}, {"accuracy", figures->accuracy}, {"count", figures->count}};   // NaN is null
  for (const auto& [name, value] : figures->metrics) json["metrics"][name] = value;
  return json;
}

std::optional<EvaluationResult> figures_of(const OrderedJson& json) {
  if (json.is_null()) return std::nullopt;
  EvaluationResult figures{number(json.at("loss")), number(json.at("accuracy")), whole_number<int64_t>(json.at("count"))};
  if (json.contains("metrics"))
    for (const auto& [name, value] : json["metrics"].get_ref<const OrderedJson::object_t&>())
      figures.metrics.emplace_back(name, number(value));
  return figures;
}

}  // namespace

std::string TrainingRecord::to_text() const {
  return OrderedJson{{"data", data},
              {"test", test},
              {"weights", weights},
              {"validate", validate},
              {"loss", loss},
              {"optimizer", optimizer},
              {"seed", seed},
              {"batch", batch},
              {"steps", steps},
              {"epochs", epochs},
              {"restat", restat},
              {"figures", {{"train", figures_as_json(train)},
                           {"validation", figures_as_json(validation)},
                           {"test", figures_as_json(test_result)}}}}
      .dump(-1, ' ', false, OrderedJson::error_handler_t::replace);   // a path need not be UTF-8
}

std::optional<TrainingRecord> TrainingRecord::parse(const std::string& text) {
  try {
    const OrderedJson json = OrderedJson::parse(text);
    TrainingRecord record;
    record.data = json.at("data").get<std::string>();
    record.test = json.at("test").get<std::string>();
    record.weights = json.at("weights").get<std::string>();
    record.validate = number(json.at("validate"));
    record.loss = json.at("loss").get<std::string>();
    record.optimizer = json.at("optimizer").get<std::string>();
    record.seed = whole_number<uint64_t>(json.at("seed"));
    record.batch = whole_number<int64_t>(json.at("batch"));
    record.steps = whole_number<int64_t>(json.at("steps"));
    record.epochs = number(json.at("epochs"));
    record.restat = json.at("restat").get<bool>();
    const OrderedJson& figures = json.at("figures");
    record.train = figures_of(figures.at("train"));
    record.validation = figures_of(figures.at("validation"));
    record.test_result = figures_of(figures.at("test"));
    return record;
  } catch (const OrderedJson::exception&) {
    return std::nullopt;
  }
}

std::string TrainingRecord::describe() const { return fmt::format("on {} for {} steps", data, steps); }

}  // namespace bnc
