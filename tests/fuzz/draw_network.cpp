// Networks grow from their inputs, an op at a time: each reads what is there already, and its results are looked at before it stays.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "ir/builder.h"
#include "tests/fuzz/call.h"
#include "tests/fuzz/draw.h"
#include "tests/fuzz/values.h"

namespace bnc::fuzz {

namespace {

// How often an op is drawn, relative to others.
double weight_of(const OpDefinition& op) {
  if (op.name == "batch_norm") return 8;
  switch (op.category) {
    case OpCategory::source: return 0;
    case OpCategory::linear: return 3;
    case OpCategory::pooling: return 1.5;
    case OpCategory::loss:
    case OpCategory::gradient: return 0.5;
    default: return 1;
  }
}

const OpDefinition& draw_op(Random& random) {
  static const double total = std::accumulate(all_ops().begin(), all_ops().end(), 0.0,
                                              [](double sum, const OpDefinition& op) { return sum + weight_of(op); });
  double rest = random.uniform(0, total);
  for (const OpDefinition& op : all_ops()) {
    rest -= weight_of(op);
    if (rest < 0) return op;
  }
  return all_ops().back();
}

const OpDefinition& draw_op(OpCategory category, Random& random) {
  std::vector<const OpDefinition*> ops;
  for (const OpDefinition& op : all_ops())
    if (op.category == category) ops.push_back(&op);
  return *random.pick(ops);
}

// Multiply-adds of a product of the first two operands, as the reference evaluator does them one by one.
double products_of(const Call& call, const TensorType& result, int64_t batch) {
  if (call.operands.size() < 2 || !call.operands[1] || result.rank() == 0) return 0;
  const auto count = [&](const TensorType& type) { return static_cast<double>(element_count(type.shape)->at(batch)); };
  return count(result) * count(*call.operands[1]) / static_cast<double>(result.shape.back().at(batch));
}

class Drawing {
 public:
  Drawing(Case& drawn, Graph& graph, uint64_t seed) : drawn_(drawn), graph_(graph), builder_(graph), random_(seed, "network") {}

  void run() {
    drawn_.batch = random_.pick(std::vector<int64_t>{1, 2, 2, 3, 3, 4, 5, 6, 7, 8, 13});
    const double size = random_.uniform(0, 1);
    limits_ = {.elements = size < 0.03 ? 120000 : size < 0.13 ? 20000 : 2500, .large = size < 0.03, .batch = drawn_.batch};
    limits_.symbolic = random_.chance(0.85);
    add_input();
    if (random_.chance(0.15)) add_input();
    limits_.symbolic = std::any_of(values_.begin(), values_.end(), [](const Value& input) { return has_batch(input.type()); });
    static const std::vector<int64_t> sizes = {1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 11, 15};
    const int64_t wanted = std::min<int64_t>(random_.pick(sizes), limits_.large ? 3 : 15);
    int64_t made = 0;
    for (int64_t attempt = 0; attempt < 8 * wanted && made < wanted; ++attempt) made += grow(wanted - made);
    choose_outputs();
  }

 private:
  void add_input() {
    Shape shape;
    if (limits_.symbolic) shape.push_back(Dim{1, true});
    else shape.push_back(Dim{random_.between(1, 6)});
    const int64_t kind = random_.below(100);
    const auto extent = [&](int64_t most) { return Dim{random_.chance(0.15) ? 1 : random_.between(1, most)}; };
    if (limits_.large && kind < 70) shape = {random_.chance(0.5) ? shape[0] : Dim{random_.between(2, 70)}, Dim{random_.between(120, 640)}};
    else if (limits_.large) shape.insert(shape.end(), {extent(20), extent(20), extent(40)});
    else if (kind < 50) shape.insert(shape.end(), {extent(9), extent(9), extent(random_.chance(0.2) ? 33 : 8)});
    else if (kind < 85) shape.push_back(extent(40));
    else if (kind < 97) shape.insert(shape.end(), {extent(12), extent(20)});
    const TensorType type{DType::f32, shape};
    if (within(limits_, type)) keep(builder_.input(graph_.fresh_name("x"), type));
    else keep(builder_.input(graph_.fresh_name("x"), {DType::f32, {shape[0], Dim{3}}}));
  }

