#include "ir/formula.h"

#include <map>

#include <fmt/format.h>

#include "ir/builder.h"

namespace bnc {

namespace {

const std::map<std::string, const char*>& operators() {
  static const std::map<std::string, const char*> signs = {{"add", "+"}, {"sub", "-"}, {"mul", "*"}, {"div", "/"}};
  return signs;
}

const OpDefinition& op_of(const Formula& call) {
  const OpDefinition* op = find_op(call.name);
  BNC_CHECK(op, "the frontend knows every op, not " + call.name);
  return *op;
}

class FormulaPrinter {
 public:
  explicit FormulaPrinter(const std::string& batch_symbol) : batch_symbol_(batch_symbol) {}

  // In brackets where what stands around it binds as tightly as `around`, or more.
  std::string print(const Formula& formula, int around = 0) const {
    if (formula.kind != Formula::Kind::call) return formula.name;
    if (const auto sign = operators().find(formula.name); sign != operators().end()) {
      const int binds = formula.name == "add" || formula.name == "sub" ? 1 : 2;   // from the left
      const std::string text =
          fmt::format("{} {} {}", print(formula.operands[0], binds - 1), sign->second, print(formula.operands[1], binds));
      return binds <= around ? "(" + text + ")" : text;
    }
    if (is_number(formula)) return to_string(formula.attributes.at("value"), batch_symbol_);
    return fmt::format("{}({})", formula.name, fmt::join(arguments(formula), ", "));
  }

 private:
  static bool is_number(const Formula& call) {
    return call.is_call("constant") && call.attributes.size() == 1 && call.attributes.contains("value") &&
           call.attributes.at("value").get_if<double>();
  }

  std::vector<std::string> arguments(const Formula& call) const {
    const OpDefinition* op = find_op(call.name);   // none of a metric
    std::vector<std::string> arguments;
    bool by_name = false;
    for (size_t k = 0; k < call.operands.size(); ++k) {
      const Formula& operand = call.operands[k];
      if (operand.kind == Formula::Kind::absent) by_name = true;
      if (operand.kind == Formula::Kind::absent || operand.kind == Formula::Kind::first_output) continue;
      const std::string text = print(operand);
      arguments.push_back(by_name ? fmt::format("{}={}", op->operands[k].name, text) : text);
    }
    for (const auto& [name, value] : call.attributes) {
      const bool balanced = call.balanced && name == class_weights;
      arguments.push_back(fmt::format("{}={}", name, balanced ? "balanced" : to_string(value, batch_symbol_)));
    }
    return arguments;
  }

  const std::string& batch_symbol_;
};

class Appender {
 public:
  Appender(GraphBuilder& builder, const FindValue& find, const MakeTarget& target) : builder_(builder), find_(find), target_(target) {}

  Value append(const Formula& formula, const std::string& stem = "") {
    if (formula.kind != Formula::Kind::call) return known(formula);
    std::vector<Value> operands(formula.operands.size());
    for (size_t k = 0; k < operands.size(); ++k) {
      const Formula& operand = formula.operands[k];
      if (operand.kind == Formula::Kind::call) operands[k] = append(operand);
      else if (operand.kind != Formula::Kind::absent) operands[k] = find_(operand);
    }
    for (size_t k = 0; k < operands.size(); ++k)
      if (!operands[k] && formula.operands[k].kind == Formula::Kind::name)
        operands[k] = target_(formula.operands[k], type_of_target(formula, k, operands));
    builder_.at(formula.range);
    builder_.named(stem);
    return builder_.value(formula.name, std::move(operands), formula.attributes);
  }

 private:
  Value known(const Formula& name) const {
    if (const Value value = find_(name)) return value;
    refuse(name);
  }

  TensorType type_of_target(const Formula& call, size_t operand, const std::vector<Value>& operands) const {
    const auto type = type_of_unknown(op_of(call), operand, operands);
    if (!type) refuse(call.operands[operand]);
    return *type;
  }

  [[noreturn]] static void refuse(const Formula& name) {
    Diagnostic diagnostic{Severity::error, name.range, fmt::format("the type of the target `{}` does not follow from this", name.name), {}};
    diagnostic.help("give it to a loss op, as in `mean_squared_error(y, target)`, or make it an input of the network");
    throw CompileError(std::move(diagnostic));
  }

