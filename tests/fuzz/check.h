// Holds one network against the reference evaluator in every way there is.
#pragma once

#include <map>
#include <string>

#include "tests/fuzz/case.h"

namespace bnc::fuzz {

// How much of a network is checked: in ways drawn at random by its seed, or in every way.
enum class Extent { sampled, everything };

struct Outcome {
  // Of the tensors compared: those that say something about the code, and those that do not.
  int trusted = 0, untrusted = 0;
  bool inferred = false, trained = false;   // what was compared at all
  std::string refused;                      // why the compiler refused to train it
  bool exported = false, same = false;      // whether it can go to ONNX, and comes back the same by its nodes
  double worst = 0;                         // the largest error, as a share of what is allowed
};

// Which half of a check.
enum class Focus { both, frozen, training };

// Throws Failure, or whatever the compiler throws.
Outcome check(const Case& tried, Extent extent, Focus focus = Focus::both);

}  // namespace bnc::fuzz
