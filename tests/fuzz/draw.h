// Random networks, from the definitions of ops and optimizers alone.
#pragma once

#include <map>
#include <string>

#include "tests/fuzz/case.h"

namespace bnc::fuzz {

// The same seed gives the same network on every machine.
Case draw_case(uint64_t seed);

// One drawn as text, of layers, blocks and loops.
Case draw_layers(uint64_t seed);

// A train section for the network, whose first output becomes what its loss is taken of; the network stays as it is where no loss
// takes one of its values.
void draw_training(Case& drawn, uint64_t seed);

}  // namespace bnc::fuzz
