// A network in a form that is easy to change: nodes refer to others by number, and types follow from the shape rules again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/case.h"

namespace bnc::fuzz {

// A result of a node; of none where an operand is absent.
struct Ref {
  int node = -1, result = 0;
  bool operator==(const Ref&) const = default;
};

struct SketchNode {
  const OpDefinition* op = nullptr;
  std::vector<Ref> operands;
  AttributeMap attributes;
  std::string name;                     // of a source
  TensorType type;                      // of a source that has no shape rule
  std::vector<TensorType> results;      // as they were
};

struct Sketch {
  std::vector<SketchNode> nodes;
  std::vector<std::pair<std::string, Ref>> outputs;
  std::optional<TrainSection> train;
  int64_t batch = 1;
  uint64_t values = 1;
};

Sketch sketch_of(const Case& tried);
// The network with what its outputs need; nothing where a shape rule refuses.
std::optional<Case> build(const Sketch& sketch);

}  // namespace bnc::fuzz
