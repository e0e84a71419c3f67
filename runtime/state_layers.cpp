#include "runtime/state_layers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/diagnostic.h"

namespace bnc {

std::optional<size_t> Layer::part(TensorRole role) const {
  for (const auto& [is, tensor] : parts)
    if (is == role) return tensor;
  return std::nullopt;
}

std::vector<size_t> layout_axes(TensorRole role, size_t rank, Dialect dialect) {
  if (dialect != Dialect::pytorch) return {};
  const bool affine = role == TensorRole::scale || role == TensorRole::shift;
  if (affine && rank == 3) return {1, 2, 0};             // a layer norm of whole images
  if (role != TensorRole::weight) return {};
  if (rank == 2) return {1, 0};
  if (rank == 3) return {2, 1, 0};
  return rank == 4 ? std::vector<size_t>{2, 3, 1, 0} : std::vector<size_t>{};
}

std::string layout_name(size_t rank) {
  return rank == 2 ? "dense [out, in] -> [in, out]" : rank == 3 ? "convolution OIL -> LIO" : "convolution OIHW -> HWIO";
}

Dims permuted(const Dims& dims, const std::vector<size_t>& axes) {
  if (axes.empty()) return dims;
  Dims result;
  for (const size_t axis : axes) result.push_back(dims[axis]);
  return result;
}

Dims as_depthwise(const Dims& dims) { return {dims[0], dims[1], 1, dims[2] * dims[3]}; }

std::string signature_of(const std::map<TensorRole, Dims>& parts) {
  const auto has = [&](TensorRole role) { return parts.contains(role); };
  const auto show_dims = [](const Dims& dims) { return fmt::format("[{}]", fmt::join(dims, ", ")); };
  if (has(TensorRole::weight)) {
    const Dims& dims = parts.at(TensorRole::weight);
    return fmt::format("{} {}{}", dims.size() == 2 ? "dense" : "convolution", show_dims(dims), has(TensorRole::bias) ? " with bias" : "");
  }
  // A missing scale is 1, a missing shift 0, so a batch norm is what has statistics.
  for (const TensorRole role : {TensorRole::mean, TensorRole::variance})
    if (has(role)) return "batch norm " + show_dims(parts.at(role));
  if (has(TensorRole::scale))
    return fmt::format("scale {}{}", show_dims(parts.at(TensorRole::scale)), has(TensorRole::shift) ? " and shift" : "");
  BNC_CHECK(!parts.empty());
  const auto& [role, dims] = *parts.begin();
  return fmt::format("{} {}", role == TensorRole::other ? "tensor" : "shift", show_dims(dims));
}

void join_partners(std::vector<Layer>& layers, size_t norm, size_t contraction) {
  if (norm == contraction || layers[norm].partner >= 0 || layers[contraction].partner >= 0) return;
  layers[norm].partner = static_cast<int>(contraction);
  layers[contraction].partner = static_cast<int>(norm);
}

}  // namespace bnc
