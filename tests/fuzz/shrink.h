// Makes a network that fails as small as it can be.
#pragma once

#include <string>

#include "tests/fuzz/children.h"

namespace bnc::fuzz {

struct Shrunk {
  std::string text;   // a `.bn` file
  Report report;      // how it fails
};

// The smallest form found of the network in `text` that fails in the way of `failure`.
Shrunk shrink(const std::string& text, const Report& failure, int jobs, double limit_seconds);

}  // namespace bnc::fuzz
