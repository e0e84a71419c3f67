#include "tests/fuzz/check.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/op.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "passes/graph/check_variances.h"
#include "passes/graph/single_element.h"
#include "tests/fuzz/check_parts.h"
#include "tests/fuzz/children.h"

namespace bnc::fuzz {

namespace {

// What the values of the graph say: nearly always something. The gradient of what the loss does not depend on is a constant, and says
// nothing.
void count_trusted(const Expected& expected, Outcome& outcome) {
  for (const auto& [name, tensor] : expected.reference.values) {
    const Output* gradient = name.starts_with("grad/") ? expected.graph.output(Output::Role::gradient, name.substr(5)) : nullptr;
    if (gradient && gradient->value.node->is("constant")) continue;
    (is_trusted(tensor, expected.reference.spread.at(name)) ? outcome.trusted : outcome.untrusted)++;
  }
}

constexpr int rounds = 4;
constexpr double noise = 0x1p-23;

std::vector<std::string> without(std::vector<std::string> names, const std::vector<std::string>& unwanted) {
  std::erase_if(names, [&](const std::string& name) { return std::find(unwanted.begin(), unwanted.end(), name) != unwanted.end(); });
  return names;
}

// Passes that may run at any time and keep all values, in a random order, and what lowering needs behind them.
std::vector<std::string> random_order(bool frozen, Random& random) {
  std::vector<std::string> anywhere = {"canonicalize", "constant-fold", "common-subexpressions", "dead-code", "decompose"};
  if (frozen) anywhere.push_back("fold-batch-norm");
  std::vector<std::string> order;
  for (int64_t count = random.between(0, 7); count > 0; --count) order.push_back(random.pick(anywhere));
  for (const char* last : {"canonicalize", "decompose"}) order.push_back(last);
  for (const char* maybe : {"canonicalize", "constant-fold", "common-subexpressions", "dead-code"})
    if (random.chance(0.5)) order.push_back(maybe);
  order.push_back("decompose");
  order.push_back("fuse");
  return order;
}

Expected frozen(const Case& tried, const Weights& weights = {}) {
  Expected expected{.graph = with_stored_statistics(tried.graph()), .batch = tried.batch, .what = "frozen"};
  for (const auto& [name, weight] : weights.entries()) expected.bindings[name] = weight.to_tensor();
  std::erase_if(expected.graph.outputs, [](const Output& output) { return output.role != Output::Role::output; });
  bind_sources(expected.graph, tried.batch, tried.values, expected.bindings);
  expected.reference = evaluate_with_spread(expected.graph, expected.bindings, tried.batch, rounds, noise);
  return expected;
}

Weights weights_of(const Graph& graph, const Bindings& bindings) {
  Weights weights;
  for (const auto& node : graph.nodes())
    if (node->is("parameter") || node->is("state"))
      weights.set(node->results[0].name, Weight::from_tensor(bindings.at(node->results[0].name)));
  return weights;
}

// Whether the stored variances are such that the weights can be embedded: negative ones are replaced with a warning, or refused.
bool can_be_embedded(const Expected& expected) {
  Weights weights = weights_of(expected.graph, expected.bindings);
  try {
    return check_running_variances(expected.graph, weights).empty();
  } catch (const CompileError&) {
    return false;
  }
}

void check_frozen(const Case& tried, Extent extent, Random& random, Outcome& outcome) {
  try {
    refuse_single_elements(tried.graph(), tried.batch, false);
  } catch (const CompileError& error) {
    outcome.refused = error.diagnostics().front().text;
    return;
  }
  const Expected expected = frozen(tried);
  count_trusted(expected, outcome);
  outcome.inferred = true;
  Graph passed = expected.graph.clone();
  check_each_pass(passed, pipeline("inference"), expected);
  check_interchange(tried.graph(), weights_of(expected.graph, expected.bindings), expected, outcome);
  std::vector<Variant> variants = all_variants(true);
  if (extent == Extent::sampled) variants = {draw_variant(random, true), draw_variant(random, true)};
  const bool embeds = can_be_embedded(expected);
  for (Variant& variant : variants) {
    variant.embed &= embeds;
    check_compiled(tried.graph(), pipeline("inference"), variant, expected, outcome);
  }
  if (extent == Extent::everything || random.chance(0.5)) {
    const std::vector<std::string> order = random_order(true, random);
    Graph reordered = expected.graph.clone();
    check_each_pass(reordered, order, expected);
    Variant variant = draw_variant(random, true);
    variant.embed &= embeds;
    check_compiled(expected.graph, order, variant, expected, outcome);
  }
  if (extent == Extent::everything || random.chance(0.3)) {
    Variant variant = draw_variant(random, true);
    variant.embed &= embeds;
    check_not_finite(tried.graph(), pipeline("inference"), variant, expected, random);
  }
  if (embeds && (extent == Extent::everything || random.chance(0.02))) {
    const Variant variant{.cpu = random.pick(levels()), .fixed_batch = random.chance(0.5)};
    tell_phase("frozen, an object file");
    const Tensors got = run_object(to_text(tried), weights_of(expected.graph, expected.bindings), expected.bindings, expected.batch,
                                   variant);
    expect(got, expected, "object", [&] { return "an object file, " + variant.describe(); }, outcome);
  }
}

// The public API: a step, and the weights that it leaves in a prediction, by a session and an object file.
void check_session(const Case& tried, const Expected& step, Random& random, Outcome& outcome) {
  tell_phase("training, a session");
  const std::string text = to_text(tried);
  const int threads = static_cast<int>(random.between(1, 3));
  Weights afterwards;
  const Tensors got = run_step(text, weights_of(tried.graph(), step.bindings), step.bindings, step.train->batch, threads, afterwards);
  expect(got, step, "session", [&] { return fmt::format("a session's step, {} threads", threads); }, outcome);
  const Expected expected = frozen(tried, afterwards);
  if (!can_be_embedded(expected)) return;
  const Variant variant{.cpu = random.pick(levels()), .fixed_batch = random.chance(0.5)};
  tell_phase("training, a session's prediction");
  const auto where = [&] { return "behind a session's step, " + variant.describe(); };
  expect(run_prediction(text, afterwards, expected.bindings, expected.batch, variant), expected, "prediction", where, outcome);
  if (random.chance(0.3))
    expect(run_object(text, afterwards, expected.bindings, expected.batch, variant), expected, "object", where, outcome);
}

void check_training(const Case& tried, Extent extent, Random& random, Outcome& outcome) {
  Expected expected{.batch = tried.batch, .what = "training", .train = &*tried.module.train};
  PassContext context = context_for({}, expected);
  try {
    expected.graph = training_step(tried, context);
  } catch (const CompileError& error) {
    outcome.refused = error.diagnostics().front().text;
    return;
  }
  expected.batch = context.batch.value_or(tried.batch);
  bind_sources(expected.graph, expected.batch, tried.values, expected.bindings);
  bind_sources(tried.graph(), tried.batch, tried.values, expected.bindings);   // those of no effect too
  expected.reference = evaluate_with_spread(expected.graph, expected.bindings, expected.batch, rounds, noise);
  count_trusted(expected, outcome);
  outcome.trained = true;
  check_plain_step(tried, expected);
  check_gradients(expected);
  check_statistics(tried, expected);
  const std::vector<std::string> rest = without(pipeline("training"),
                                                {"prepare-training", "build-backward", "attach-optimizer", "drop-dead-bias"});
  Graph passed = expected.graph.clone();
  check_each_pass(passed, rest, expected);
  std::vector<Variant> variants = all_variants(false);
  if (extent == Extent::sampled) variants = {draw_variant(random, false)};
  for (const Variant& variant : variants) check_compiled(tried.graph(), pipeline("training"), variant, expected, outcome);
  if (extent == Extent::everything || random.chance(0.5)) {
    const std::vector<std::string> order = random_order(false, random);
    Graph reordered = expected.graph.clone();
    check_each_pass(reordered, order, expected);
    Variant variant = draw_variant(random, false);
    variant.fixed_batch = true;
    check_compiled(expected.graph, order, variant, expected, outcome);
  }
  if (extent == Extent::everything || random.chance(0.06)) check_session(tried, expected, random, outcome);
}

// What is printed is the language: it reads back as the same.
void check_text(const Case& tried) {
  const std::string text = print(tried.module);
  try {
    const std::string again = print(parse_module(make_source(text, "net.bn")));
    if (again != text) throw Failure("printing", fmt::format("what is printed reads back as something else:\n{}", again));
  } catch (const CompileError& error) {
    throw Failure("printing", fmt::format("what is printed is refused: {}", error.what()));
  }
}

}  // namespace

Graph with_stored_statistics(const Graph& graph) {
  Graph frozen = graph.clone();
  for (Node* node : frozen.nodes_of("batch_norm")) node->attributes["mode"] = "infer";
  for (Node* node : frozen.nodes_of("dropout")) node->operands[1] = {};
  return frozen;
}

Outcome check(const Case& tried, Extent extent, Focus focus) {
  Outcome outcome;
  check_text(tried);
  verify(tried.graph());
  if (focus != Focus::training) {
    Random random(tried.values, "frozen");
    tell_phase("frozen");
    check_frozen(tried, extent, random, outcome);
  }
  if (tried.module.train && focus != Focus::frozen) {
    Random random(tried.values, "training");
    tell_phase("training");
    check_training(tried, extent, random, outcome);
  }
  return outcome;
}

}  // namespace bnc::fuzz