  // Makes a value's numbers known, so that others can read it.
  void keep(Value value) {
    keep(value, value_of_source(graph_, *value.node, drawn_.batch, drawn_.values));
    sources_.push_back(value.node);
  }
  void keep(Value value, Tensor tensor) {
    tensors_[{value.node, value.index}] = std::move(tensor);
    values_.push_back(value);
  }

  // Adds a few nodes, at most so many; returns how many there are now more.
  int64_t grow(int64_t most) {
    const int64_t kind = random_.below(100);
    if (kind < 8) return add_twin() ? 1 : 0;
    if (kind < 18) return add_views(most);
    if (kind < 23) return add_product_of_many() ? 1 : 0;
    if (kind < 35 || (limits_.large && kind < 70)) return add_normalized_product(most);
    return add_node(draw_op(random_)) ? 1 : 0;
  }

  // The op of a node that is there, once more: with operands exchanged, another operand or another attribute, so that the two are nearly
  // the same.
  bool add_twin() {
    std::vector<const Node*> computed;
    for (const auto& node : graph_.nodes())
      if (!node->op->lowering_as<SourceLowering>()) computed.push_back(node.get());
    if (computed.empty()) return false;
    const Node& node = *computed[static_cast<size_t>(random_.recent(static_cast<int64_t>(computed.size())))];
    std::vector<Value> operands = node.operands;
    AttributeMap attributes = node.attributes;
    if (operands.empty()) return false;
    const size_t one = static_cast<size_t>(random_.below(static_cast<int64_t>(operands.size()))),
                 next = one + 1 < operands.size() ? one + 1 : 0;
    const int64_t kind = random_.below(100);
    if (kind < 50) {
      if (operands[one] && operands[next]) std::swap(operands[one], operands[next]);
    } else if (kind < 70 && operands[one]) {
      if (const Value other = choose(operands[one].type())) operands[one] = other;
    }
    if (kind >= 70 && !node.op->attributes.empty()) {
      const AttributeSpec& spec = random_.pick(node.op->attributes);
      if (!spec.layer_only) attributes[spec.name] = draw_attribute(spec, call_of(*node.op, operands, attributes), limits_, random_);
    }
    if (operands == node.operands && attributes == node.attributes) return false;
    return is_possible(call_of(*node.op, operands, attributes)) && add(*node.op, operands, attributes, sources_.size(), values_.size());
  }

  static Call call_of(const OpDefinition& op, const std::vector<Value>& operands, const AttributeMap& attributes) {
    Call call{&op, {}, attributes};
    for (const Value& operand : operands) call.operands.push_back(operand ? std::optional(operand.type()) : std::nullopt);
    return call;
  }

  // A chain of ops that move numbers and compute none.
  int64_t add_views(int64_t most) {
    int64_t made = 0;
    std::vector<Value> fitting;
    for (const Value& value : values_)
      if (value.type().rank() >= 2 && value.type().dtype == DType::f32) fitting.push_back(value);
    Value last = fitting.empty() ? Value{} : fitting[static_cast<size_t>(random_.recent(static_cast<int64_t>(fitting.size())))];
    for (int64_t length = std::min<int64_t>(most, random_.between(2, 4)); length > 0; --length) {
      const OpDefinition& op = random_.chance(0.5) ? *find_op("transpose") : draw_op(OpCategory::shape, random_);
      if (!add_node(op, last)) continue;
      ++made;
      last = values_.back();
    }
    return made;
  }

