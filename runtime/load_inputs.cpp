// Arrays of a file as the inputs of a network take them.
#include <algorithm>
#include <numeric>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/npz.h"
#include "runtime/objective.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// A file's array for a target, one row an example.
Array target_array(const Array& array, const TensorType& type, const TargetRule& rule, const ModelMetadata& model,
                   const std::string& path) {
  Dataset::Data data;
  data.labels_file = path;
  data.count = array.dims()[0];
  set_targets(array, data);
  convert_targets(data, rule, model.targets);
  std::vector<int64_t> all(static_cast<size_t>(data.count));
  std::iota(all.begin(), all.end(), 0);
  Batch batch;
  fill_targets(data, all, {.batch = data.count, .targets = kind_of(data, rule), .classes = rule.classes}, batch);
  const std::vector<int64_t> dims = concrete(type.shape, data.count);
  if (rule.class_numbers) return Array(dims, std::vector<int32_t>(batch.labels.begin(), batch.labels.end()));
  return Array(dims, std::vector<float>(batch.float_targets.begin(), batch.float_targets.end()));
}

// A file's array for an input of floats.
Array float_array(const StoredArray& stored, const std::optional<InputScale>& rule, const std::string& path, const std::string& source) {
  const Array& array = stored.array;
  const bool bytes = stored.dtype == "u1";
  StoredNumbers numbers = array.is_float() ? StoredNumbers::of(array.floats()) : StoredNumbers::of(array.integers());
  numbers.bytes = bytes;
  const bool divide = divides_by_255(numbers, rule, fmt::format("array `{}` of {}", stored.name, path), source);
  if (array.is_float()) return array;
  std::vector<float> values(array.integers().begin(), array.integers().end());
  if (divide)
    for (size_t k = 0; k < values.size(); ++k) values[k] = pixel_value(static_cast<uint8_t>(array.integers()[k]));
  return Array(array.dims(), std::move(values));
}

}  // namespace

NamedArrays Network::load_inputs(const std::string& path, const WeightStore& weights, Mode mode) const {
  return at_boundary([&] {
    const bool training = mode == Mode::train && trainable();
    const Graph graph = training ? graph_with_loss(*this) : data_->graph().clone();
    const std::vector<std::string> targets = training ? target_names(graph, data_->graph()) : std::vector<std::string>{};
    const ModelMetadata& model = weights.data().metadata;
    NamedArrays arrays;
    for (StoredArray& stored : read_npz(path)) {
      const Value input = graph.find(stored.name);
      const bool is_input = input && input.node->is("input");
      const bool is_target = is_input && std::find(targets.begin(), targets.end(), stored.name) != targets.end();
      const std::optional<TargetRule> rule = is_target ? target_rule(graph, *input.node) : std::nullopt;
      if (rule && !stored.array.dims().empty()) {
        stored.array = target_array(stored.array, input.type(), *rule, model, path);
      } else if (is_input && !is_target && input.type().dtype == DType::f32) {
        stored.array = float_array(stored, model.input_scale, path, training_data_of(weights));
      }
      arrays.emplace_back(std::move(stored.name), std::move(stored.array));
    }
    return arrays;
  });
}

}  // namespace bnc
