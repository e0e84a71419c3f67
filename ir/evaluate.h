// The reference evaluator: each op's own plain float64 implementation, applied in order. The oracle of every test.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

// Values of inputs, parameters and states by name.
using Bindings = std::map<std::string, Tensor>;

struct Evaluation {
  std::map<std::string, Tensor> outputs;    // role output
  std::map<std::string, Tensor> gradients;  // by parameter name
  std::map<std::string, Tensor> updates;    // by parameter or state name
  double loss = 0;
};

// Told how many of a graph's nodes have been evaluated.
using OnNode = std::function<void(int64_t done, int64_t nodes)>;

// The batch size is taken from the bound inputs. Throws CompileError when an input is missing or has the wrong shape.
Evaluation evaluate(const Graph& graph, const Bindings& bindings, const OnNode& on_node = {});
// Every value of the graph, by result name; for tests and reports.
std::map<std::string, Tensor> evaluate_all(const Graph& graph, const Bindings& bindings);
// The value of one constant expression of parameters and states.
Tensor evaluate_value(Value value, const Weights& weights);
// The batch size that fits the bound inputs.
int64_t batch_size_of(const Graph& graph, const Bindings& bindings);

// Throws a CompileError at `range` for an unknown initializer or argument. All know the argument `trainable`.
void check_initializer(const Symbol& initializer, const SourceRange& range);
// Draws the initial value of a parameter or state: zeros, ones, constant(value), normal(mean=0, deviation=1),
// uniform(low=-0.05, high=0.05), xavier (Glorot and Bengio 2010, uniform), he (He et al. 2015, normal; by its fan-in, or with the
// flag `fan_out` by that). Fans of a weight [.., in, out] count the leading dimensions as a window. The same seed, name and shape give the
// same bits on every machine.
Tensor initialize(const std::string& name, const TensorType& type, const Symbol& initializer, uint64_t seed);
Weights initial_weights(const Graph& graph, uint64_t seed);

}  // namespace bnc
