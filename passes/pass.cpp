#include "passes/pass.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

#include "ir/op.h"
#include "ir/verify.h"
#include "passes/graph/rewrite.h"

namespace bnc {

Remark PassContext::about(const Node* node) const {
  return {Remark::Kind::done, current_pass, fmt::format("{} {}", node->op->name, node->results[0].name),
          layer_path(*node),  "",           node->range};
}

void PassContext::remark(Remark::Kind kind, const Node* node, const std::string& text) {
  remarks.push_back(about(node));
  remarks.back().kind = kind;
  remarks.back().text = text;
}

static const PassInfo& known_pass(const std::string& name) {
  if (const PassInfo* pass = find_pass(name)) return *pass;
  std::vector<std::string> names;
  for (const PassInfo& known : all_passes()) names.push_back(known.name);
  Diagnostic diagnostic{Severity::error, {}, fmt::format("unknown pass `{}`", name), {}};
  diagnostic.help(did_you_mean(name, names));
  throw CompileError(std::move(diagnostic));
}

// Passes on the graph, then lower-to-loops at most once, then passes on loops.
static void check_order(const std::vector<std::string>& names) {
  bool lowered = false;
  for (const std::string& name : names) {
    const auto& run = known_pass(name).run;
    if (std::holds_alternative<LoopPass>(run) && !lowered)
      throw CompileError(fmt::format("the pass `{}` works on loops: `lower-to-loops` must stand before it", name));
    if (!std::holds_alternative<LoopPass>(run) && lowered)
      throw CompileError(fmt::format("the pass `{}` works on graphs: it cannot stand behind `lower-to-loops`", name));
    lowered = lowered || std::holds_alternative<LoweringPass>(run);
  }
}

// A broken graph is told with the pass that broke it.
static void verify_after(const std::string& pass, const Graph& graph) {
  try {
    verify(graph);
  } catch (const InternalError& error) {
    throw InternalError(fmt::format("after {}: {}", pass, error.what()));
  }
}

static bool run_pass(const PassInfo& pass, Graph& graph, PassContext& context, std::optional<loops::Program>* program) {
  if (const auto* on_graph = std::get_if<GraphPass>(&pass.run)) return (*on_graph)(graph, context);
  BNC_CHECK(program, pass.name + " needs somewhere to put its loops");
  if (const auto* lowering = std::get_if<LoweringPass>(&pass.run)) {
    *program = (*lowering)(graph, context);
    return false;   // the graph stays as it is
  }
  std::get<LoopPass>(pass.run)(**program, context);
  loops::verify(**program);
  return false;
}

bool run_passes(Graph& graph, const std::vector<std::string>& names, PassContext& context, const PassOptions& options,
                std::optional<loops::Program>* program) {
  check_order(names);
  if (!options.stop_after.empty()) known_pass(options.stop_after);
  if (options.verify_each) verify_after("reading the graph", graph);
  bool any_change = false;
  for (const std::string& name : names) {
    context.current_pass = name;
    const auto start = std::chrono::steady_clock::now();
    const bool changed = run_pass(known_pass(name), graph, context, program);
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
