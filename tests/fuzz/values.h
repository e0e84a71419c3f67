// Values for a network, and what the reference evaluator makes of them.
#pragma once

#include <map>
#include <string>

#include "ir/evaluate.h"
#include "ir/graph.h"

namespace bnc::fuzz {

using Tensors = std::map<std::string, Tensor>;

// The values of the inputs, parameters and states that have none yet. They depend on names, types and the seed alone, are exact in
// f32, and in the domain of what reads them: labels are classes, what an optimizer keeps is positive.
void bind_sources(const Graph& graph, int64_t batch, uint64_t seed, Bindings& bindings);
// Of one source.
Tensor value_of_source(const Graph& graph, const Node& source, int64_t batch, uint64_t seed);

// The largest magnitude among its finite elements.
double largest_of(const Tensor& tensor);

// All that a graph hands out, in float64, by the name of the buffer it goes to: `output/y`, `loss`, `grad/w`, and parameters and states
// that are updated by their own.
Tensors evaluate_handed_out(const Graph& graph, const Bindings& bindings, int64_t batch);

// The same, with the uncertainty of f32: how far each tensor's elements move where the values and every intermediate result are
// off by up to `noise` of themselves.
struct Reference {
  Tensors values;
  std::map<std::string, double> spread;
  // The largest number that went into each: computed twice, it may differ by its last bits, and so may what is left of a difference.
  std::map<std::string, double> magnitude;
};
Reference evaluate_with_spread(const Graph& graph, const Bindings& bindings, int64_t batch, int rounds, double noise);
// The spread by the slope at one place: what far less noise moves, scaled to `noise`. The place is that of the values in float64, or the
// one where every intermediate result is rounded to f32.
std::map<std::string, double> slope_spread(const Graph& graph, const Bindings& bindings, int64_t batch, int rounds, double noise,
                                           bool rounded);

}  // namespace bnc::fuzz
