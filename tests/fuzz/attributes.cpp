// Attributes from their kinds, near what the tensors around them make sensible.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/fuzz/call.h"

namespace bnc::fuzz {

namespace {

// The first operand that is there.
const TensorType* leading_type(const Call& call) {
  for (const auto& type : call.operands)
    if (type) return &*type;
  return nullptr;
}

int rank_of(const Call& call) {
  const TensorType* type = leading_type(call);
  return type ? type->rank() : 1;
}

// The extents of all operands, and the batch size.
std::vector<int64_t> extents_of(const Call& call, const Limits& limits) {
  std::vector<int64_t> extents = {limits.batch};
  for (const auto& type : call.operands)
    if (type)
      for (const Dim& dim : type->shape) extents.push_back(dim.factor);
  return extents;
}

int64_t divisor_of(int64_t number, Random& random) {
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= std::min<int64_t>(number, 64); ++d)
    if (number % d == 0) divisors.push_back(d);
  return divisors.empty() ? 1 : random.pick(divisors);
}

int64_t draw_integer(const Call& call, const Limits& limits, Random& random) {
  const int64_t kind = random.below(100);
  if (kind < 45) return random.between(0, 4);
  if (kind < 60) return random.between(-rank_of(call), std::max(0, rank_of(call) - 1));
  if (kind < 75) return random.pick(extents_of(call, limits));
  if (kind < 85) return divisor_of(random.pick(extents_of(call, limits)), random);
  if (kind < 92) return random.pick(extents_of(call, limits)) + random.between(-2, 3);
  if (kind < 98) return random.between(3, 37);
  return random.between(0, int64_t{1} << random.below(40));
}

double draw_number(const AttributeSpec& spec, Random& random) {
  static const std::vector<double> usual = {0, 0.1, 0.25, 0.5, 0.75, 0.9, 1, 1.5, 2, 3, 1e-3, 1e-5, -0.5, -1};
  if (spec.fallback && random.chance(0.3) && (spec.fallback->get_if<double>() || spec.fallback->get_if<int64_t>()))
    return spec.fallback->number() * std::exp(random.uniform(-2, 2));
  return random.chance(0.7) ? random.pick(usual) : random.uniform(0, 2);
}

Symbol draw_symbol(const AttributeSpec& spec, const Call& call, const Limits& limits, Random& random) {
  Symbol symbol{random.pick(spec.choices), {}};
  const auto arguments = spec.arguments.find(symbol.name);
  if (arguments == spec.arguments.end()) return symbol;
  for (const auto& [name, kind] : arguments->second) {
    if (random.chance(0.35)) continue;
    if (kind == AttributeKind::boolean) symbol.arguments.emplace_back(name, random.chance(0.7));
    else if (kind == AttributeKind::integer || random.chance(0.25))
      symbol.arguments.emplace_back(name, std::abs(draw_integer(call, limits, random)));
    else symbol.arguments.emplace_back(name, std::abs(draw_number(spec, random)));
  }
  return symbol;
}

// Distinct axes, some counted from the end: a selection or, of all of them, an order.
IntList draw_axes(const Call& call, bool all, Random& random) {
  const int rank = rank_of(call);
  IntList axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  for (size_t k = 0; k < axes.size(); ++k) std::swap(axes[k], axes[static_cast<size_t>(random.between(static_cast<int64_t>(k), rank - 1))]);
  if (all) return axes;
  axes.resize(static_cast<size_t>(random.between(0, rank)));
  for (int64_t& axis : axes)
    if (random.chance(0.3)) axis -= rank;
  return axes;
}

IntList draw_integers(const Attribute* before, const Call& call, const Limits& limits, Random& random) {
  const IntList* old = before ? before->get_if<IntList>() : nullptr;
  const int64_t kind = random.below(100);
  if (kind < 15) return draw_axes(call, false, random);
  if (kind < 30) return draw_axes(call, true, random);
  if (old && kind < 60 && !old->empty()) {
    IntList changed = *old;
    int64_t& one = changed[static_cast<size_t>(random.below(static_cast<int64_t>(changed.size())))];
    one = random.chance(0.5) ? one + random.between(-2, 2) : draw_integer(call, limits, random);
    return changed;
  }
  const int rank = rank_of(call);
  const std::vector<int64_t> lengths = {old ? static_cast<int64_t>(old->size()) : 1, 1, 2, 4, rank, std::max(0, rank - 2)};
  IntList list(static_cast<size_t>(random.pick(lengths)));
  const bool small = random.chance(0.6);
  for (int64_t& each : list) each = small ? random.between(0, 3) : draw_integer(call, limits, random);
  return list;
}

NumberList draw_numbers(const Call& call, Random& random) {
  static const std::vector<double> usual = {0.3, 0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3};
  int64_t length = random.between(1, std::max(1, rank_of(call) - 1));
  // A number a class, or for each index of the last dimension.
  const TensorType* type = leading_type(call);
  if (type && type->rank() > 0 && type->shape.back().factor <= 40 && random.chance(0.4)) length = type->shape.back().factor;
  NumberList list(static_cast<size_t>(length));
  for (double& each : list) each = random.pick(usual);
  return list;
}

// One step away from `shape`: its dimensions in another order, two of them merged, one split, a 1 put in or taken out, or one in
// front or in place of a 1.
void reshape_once(Shape& shape, const Limits& limits, const Call& call, Random& random) {
  const auto size = static_cast<int64_t>(shape.size());
  const int64_t at = size == 0 ? 0 : random.below(size);
  const auto here = shape.begin() + at;
  switch (random.below(7)) {
    case 0:
      if (size > 1) std::swap(*here, shape[static_cast<size_t>(random.below(size))]);
      break;
    case 1:
      if (at + 1 >= size || (here->batch && (here + 1)->batch)) break;
      *here = {here->factor * (here + 1)->factor, here->batch || (here + 1)->batch};
      shape.erase(here + 1);
      break;
    case 2: {
      if (size == 0) break;
      const int64_t divisor = divisor_of(here->factor, random);
      here->factor /= divisor;
      shape.insert(random.chance(0.5) ? here + 1 : here, Dim{divisor});
      break;
    }
    case 3: shape.insert(here, Dim{1}); break;
    case 4:
      if (size > 0 && here->is_one()) shape.erase(here);
      break;
    case 5:
      if (size > 0 && here->is_one()) *here = random.chance(0.3) ? Dim{1, true} : Dim{random.pick(extents_of(call, limits))};
      break;
    default: shape.insert(shape.begin(), random.chance(0.5) && limits.symbolic ? Dim{1, true} : Dim{random.between(1, 4)}); break;
  }
}

Shape draw_shape(const Attribute* before, const Call& call, const Limits& limits, Random& random) {
  const TensorType* type = leading_type(call);
  Shape shape = type && random.chance(0.6) ? type->shape : before && before->get_if<Shape>() ? before->shape() : Shape{};
  for (int64_t steps = random.between(1, 3); steps > 0; --steps) reshape_once(shape, limits, call, random);
  return shape;
}

Attribute draw_padding(const AttributeSpec& spec, const Call& call, const Limits& limits, Random& random) {
  if (random.chance(0.4) && !spec.choices.empty()) return Symbol{random.pick(spec.choices), {}};
  if (random.chance(0.4)) return random.between(0, 3);
  const std::vector<int64_t> lengths = {1, 2, 4};
  IntList list(static_cast<size_t>(random.pick(lengths)));
  for (int64_t& each : list) each = random.chance(0.8) ? random.between(0, 4) : draw_integer(call, limits, random);
  return list;
}

}  // namespace

Attribute draw_attribute(const AttributeSpec& spec, const Call& call, const Limits& limits, Random& random) {
  if (spec.fallback && random.chance(0.15)) return *spec.fallback;
  const auto found = call.attributes.find(spec.name);
  const Attribute* before = found == call.attributes.end() ? nullptr : &found->second;
  switch (spec.kind) {
    case AttributeKind::boolean: return random.chance(0.5);
    case AttributeKind::integer: return draw_integer(call, limits, random);
    case AttributeKind::number: return draw_number(spec, random);
    case AttributeKind::symbol: return draw_symbol(spec, call, limits, random);
    case AttributeKind::integers: return draw_integers(before, call, limits, random);
    case AttributeKind::numbers: return draw_numbers(call, random);
    case AttributeKind::shape: return draw_shape(before, call, limits, random);
    case AttributeKind::padding: return draw_padding(spec, call, limits, random);
  }
  return {};
}

}  // namespace bnc::fuzz
