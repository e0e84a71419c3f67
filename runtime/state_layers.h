// Layers as the matching of a state dict to a network sees them, on either side: what they are, and which tensors they have.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ir/graph.h"
#include "runtime/feature_order.h"
#include "runtime/stored_tensor.h"

namespace bnc {

enum class TensorRole { weight, bias, scale, shift, mean, variance, other };
enum class Dialect { pytorch, keras, bnc };

using Dims = std::vector<int64_t>;

struct Layer {
  std::string path;                                    // `stage2.block1.conv_1`, `layer2.0.conv1`
  std::string signature;                               // what it is, with shapes in bnc's layout: "convolution [3, 3, 64, 64]"
  std::vector<std::pair<TensorRole, size_t>> parts;    // the numbers of its tensors
  int partner = -1;                                    // of a batch norm the layer whose results it normalizes, and the other way round

  std::optional<size_t> part(TensorRole role) const;
};

struct NetworkTensor {
  std::string name;
  Dims dims;
  TensorRole role = TensorRole::other;
  std::shared_ptr<const FeatureOrder> rows, columns;   // of a weight; of another tensor `columns` is the order of its elements
};

struct NetworkLayers {
  std::vector<NetworkTensor> tensors;                  // all of them, in network order
  std::vector<Layer> layers;
};

// The layers of a network, without the tensors in `taken`.
NetworkLayers network_layers(const Graph& graph, const std::set<std::string>& taken);

// The layers of a state dict, without the tensors in `taken`. `wanted` are the signatures of a network, which decide what shapes leave
// open.
// `in_order`: the tensors stand in the order of the modules.
std::vector<Layer> saved_layers(const std::vector<StoredTensor>& tensors, Dialect dialect, bool in_order, const std::set<size_t>& taken,
                                const std::set<std::string>& wanted);

// The axes of a stored tensor in the order in which bnc has them; empty where it is the same order.
std::vector<size_t> layout_axes(TensorRole role, size_t rank, Dialect dialect);
// "OIHW -> HWIO", for reports.
std::string layout_name(size_t rank);
Dims permuted(const Dims& dims, const std::vector<size_t>& axes);
// Of a Keras weight [kh, kw, C, multiplier], which is [kh, kw, 1, C * multiplier] here.
Dims as_depthwise(const Dims& dims);

// "convolution [3, 3, 64, 64] with bias" of the dimensions that the tensors of a layer have here.
std::string signature_of(const std::map<TensorRole, Dims>& parts);

// Makes two layers partners where neither has one.
void join_partners(std::vector<Layer>& layers, size_t norm, size_t contraction);

}  // namespace bnc
