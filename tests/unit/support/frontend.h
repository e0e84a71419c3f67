// Parsing in tests.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "frontend/frontend.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace bnc::test {

inline Graph graph_of(const std::string& text) {
  Module module = parse_module(make_source(text, "test.bn"));
  verify(module.main());
  return std::move(module.main());
}

// The graph of `network f(INPUTS) { BODY }`.
inline Graph graph_of_body(const std::string& body, const std::string& inputs = "x: f32[N, 4]") {
  return graph_of("network f(" + inputs + ") {\n" + body + "\n}\n");
}

// The names of parameters and states, in the order of the graph.
inline std::vector<std::string> parameter_names(const Graph& graph) {
  std::vector<std::string> names;
  for (const auto& node : graph.nodes())
    if (node->is("parameter") || node->is("state")) names.push_back(node->results[0].name);
  return names;
}

inline std::vector<Diagnostic> errors_of(const std::string& text) {
  try {
    parse_module(make_source(text, "test.bn"));
  } catch (const CompileError& error) {
    return error.diagnostics();
  }
  return {};
}

}  // namespace bnc::test
