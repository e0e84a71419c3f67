// The layers of a state dict: tensors grouped by their names, as PyTorch, Keras and bnc give them.
#include <algorithm>
#include <string_view>

#include "runtime/layer_names.h"
#include "runtime/state_layers.h"

namespace bnc {

namespace {

TensorRole role_of_name(std::string_view name) {
  static const std::map<std::string_view, TensorRole> roles = {
      {"weight", TensorRole::weight},        {"kernel", TensorRole::weight},         {"depthwise_kernel", TensorRole::weight},
      {"pointwise_kernel", TensorRole::weight}, {"bias", TensorRole::bias},          {"gamma", TensorRole::scale},
      {"scale", TensorRole::scale},          {"alpha", TensorRole::scale},           {"beta", TensorRole::shift},
      {"running_mean", TensorRole::mean},    {"moving_mean", TensorRole::mean},      {"mean", TensorRole::mean},
      {"running_var", TensorRole::variance}, {"moving_variance", TensorRole::variance}, {"variance", TensorRole::variance},
      {"var", TensorRole::variance}};
  const auto found = roles.find(name);
  return found == roles.end() ? TensorRole::other : found->second;
}

// Keras's variables end in `:0` where TensorFlow wrote them.
std::string_view without_number(std::string_view name) { return name.ends_with(":0") ? name.substr(0, name.size() - 2) : name; }

class SavedLayerReader {
 public:
  SavedLayerReader(const std::vector<StoredTensor>& tensors, Dialect dialect, bool in_order, const std::set<size_t>& taken,
                   const std::set<std::string>& wanted)
      : tensors_(tensors), dialect_(dialect), in_order_(in_order), taken_(taken), wanted_(wanted) {}

  std::vector<Layer> read() {
    for (size_t k = 0; k < tensors_.size(); ++k)
      if (!taken_.contains(k)) add(k);
    for (Layer& layer : layers_) describe(layer);
    if (!in_order_)
      std::stable_sort(layers_.begin(), layers_.end(),
                       [](const Layer& a, const Layer& b) { return comes_before(tokens_of(a.path), tokens_of(b.path)); });
    find_partners();
    return std::move(layers_);
  }

 private:
  const std::vector<StoredTensor>& tensors_;
  const Dialect dialect_;
  const bool in_order_;
  const std::set<size_t>& taken_;
  const std::set<std::string>& wanted_;
  std::vector<Layer> layers_;
  std::map<std::string, size_t> by_path_;

  void add(size_t number) {
    const std::string_view name = without_number(tensors_[number].name), last = last_part(name);
    TensorRole role = role_of_name(last);
    std::string path(role == TensorRole::other ? name : parent_of(name));
    // A separable convolution is two layers here; its bias is the second one's.
    if (last == "depthwise_kernel") path += "/depthwise";
    auto known = by_path_.find(path);
    if (known != by_path_.end() && layers_[known->second].part(role)) {
      role = TensorRole::other;
      known = by_path_.find(path = name);
    }
    if (known == by_path_.end()) {
      known = by_path_.emplace(path, layers_.size()).first;
      layers_.push_back({path, {}, {}, -1});
    }
    layers_[known->second].parts.emplace_back(role, number);
  }

  Dims dims_of(const Layer& layer, TensorRole role) const {
    const auto part = layer.part(role);
    return part ? tensors_[*part].dims : Dims{};
  }

  // PyTorch calls scale and shift of a normalization `weight` and `bias`: they have one shape, which no other layer's have.
  void name_roles_of_normalization(Layer& layer) const {
    const bool statistics = layer.part(TensorRole::mean) || layer.part(TensorRole::variance) || layer.part(TensorRole::scale);
    const Dims weight = dims_of(layer, TensorRole::weight);
    if (!statistics && layer.part(TensorRole::weight) && weight.size() > 1 && weight != dims_of(layer, TensorRole::bias)) return;
    if (!statistics && !layer.part(TensorRole::weight)) return;
    for (auto& [role, tensor] : layer.parts) {
      if (role == TensorRole::weight) role = TensorRole::scale;
      if (role == TensorRole::bias) role = TensorRole::shift;
    }
  }

  void describe(Layer& layer) const {
    name_roles_of_normalization(layer);
    std::map<TensorRole, Dims> parts;
    for (const auto& [role, tensor] : layer.parts) {
      const Dims& dims = tensors_[tensor].dims;
      parts[role] = permuted(dims, layout_axes(role, dims.size(), dialect_));
    }
    layer.signature = signature_of(parts);
    const auto weight = parts.find(TensorRole::weight);
    if (dialect_ != Dialect::keras || weight == parts.end() || weight->second.size() != 4 || wanted_.contains(layer.signature)) return;
    weight->second = as_depthwise(weight->second);
    if (const std::string depthwise = signature_of(parts); wanted_.contains(depthwise)) layer.signature = depthwise;
  }

  // Whether a batch norm has as many channels as a layer gives.
  bool fits(const Layer& norm, const Layer& product) const {
    const auto mean = norm.part(TensorRole::mean), weight = product.part(TensorRole::weight);
    if (!mean || !weight || tensors_[*mean].dims.size() != 1 || tensors_[*weight].dims.empty()) return false;
    const Dims& dims = tensors_[*weight].dims;
    return (dialect_ == Dialect::pytorch ? dims.front() : dims.back()) == tensors_[*mean].dims[0];
  }

  void find_partners() {
    std::map<std::string, std::vector<size_t>, std::less<>> siblings;
    for (size_t k = 0; k < layers_.size(); ++k) siblings[std::string(parent_of(layers_[k].path))].push_back(k);
    for (const auto& [parent, group] : siblings) pair_by_name(group);
    if (!in_order_) return;
    for (size_t k = 1; k < layers_.size(); ++k)
      if (fits(layers_[k], layers_[k - 1])) join_partners(layers_, k, k - 1);
  }

  // `bn1` follows `conv1`, `3` of a sequence follows `2`.
  void pair_by_name(const std::vector<size_t>& group) {
    std::map<int64_t, std::vector<size_t>> products, sequence;   // by their numbers; -1 where they have none
    const auto number = [](const NameTokens& tokens) { return !tokens.empty() && tokens.back().word.empty() ? tokens.back().number : -1; };
    for (const size_t k : group) {
      if (!layers_[k].part(TensorRole::weight)) continue;
      const NameTokens tokens = tokens_of(last_part(layers_[k].path));
      (tokens.size() == 1 && tokens[0].word.empty() ? sequence : products)[number(tokens)].push_back(k);
    }
    for (const size_t k : group) {
      const NameTokens tokens = tokens_of(last_part(layers_[k].path));
      const bool in_sequence = tokens.size() == 1 && tokens[0].word.empty();
      const auto& candidates = in_sequence ? sequence : products;
      const auto found = candidates.find(number(tokens) - (in_sequence ? 1 : 0));
      if (found != candidates.end() && found->second.size() == 1 && fits(layers_[k], layers_[found->second[0]]))
        join_partners(layers_, k, found->second[0]);
    }
  }
};

}  // namespace

std::vector<Layer> saved_layers(const std::vector<StoredTensor>& tensors, Dialect dialect, bool in_order, const std::set<size_t>& taken,
                                const std::set<std::string>& wanted) {
  return SavedLayerReader(tensors, dialect, in_order, taken, wanted).read();
}

}  // namespace bnc
