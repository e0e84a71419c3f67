// Whether passes keep a network's meaning, by the reference evaluator.
#pragma once

#include "bnc/bnc.h"
#include "ir/graph.h"

namespace bnc {

// See Network::check_equivalence.
std::vector<EquivalenceCheck> check_equivalence(const Module& module, const std::vector<std::string>& passes, uint64_t seed,
                                                bool fold_weights);

}  // namespace bnc
