#include "runtime/model_identity.h"

#include <fmt/format.h>

#include "ir/graph_hash.h"
#include "runtime/weight_store.h"

namespace bnc {

void sign(const Network& network, ModelMetadata& metadata) {
  metadata.network = network.name();
  metadata.graph = graph_hash(network.data().graph());
  metadata.version = version();
  metadata.inputs.clear();
  for (const TensorInfo& input : network.inputs()) metadata.inputs.push_back({input.name, input.type, {}, false});
  metadata.training.reset();
}

std::string identity_of(const ModelMetadata& metadata) {
  if (metadata.network.empty()) return "";
  std::string inputs;
  for (const ModelInput& input : metadata.inputs) inputs += fmt::format("{}{}: {}", inputs.empty() ? "" : ", ", input.name, input.type);
  return fmt::format("network `{}`{}{}", metadata.network, inputs.empty() ? "" : " (" + inputs + ")",
                     metadata.training ? ", trained " + metadata.training->describe() : "");
}

std::string Network::foreign_weights(const WeightStore& weights) const {
  const ModelMetadata& model = weights.data().metadata;
  if (model.graph.empty() || model.graph == graph_hash(data_->graph())) return "";
  const std::string source = weights.data().path.empty() ? "the file" : weights.data().path;
  if (model.network != name()) {
    const std::string other = identity_of(model).empty() ? "another network" : identity_of(model);
    return fmt::format("warning: {} is of {}, which computes something else than `{}`, though names and shapes fit", source, other, name());
  }
  return fmt::format(
      "warning: {} is of network `{}` before its graph changed: names and shapes fit, but an op, an attribute or a type is another one",
      source, name());
}

}  // namespace bnc
