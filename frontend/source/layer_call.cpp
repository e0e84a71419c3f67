#include "frontend/source/layer_call.h"

#include <utility>

namespace bnc::source {

namespace {

class Matcher {
 public:
  Matcher(const Node& node, const std::string& batch_symbol, const SourceOptions& options, const std::function<bool(const Value&)>& free)
      : node_(node), op_(*node.op), batch_symbol_(batch_symbol), options_(options), free_(free), attributes_(node.attributes) {}

  LayerCall run() {
    call_.piece.op = &op_;
    call_.piece.kernel = node_.kernel;
    complete_layer_only();
    for (size_t k = 0; k < op_.operands.size(); ++k) operand(k);
    for (const AttributeSpec& spec : op_.attributes) call_.piece.settings.push_back({.literal = setting(spec)});
    return std::move(call_);
  }

 private:
  InferContext facts(std::vector<Value>& before, size_t operand) const {
    before.assign(node_.operands.begin(), node_.operands.begin() + static_cast<std::ptrdiff_t>(operand));
    before.resize(op_.operands.size());
    return InferContext(op_, before, attributes_, node_.range, batch_symbol_);
  }

  // Whether the layer, with the attributes as they are, makes a parameter of the type this operand has.
  bool fits(size_t k) const {
    const Value& value = node_.operands[k];
    const ParameterRule& rule = *op_.operands[k].parameter;
    if (!value || !value.node->is(rule.kind == ParameterRule::Kind::state ? "state" : "parameter") || !free_(value)) return false;
    std::vector<Value> before;
    try {
      return rule.type(facts(before, k)) == value.type();
    } catch (const CompileError&) {
      return false;
    }
  }

  // What an attribute that only shapes parameters may have been, most likely first.
  std::vector<Attribute> candidates(const AttributeSpec& spec, const Shape& shape) const {
    const auto grouped = attributes_.find("groups");
    const int64_t groups = grouped == attributes_.end() ? 1 : grouped->second.integer();
    std::vector<Attribute> found;
    if (spec.fallback) found.push_back(*spec.fallback);
    if (spec.kind == AttributeKind::boolean) return {true, false};
    for (const std::string& choice : spec.choices) found.push_back(Symbol{choice, {}});
    for (size_t k = shape.size(); k-- > 0;) {
      if (spec.kind == AttributeKind::integer) found.push_back(shape[k].factor);
      if (spec.kind == AttributeKind::integer && groups > 1) found.push_back(shape[k].factor * groups);
      if (spec.kind != AttributeKind::integers) continue;
      found.push_back(IntList{shape[k].factor});
      if (k > 0) found.push_back(IntList{shape[k - 1].factor, shape[k].factor});
    }
    return found;
  }

  bool search(const std::vector<const AttributeSpec*>& open, size_t next, size_t operand) {
    if (next == open.size()) return fits(operand);
    for (Attribute& candidate : candidates(*open[next], node_.operands[operand].type().shape)) {
      attributes_[open[next]->name] = std::move(candidate);
      if (search(open, next + 1, operand)) return true;
    }
    attributes_.erase(open[next]->name);
    return false;
  }

  // Finds units, filters and the like from the first parameter.
  void complete_layer_only() {
    std::vector<const AttributeSpec*> open;
    for (const AttributeSpec& spec : op_.attributes)
      if (spec.layer_only) open.push_back(&spec);
    for (size_t k = 0; k < op_.operands.size() && k < node_.operands.size(); ++k) {
      if (!op_.operands[k].parameter) continue;
      shaped_ = node_.operands[k] && search(open, 0, k);
      break;
    }
    for (const AttributeSpec* spec : open)
      if (!shaped_ && spec->fallback) attributes_[spec->name] = *spec->fallback;
  }

  void operand(size_t k) {
    const OperandSpec& spec = op_.operands[k];
    Operand operand;
    const bool present = k < node_.operands.size() && node_.operands[k];
    if (present) operand.kind = Operand::Kind::given;
    if (spec.parameter) {
      std::vector<Value> before;
      const bool wanted = !spec.parameter->wanted || spec.parameter->wanted(facts(before, k));
      operand.told = !present && wanted;
      if (present && shaped_ && fits(k)) make(k, wanted, operand);
    }
    call_.piece.operands.push_back(std::move(operand));
  }

  void make(size_t k, bool wanted, Operand& operand) {
    const Node& parameter = *node_.operands[k].node;
    Symbol initializer = op_.operands[k].parameter->initializer;
    const Symbol& given = parameter.attribute("initializer").symbol();
    operand.kind = Operand::Kind::made;
    if (options_.initializers) {
      if (given != initializer || !wanted) operand.initializer = given;
    } else if (const Attribute* trainable = given.find("trainable"); trainable && !trainable->boolean()) {
      initializer.arguments.emplace_back("trainable", false);
      operand.initializer = initializer;
    } else if (!wanted) {
      operand.initializer = initializer;
    }
    call_.made.push_back(&parameter);
    call_.piece.made.push_back(parameter.results[0].name);
  }

  Attribute setting(const AttributeSpec& spec) const {
    const auto found = attributes_.find(spec.name);
    if (found == attributes_.end() || (spec.layer_only && !shaped_)) return spec.fallback ? plain(*spec.fallback) : Attribute();
    return spec.kind == AttributeKind::integers ? plain(found->second) : found->second;   // `padding` keeps its form
  }

  const Node& node_;
  const OpDefinition& op_;
  const std::string& batch_symbol_;
  const SourceOptions& options_;
  const std::function<bool(const Value&)>& free_;
  AttributeMap attributes_;
  bool shaped_ = false;   // the first parameter is made; those behind it may be shaped by the same attributes
  LayerCall call_;
};

}  // namespace

LayerCall layer_call(const Node& node, const std::string& batch_symbol, const SourceOptions& options,
                     const std::function<bool(const Value&)>& free) {
  return Matcher(node, batch_symbol, options, free).run();
}

}  // namespace bnc::source