  // A product of as many matrices as a value has, by others, by one for several of them, or by themselves, as attention does.
  bool add_product_of_many() {
    std::vector<Value> fitting;
    for (const Value& value : values_)
      if (value.type().rank() >= 3 && value.type().dtype == DType::f32) fitting.push_back(value);
    if (fitting.empty()) return false;
    const Value left = fitting[static_cast<size_t>(random_.recent(static_cast<int64_t>(fitting.size())))];
    const Shape& shape = left.type().shape;
    const bool turn_left = random_.chance(0.35), turn_right = random_.chance(0.5);
    const Dim inner = shape[shape.size() - (turn_left ? 2 : 1)], columns{random_.chance(0.2) ? 1 : random_.between(2, 20)};
    Shape other(shape.begin(), shape.end() - 2);
    for (Dim& dim : other) dim = random_.chance(0.12) ? Dim{1} : dim;
    if (random_.chance(0.1)) other.erase(other.begin());
    other.push_back(turn_right ? columns : inner);
    other.push_back(turn_right ? inner : columns);
    const bool by_itself = random_.chance(0.3);
    Call call{find_op("matmul"),
              {left.type(), by_itself ? left.type() : TensorType{DType::f32, other}},
              {{"transpose_left", by_itself ? !turn_right : turn_left}, {"transpose_right", turn_right}}};
    const bool exchanged = !by_itself && random_.chance(0.3);
    if (exchanged) {
      std::swap(call.operands[0], call.operands[1]);
      call.attributes = {{"transpose_left", !turn_right}, {"transpose_right", !turn_left}};
    }
    if (!is_possible(call)) return false;
    const size_t first_source = sources_.size(), first_value = values_.size();
    const Value right = by_itself ? left : operand(call, exchanged ? 0 : 1);
    std::vector<Value> operands = {left, right};
    if (exchanged) std::swap(operands[0], operands[1]);
    return add(*call.op, operands, call.attributes, first_source, first_value);
  }

  // A product of tensors with a batch norm close behind it, which folds into it where it can.
  int64_t add_normalized_product(int64_t most) {
    int64_t made = add_node(draw_op(OpCategory::linear, random_)) ? 1 : 0;
    if (made == 0 || most < 2) return made;
    for (int64_t between = std::min(most - 2, random_.chance(0.5) ? 0 : random_.between(1, 2)); between > 0; --between)
      made += add_node(draw_op(random_.chance(0.5) ? OpCategory::shape : OpCategory::activation, random_), values_.back()) ? 1 : 0;
    return made + (random_.chance(0.8) && add_node(*find_op("batch_norm"), values_.back()) ? 1 : 0);
  }

  // A call of the op, whose first operand is `first` if given.
  bool add_node(const OpDefinition& op, Value first = {}) {
    const Call& example = example_of(op);
    std::vector<Value> operands(example.operands.size());
    Pinned pinned(example.operands.size());
    for (size_t k = 0; k < example.operands.size(); ++k) {
      if (!example.operands[k] || example.spec(k).parameter || (k > 0 && !random_.chance(0.15))) continue;
      operands[k] = k == 0 && first ? first : choose(*example.operands[k]);
      if (operands[k]) pinned[k] = operands[k].type();
    }
    const std::optional<Call> call = draw_call(op, pinned, limits_, random_);
    if (!call || !is_possible(*call)) return false;
    operands.resize(call->operands.size());
    const size_t first_source = sources_.size(), first_value = values_.size();
    layer_.clear();
    for (size_t k = 0; k < operands.size(); ++k)
      if (!operands[k] && call->operands[k]) operands[k] = operand(*call, k);
    return add(op, operands, call->attributes, first_source, first_value);
  }

  // What is allowed, and not too much for the reference evaluator.
  bool is_possible(const Call& call) const {
    constexpr double most_products = 4e6;
    const auto results = results_of(call);
    return results && std::all_of(results->begin(), results->end(), [&](const TensorType& type) { return within(limits_, type); }) &&
           products_of(call, results->front(), drawn_.batch) < most_products;
  }

  // Takes a node whose results are of no use away again, and the sources and values that were made for it.
  bool add(const OpDefinition& op, const std::vector<Value>& operands, const AttributeMap& attributes, size_t first_source,
           size_t first_value) {
    Node* node = builder_.create(op.name, operands, attributes);
    if (look_at(*node)) return true;
    graph_.erase(node);
    while (sources_.size() > first_source) {
      graph_.erase(sources_.back());
      sources_.pop_back();
    }
    values_.resize(first_value);
    return false;
  }

