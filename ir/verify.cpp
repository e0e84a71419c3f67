#include "ir/verify.h"

#include <fmt/format.h>
#include <unordered_map>
#include <unordered_set>

#include "ir/op.h"

namespace bnc {

namespace {

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph) {}

  void run() {
    for (const auto& node : graph_.nodes()) {
      node_ = node.get();
      check(node->op, "has no op");
      check_operands();
      check_attributes();
      check_results();
      seen_.insert(node.get());
    }
    node_ = nullptr;
    for (const Output& output : graph_.outputs) check_output(output);
  }

 private:
  void check(bool holds, const std::string& text) const {
    if (holds) return;
    const std::string name =
        node_ ? fmt::format("{} {}", node_->op ? node_->op->name : "?", node_->results.empty() ? "" : node_->results[0].name) : "";
    throw InternalError(fmt::format("the graph of {} is broken: {}{}{}", graph_.name, name, name.empty() ? "" : ": ", text));
  }

  // Never looks into an operand's node before it is known to belong to the graph: it may have been erased.
  void check_operands() const {
    const auto& specs = node_->op->operands;
    const bool variadic = !specs.empty() && specs.back().variadic;
    const size_t count = node_->operands.size();
    check(variadic ? count >= specs.size() : count == specs.size(), fmt::format("has {} operands, its op defines {}", count, specs.size()));
    for (size_t i = 0; i < count; ++i) {
      const OperandSpec& spec = specs[std::min(i, specs.size() - 1)];
      const Value operand = node_->operands[i];
      if (!operand) {
        check(spec.optional, fmt::format("operand {} is absent", spec.name));
        continue;
      }
      check(seen_.count(operand.node), fmt::format("operand {} does not stand before it in the graph", spec.name));
      check(operand.index >= 0 && operand.index < static_cast<int>(operand.node->results.size()),
            fmt::format("operand {} is no result of its node", spec.name));
    }
  }

  static bool has_kind(const Attribute& value, AttributeKind kind) {
    switch (kind) {
      case AttributeKind::boolean: return value.get_if<bool>();
      case AttributeKind::integer: return value.get_if<int64_t>();
      case AttributeKind::number: return value.get_if<double>();
      case AttributeKind::symbol: return value.get_if<Symbol>();
      case AttributeKind::integers: return value.get_if<IntList>();
      case AttributeKind::numbers: return value.get_if<double>() || value.get_if<NumberList>();
      case AttributeKind::shape: return value.get_if<Shape>();
      case AttributeKind::padding: return value.get_if<Symbol>() || value.get_if<int64_t>() || value.get_if<IntList>();
    }
    return false;
  }

  void check_attributes() const {
    size_t kept = 0;
    for (const AttributeSpec& spec : node_->op->attributes) {
      if (spec.layer_only) continue;
      const auto found = node_->attributes.find(spec.name);
      check(found != node_->attributes.end(), fmt::format("attribute {} is missing", spec.name));
      check(has_kind(found->second, spec.kind), fmt::format("attribute {} is of the wrong kind", spec.name));
      ++kept;
    }
    check(node_->attributes.size() == kept, "has an attribute that its op does not define");
  }

  void check_results() {
    check(node_->results.size() == node_->op->results.size(),
          fmt::format("has {} results, its op defines {}", node_->results.size(), node_->op->results.size()));
    for (const Result& result : node_->results) {
      check(!result.name.empty(), "has a result without a name");
      check(names_.emplace(result.name, std::pair(node_, &result)).second, fmt::format("the name {} occurs twice", result.name));
    }
    if (!node_->op->infer) return;  // a source's type is its own
    const auto types = inferred();
    for (size_t i = 0; i < types.size(); ++i)
      check(types[i] == node_->results[i].type,
            fmt::format("result {} is {}, the shape rule gives {}", node_->results[i].name,
                        to_string(node_->results[i].type, graph_.batch_symbol), to_string(types[i], graph_.batch_symbol)));
  }

  std::vector<TensorType> inferred() const {
    try {
      return node_->op->infer(InferContext(*node_->op, node_->operands, node_->attributes, node_->range, graph_.batch_symbol));
    } catch (const CompileError& error) {
      check(false, fmt::format("its shape rule refuses: {}", error.what()));
      return {};
    }
  }

  void check_output(const Output& output) const {
    check(output.value && seen_.count(output.value.node), fmt::format("output {} is not computed in the graph", output.name));
    if (output.role == Output::Role::loss) check(output.value.type() == TensorType{}, "the loss is not f32[]");
    if (output.role != Output::Role::gradient && output.role != Output::Role::update) return;
    const char* role = output.role == Output::Role::gradient ? "gradient" : "update";
    const auto target = names_.find(output.name);
    check(target != names_.end(), fmt::format("{} of {}, which is not in the graph", role, output.name));
    check(target->second.second->type == output.value.type(), fmt::format("{} of {} has another type", role, output.name));
    const Node& source = *target->second.first;
    const bool fits = source.is("parameter") || source.is(output.role == Output::Role::gradient ? "input" : "state");
    check(fits, fmt::format("{} of {}, which is neither a parameter nor {}", role, output.name,
                            output.role == Output::Role::gradient ? "an input" : "a state"));
  }

  const Graph& graph_;
  const Node* node_ = nullptr;
  std::unordered_set<const Node*> seen_;
  std::unordered_map<std::string, std::pair<const Node*, const Result*>> names_;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

}  // namespace bnc
