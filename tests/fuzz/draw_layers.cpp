// Networks as people write them: layers that make their parameters, blocks, loops. They are drawn as text, statement by statement, and
// what the language refuses is left out.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/builder.h"
#include "tests/fuzz/call.h"
#include "tests/fuzz/children.h"
#include "tests/fuzz/draw.h"
#include "tests/fuzz/values.h"

namespace bnc::fuzz {

namespace {

// Ops of one tensor, whose other operands are made.
std::vector<const OpDefinition*> layers() {
  std::vector<const OpDefinition*> found;
  for (const OpDefinition& op : all_ops()) {
    if (op.operands.empty() || op.operands[0].parameter || op.operands[0].variadic || op.category == OpCategory::gradient) continue;
    const bool made = std::all_of(op.operands.begin() + 1, op.operands.end(),
                                  [](const OperandSpec& operand) { return operand.parameter || operand.optional; });
    if (made) found.push_back(&op);
  }
  return found;
}

class Writing {
 public:
  explicit Writing(uint64_t seed) : random_(seed, "layers") {}

  std::string run() {
    batch_ = random_.between(2, 5);
    static const std::vector<std::string> inputs = {"x: f32[N, {}]", "x: f32[N, {}, {}]", "x: f32[N, {}, {}, {}]", "x: f32[N, {}, {}, {}]"};
    std::string input = random_.pick(inputs);
    for (size_t at; (at = input.find("{}")) != std::string::npos;) input.replace(at, 2, fmt::format("{}", random_.between(1, 9)));
    input_ = input;
    if (random_.chance(0.4)) write_block();
    write(random_.between(1, 6));
    return text();
  }

  int64_t batch() const { return batch_; }

 private:
  std::string text() const { return fmt::format("{}network net({}) {{\n  h = x\n{}  return h\n}}\n", block_, input_, body_); }

  void write(int64_t statements) {
    for (int64_t attempts = 10 * statements; statements > 0 && attempts > 0; --attempts)
      statements -= accept(statement(!block_.empty())) ? 1 : 0;
  }

  // Statements that are fine for the network's input make a block.
  void write_block() {
    write(random_.between(1, 3));
    block_ = fmt::format("block part(x, again: boolean=false) {{\n  h = x\n{}  if again {{ h = relu(h) }}\n  return h\n}}\n", body_);
    body_.clear();
  }

  std::string statement(bool block) {
    const std::string call = block && random_.chance(0.5) ? fmt::format("part(h{})", random_.chance(0.3) ? ", again=true" : "") : layer();
    switch (random_.below(8)) {
      case 0: return fmt::format("  repeat {} {{ h = {} }}\n", random_.between(1, 3), call);
      case 1: return fmt::format("  h = h + {}\n", call);
      case 2: return fmt::format("  repeat k in 1..3 {{ h = {} * k }}\n", call);
      case 3: return fmt::format("  if h.shape[-1] > 3 {{ h = {} }} else {{ h = tanh(h) }}\n", call);
      default: return fmt::format("  h = {}\n", call);
    }
  }

  std::string layer() {
    static const std::vector<const OpDefinition*> all = layers();
    const OpDefinition& op = random_.chance(0.25) ? *find_op("batch_norm") : *random_.pick(all);
    const Call& example = example_of(op);
    std::string arguments = "h";
    for (const AttributeSpec& spec : op.attributes) {
      if (spec.fallback && !spec.layer_only && random_.chance(0.7)) continue;
      if (spec.fallback && spec.layer_only && random_.chance(0.4)) continue;
      const bool size = spec.layer_only && spec.kind == AttributeKind::integer;
      const Attribute value = size ? Attribute(random_.between(1, 9)) : draw_attribute(spec, example, {.batch = batch_}, random_);
      arguments += fmt::format(", {}={}", spec.name, to_string(value));
    }
    for (size_t k = 1; k < op.operands.size(); ++k) {
      const OperandSpec& spec = op.operands[k];
      if (!spec.parameter || spec.parameter->wanted || !random_.chance(0.15)) continue;
      arguments += fmt::format(", {}={}", spec.name, spec.optional && random_.chance(0.5) ? "false" : "normal(deviation=0.3)");
    }
    return fmt::format("{}({})", op.name, arguments);
  }

  // Whether the network with this statement is one, with numbers that are worth comparing.
  bool accept(const std::string& statement) {
    constexpr size_t most_nodes = 60;
    const std::string before = body_;
    body_ += statement;
    tell_phase("drawing\n" + text());
    try {
      const Module module = parse_module(make_source(text(), "layers.bn"));
      const Graph& graph = module.main();
      bool fine = graph.nodes().size() <= most_nodes && graph.outputs.front().value.type().dtype == DType::f32;
      for (const auto& node : graph.nodes())
        for (const Result& result : node->results) fine = fine && within({.elements = 3000, .batch = batch_}, result.type);
      Bindings bindings;
      if (fine) bind_sources(graph, batch_, 1, bindings);
      for (const auto& [name, tensor] : fine ? evaluate_handed_out(graph, bindings, batch_) : Tensors{})
        for (const double x : tensor.data) fine = fine && std::isfinite(x) && std::abs(x) < 1e4;
      if (fine) return true;
    } catch (const CompileError&) {
    }
    body_ = before;
    return false;
  }

  Random random_;
  int64_t batch_ = 1;
  std::string input_, block_, body_;
};

// Zeros and ones would hide where a parameter is not read.
void vary_initializers(Graph& graph) {
  for (const auto& node : graph.nodes()) {
    if (!node->is("parameter") && !node->is("state")) continue;
    Attribute& initializer = node->attributes["initializer"];
    const bool counts = node->results[0].type.rank() == 0;
    if (initializer.symbol().name == "zeros" && counts) initializer = Symbol{"constant", {{"value", 3.0}}};
    else if (initializer.symbol().name == "zeros") initializer = Symbol{"normal", {{"mean", 0.0}, {"deviation", 0.5}}};
    else if (initializer.symbol().name == "ones") initializer = Symbol{"uniform", {{"low", 0.5}, {"high", 1.75}}};
  }
}

}  // namespace

Case draw_layers(uint64_t seed) {
  Writing writing(seed);
  const std::string text = writing.run();
  Case drawn;
  drawn.values = seed;
  drawn.batch = writing.batch();
  drawn.module = parse_module(make_source(text, "layers.bn"));
  vary_initializers(drawn.module.main());
  return drawn;
}

}  // namespace bnc::fuzz
