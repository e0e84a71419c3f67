// Graphs of one op each, over odd shapes, for tests that hold for every op.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/evaluate.h"
#include "ir/random.h"

namespace bnc::test {

inline const Dim N{1, true};
inline TensorType f32(Shape shape) { return {DType::f32, std::move(shape)}; }
inline TensorType i32(Shape shape) { return {DType::i32, std::move(shape)}; }

struct OpCase {
  std::string op;
  std::vector<std::optional<TensorType>> operands;  // empty: absent
  AttributeMap attributes = {};
  int64_t batch = 3;

  std::string describe() const {
    std::string text = op + "(";
    for (const auto& type : operands) text += (text.back() == '(' ? "" : ", ") + (type ? to_string(*type) : "-");
    for (const auto& [name, value] : attributes) text += ", " + name + "=" + to_string(value);
    return text + ") with N = " + std::to_string(batch);
  }
};

// At least one case for every op that is not a source.
const std::vector<OpCase>& op_cases();

// The op applied to inputs `x0`, `x1` ..., each result handed out as `y0`, `y1` ...
struct OpGraph {
  Graph graph;
  Node* node = nullptr;
};
OpGraph make_graph(const OpCase& test);

// Random operands in the domain of the op, all exact in f32: variances, divisors and what goes into logarithms and roots are
// positive, class numbers in range.
Bindings make_bindings(const OpCase& test, uint64_t seed);

}  // namespace bnc::test
