// Valid applications of an op, found by changing the example of its definition and asking its shape rule.
#pragma once

#include <optional>
#include <vector>

#include "ir/op.h"
#include "tests/fuzz/random.h"

namespace bnc::fuzz {

// The types of the operands, none where one is absent, and the attributes but those that only shape parameters.
struct Call {
  const OpDefinition* op = nullptr;
  std::vector<std::optional<TensorType>> operands;
  AttributeMap attributes;

  const OperandSpec& spec(size_t operand) const { return op->operands[std::min(operand, op->operands.size() - 1)]; }
};

// What the shape rule says; nothing where it refuses.
std::optional<std::vector<TensorType>> results_of(const Call& call);
// The call in the example of the op's documentation.
const Call& example_of(const OpDefinition& op);

struct Limits {
  int64_t elements = 3000;   // of each tensor
  bool large = false;        // extents are rather so large that sums are cut into parts, and products packed
  bool symbolic = true;      // some dimension is the batch
  int64_t batch = 1;
};
bool within(const Limits& limits, const TensorType& type);

// Operands whose types are settled, by number.
using Pinned = std::vector<std::optional<TensorType>>;

// A call of `op` with these operands; nothing where none was found.
std::optional<Call> draw_call(const OpDefinition& op, const Pinned& pinned, const Limits& limits, Random& random);

// Changes one thing about a call, which need not be valid afterwards; pinned operands stay.
void change(Call& call, const Pinned& pinned, const Limits& limits, Random& random);

// An attribute of that kind, given the call around it.
Attribute draw_attribute(const AttributeSpec& spec, const Call& call, const Limits& limits, Random& random);

}  // namespace bnc::fuzz
