// The parts of a check.
#pragma once

#include <functional>

#include "passes/pass.h"
#include "tests/fuzz/case.h"
#include "tests/fuzz/check.h"
#include "tests/fuzz/compare.h"
#include "tests/fuzz/failure.h"
#include "tests/fuzz/random.h"
#include "tests/fuzz/run.h"

namespace bnc::fuzz {

// A graph whose meaning is settled, its values, and what the reference evaluator makes of them.
struct Expected {
  Graph graph;
  Bindings bindings;
  int64_t batch = 1;
  Reference reference;
  std::string what;          // `frozen`, `training`
  const TrainSection* train = nullptr;
};

// What passes run with.
PassContext context_for(const Variant& variant, const Expected& expected);
Variant draw_variant(Random& random, bool frozen);
std::vector<Variant> all_variants(bool frozen);

// The passes one after the other, in float64: each keeps the values. `graph` is left as the last one makes it.
void check_each_pass(Graph& graph, const std::vector<std::string>& passes, const Expected& expected);
// The graph behind `passes`, compiled and run with one thread and more.
void check_compiled(const Graph& graph, const std::vector<std::string>& passes, const Variant& variant, const Expected& expected,
                    Outcome& outcome);
// The same with numbers among the inputs that are not finite: they come out where float64 has them come out, and nowhere else.
void check_not_finite(const Graph& graph, const std::vector<std::string>& passes, const Variant& variant, const Expected& expected,
                      Random& random);
// The network's meaning when it is frozen (bn-mode): its batch norms normalize with what is stored, and nothing is dropped out.
Graph with_stored_statistics(const Graph& graph);
// What can be said in ONNX is exported, imported and evaluated.
void check_interchange(const Graph& network, const Weights& weights, const Expected& expected, Outcome& outcome);
// Compares, and looks more closely before it throws.
void expect(const Tensors& got, const Expected& expected, const std::string& kind, const std::function<std::string()>& where,
            Outcome& outcome);

// The graph that a training step runs, by the training passes alone: loss, gradients, updates.
Graph training_step(const Case& tried, PassContext& context);
void check_plain_step(const Case& tried, const Expected& expected);
// Its gradients are the derivatives of its loss, and its running statistics move by their rule.
void check_gradients(const Expected& expected);
void check_statistics(const Case& tried, const Expected& expected);

// Where a difference arises: `the graph passes`, `lowering` or `code generation`.
std::string origin_of(const Graph& lowered, const loops::Program& program, const Bindings& bindings, const Expected& expected);

}  // namespace bnc::fuzz