  // A value that is there, preferably of the rank of the example's.
  Value choose(const TensorType& like) {
    const bool same_rank = random_.chance(0.8);
    std::vector<Value> fitting;
    for (const Value& value : values_)
      if (value.type().dtype == like.dtype && (!same_rank || value.type().rank() == like.rank())) fitting.push_back(value);
    if (fitting.empty()) return {};
    return fitting[static_cast<size_t>(random_.recent(static_cast<int64_t>(fitting.size())))];
  }

  Value operand(const Call& call, size_t k) {
    const TensorType& type = *call.operands[k];
    const OperandSpec& spec = call.spec(k);
    std::vector<Value> same;
    for (const Value& value : values_)
      if (value.type() == type && !is_label(value) && (!spec.parameter || random_.chance(0.2) || is_made_by_rule(value, spec)))
        same.push_back(value);
    if (!same.empty() && random_.chance(spec.parameter ? 0.12 : 0.6))
      return same[static_cast<size_t>(random_.recent(static_cast<int64_t>(same.size())))];
    int64_t classes = 4;
    if (call.op->target_type && !call.operands[0]->shape.empty()) classes = call.operands[0]->shape.back().factor;
    const Value made = spec.parameter && !has_batch(type) ? made_by_rule(*call.op, spec, type) : source(type, classes);
    keep(made);
    return made;
  }

  // Below the number of classes that its own reader tells apart.
  static bool is_label(const Value& value) { return value.type().dtype == DType::i32 && value.node->is("constant"); }

  static bool has_batch(const TensorType& type) {
    return std::any_of(type.shape.begin(), type.shape.end(), [](const Dim& dim) { return dim.batch; });
  }

  static bool is_made_by_rule(const Value& value, const OperandSpec& spec) {
    return value.node->is(spec.parameter->kind == ParameterRule::Kind::state ? "state" : "parameter");
  }

  // As a layer makes it, starting with other values than zeros and ones.
  Value made_by_rule(const OpDefinition& op, const OperandSpec& spec, const TensorType& type) {
    const std::string stem = op.layer_name.empty() ? op.name : op.layer_name;
    if (layer_.empty()) layer_ = fmt::format("{}_{}", stem, ++layers_[stem]);
    const std::string name = graph_.fresh_name(layer_ + "." + spec.name);
    const bool state = spec.parameter->kind == ParameterRule::Kind::state;
    const Symbol initializer = varied(spec.parameter->initializer, state, type);
    return state ? builder_.state(name, type, initializer) : builder_.parameter(name, type, initializer, !random_.chance(0.05));
  }

  static Symbol normal(double mean, double deviation) { return {"normal", {{"mean", mean}, {"deviation", deviation}}}; }
  static Symbol uniform(double low, double high) { return {"uniform", {{"low", low}, {"high", high}}}; }

  Symbol varied(const Symbol& initializer, bool state, const TensorType& type) {
    if (initializer.name == "ones") return state || random_.chance(0.5) ? uniform(0.5, 1.75) : normal(0, 1);
    if (initializer.name == "zeros" && state && type.rank() == 0)
      return {"constant", {{"value", static_cast<double>(random_.between(0, 5))}}};
    if (initializer.name == "zeros") return normal(0, 0.5);
    return initializer;
  }

  // What an operand without a rule reads, where nothing that is there is taken; integers are below `classes`.
  Value source(const TensorType& type, int64_t classes) {
    const int64_t kind = random_.below(100);
    if (type.dtype == DType::i32 && !has_batch(type) && kind < 30)
      return builder_.constant(static_cast<double>(random_.below(std::min<int64_t>(classes, 4))), type);
    if (type.dtype == DType::i32 || has_batch(type) || kind < 15) return builder_.input(graph_.fresh_name("x"), type);
    if (kind < 30) return constant(type);
    if (kind < 37) return builder_.state(graph_.fresh_name("s"), type, uniform(0.4, 2));
    return builder_.parameter(graph_.fresh_name("p"), type,
                              random_.chance(0.35) ? uniform(0.3, 2) : normal(0, random_.chance(0.7) ? 1 : 0.3));
  }

