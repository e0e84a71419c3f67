// Graphs from text, and passes run on them with their values compared before and after.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "frontend/frontend.h"
#include "ir/print.h"
#include "passes/pass.h"
#include "support/tensors.h"

namespace bnc::test {

// `x: f32[N, 3]` and statements -> the network of a file.
inline Module parse_network(const std::string& inputs, const std::string& body, const std::string& train = "") {
  const std::string section = train.empty() ? "" : "\ntrain net {\n" + train + "\n}\n";
  return parse_module(make_source("network net(" + inputs + ") {\n" + body + "\n}\n" + section));
}

inline void check_same(const std::map<std::string, Tensor>& before, const std::map<std::string, Tensor>& after, double tolerance) {
  REQUIRE(before.size() == after.size());
  for (const auto& [name, expected] : before) {
    INFO("tensor ", name);
    REQUIRE(after.count(name) == 1);
    CHECK(relative_error(after.at(name), expected) <= tolerance);
  }
}

// Both graphs hand out the same values for random inputs, at odd batch sizes. Values of `extra` come on top.
inline void check_same_values(const Graph& before, const Graph& after, double tolerance = 1e-12, const Bindings& extra = {}) {
  for (int64_t batch : {1, 2, 17}) {
    Bindings bindings = random_bindings(before, batch);
    for (const auto& [name, value] : extra) bindings[name] = value;
    Bindings later = random_bindings(after, batch);
    for (const auto& [name, value] : bindings) later[name] = value;
    const Evaluation a = evaluate(before, bindings), b = evaluate(after, later);
    INFO("batch ", batch, "\nbefore:\n", print(before), "after:\n", print(after));
    check_same(a.outputs, b.outputs, tolerance);
    check_same(a.gradients, b.gradients, tolerance);
    check_same(a.updates, b.updates, tolerance);
    CHECK(std::abs(a.loss - b.loss) <= tolerance * std::abs(a.loss));
  }
}

// The graph as text after the passes; checks that its values stay the same and that running them again changes nothing.
inline std::string rewritten(const Graph& original, const std::vector<std::string>& passes, double tolerance = 1e-12) {
  Graph graph = original.clone();
  PassContext context;
  const bool changed = run_passes(graph, passes, context);
  CHECK(changed == (print(graph) != print(original)));
  check_same_values(original, graph, tolerance);
  CHECK_FALSE(run_passes(graph, passes, context));
  return print(graph);
}

}  // namespace bnc::test
