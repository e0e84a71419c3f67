#include "passes/pass.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "ir/op.h"
#include "ir/verify.h"
#include "passes/rewrite.h"

namespace bnc {

void PassContext::remark(Remark::Kind kind, const Node* node, const std::string& text) {
  remarks.push_back({kind, current_pass, fmt::format("{} {}", node->op->name, node->results[0].name), layer_path(*node), text, node->range});
}

static const GraphPass& find_graph_pass(const std::string& name) {
  const PassInfo* pass = find_pass(name);
  if (!pass) {
    std::vector<std::string> names;
    for (const PassInfo& known : all_passes()) names.push_back(known.name);
    Diagnostic diagnostic{Severity::error, {}, fmt::format("unknown pass `{}`", name), {}};
    diagnostic.help(did_you_mean(name, names));
    throw CompileError(std::move(diagnostic));
  }
  const GraphPass* run = std::get_if<GraphPass>(&pass->run);
  if (!run) throw CompileError(fmt::format("the pass `{}` works on loops and runs behind the graph passes; it cannot be named here", name));
  return *run;
}

// A broken graph is told with the pass that broke it.
static void verify_after(const std::string& pass, const Graph& graph) {
  try {
    verify(graph);
  } catch (const InternalError& error) {
    throw InternalError(fmt::format("after {}: {}", pass, error.what()));
  }
}

bool run_passes(Graph& graph, const std::vector<std::string>& names, PassContext& context, const PassOptions& options) {
  for (const std::string& name : names) find_graph_pass(name);
  if (!options.stop_after.empty()) find_graph_pass(options.stop_after);
  if (options.verify_each) verify_after("reading the graph", graph);
  bool any_change = false;
  for (const std::string& name : names) {
    context.current_pass = name;
    const auto start = std::chrono::steady_clock::now();
    const bool changed = find_graph_pass(name)(graph, context);
    const std::chrono::duration<double, std::milli> elapsed = std::chrono::steady_clock::now() - start;
    if (options.on_time) options.on_time(name, elapsed.count());
    if (options.verify_each) verify_after(name, graph);
    if (changed && options.on_change) options.on_change(name, graph);
    any_change |= changed;
    if (name == options.stop_after) break;
  }
  context.current_pass.clear();
  return any_change;
}

}  // namespace bnc
