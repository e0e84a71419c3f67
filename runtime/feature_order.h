// In which order PyTorch has the features of a flattened image: its images are [N, C, H, W], those here [N, H, W, C].
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace bnc {

// Of features that PyTorch has in another order.
struct FeatureOrder {
  std::vector<int64_t> places;   // of each feature here, its place there
  std::string text;              // "[16, 5, 5] is [5, 5, 16] here"
};

// The orders of all values [N, features] of a network, derived from where they are flattened, concatenated, and made images again.
class FeatureOrders {
 public:
  explicit FeatureOrders(const Graph& graph);
  // Null where the order is the same.
  std::shared_ptr<const FeatureOrder> of(Value value) const;

 private:
  using Key = std::pair<const Node*, int>;
  using Axes = std::vector<int>;   // all but the batch, in PyTorch's order

  Axes axes_of(Value value) const;
  void look_forward(Node& node);
  void look_back(Node& node);
  void join(Node& concat);
  void set(Value value, std::shared_ptr<const FeatureOrder> order);

  std::map<Key, Axes> axes_;
  std::map<Key, std::shared_ptr<const FeatureOrder>> orders_;
  std::map<const Node*, bool> is_turned_;   // images that are channels first until a transpose turns them
};

}  // namespace bnc
