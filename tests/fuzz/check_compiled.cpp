// Compiled code and rewritten graphs against the reference.
#include <cmath>
#include <functional>
#include <set>

#include <fmt/format.h>

#include "ir/op.h"
#include "ir/print.h"
#include "tests/fuzz/check_parts.h"
#include "tests/fuzz/children.h"

namespace bnc::fuzz {

namespace {

constexpr codegen::Checks all_checks{.bounds = true, .poison = true};

// Rounds to f32, and gives the parameters that folding made.
Bindings with_folded(const Bindings& bindings, const Weights& weights) {
  Bindings all = bindings;
  for (const auto& [name, weight] : weights.entries())
    if (!all.contains(name)) all[name] = weight.to_tensor();
  return all;
}

std::string list(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

// A second look, with more and larger noise: an element beside a jump may have fallen on its other side. Also within what ops are made
// of: the mean by which a batch norm subtracts is rounded like any other result. The noise is the type's own: where an optimizer divides
// a gradient that is 0 but for rounding by its own size, the result moves as far for little noise as for much. And where equal numbers
// are normalized, any noise leads away from the steep place that they are at: the slope there tells how steep it is. They may be equal in
// f32 alone, where a sigmoid is 1.
bool is_confirmed(const Tensors& got, const Expected& expected, Tolerance tolerance) {
  tolerance.spreads = of_f32.spreads;
  Graph parts = expected.graph.clone();
  PassContext context = context_for({}, expected);
  run_passes(parts, {"decompose"}, context);
  for (const Graph& graph : {std::cref(expected.graph), std::cref(parts)}) {
    constexpr int rounds = 24;
    Reference closer;
    for (const double times : {1.0, 2.0, 4.0}) {
      closer = evaluate_with_spread(graph, expected.bindings, expected.batch, rounds, times * tolerance.noise);
      closer.values = expected.reference.values;
      if (!compare(got, closer, tolerance)) return false;
    }
    for (const bool rounded : {false, true}) {
      if (rounded && tolerance.noise < of_f32.noise) continue;
      closer.spread = slope_spread(graph, expected.bindings, expected.batch, rounds, tolerance.noise, rounded);
      if (!compare(got, closer, tolerance)) return false;
    }
  }
  return true;
}

}  // namespace

PassContext context_for(const Variant& variant, const Expected& expected) {
  PassContext context;
  context.target = variant.target();
  context.train = expected.train;
  if (variant.fixed_batch) context.batch = expected.batch;
  context.keep_gradients = true;
  context.run_steps = 1000;
  context.steps_an_epoch = 10;
  return context;
}

Variant draw_variant(Random& random, bool frozen) {
  Variant variant;
  variant.cpu = random.pick(levels());
  variant.fixed_batch = random.chance(0.6);
  variant.quick = random.chance(0.75);
  variant.embed = frozen && random.chance(0.6);
  if (random.chance(0.3)) variant.l2_bytes = int64_t{1024} << random.below(6);
  if (random.chance(0.15)) variant.cached_bytes = int64_t{256} << random.below(6);
  if (random.chance(0.15)) variant.argument_offset = 4 * random.between(1, 15);
  if (random.chance(0.25)) {  // such code is large: LLVM optimizes some of it for minutes
    variant.checks = all_checks;
    variant.quick = true;
  }
  return variant;
}

std::vector<Variant> all_variants(bool frozen) {
  std::vector<Variant> variants;
  for (const std::string& cpu : levels()) {
    for (const bool fixed : {true, false}) {
      variants.push_back({.cpu = cpu, .fixed_batch = fixed});
      if (frozen) variants.push_back({.cpu = cpu, .fixed_batch = fixed, .embed = true});
      variants.push_back({.cpu = cpu, .fixed_batch = fixed, .l2_bytes = 2048});
    }
  }
  variants.push_back({.cached_bytes = 512, .argument_offset = 4});
  for (const bool fixed : {true, false}) variants.push_back({.fixed_batch = fixed, .l2_bytes = fixed ? 0 : 2048, .checks = all_checks});
  return variants;
}

void expect(const Tensors& got, const Expected& expected, const std::string& kind, const std::function<std::string()>& where,
            Outcome& outcome) {
  const std::optional<Mismatch> mismatch = compare_all(got, expected.reference, of_f32, &outcome.worst);
  if (!mismatch || (mismatch->tensor.find("missing") == std::string::npos && !is_confirmed(got, expected, of_f32))) return;
  throw Failure(kind, fmt::format("{}\n  {}", mismatch->describe(), where()));
}

void check_each_pass(Graph& graph, const std::vector<std::string>& passes, const Expected& expected) {
  Variant variant;
  PassContext context = context_for(variant, expected);
  for (const std::string& pass : passes) {
    tell_phase(fmt::format("{}, pass {}", expected.what, pass));
    if (!run_passes(graph, {pass}, context)) continue;
    Bindings bindings = expected.bindings;
    bind_sources(graph, expected.batch, 1, bindings);
    const Tensors after = evaluate_handed_out(graph, bindings, expected.batch);
    std::optional<Mismatch> mismatch = compare_all(after, expected.reference, of_f64);
    if (mismatch && mismatch->element >= 0 && mismatch->tensor.find("missing") == std::string::npos &&
        !is_confirmed(after, expected, of_f64))
      mismatch.reset();
    if (mismatch)
      throw Failure("pass " + pass, fmt::format("{}\n  in float64, behind the graph pass {} (of {})\nthe graph behind it:\n{}",
                                                mismatch->describe(), pass, list(passes), print(graph)));
  }
}

namespace {

// What the passes make of a graph, and the code made of that; `weights` gets the parameters that folding made.
Compiled compile(const Graph& original, const std::vector<std::string>& passes, const Variant& variant, const Expected& expected,
                 Graph& graph, Weights& weights) {
  graph = original.clone();
  PassContext context = context_for(variant, expected);
  if (variant.embed) {
    for (const auto& node : original.nodes())
      if (node->is("parameter") || node->is("state"))
        weights.set(node->results[0].name, Weight::from_tensor(expected.bindings.at(node->results[0].name)));
    context.weights = &weights;
    context.embed_weights = true;
  }
  tell_phase(fmt::format("{}, {}, passes {}", expected.what, variant.describe(), list(passes)));
  // Ghost batches of the network as it was written count as one from `prepare-training` on.
  if (variant.fixed_batch && !original.output(Output::Role::loss) && expected.train) context.batch = expected.train->batch;
  run_passes(graph, passes, context);
  loops::Program program = lower_to_loops(graph, context);
  plan_memory(program, context);
  loops::verify(program);
  return Compiled(std::move(program), variant);
}

}  // namespace

void check_compiled(const Graph& original, const std::vector<std::string>& passes, const Variant& variant, const Expected& expected,
                    Outcome& outcome) {
  Graph graph;
  Weights weights;
  const Compiled compiled = compile(original, passes, variant, expected, graph, weights);
  const Bindings bindings = with_folded(expected.bindings, weights);
  const Tensors one = compiled.run(bindings, expected.batch, 1);
  const auto where = [&] {
    return fmt::format("{}, {}\n  passes: {}\n  it arises in {}", expected.what, variant.describe(), list(passes),
                       origin_of(graph, compiled.program(), bindings, expected));
  };
  expect(one, expected, "values", where, outcome);
  for (const auto& [name, tensor] : one) {
    const Node* source = expected.graph.find(name).node;
    if (!source || !source->is("input")) continue;
    if (const auto changed = compare_bits({{name, bindings.at(name)}}, one))
      throw Failure("memory", fmt::format("the input was changed: {}\n  {}", changed->describe(), where()));
  }
  for (const int threads : {2, 3}) {
    const Tensors several = compiled.run(bindings, expected.batch, threads);
    if (const auto mismatch = compare_bits(one, several))
      throw Failure("threads", fmt::format("{} threads give other bits than one: {}\n  {}, {}", threads, mismatch->describe(),
                                           expected.what, variant.describe()));
  }
}

namespace {

// Whether what is not finite may spread as NaN: where a product takes its right operand from an input, since the zeros around an image
// times such a weight are no numbers where the code multiplies them, which the reference does not; and where statistics are taken of
// what an input reaches, whose mean may be infinite or NaN (bn-train).
bool spreads_not_finite(const Graph& graph) {
  std::set<const Node*> reached;
  for (const auto& node : graph.nodes()) {
    if (node->is("input")) reached.insert(node.get());
    for (size_t k = 0; k < node->operands.size(); ++k) {
      if (!node->operands[k] || !reached.count(node->operands[k].node)) continue;
      if (k > 0 && (node->op->category == OpCategory::linear || node->op->category == OpCategory::gradient)) return true;
      if (node->op->category == OpCategory::normalization) return true;
      reached.insert(node.get());
    }
  }
  return false;
}

}  // namespace

// Where float64 has no finite number the code has none, and where it has one the code has one. What f32 and float64 may see differently
// is left out: numbers near the largest f32, and tensors that a small error moves a lot.
void check_not_finite(const Graph& original, const std::vector<std::string>& passes, const Variant& variant, const Expected& expected,
                      Random& random) {
  constexpr double large = 1e30;
  Graph graph;
  Weights weights;
  Bindings bindings = expected.bindings;
  for (const auto& node : expected.graph.nodes()) {
    if (!node->is("input") || node->results[0].type.dtype != DType::f32) continue;
    std::vector<double>& numbers = bindings.at(node->results[0].name).data;
    for (int64_t count = random.between(0, 2); count > 0; --count)
      numbers[static_cast<size_t>(random.below(static_cast<int64_t>(numbers.size())))] =
          random.pick(std::vector<double>{NAN, NAN, INFINITY, -INFINITY});
  }
  const Tensors wanted = evaluate_handed_out(expected.graph, bindings, expected.batch);
  const bool spreads = spreads_not_finite(expected.graph);
  const Compiled compiled = compile(original, passes, variant, expected, graph, weights);
  const Tensors got = compiled.run(with_folded(bindings, weights), expected.batch, 1);
  for (const auto& [name, tensor] : wanted) {
    if (!is_trusted(expected.reference.values.at(name), expected.reference.spread.at(name))) continue;
    for (size_t k = 0; k < tensor.data.size(); ++k) {
      const double x = tensor.data[k], y = got.at(name).data[k];
      const bool finite = std::isfinite(x) && std::abs(x) <= large;
      if (std::isnan(x) ? std::isnan(y) : finite ? spreads || std::isfinite(y) : !std::isfinite(y) || std::abs(y) > large) continue;
      throw Failure("not finite", fmt::format("{}[{}] is {}, not {}, where inputs are not finite\n  {}, {}", name, k, y, x, expected.what,
                                              variant.describe()));
    }
  }
}

}  // namespace bnc::fuzz
