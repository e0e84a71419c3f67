#include "passes/optimizers/step_counter.h"

#include "ir/builder.h"

namespace bnc {

Value step_counter(Graph& graph, const Node* position) {
  constexpr const char* name = "training.step";
  if (graph.output(Output::Role::update, name)) return graph.find(name);
  const TensorType counter{DType::i32, {}};
  GraphBuilder builder = position ? GraphBuilder::before(graph, position) : GraphBuilder(graph);
  const Value done = builder.state(name, counter, Symbol{"zeros", {}});
  GraphBuilder end(graph);
  graph.outputs.push_back({Output::Role::update, name, end.add(done, end.constant(1, counter))});
  return done;
}

}  // namespace bnc
