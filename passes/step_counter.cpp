#include "passes/step_counter.h"

#include "ir/builder.h"

namespace bnc {

StepCounter step_counter(Graph& graph, const Node* position) {
  constexpr const char* name = "training.step";
  if (const Output* update = graph.output(Output::Role::update, name)) return {graph.find(name), update->value};
  const TensorType counter{DType::i32, {}};
  GraphBuilder builder = position ? GraphBuilder::before(graph, position) : GraphBuilder(graph);
  const Value done = builder.state(name, counter, Symbol{"zeros", {}});
  GraphBuilder end(graph);
  const Value next = end.add(done, end.constant(1, counter));
  graph.outputs.push_back({Output::Role::update, name, next});
  return {done, next};
}

}  // namespace bnc