  Value constant(const TensorType& type) {
    const std::vector<int64_t> dims = concrete(type.shape, drawn_.batch);
    if (element_count(dims) > 20 || random_.chance(0.4))
      return builder_.constant(random_.pick(std::vector<double>{0, 1, -1, 0.5, 2, 0.1, 3}), type);
    Tensor tensor = Tensor::filled(type.dtype, dims, 0);
    for (double& x : tensor.data) x = static_cast<double>(random_.between(-8, 8)) / 4;
    return builder_.constant(tensor);
  }

  // Whether the node's results are worth keeping: finite, of a usual size, and rarely all the same.
  bool look_at(Node& node) {
    EvaluateContext cx{node, {}, drawn_.batch};
    for (const Value& operand : node.operands) cx.operands.push_back(operand ? &tensors_.at({operand.node, operand.index}) : nullptr);
    std::vector<Tensor> results = node.op->evaluate(cx);
    bool varies = false;
    for (const Tensor& tensor : results) {
      for (const double x : tensor.data)
        if (!std::isfinite(x) || std::abs(x) > 1e4) return false;
      varies |= tensor.data.size() == 1 ||
                std::any_of(tensor.data.begin(), tensor.data.end(), [&](double x) { return std::abs(x - tensor.data[0]) > 1e-3; });
    }
    if (!varies && !random_.chance(0.05)) return false;
    for (size_t k = 0; k < results.size(); ++k) keep(node.result(static_cast<int>(k)), std::move(results[k]));
    return true;
  }

  bool is_computed(const Value& value) const { return !value.node->op->lowering_as<SourceLowering>(); }

  // What nobody reads, mostly; some of what is read too, at times an input or the same value twice.
  void choose_outputs() {
    const Uses uses(graph_);
    std::vector<Value> chosen;
    for (const Value& value : values_) {
      if (is_computed(value) && uses.of(value).empty() ? random_.chance(value.index == 0 ? 0.9 : 0.5)
                                                       : is_computed(value) && random_.chance(0.07))
        chosen.push_back(value);
    }
    if (chosen.empty() || random_.chance(0.03))
      chosen.push_back(values_[static_cast<size_t>(random_.below(static_cast<int64_t>(values_.size())))]);
    if (random_.chance(0.03)) chosen.push_back(chosen.front());
    if (chosen.size() > 1 && random_.chance(0.5)) std::swap(chosen.front(), chosen.back());
    for (const Value& value : chosen) {
      std::string name = value.name();
      for (int again = 2; graph_.output(Output::Role::output, name); ++again) {
        name = fmt::format("{}_{}", value.name(), again);
        std::replace(name.begin(), name.end(), '.', '_');   // a name that is given has no dots
      }
      graph_.outputs.push_back({Output::Role::output, name, value});
    }
  }

  Case& drawn_;
  Graph& graph_;
  GraphBuilder builder_;
  Random random_;
  Limits limits_;
  std::vector<Value> values_;
  std::vector<Node*> sources_;
  std::map<std::pair<const Node*, int>, Tensor> tensors_;
  std::map<std::string, int> layers_;
  std::string layer_;   // of the node being made
};

}  // namespace

Case draw_case(uint64_t seed) {
  if (Random(seed, "kind").chance(0.15)) {
    Case drawn = draw_layers(seed);
    draw_training(drawn, seed);
    return drawn;
  }
  Case drawn;
  drawn.values = seed;
  Graph graph;
  graph.name = "net";
  Drawing(drawn, graph, seed).run();
  drawn.module.networks.push_back(std::move(graph));
  draw_training(drawn, seed);
  return drawn;
}

}  // namespace bnc::fuzz
