// Two numbers that become one while a model is imported, either perhaps a multiple of the batch size. Nothing where that is not known.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

namespace bnc::onnx {

struct Number {
  double value = 0;
  bool batch = false;
};
using Combine = std::optional<Number> (*)(Number, Number);

inline std::optional<Number> plus(Number a, Number b) {
  const double sum = a.value + b.value;
  if (a.batch == b.batch) return Number{sum, a.batch && sum != 0};
  if (a.value == 0) return b;
  if (b.value == 0) return a;
  return std::nullopt;
}
inline std::optional<Number> minus(Number a, Number b) { return plus(a, {-b.value, b.batch}); }
inline std::optional<Number> times(Number a, Number b) {
  if (a.batch && b.batch) return std::nullopt;
  const double product = a.value * b.value;
  return Number{product, (a.batch || b.batch) && product != 0};
}
inline std::optional<Number> over(Number a, Number b) {
  if (a.batch == b.batch) return Number{a.value / b.value, false};
  if (b.batch) return std::nullopt;
  return Number{a.value / b.value, true};
}
inline std::optional<Number> whole_over(Number a, Number b) {
  if (b.value == 0) return std::nullopt;
  if (a.batch && !b.batch && std::fmod(a.value, b.value) != 0) return std::nullopt;
  auto quotient = over(a, b);
  if (quotient) quotient->value = std::trunc(quotient->value);
  return quotient;
}
template <class Function>
inline std::optional<Number> plain(Number a, Number b, Function&& function) {
  if (a.batch || b.batch) return std::nullopt;
  return Number{static_cast<double>(function(a.value, b.value)), false};
}
inline std::optional<Number> remainder(Number a, Number b) {
  return plain(a, b, [](double x, double y) { return y == 0 ? 0 : x - y * std::floor(x / y); });
}
// The sign of the dividend, as C's fmod has it.
inline std::optional<Number> c_remainder(Number a, Number b) {
  return plain(a, b, [](double x, double y) { return y == 0 ? 0 : std::fmod(x, y); });
}
inline std::optional<Number> power(Number a, Number b) { return plain(a, b, [](double x, double y) { return std::pow(x, y); }); }
inline std::optional<Number> smaller(Number a, Number b) { return plain(a, b, [](double x, double y) { return std::min(x, y); }); }
inline std::optional<Number> larger(Number a, Number b) { return plain(a, b, [](double x, double y) { return std::max(x, y); }); }
// A batch size is positive, whatever it is.
inline std::optional<Number> equal(Number a, Number b) {
  if (a.batch == b.batch) return Number{a.value == b.value ? 1.0 : 0.0, false};
  if ((a.batch ? a : b).value > 0 && (a.batch ? b : a).value <= 0) return Number{0, false};
  return std::nullopt;
}
inline std::optional<Number> less(Number a, Number b) { return plain(a, b, [](double x, double y) { return x < y; }); }
inline std::optional<Number> greater(Number a, Number b) { return less(b, a); }
inline std::optional<Number> at_most(Number a, Number b) { return plain(a, b, [](double x, double y) { return x <= y; }); }
inline std::optional<Number> at_least(Number a, Number b) { return at_most(b, a); }
inline std::optional<Number> both(Number a, Number b) { return plain(a, b, [](double x, double y) { return x != 0 && y != 0; }); }
inline std::optional<Number> either(Number a, Number b) { return plain(a, b, [](double x, double y) { return x != 0 || y != 0; }); }

}  // namespace bnc::onnx
