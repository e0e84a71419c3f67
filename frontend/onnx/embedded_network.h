// A model that bnc wrote holds the network that it was written from.
#pragma once

#include <optional>
#include <string>

#include "frontend/onnx/onnx_model.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

// The key among a model's metadata; its value is the network's text (ir/print.h).
inline constexpr const char* embedded_network_key = "bnc.source";

// A longer one, of many numbers, is not held.
inline constexpr size_t largest_embedded_network = size_t{1} << 20;

struct EmbeddedNetwork {
  Graph graph;
  Weights weights;
};

// The network, with the weights that the model has, where writing it gives the model again, but for the weights. Nothing where the model
// holds none, or was changed since, or was written by a version of bnc that writes another one: then its nodes say what it computes.
std::optional<EmbeddedNetwork> embedded_network(const OnnxModel& model);

}  // namespace bnc
