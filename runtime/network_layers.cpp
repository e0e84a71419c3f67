// The layers of a network: parameters and states grouped by the node that reads them.
#include <unordered_map>

#include "ir/op.h"
#include "runtime/network.h"
#include "runtime/state_layers.h"

namespace bnc {

namespace {

bool is_source(const Node& node) { return node.is("parameter") || node.is("state"); }

// How a node uses its operand number `k`.
TensorRole role_of(const Node& node, size_t k) {
  if (k >= node.op->operands.size()) return TensorRole::other;
  const std::string& operand = node.op->operands[k].name;
  if (node.is("bias")) return k == 1 ? TensorRole::bias : TensorRole::other;
  if (node.is("matmul")) {
    const bool as_stored = k == 1 && !node.attribute("transpose_right").boolean() && node.operands[1].type().rank() == 2;
    return as_stored ? TensorRole::weight : TensorRole::other;
  }
  if (operand == "weight") return TensorRole::weight;
  if (operand == "bias") return TensorRole::bias;
  if (operand == "gamma" || (node.is("prelu") && k == 1)) return TensorRole::scale;
  if (operand == "beta") return TensorRole::shift;
  if (node.is("batch_norm") && operand == "mean") return TensorRole::mean;
  return node.is("batch_norm") && operand == "variance" ? TensorRole::variance : TensorRole::other;
}

// The node that stands for the layer: a bias belongs to the product in front of it.
const Node* layer_node(const Node& user) {
  if (!user.is("bias")) return &user;
  const Node* product = user.operands[0].node;
  return product->is("matmul") || product->is("convolution") ? product : &user;
}

class NetworkLayerReader {
 public:
  NetworkLayerReader(const Graph& graph, const std::set<std::string>& taken) : graph_(graph), orders_(graph), taken_(taken) {
    for (const auto& node : graph.nodes())
      for (size_t k = 0; k < node->operands.size(); ++k)
        if (const Node* operand = node->operands[k].node; operand && is_source(*operand)) users_.try_emplace(operand, node.get(), k);
  }

  NetworkLayers read() {
    for (const Node* source : weight_nodes(graph_)) {
      add_tensor(*source);
      if (!taken_.contains(source->results[0].name)) add_to_layer(*source, result_.tensors.size() - 1);
    }
    for (Layer& layer : result_.layers) {
      std::map<TensorRole, Dims> parts;
      for (const auto& [role, tensor] : layer.parts) parts[role] = result_.tensors[tensor].dims;
      layer.signature = signature_of(parts);
    }
    for (size_t layer = 0; layer < nodes_.size(); ++layer)
      if (nodes_[layer]->is("batch_norm")) find_partner(*nodes_[layer], layer);
    return std::move(result_);
  }

 private:
  const Graph& graph_;
  const FeatureOrders orders_;
  const std::set<std::string>& taken_;
  std::unordered_map<const Node*, std::pair<const Node*, size_t>> users_;   // of each parameter the first node that reads it
  std::unordered_map<const Node*, size_t> layers_;
  std::vector<const Node*> nodes_;   // of each layer
  NetworkLayers result_;

  void add_tensor(const Node& source) {
    NetworkTensor tensor;
    tensor.name = source.results[0].name;
    for (const Dim& dim : source.results[0].type.shape) tensor.dims.push_back(dim.factor);
    if (const auto user = users_.find(&source); user != users_.end()) {
      const auto& [node, operand] = user->second;
      tensor.role = role_of(*node, operand);
      const int64_t features = tensor.dims.empty() ? 0 : tensor.dims.back();
      const auto fitting = [](std::shared_ptr<const FeatureOrder> order, int64_t count) {
        return order && static_cast<int64_t>(order->places.size()) == count ? order : nullptr;
      };
      if (tensor.role == TensorRole::weight && tensor.dims.size() == 2)
        tensor.rows = fitting(orders_.of(node->operands[0]), tensor.dims[0]);
      if (tensor.role != TensorRole::other && tensor.dims.size() <= 2)
        tensor.columns = fitting(orders_.of(const_cast<Node*>(node)->result()), features);
    }
    result_.tensors.push_back(std::move(tensor));
  }

  void add_to_layer(const Node& source, size_t number) {
    const NetworkTensor& tensor = result_.tensors[number];
    const auto user = users_.find(&source);
    const Node* node = tensor.role == TensorRole::other || user == users_.end() ? &source : layer_node(*user->second.first);
    auto known = layers_.find(node);
    if (known != layers_.end() && result_.layers[known->second].part(tensor.role)) known = layers_.find(node = &source);
    if (known == layers_.end()) {
      known = layers_.emplace(node, result_.layers.size()).first;
      const size_t point = node == &source ? std::string::npos : tensor.name.rfind('.');
      result_.layers.push_back({tensor.name.substr(0, point), {}, {}, -1});
      nodes_.push_back(node);
    }
    result_.layers[known->second].parts.emplace_back(tensor.role, number);
  }

  // The layer whose results a batch norm normalizes, through what keeps the channels: activations, pooling.
  void find_partner(const Node& norm, size_t layer) {
    constexpr int farthest = 8;
    const Node* node = norm.operands[0].node;
    for (int step = 0; node && step < farthest; ++step) {
      if (const auto found = layers_.find(node); found != layers_.end()) {
        if (result_.layers[found->second].part(TensorRole::weight)) join_partners(result_.layers, layer, found->second);
        return;
      }
      if (node->is("concat") || node->operands.empty()) return;
      for (size_t k = 1; k < node->operands.size(); ++k)
        if (node->operands[k] && !is_source(*node->operands[k].node) && !node->operands[k].node->is("constant")) return;
      node = node->operands[0].node;
    }
  }
};

}  // namespace

NetworkLayers network_layers(const Graph& graph, const std::set<std::string>& taken) { return NetworkLayerReader(graph, taken).read(); }

}  // namespace bnc
