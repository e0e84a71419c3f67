// The one rule by which stored numbers become a network's input.
#pragma once

#include <span>
#include <string>

#include "runtime/metadata.h"

namespace bnc {

// Numbers as a file stores them.
struct StoredNumbers {
  bool bytes = false;
  double lowest = 0, highest = 0;

  static StoredNumbers of(std::span<const uint8_t> bytes);
  static StoredNumbers of(std::span<const float> numbers);
  static StoredNumbers of(std::span<const int32_t> numbers);
};

// A byte as a float in [0, 1], rounded once.
float pixel_value(uint8_t byte);

// The rule by which a network is trained on these numbers.
InputScale scale_of(const StoredNumbers& numbers);

// Whether bytes among `numbers` are to be divided by 255, so that they are what the model was trained on. Without a rule bytes are.
// Error where numbers stored that way cannot be, or nobody can tell; `what` names them, `source` what the rule is from.
bool divides_by_255(const StoredNumbers& numbers, const std::optional<InputScale>& rule, const std::string& what,
                    const std::string& source);

}  // namespace bnc
