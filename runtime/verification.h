// The compiled network against the float64 evaluator, layer by layer.
#pragma once

#include "bnc/bnc.h"
#include "runtime/network.h"

namespace bnc {

// Compares `network`, frozen, folded and compiled with `weights`, with the evaluator on `expected`, frozen only, and `expected_weights`.
// The two have the same nodes; to verify a network both are the same.
Verification verify_against(const Network::Data& network, const WeightStore& weights, const Network::Data& expected,
                            const WeightStore& expected_weights, const VerifyOptions& options);

}  // namespace bnc
