// Steps towards a smaller network.
#pragma once

#include <functional>
#include <vector>

#include "tests/fuzz/sketch.h"

namespace bnc::fuzz {

using Sketches = std::vector<Sketch>;

// Candidates that are each a little smaller or simpler, those that may take away most first.
Sketches simpler(const Sketch& sketch);

}  // namespace bnc::fuzz
