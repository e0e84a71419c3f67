#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <unordered_map>
#include <unordered_set>

#include "ir/evaluate.h"
#include "ir/evaluate_weights.h"
#include "ir/ops/common.h"
#include "passes/graph/rewrite.h"
#include "passes/passes.h"

namespace bnc {

namespace {

// Larger results of constant expressions stay expressions: they would bloat the printed graph and the object file.
constexpr int64_t largest_constant = 1 << 16;

std::optional<int64_t> static_size(const TensorType& type) {
  const std::optional<Dim> count = element_count(type.shape);
  return count && !count->batch ? std::optional(count->factor) : std::nullopt;
}

bool is_weight(const Node& node) { return node.is("parameter") || node.is("state"); }

// element_count depends on its operand's shape only, which is known once the batch size is.
std::optional<double> known_count(const Node& node, const PassContext& cx) {
  if (!node.is("element_count")) return {};
  const TensorType& type = node.operands[0].type();
  Shape spanned;
  for (int axis : ops::axes_of(node)) spanned.push_back(type.shape[axis]);
  const std::optional<Dim> count = element_count(spanned);
  if (!count || (count->batch && !cx.batch)) return {};
  return static_cast<double>(count->at(cx.batch.value_or(1)));
}

bool is_same_number(double a, double b) { return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b)); }

// Constants print in the shortest form: one number where all elements are the same.
Value add_constant(GraphBuilder& builder, const Tensor& tensor, const TensorType& type) {
  const bool uniform = !tensor.data.empty() &&
                       std::all_of(tensor.data.begin(), tensor.data.end(), [&](double x) { return is_same_number(x, tensor.data[0]); });
  return uniform ? builder.constant(tensor.data[0], type) : builder.constant(tensor);
}

class Folder {
 public:
  Folder(Graph& graph, PassContext& cx) : graph_(graph), cx_(cx) {
    const bool trains = graph.output(Output::Role::update) || graph.output(Output::Role::gradient);
    folds_weights_ = (cx.weights || cx.assume_weights) && !trains;
    if (folds_weights_ && cx.weights) evaluator_.emplace(*cx.weights);
  }

  bool run() {
    bool changed = fold_constants();
    if (folds_weights_) changed |= fold_weight_expressions();
    return changed;
  }

 private:
  bool fold_constants() {
    return sweep(graph_, [&](Node& node) -> Replacements {
      GraphBuilder builder = GraphBuilder::before(graph_, &node);
      if (const auto count = known_count(node, cx_)) return {builder.constant(*count)};
      return is_constant_expression(node) ? evaluate_constant(builder, node) : Replacements{};
    });
  }

  static bool is_constant_expression(const Node& node) {
    if (node.operands.empty() || !node.op->evaluate) return false;
    const bool operands = std::all_of(node.operands.begin(), node.operands.end(), [](Value v) { return !v || v.node->is("constant"); });
    return operands && fits(node);
  }

  static bool fits(const Node& node) {
    const auto small = [](const TensorType& type) { const auto size = static_size(type); return size && *size <= largest_constant; };
    return std::all_of(node.results.begin(), node.results.end(), [&](const Result& r) { return small(r.type); }) &&
           std::all_of(node.operands.begin(), node.operands.end(), [&](Value v) { return !v || small(v.type()); });
  }

  static Replacements evaluate_constant(GraphBuilder& builder, Node& node) {
    Replacements values;
    for (size_t i = 0; i < node.results.size(); ++i)
      values.push_back(add_constant(builder, evaluate_value(node.result(static_cast<int>(i)), {}), node.results[i].type));
    return values;
  }

  // Expressions of parameters, states and constants alone; the outermost of each becomes a new parameter.
  bool fold_weight_expressions() {
    std::unordered_set<const Node*> known;
    for (const auto& node : graph_.nodes())
      if (is_known(*node, known)) known.insert(node.get());
    const Uses uses(graph_);
    std::unordered_map<const Node*, std::vector<Value>> folded;   // what stands for a node's results from here on
    const auto follow = [&](Value& read) {
      if (const auto found = folded.find(read.node); found != folded.end() && found->second[read.index]) read = found->second[read.index];
    };
    for (const auto& node : graph_.nodes()) {
      std::for_each(node->operands.begin(), node->operands.end(), follow);
      if (!known.count(node.get())) continue;
      note_origins(*node);
      if (is_weight(*node) || node->is("constant")) continue;
      for (size_t i = 0; i < node->results.size(); ++i) {
        const Value value = node->result(static_cast<int>(i));
        const auto& users = uses.of(value);
        const bool read_outside = std::any_of(users.begin(), users.end(), [&](const Node* user) { return !known.count(user); });
        if (!read_outside && !uses.is_output(value)) continue;
        auto& values = folded[node.get()];
        values.resize(node->results.size());
        values[i] = make_parameter(value);
      }
    }
    for (Output& output : graph_.outputs) follow(output.value);
    return !folded.empty();
  }

  bool is_known(const Node& node, const std::unordered_set<const Node*>& known) const {
    if (is_weight(node)) return !cx_.weights || cx_.weights->find(node.results[0].name);
    if (node.is("constant")) return true;
    if (node.operands.empty() || !node.op->evaluate) return false;
    const bool is_static = std::all_of(node.results.begin(), node.results.end(),
                                       [](const Result& r) { return static_size(r.type) && r.type.dtype == DType::f32; });
    return is_static && std::all_of(node.operands.begin(), node.operands.end(), [&](Value v) { return !v || known.count(v.node); });
  }

  // Rounded to f32 here, once: the expression is evaluated from the original weights in float64.
  Value make_parameter(Value value) {
    const Origins& origins = origins_.at(value.node);
    const Node* origin = origins.parameter ? origins.parameter : origins.state;
    const std::string name = graph_.fresh_name((origin ? origin->results[0].name : "") + ".folded");
    if (evaluator_) cx_.weights->set(name, evaluator_->rounded(value));
    const Value folded =
        GraphBuilder::before(graph_, value.node).parameter(name, value.type(), Symbol{"zeros", {{"trainable", false}}}, false);
    note_origins(*folded.node);
    return folded;
  }

  // The parameter an expression came from: the first one in it, read from the left, or else the first state.
  struct Origins {
    const Node *parameter = nullptr, *state = nullptr;
  };

  void note_origins(const Node& node) {
    Origins& own = origins_[&node];
    if (node.is("parameter")) own.parameter = &node;
    if (node.is("state")) own.state = &node;
    for (const Value& operand : node.operands) {
      if (!operand) continue;
      const Origins& inner = origins_.at(operand.node);
      if (!own.parameter) own.parameter = inner.parameter;
      if (!own.state) own.state = inner.state;
    }
  }

  Graph& graph_;
  PassContext& cx_;
  bool folds_weights_ = false;
  std::optional<WeightEvaluator> evaluator_;   // where the weights are known
  std::unordered_map<const Node*, Origins> origins_;
};

}  // namespace

bool constant_fold(Graph& graph, PassContext& cx) { return Folder(graph, cx).run(); }

}  // namespace bnc
