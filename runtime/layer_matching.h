// Which layer of a state dict is which layer of a network.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/state_layers.h"

namespace bnc {

enum class MatchRule { name, alike, shape, order };

struct LayerMatch {
  std::optional<size_t> saved;   // the number of a layer of the state dict; none: it has no such layer, or not as many as the network
  MatchRule rule = MatchRule::name;
};

// Layers of one kind and shape that could be exchanged; each is matched with what the order of the file would give it.
struct Doubt {
  std::vector<size_t> network;
  std::string reason;
};

struct Matching {
  std::vector<LayerMatch> layers;   // of each layer of the network
  std::vector<Doubt> doubts;
};

// Only layers with the same signature are matched: by exact names, then by words that names share and by the layers they belong to (the
// batch norm behind a convolution), then by order. `in_order`: the state dict's layers stand in the order of the modules, else in that of
// their names.
Matching match_layers(const std::vector<Layer>& network, const std::vector<Layer>& saved, bool in_order);

}  // namespace bnc
