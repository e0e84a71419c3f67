#include "tests/fuzz/call.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/shape_limits.h"

namespace bnc::fuzz {

namespace {

// A source for each operand that is there, for a shape rule to look at.
struct Operands {
  std::vector<Node> nodes;
  std::vector<Value> values;

  explicit Operands(const Call& call) : nodes(call.operands.size()), values(call.operands.size()) {
    for (size_t k = 0; k < nodes.size(); ++k) {
      nodes[k].op = find_op("input");
      if (!call.operands[k]) continue;
      nodes[k].results.push_back(Result{*call.operands[k], "x"});
      values[k] = Value{&nodes[k], 0};
    }
  }
};

Call parse_example(const OpDefinition& op) {
  const Module module = parse_module(
      make_source(fmt::format("network example({}) {{\n  return y = {}\n}}\n", op.example_inputs, op.example), "example of " + op.name));
  Call call{&op, {}, {}};
  const Node& node = *module.main().outputs.front().value.node;
  BNC_CHECK(node.op == &op, "the example of " + op.name);
  for (const Value& operand : node.operands) call.operands.push_back(operand ? std::optional(operand.type()) : std::nullopt);
  call.attributes = node.attributes;
  return call;
}

// Sums are cut into parts of 128 or 192 numbers, and a product's operands are packed from a depth of 512 on.
int64_t draw_extent(const Limits& limits, Random& random) {
  static const std::vector<int64_t> long_ones = {48,  63,  96,  97,  127, 128, 129, 130, 160, 191,
                                                 193, 200, 256, 257, 300, 385, 512, 513, 520, 600};
  if (random.chance(limits.large ? 0.5 : 0.02)) return random.pick(long_ones);
  static const std::vector<int64_t> odd = {5, 7, 8, 9, 11, 13, 15, 16, 17, 19, 23, 31, 32, 33, 37, 64, 65};
  const int64_t kind = random.below(100);
  if (kind < 20) return 1;
  if (kind < 65) return random.between(2, 6);
  return random.pick(odd);
}

// A dimension of another operand, or a new one.
Dim draw_dim(const Call& call, bool first, const Limits& limits, Random& random) {
  if (first && random.chance(0.3)) return Dim{1, true};
  if (random.chance(0.4)) {
    const auto& type = random.pick(call.operands);
    if (type && type->rank() > 0) return random.pick(type->shape);
  }
  return Dim{draw_extent(limits, random)};
}

// Where dimensions go when an operand's type changes; those of the example that became two different ones keep the first.
using Renaming = std::vector<std::pair<Dim, Dim>>;

Dim renamed(const Renaming& renaming, const Dim& dim) {
  for (const auto& [from, to] : renaming)
    if (from == dim) return to;
  return dim;
}

// The dimensions of `from` and `to` that stand at the same place counted from the end.
void add_renaming(Renaming& renaming, const Shape& from, const Shape& to) {
  const size_t common = std::min(from.size(), to.size());
  for (size_t k = 1; k <= common; ++k) renaming.emplace_back(from[from.size() - k], to[to.size() - k]);
}

void rename_attributes(Call& call, const Renaming& renaming, Random& random) {
  const auto integer = [&](int64_t& x) { x = renamed(renaming, Dim{x}).factor; };
  for (auto& [name, attribute] : call.attributes) {
    if (const Shape* shape = attribute.get_if<Shape>()) {
      Shape changed = *shape;
      for (Dim& dim : changed) dim = renamed(renaming, dim);
      attribute = changed;
    } else if (const IntList* list = attribute.get_if<IntList>(); list && random.chance(0.3)) {
      IntList changed = *list;
      for (int64_t& each : changed) integer(each);
      attribute = changed;
    } else if (const int64_t* number = attribute.get_if<int64_t>(); number && random.chance(0.3)) {
      int64_t changed = *number;
      integer(changed);
      attribute = changed;
    }
  }
}

// The example with the pinned types, and the types of the others changed in the same way.
Call adapted_example(const OpDefinition& op, const Pinned& pinned, const Limits& limits, Random& random) {
  Call call = example_of(op);
  const Call example = call;
  Renaming renaming;
  const bool together = random.chance(0.5);
  for (size_t k = 0; k < call.operands.size() && k < pinned.size(); ++k)
    if (pinned[k] && example.operands[k]) add_renaming(renaming, example.operands[k]->shape, pinned[k]->shape);
  for (size_t k = 0; k < call.operands.size(); ++k) {
    if (k < pinned.size() && pinned[k]) {
      call.operands[k] = pinned[k];
      continue;
    }
    if (!call.operands[k]) continue;
    for (size_t other = 0; other < pinned.size() && other < example.operands.size(); ++other)
      if (pinned[other] && example.operands[other] == example.operands[k]) call.operands[k] = pinned[other];
    if (call.operands[k] != example.operands[k]) continue;
    for (Dim& dim : call.operands[k]->shape) {
      const Dim from = dim;
      dim = renamed(renaming, from);
      if (!(dim == from) || from.batch) continue;
      dim = Dim{draw_extent(limits, random)};
      if (together) renaming.emplace_back(from, dim);
    }
  }
  rename_attributes(call, renaming, random);
  return call;
}

// An operand that may change.
std::optional<size_t> free_operand(const Call& call, const Pinned& pinned, Random& random) {
  std::vector<size_t> free;
  for (size_t k = 0; k < call.operands.size(); ++k)
    if (k >= pinned.size() || !pinned[k]) free.push_back(k);
  return free.empty() ? std::nullopt : std::optional(random.pick(free));
}

void change_extent_everywhere(Call& call, const Pinned& pinned, size_t operand, const Limits& limits, Random& random) {
  const Shape shape = call.operands[operand]->shape;
  if (shape.empty()) return;
  const Dim from = random.pick(shape);
  const Renaming renaming = {{from, from.batch ? from : Dim{draw_extent(limits, random)}}};
  for (size_t k = 0; k < call.operands.size(); ++k)
    if (call.operands[k] && (k >= pinned.size() || !pinned[k]))
      for (Dim& dim : call.operands[k]->shape) dim = renamed(renaming, dim);
  rename_attributes(call, renaming, random);
}

void change_operand(Call& call, const Pinned& pinned, const Limits& limits, Random& random) {
  const std::optional<size_t> operand = free_operand(call, pinned, random);
  if (!operand) return;
  std::optional<TensorType>& type = call.operands[*operand];
  const OperandSpec& spec = call.spec(*operand);
  if (spec.optional && random.chance(0.3)) {
    if (type) type.reset();
    else
      type = TensorType{random.chance(0.2) ? DType::i32 : DType::f32,
                        random.chance(0.5) ? Shape{} : Shape{draw_dim(call, false, limits, random)}};
    return;
  }
  if (!type) return;
  Shape& shape = type->shape;
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t at = rank == 0 ? 0 : random.below(rank);
  switch (random.below(8)) {
    case 0:
    case 1: change_extent_everywhere(call, pinned, *operand, limits, random); break;
    case 2:
    case 3:
      if (rank > 0) shape[static_cast<size_t>(at)] = draw_dim(call, at == 0, limits, random);
      break;
    case 4:
      if (rank > 0) shape.erase(shape.begin() + at);
      break;
    case 5: shape.insert(shape.begin() + at, draw_dim(call, at == 0, limits, random)); break;
    case 6:
      if (const auto& other = random.pick(call.operands)) shape = other->shape;
      break;
    default: shape = {draw_dim(call, false, limits, random)}; break;
  }
}

void change_count(Call& call, const Pinned& pinned, Random& random) {
  const bool variadic = !call.op->operands.empty() && call.op->operands.back().variadic;
  if (!variadic) return;
  const bool removable = call.operands.size() > call.op->operands.size() &&
                         (call.operands.size() > pinned.size() || !pinned[call.operands.size() - 1]);
  if (removable && random.chance(0.6)) call.operands.pop_back();
  else if (call.operands.size() < 4) call.operands.push_back(call.operands.back());
}

void change_attribute(Call& call, const Limits& limits, Random& random) {
  std::vector<const AttributeSpec*> specs;
  for (const AttributeSpec& spec : call.op->attributes)
    if (!spec.layer_only) specs.push_back(&spec);
  if (specs.empty()) return;
  const AttributeSpec& spec = *random.pick(specs);
  call.attributes[spec.name] = draw_attribute(spec, call, limits, random);
}

bool call_within(const Limits& limits, const Call& call, const std::vector<TensorType>& results) {
  for (const auto& type : call.operands)
    if (type && !fuzz::within(limits, *type)) return false;
  return std::all_of(results.begin(), results.end(), [&](const TensorType& type) { return fuzz::within(limits, type); });
}

// Operands that a layer makes for some attributes only, such as a count of steps.
void settle_wanted(Call& call, const Pinned& pinned) {
  static const std::string batch_symbol = "N";
  for (size_t k = 0; k < call.operands.size(); ++k) {
    const auto& rule = call.spec(k).parameter;
    if (!rule || !rule->wanted || (k < pinned.size() && pinned[k])) continue;
    const Operands operands(call);
    const InferContext context(*call.op, operands.values, call.attributes, {}, batch_symbol);
    call.operands[k].reset();
    if (rule->wanted(context)) call.operands[k] = rule->type(context);
  }
}

bool is_valid(const Call& call, const Limits& limits) {
  const auto results = results_of(call);
  return results && call_within(limits, call, *results);
}

}  // namespace

bool within(const Limits& limits, const TensorType& type) {
  const std::optional<Dim> count = element_count(type.shape);
  const bool uses_batch = std::any_of(type.shape.begin(), type.shape.end(), [](const Dim& dim) { return dim.batch; });
  return count && (limits.symbolic || !uses_batch) && count->factor > 0 && count->factor <= limits.elements &&
         count->at(limits.batch) <= limits.elements;
}

std::optional<std::vector<TensorType>> results_of(const Call& call) {
  static const std::string batch_symbol = "N";
  for (const std::optional<TensorType>& type : call.operands)
    if (type && !why_impossible(type->shape, batch_symbol).empty()) return {};
  Operands operands(call);
  try {
    return call.op->infer(InferContext(*call.op, operands.values, call.attributes, {}, batch_symbol));
  } catch (const CompileError&) {
    return {};
  }
}

const Call& example_of(const OpDefinition& op) {
  static std::map<const OpDefinition*, Call> examples;
  auto found = examples.find(&op);
  if (found == examples.end()) found = examples.emplace(&op, parse_example(op)).first;
  return found->second;
}

void change(Call& call, const Pinned& pinned, const Limits& limits, Random& random) {
  const int64_t kind = random.below(100);
  if (kind < 45) change_attribute(call, limits, random);
  else if (kind < 95) change_operand(call, pinned, limits, random);
  else change_count(call, pinned, random);
  settle_wanted(call, pinned);
}

std::optional<Call> draw_call(const OpDefinition& op, const Pinned& pinned, const Limits& limits, Random& random) {
  constexpr int attempts = 40;
  Call call = adapted_example(op, pinned, limits, random);
  bool valid = is_valid(call, limits);
  for (int attempt = 0; attempt < attempts && !valid; ++attempt) {
    Call tried = attempt % 8 == 7 ? adapted_example(op, pinned, limits, random) : call;
    for (int64_t changes = random.between(1, 4); changes > 0; --changes) change(tried, pinned, limits, random);
    valid = is_valid(tried, limits);
    if (valid) call = std::move(tried);
  }
  if (!valid) return {};
  for (int64_t steps = random.between(0, 8); steps > 0; --steps) {
    Call tried = call;
    for (int64_t changes = random.between(1, 2); changes > 0; --changes) change(tried, pinned, limits, random);
    if (is_valid(tried, limits)) call = std::move(tried);
  }
  return call;
}

}  // namespace bnc::fuzz
