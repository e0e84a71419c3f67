// The reference evaluator on a network's weights and inputs.
#pragma once

#include <map>
#include <string>

#include "bnc/bnc.h"
#include "ir/evaluate.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace bnc {

Tensor to_tensor(const Array& array);
Array to_array(const Tensor& tensor);

// Normal numbers for each input of floats, and for each one read as labels one of its classes; 0 for other integers.
Bindings random_inputs(const Graph& graph, int64_t batch, uint64_t seed);
// How many classes the labels in `input` tell apart: the fewest that a node reading them knows; 0 where none reads them as labels.
int64_t label_classes(const Graph& graph, const Node* input);

// What a graph returns for those inputs, by name. `weights` has all its parameters and states.
std::map<std::string, Tensor> reference_outputs(const Graph& graph, const Weights& weights, Bindings inputs, const OnNode& on_node = {});

// The relative error of a result that rounding so many folded tensors to f32 lets expect: each brings errors of at most 2^-24, uniformly
// distributed.
double predicted_folding_error(int64_t tensors);
// The parameters of a graph that folding made, among those that `value` is computed from, or all.
int64_t folded_tensors(const Graph& graph, Value value = {});
// Norm of the difference over norm of the expected.
double norm_error(const Tensor& expected, const Tensor& found);

}  // namespace bnc
