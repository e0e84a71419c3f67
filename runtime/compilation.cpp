#include <set>
#include <utility>

#include "codegen/codegen.h"
#include "ir/print.h"
#include "runtime/error.h"
#include "runtime/network.h"

namespace bnc {

Compilation::Compilation(const Network::Data& network, const CompileOptions& options, const Weights* given, bool for_this_process)
    : graph(network.graph().clone()), options_(options) {
  if (options.batch && *options.batch < 1) fail("the batch size is {}, but must be at least 1", *options.batch);
  context.batch = options.batch;
  if (options.mode == Mode::train) {
    if (!network.train())
      fail("network `{}` has no train section, so it cannot be compiled for training\nhelp: add `train {} {{ loss = ... }}`", graph.name,
           graph.name);
    if (!context.batch) context.batch = network.train()->batch;
  }
  if (options.on_time) options.on_time("parse", network.parse_ms);
  context.train = network.train();
  context.target = codegen::target_for(options.cpu, for_this_process);
  context.seed = options.seed;
  context.batch_statistics = options.batch_statistics;
  context.keep_gradients = options.keep_gradients;
  context.run_steps = options.run_steps;
  context.steps_an_epoch = options.steps_an_epoch;
  if (given) {
    weights = weights_of(graph, *given);
    context.weights = &weights;
  }
}

std::vector<std::string> Compilation::passes() const {
  if (!options_.passes.empty()) return options_.passes;
  std::vector<std::string> names = pipeline(options_.mode == Mode::train ? "training" : "inference");
  if (!options_.optimizer) std::erase(names, "attach-optimizer");
  if (!options_.optimizer && !options_.keep_gradients) std::erase(names, "build-backward");
  return names;
}

void Compilation::run_passes(const std::vector<std::string>& names) {
  PassOptions pass_options;
  pass_options.verify_each = options_.verify_each;
  pass_options.stop_after = options_.stop_after;
  if (options_.on_change)
    pass_options.on_change = [this](const std::string& pass, const Graph& changed) { options_.on_change(pass, print(changed)); };
  pass_options.on_time = options_.on_time;
  bnc::run_passes(graph, names, context, pass_options, &program);
  if (options_.on_warning)
    for (const Diagnostic& warning : std::exchange(context.warnings, {})) options_.on_warning(render(warning));
}

loops::Program Compilation::lower(bool embed_weights) {
  context.embed_weights = embed_weights;
  if (!program) {
    run_passes(pipeline("lowering"));
    if (embed_weights) weights = {};   // the program has those it needs
  }
  return std::move(*program);
}

std::vector<const Node*> weight_nodes(const Graph& graph) {
  std::vector<const Node*> nodes;
  for (const auto& node : graph.nodes()) {
    if (node->is("parameter") || node->is("state")) nodes.push_back(node.get());
  }
  return nodes;
}

Weights weights_of(const Graph& graph, const Weights& file) {
  std::set<std::string> known;
  for (const Node* node : weight_nodes(graph)) known.insert(node->results[0].name);
  Weights weights;
  for (const auto& [name, weight] : file.entries())
    if (known.contains(name)) weights.set(name, weight);
  return weights;
}

TensorInfo describe(const std::string& name, const TensorType& type, const Graph& graph) {
  TensorInfo info{name, to_string(type, graph.batch_symbol), {}, false};
  for (const Dim& dim : type.shape) info.dims.push_back(dim.batch ? -dim.factor : dim.factor);
  return info;
}

std::string show(const std::vector<int64_t>& dims, const char* dtype) { return fmt::format("{}[{}]", dtype, fmt::join(dims, ", ")); }

}  // namespace bnc