  GraphBuilder& builder_;
  const FindValue& find_;
  const MakeTarget& target_;
};

}  // namespace

Formula::Formula(const Symbol& loss) : Formula(Kind::call, loss.name) {
  const OpDefinition& op = op_of(*this);
  std::string target = default_target;
  for (const auto& [argument, value] : loss.arguments) {
    if (op.attribute(argument)) attributes[argument] = value;
    else target = argument;
  }
  operands = {Formula(Kind::first_output, ""), Formula(Kind::name, target)};
}

bool Formula::operator==(const Formula& other) const {
  return kind == other.kind && name == other.name && operands == other.operands && attributes == other.attributes &&
         balanced == other.balanced;
}

std::string to_string(const Formula& formula, const std::string& batch_symbol) { return FormulaPrinter(batch_symbol).print(formula); }

std::optional<TensorType> type_of_unknown(const OpDefinition& op, size_t operand, const std::vector<Value>& operands) {
  if (op.target_type) {
    if (operand == 0 || !operands[0]) return std::nullopt;
    return operand == 1 ? op.target_type(operands[0].type()) : op.weights_type(operands[0].type());
  }
  if (!operators().contains(op.name)) return std::nullopt;
  const Value other = operands[1 - operand];
  return other && other.type().rank() > 0 ? std::optional(other.type()) : std::nullopt;
}

Value append_formula(GraphBuilder& builder, const Formula& formula, const FindValue& find, const MakeTarget& target,
                      const std::string& stem) {
  return Appender(builder, find, target).append(formula, stem);
}

Value add_target(Graph& graph, const Formula& name, const TensorType& type) {
  if (graph.find(name.name)) {
    Diagnostic diagnostic{
        Severity::error,
        name.range,
        fmt::format("the target `{}` is no input of the network {}, which computes a value of that name", name.name, graph.name),
        {}};
    diagnostic.help(fmt::format("give the target another name, or return `{}` to take the loss of it", name.name));
    throw CompileError(std::move(diagnostic));
  }
  const auto inputs = graph.nodes_of("input");
  GraphBuilder builder =
      inputs.empty() ? GraphBuilder::before(graph, graph.nodes().front().get()) : GraphBuilder::after(graph, inputs.back());
  builder.at(name.range);
  return builder.input(name.name, type);
}

Value value_of_name(const Graph& network, const Formula& name) {
  for (const Output& output : network.outputs) {
    if (output.role != Output::Role::output) continue;
    if (name.kind == Formula::Kind::first_output || output.name == name.name) return output.value;
  }
  const Value found = name.kind == Formula::Kind::name ? network.find(name.name) : Value{};
  const bool is_source = found && (found.node->is("input") || found.node->is("parameter") || found.node->is("state"));
  return is_source ? found : Value{};
}

std::vector<Formula*> balanced_losses(Formula& formula) {
  std::vector<Formula*> found;
  if (formula.balanced) found.push_back(&formula);
  for (Formula& operand : formula.operands)
    for (Formula* each : balanced_losses(operand)) found.push_back(each);
  return found;
}

void for_each_name(const Formula& formula, const std::function<void(const Formula& name)>& visit) {
  if (formula.kind == Formula::Kind::name || formula.kind == Formula::Kind::first_output) visit(formula);
  for (const Formula& operand : formula.operands) for_each_name(operand, visit);
}

std::string name_in(const Graph& network, const Formula& name) {
  const Output* first = name.kind == Formula::Kind::first_output ? network.output(Output::Role::output) : nullptr;
  return first ? first->name : name.name;
}

Graph graph_of(const Formula& formula, const Graph& step) {
  Graph graph;
  graph.name = step.name;
  graph.batch_symbol = step.batch_symbol;
  GraphBuilder builder(graph);
  for_each_name(formula, [&](const Formula& name) {
    const Value in_step = value_of_name(step, name);
    BNC_CHECK(in_step, "a step has all that its loss reads, not " + name.name);
    if (!graph.find(name_in(step, name))) builder.input(name_in(step, name), in_step.type());
  });
  const auto find = [&](const Formula& name) { return graph.find(name_in(step, name)); };
  const Value value = append_formula(builder, formula, find, [](const Formula&, const TensorType&) { return Value{}; });
  graph.outputs.push_back({Output::Role::output, "value", value});
  return graph;
}

}  // namespace bnc
