// Expressions of weights and constants, as folding makes them: computed in float64, rounded to f32 once.
#pragma once

#include <functional>
#include <span>
#include <unordered_map>
#include <vector>

#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

// Arithmetic on a large weight and sums along one of its axes are computed in blocks, so that nothing of its size is ever
// held in float64; all other ops are evaluated by their own reference evaluation. Small values are kept for later
// expressions, so the graph's nodes must stay.
class WeightEvaluator {
 public:
  explicit WeightEvaluator(const Weights& weights) : weights_(weights) {}

  const Tensor& value(Value value);
  Weight rounded(Value value);

 private:
  // Writes the elements begin, begin + 1 ... of a value, in row-major order.
  using Run = std::function<void(int64_t begin, std::span<double> block)>;

  // Computes what an expression is not to be computed from element by element, from the sources on.
  void prepare(Value value);
  const Tensor& known_value(Value value);
  Run run_of(Value value);
  Run operand_run(const Node& node, int operand);
  template <class Function> Run combine(const Node& node, Function function);
  void for_each_block(Value value, const std::function<void(int64_t begin, std::span<const double> block)>& visit);
  std::vector<Tensor> compute(Node& node);
  Tensor sum_along(const Node& node, int axis);
  void forget_large_values();

  const Weights& weights_;
  std::unordered_map<const Node*, std::vector<Tensor>> values_;
  std::vector<const Node*> large_;   // of these the large ones
};

}  // namespace bnc
