#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "ir/evaluate.h"
#include "ir/number_range.h"
#include "ir/op.h"
#include "ir/random.h"

namespace bnc {

namespace {

struct Fans {
  double in = 1, out = 1;
};

// Dense weights are [in, out], convolution weights [kh, kw, in/groups, out]: the leading dimensions are a window.
Fans fans_of(const std::vector<int64_t>& dims) {
  if (dims.empty()) return {};
  Fans fans;
  for (size_t i = 0; i + 2 < dims.size(); ++i) fans.in *= static_cast<double>(dims[i]);
  fans.out = fans.in * static_cast<double>(dims.back());
  fans.in *= static_cast<double>(dims.size() == 1 ? dims[0] : dims[dims.size() - 2]);
  return fans;
}

using Draw = double (*)(RandomStream&, const Symbol&, const Fans&);

constexpr double default_low = -0.05, default_high = 0.05;   // of `uniform`

double between(RandomStream& random, double low, double high) { return low + (high - low) * random.uniform(); }

struct Argument {
  std::string name;
  NumberRange range = any_finite;
  bool is_flag = false;
};

struct Initializer {
  const char* name;
  std::vector<Argument> arguments;
  Draw draw;
};

const std::vector<Initializer>& initializers() {
  static const std::vector<Initializer> all = {
      {"zeros", {}, [](RandomStream&, const Symbol&, const Fans&) { return 0.0; }},
      {"ones", {}, [](RandomStream&, const Symbol&, const Fans&) { return 1.0; }},
      {"constant", {{"value"}}, [](RandomStream&, const Symbol& s, const Fans&) { return s.number("value", 0); }},
      {"normal",
       {{"mean"}, {"deviation", not_negative}},
       [](RandomStream& random, const Symbol& s, const Fans&) { return s.number("mean", 0) + s.number("deviation", 1) * random.normal(); }},
      {"uniform",
       {{"low"}, {"high"}},
       [](RandomStream& random, const Symbol& s, const Fans&) {
         return between(random, s.number("low", default_low), s.number("high", default_high));
       }},
      {"xavier",
       {},
       [](RandomStream& random, const Symbol&, const Fans& fans) {
         const double bound = std::sqrt(6 / (fans.in + fans.out));
         return between(random, -bound, bound);
       }},
      {"he",
       {{.name = "fan_out", .is_flag = true}},
       [](RandomStream& random, const Symbol& s, const Fans& fans) {
         return std::sqrt(2 / (s.flag("fan_out") ? fans.out : fans.in)) * random.normal();
       }},
  };
  return all;
}

const Initializer* find_initializer(const std::string& name) {
  for (const Initializer& initializer : initializers())
    if (initializer.name == name) return &initializer;
  return nullptr;
}

[[noreturn]] void refuse(const std::string& what, const std::string& name, const std::vector<std::string>& known,
                         const SourceRange& range) {
  Diagnostic diagnostic{Severity::error, range, fmt::format("unknown {} `{}`", what, name), {}};
  diagnostic.help(did_you_mean(name, known));
  throw CompileError(std::move(diagnostic));
}

}  // namespace

void check_initializer(const Symbol& symbol, const SourceRange& range) {
  const Initializer* initializer = find_initializer(symbol.name);
  if (!initializer) {
    std::vector<std::string> names;
    for (const Initializer& known : initializers()) names.push_back(known.name);
    refuse("initializer", symbol.name, names, range);
  }
  std::vector<Argument> known = initializer->arguments;
  known.push_back({.name = "trainable", .is_flag = true});
  const auto refuse_value = [&](const std::string& text) { throw CompileError(Diagnostic{Severity::error, range, text, {}}); };
  for (const auto& [name, value] : symbol.arguments) {
    const auto argument = std::find_if(known.begin(), known.end(), [&](const Argument& each) { return each.name == name; });
    if (argument == known.end()) {
      std::vector<std::string> names;
      for (const Argument& each : known) names.push_back(each.name);
      refuse(fmt::format("argument of {}", symbol.name), name, names, range);
    }
    const bool is_number = value.get_if<double>() || value.get_if<int64_t>();
    if (argument->is_flag ? value.get_if<bool>() != nullptr : is_number && argument->range.holds(value.number())) continue;
    const std::string expected = argument->is_flag ? "true or false" : is_number ? argument->range.text() : "a number";
    refuse_value(fmt::format("`{}` of {} is {}, expected {}", name, symbol.name,
                             is_number ? as_computed_with(value.number()) : to_string(value), expected));
  }
  if (symbol.name != "uniform") return;
  const double low = symbol.number("low", default_low), high = symbol.number("high", default_high);
  if (low > high) refuse_value(fmt::format("`low` of uniform is {}, but `high` is {}", format_number(low), format_number(high)));
}

Tensor initialize(const std::string& name, const TensorType& type, const Symbol& symbol, uint64_t seed) {
  check_initializer(symbol, {});
  const Initializer& initializer = *find_initializer(symbol.name);
  Tensor tensor = Tensor::filled(type.dtype, concrete(type.shape, 1), 0);
  const Fans fans = fans_of(tensor.dims);
  RandomStream random(seed, name);
  for (double& element : tensor.data) {
    element = initializer.draw(random, symbol, fans);
    if (!any_finite.holds(element))
      throw CompileError(fmt::format("{} draws {} for `{}`", to_string(Attribute(symbol)), as_computed_with(element), name));
  }
  return tensor;
}

Weights initial_weights(const Graph& graph, uint64_t seed) {
  Weights weights;
  for (const auto& node : graph.nodes()) {
    if (!node->is("parameter") && !node->is("state")) continue;
    const Symbol& initializer = node->attribute("initializer").symbol();
    check_initializer(initializer, node->range);
    const Result& result = node->results[0];
    weights.set(result.name, Weight::from_tensor(initialize(result.name, result.type, initializer, seed)));
  }
  return weights;
}

}  // namespace bnc
