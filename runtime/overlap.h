// Examples that are equal: of two data sets, and within one.
#pragma once

#include <cstdint>

#include "runtime/dataset.h"

namespace bnc {

// How many examples of `data` are in `other` too, with the same numbers and the same target. None where they are stored in another way,
// or an example is several arrays.
int64_t examples_in_common(const Dataset::Data& data, const Dataset::Data& other);
// How many examples are equal to one before, with their target. None where an example is several arrays.
int64_t repeated_examples(const Dataset::Data& data);

}  // namespace bnc
