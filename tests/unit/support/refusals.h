// For each numbered constraint of each op a call that breaks it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ir/op.h"

namespace bnc::test {

struct Refusal {
  std::string op;
  int constraint;
  std::vector<std::optional<TensorType>> operands;
  AttributeMap attributes;
  std::vector<std::string> mentions;  // what the message must name
};

std::vector<Refusal> refusals();

}  // namespace bnc::test
