#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "ir/evaluate.h"
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

double between(RandomStream& random, double low, double high) { return low + (high - low) * random.uniform(); }

struct Initializer {
  const char* name;
  std::vector<std::string> arguments;
  Draw draw;
};

const std::vector<Initializer>& initializers() {
  static const std::vector<Initializer> all = {
      {"zeros", {}, [](RandomStream&, const Symbol&, const Fans&) { return 0.0; }},
      {"ones", {}, [](RandomStream&, const Symbol&, const Fans&) { return 1.0; }},
      {"constant", {"value"}, [](RandomStream&, const Symbol& s, const Fans&) { return s.number("value", 0); }},
      {"normal",
       {"mean", "deviation"},
       [](RandomStream& random, const Symbol& s, const Fans&) { return s.number("mean", 0) + s.number("deviation", 1) * random.normal(); }},
      {"uniform",
       {"low", "high"},
       [](RandomStream& random, const Symbol& s, const Fans&) { return between(random, s.number("low", -0.05), s.number("high", 0.05)); }},
      {"xavier",
       {},
       [](RandomStream& random, const Symbol&, const Fans& fans) {
         const double bound = std::sqrt(6 / (fans.in + fans.out));
         return between(random, -bound, bound);
       }},
      {"he",
       {"fan_out"},
       [](RandomStream& random, const Symbol& s, const Fans& fans) { return std::sqrt(2 / (s.flag("fan_out") ? fans.out : fans.in)) * random.normal(); }},
  };
  return all;
}

const Initializer* find_initializer(const std::string& name) {
  for (const Initializer& initializer : initializers())
    if (initializer.name == name) return &initializer;
  return nullptr;
}

[[noreturn]] void refuse(const std::string& what, const std::string& name, const std::vector<std::string>& known, const SourceRange& range) {
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
  std::vector<std::string> known = initializer->arguments;
  known.push_back("trainable");
  for (const auto& [argument, value] : symbol.arguments) {
    if (std::find(known.begin(), known.end(), argument) == known.end())
      refuse(fmt::format("argument of {}", symbol.name), argument, known, range);
    const bool flag = argument == "trainable" || argument == "fan_out";
    const bool fits = flag ? value.get_if<bool>() != nullptr : value.get_if<double>() || value.get_if<int64_t>();
    if (!fits)
      throw CompileError(Diagnostic{Severity::error,
                                    range,
                                    fmt::format("`{}` of {} is {}, expected {}", argument, symbol.name, to_string(value),
                                                flag ? "true or false" : "a number"),
                                    {}});
  }
}

Tensor initialize(const std::string& name, const TensorType& type, const Symbol& symbol, uint64_t seed) {
  check_initializer(symbol, {});
  const Initializer& initializer = *find_initializer(symbol.name);
  Tensor tensor = Tensor::filled(type.dtype, concrete(type.shape, 1), 0);
  const Fans fans = fans_of(tensor.dims);
  RandomStream random(seed, name);
  for (double& element : tensor.data) element = initializer.draw(random, symbol, fans);
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
