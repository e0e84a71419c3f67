#include "runtime/metadata.h"

#include <cmath>

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/json_numbers.h"

namespace bnc {

namespace {

using Json = nlohmann::json;

constexpr const char *scale_key = "bnc.input.scale", *range_key = "bnc.input.range", *targets_key = "bnc.targets",
                    *classes_key = "bnc.classes", *table_key = "bnc.table", *images_key = "bnc.images",
                    *network_key = "bnc.network", *graph_key = "bnc.graph",
                    *version_key = "bnc.version", *inputs_key = "bnc.inputs", *training_key = "bnc.training";
constexpr const char *from_bytes = "bytes / 255", *as_stored = "as stored", *class_targets = "classes", *number_targets = "numbers";

// Takes the entry of that key out, if it is there.
std::optional<std::string> take(std::map<std::string, std::string>& entries, const char* key) {
  const auto node = entries.extract(key);
  return node.empty() ? std::nullopt : std::optional(node.mapped());
}

// Whether the entry is the first of the two words it may be.
bool is_first(const std::string& word, const char* first, const char* second, const char* key, const std::string& path) {
  if (word != first && word != second)
    fail("{}: its metadata hold `{}` under `{}`, which may be `{}` or `{}`", path, word, key, first, second);
  return word == first;
}

// Nothing where the text is damaged.
std::optional<ImageRule> parse_images(const std::string& text) {
  constexpr int64_t most = 1 << 16;
  try {
    const Json json = Json::parse(text);
    const ImageRule rule{json.at("height").get<int64_t>(), json.at("width").get<int64_t>(), json.at("channels").get<int64_t>(),
                         json.at("resized").get<bool>()};
    const bool fits = rule.height > 0 && rule.height <= most && rule.width > 0 && rule.width <= most &&
                      (rule.channels == 1 || rule.channels == 3);
    return fits ? std::optional(rule) : std::nullopt;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

Json to_json(const std::vector<ModelInput>& inputs) {
  Json list = Json::array();
  for (const ModelInput& input : inputs) {
    Json& entry = list.emplace_back(Json{{"name", input.name}, {"type", input.type}});
    if (input.example.empty()) continue;
    entry["example"] = input.example;
    if (input.example.size() == 3) entry["layout"] = input.channels_first ? "nchw" : "nhwc";
  }
  return list;
}

// Json::exception where it is none.
std::vector<ModelInput> inputs_of(const Json& list) {
  std::vector<ModelInput> inputs;
  for (const Json& entry : list.get<std::vector<Json>>()) {
    ModelInput& input = inputs.emplace_back();
    input.name = entry.at("name").get<std::string>();
    input.type = entry.at("type").get<std::string>();
    if (entry.contains("example")) input.example = whole_numbers(entry["example"]);
    input.channels_first = entry.contains("layout") && entry["layout"] == "nchw";
  }
  return inputs;
}

}  // namespace

ModelMetadata ModelMetadata::parse(std::map<std::string, std::string> entries, const std::string& path) {
  ModelMetadata metadata;
  if (const auto scale = take(entries, scale_key)) {
    InputScale& found = metadata.input_scale.emplace();
    found.from_bytes = is_first(*scale, from_bytes, as_stored, scale_key, path);
    const std::string text = take(entries, range_key).value_or("");
    const Json range = Json::parse(text, nullptr, false);
    const bool fits = range.is_array() && range.size() == 2 && range[0].is_number() && range[1].is_number() && range[0] <= range[1];
    if (!fits) fail("{}: its metadata hold `{}` under `{}`, which is not a least and a largest number", path, text, range_key);
    found.lowest = range[0].get<double>();
    found.highest = range[1].get<double>();
  }
  if (const auto targets = take(entries, targets_key)) {
    metadata.targets = is_first(*targets, class_targets, number_targets, targets_key, path) ? TargetMeaning::classes
                                                                                            : TargetMeaning::numbers;
  }
  if (const auto text = take(entries, classes_key)) {
    try {
      metadata.classes = Json::parse(*text).get<std::vector<std::string>>();
    } catch (const Json::exception&) {
      fail("{}: its metadata hold `{}` under `{}`, which is no list of names", path, *text, classes_key);
    }
  }
  if (const auto text = take(entries, table_key)) {
    metadata.table = TableEncoding::parse(*text);
    if (!metadata.table) fail("{}: its metadata hold `{}` under `{}`, which does not describe a table", path, *text, table_key);
  }
  if (const auto text = take(entries, images_key)) {
    metadata.images = parse_images(*text);
    if (!metadata.images) fail("{}: its metadata hold `{}` under `{}`, which does not describe images", path, *text, images_key);
  }
  metadata.network = take(entries, network_key).value_or("");
  metadata.graph = take(entries, graph_key).value_or("");
  metadata.version = take(entries, version_key).value_or("");
  if (const auto text = take(entries, inputs_key)) {
    try {
      metadata.inputs = inputs_of(Json::parse(*text));
    } catch (const Json::exception&) {
      fail("{}: its metadata hold `{}` under `{}`, which is no list of inputs", path, *text, inputs_key);
    }
  }
  if (const auto text = take(entries, training_key)) {
    metadata.training = TrainingRecord::parse(*text);
    if (!metadata.training) fail("{}: its metadata hold `{}` under `{}`, which does not describe a training", path, *text, training_key);
  }
  metadata.others = std::move(entries);
  return metadata;
}

std::map<std::string, std::string> ModelMetadata::entries() const {
  std::map<std::string, std::string> entries = others;
  if (input_scale) {
    entries[scale_key] = input_scale->from_bytes ? from_bytes : as_stored;
    entries[range_key] = Json{input_scale->lowest, input_scale->highest}.dump();
  }
  if (targets) entries[targets_key] = *targets == TargetMeaning::classes ? class_targets : number_targets;
  if (!classes.empty()) entries[classes_key] = Json(classes).dump();
  if (table) entries[table_key] = table->to_text();
  if (images)
    entries[images_key] =
        Json{{"height", images->height}, {"width", images->width}, {"channels", images->channels}, {"resized", images->resized}}.dump();
  for (const auto& [key, text] : {std::pair(network_key, &network), std::pair(graph_key, &graph), std::pair(version_key, &version)})
    if (!text->empty()) entries[key] = *text;
  if (!inputs.empty()) entries[inputs_key] = to_json(inputs).dump();
  if (training) entries[training_key] = training->to_text();
  return entries;
}

}  // namespace bnc
