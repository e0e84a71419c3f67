// Which network weights are of.
#pragma once

#include <string>

#include "runtime/network.h"
#include "runtime/metadata.h"

namespace bnc {

// Writes into the metadata that the weights are this network's, by this version of bnc. What was said of a training is gone.
void sign(const Network& network, ModelMetadata& metadata);

// "network `mlp` (x: f32[N, 784]), trained on d.csv for 100 steps", as far as it is known; empty where it is not.
std::string identity_of(const ModelMetadata& metadata);

}  // namespace bnc
