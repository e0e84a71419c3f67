#include "tests/fuzz/compare.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace bnc::fuzz {

namespace {

bool is_same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

std::string Mismatch::describe() const {
  return fmt::format("{}[{}] is {:.9g}, not {:.9g} (off by {:.3g}, allowed {:.3g})", tensor, element, got, expected,
                     std::abs(got - expected), allowed);
}

bool is_trusted(const Tensor& tensor, double spread) {
  for (const double x : tensor.data)
    if (!std::isfinite(x)) return false;
  const double largest = largest_of(tensor);
  if (largest == 0 || spread > 1e-3 * largest) return false;
  if (tensor.data.size() < 4) return true;
  std::map<double, size_t> counts;
  size_t most = 0;
  for (const double x : tensor.data) most = std::max(most, ++counts[x]);
  return most * 10 <= tensor.data.size() * 9;
}

std::optional<Mismatch> compare(const Tensors& got, const Reference& reference, const Tolerance& tolerance, double* worst) {
  std::optional<Mismatch> found;
  double share_found = 1;
  for (const auto& [name, expected] : reference.values) {
    const auto tensor = got.find(name);
    if (tensor == got.end()) continue;
    if (tensor->second.data.size() != expected.data.size())
      return Mismatch{name, -1, static_cast<double>(tensor->second.data.size()), static_cast<double>(expected.data.size()), 0};
    const double largest = largest_of(expected), spread = reference.spread.count(name) ? reference.spread.at(name) : 0;
    if (!std::isfinite(spread)) continue;
    // Below 1e-30 numbers may be flushed to zero.
    const double allowed = tolerance.spreads * spread + tolerance.relative * largest + tolerance.rounding * reference.magnitude.at(name) +
                           1e-30;
    for (size_t k = 0; k < expected.data.size(); ++k) {
      const double x = tensor->second.data[k], wanted = expected.data[k];
      if (is_same(x, wanted)) continue;
      const double distance = std::abs(x - wanted);
      const double share = std::isnan(distance) ? INFINITY : distance / allowed;
      if (worst) *worst = std::max(*worst, share);
      if (share <= share_found) continue;
      share_found = share;
      found = Mismatch{name, static_cast<int64_t>(k), x, wanted, allowed};
    }
  }
  return found;
}

std::optional<Mismatch> compare_all(const Tensors& got, const Reference& reference, const Tolerance& tolerance, double* worst) {
  for (const auto& [name, expected] : reference.values)
    if (!got.contains(name)) return Mismatch{name + " (missing)", 0, NAN, expected.data.empty() ? 0 : expected.data[0], 0};
  return compare(got, reference, tolerance, worst);
}

std::optional<Mismatch> compare_bits(const Tensors& first, const Tensors& second) {
  for (const auto& [name, tensor] : first)
    for (size_t k = 0; k < tensor.data.size(); ++k)
      if (!is_same(tensor.data[k], second.at(name).data[k]))
        return Mismatch{name, static_cast<int64_t>(k), second.at(name).data[k], tensor.data[k], 0};
  return {};
}

}  // namespace bnc::fuzz
