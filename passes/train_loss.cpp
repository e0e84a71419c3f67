#include "passes/train_loss.h"

#include <algorithm>
#include <fmt/format.h>

#include "ir/builder.h"

namespace bnc {

namespace {

class LossBuilder {
 public:
  LossBuilder(Graph& graph, const TrainSection& train) : graph_(graph), train_(train) {}

  void run() {
    op_ = find_op(train_.loss.name);
    if (!op_ || op_->category != OpCategory::loss) {
      std::vector<std::string> names;
      for (const OpDefinition& op : all_ops())
        if (op.category == OpCategory::loss) names.push_back(op.name);
      fail(fmt::format("unknown loss `{}`", train_.loss.name), did_you_mean(train_.loss.name, names));
    }
    for (const auto& [name, value] : train_.loss.arguments) argument(name, value);
    if (!prediction_) prediction_ = only_output();
    GraphBuilder builder(graph_);
    builder.at(train_.loss_range);
    const Value target = target_input();
    builder.named("loss");
    graph_.outputs.push_back({Output::Role::loss, "loss", builder.value(op_->name, {prediction_, target}, attributes_)});
  }

 private:
  [[noreturn]] void fail(const std::string& text, const std::string& help) const {
    Diagnostic diagnostic{Severity::error, train_.loss_range, text, {}};
    diagnostic.help(help);
    throw CompileError(std::move(diagnostic));
  }

  // A name alone is the target; `prediction=NAME` picks one of several outputs; the rest are the op's attributes.
  void argument(const std::string& name, const Attribute& value) {
    if (name == "prediction") {
      const Symbol* symbol = value.get_if<Symbol>();
      const Output* output = symbol ? graph_.output(Output::Role::output, symbol->name) : nullptr;
      if (!output) fail(fmt::format("the network returns no `{}`", to_string(value)), returned());
      prediction_ = output->value;
      return;
    }
    const AttributeSpec* spec = op_->attribute(name);
    if (spec) {
      if (const std::string expected = mismatch(*spec, value); !expected.empty())
        fail(fmt::format("`{}` of {} is {}", name, op_->name, to_string(value)), "expected " + expected);
      attributes_[name] = value;
    } else if (value == Attribute(true)) {
      if (!target_.empty()) fail(fmt::format("the loss has two targets, `{}` and `{}`", target_, name), fmt::format("write {}(labels)", op_->name));
      target_ = name;
    } else {
      std::vector<std::string> names = {"prediction"};
      for (const AttributeSpec& known : op_->attributes) names.push_back(known.name);
      fail(fmt::format("{} has no argument `{}`", op_->name, name), did_you_mean(name, names));
    }
  }

  // What the attribute should have been; empty when the value fits.
  static std::string mismatch(const AttributeSpec& spec, const Attribute& value) {
    if (spec.kind == AttributeKind::symbol) {
      const Symbol* symbol = value.get_if<Symbol>();
      const bool fits = symbol && (spec.choices.empty() || std::count(spec.choices.begin(), spec.choices.end(), symbol->name));
      return fits ? "" : fmt::format("{}", fmt::join(spec.choices, " or "));
    }
    if (spec.kind == AttributeKind::boolean) return value.get_if<bool>() ? "" : "true or false";
    return value.get_if<int64_t>() || value.get_if<double>() ? "" : "a number";
  }

  std::string returned() const {
    std::vector<std::string> names;
    for (const Output& output : graph_.outputs)
      if (output.role == Output::Role::output) names.push_back(output.name);
    return fmt::format("it returns {}", fmt::join(names, ", "));
  }

  Value only_output() const {
    const Output* first = graph_.output(Output::Role::output);
    if (!first) fail(fmt::format("the network {} returns nothing to take a loss of", graph_.name), "end it with `return`");
    const auto is_output = [](const Output& output) { return output.role == Output::Role::output; };
    if (std::count_if(graph_.outputs.begin(), graph_.outputs.end(), is_output) > 1)
      fail(fmt::format("the network {} returns several values, and the loss does not say which it is of", graph_.name),
           fmt::format("{}; write prediction={}", returned(), first->name));
    return first->value;
  }

  // The target: the network's own input of that name, or a new one behind its inputs.
  Value target_input() {
    const std::string name = target_.empty() ? "labels" : target_;
    if (const Value own = graph_.find(name)) {
      if (own.node->is("input")) return own;
      fail(fmt::format("the target `{}` is no input of the network {}", name, graph_.name), "name a target that the network does not compute itself");
    }
    const TensorType type = op_->target_type(prediction_.type());
    const auto inputs = graph_.nodes_of("input");
    GraphBuilder builder = inputs.empty() ? GraphBuilder::before(graph_, graph_.nodes().front().get()) : GraphBuilder::after(graph_, inputs.back());
    builder.at(train_.loss_range);
    return builder.input(name, type);
  }

  Graph& graph_;
  const TrainSection& train_;
  const OpDefinition* op_ = nullptr;
  Value prediction_;
  std::string target_;
  AttributeMap attributes_;
};

}  // namespace

void append_loss(Graph& graph, const TrainSection* train) {
  if (!train) {
    Diagnostic diagnostic{Severity::error, graph.range, fmt::format("the network {} has no train section, which gives the loss", graph.name), {}};
    diagnostic.help(fmt::format("add `train {} {{ loss = ... }}` to the file", graph.name));
    throw CompileError(std::move(diagnostic));
  }
  LossBuilder(graph, *train).run();
}

}  // namespace bnc
