// What of a state dict and a network does not go together, as an error and as the draft of a map.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/state_dict.h"

namespace bnc {

struct ImportGap {
  const std::vector<NetworkTensor>& tensors;
  const StateDict::Data& saved;
  std::string network;

  std::vector<std::pair<size_t, size_t>> proposed;           // tensors of the network, and what would become them
  std::vector<size_t> missing, extra;                        // tensors of the network without one, of the state dict without a use
  std::vector<const Layer*> missing_layers, extra_layers;    // of the network, of the state dict
  struct Exchangeable {
    std::vector<const Layer*> layers;
    std::string reason;
  };
  std::vector<Exchangeable> doubts;
};

std::string describe(const ImportGap& gap);
std::string draft(const ImportGap& gap);

}  // namespace bnc
