// What PyTorch and Keras save, as weights of a network that is there already: layouts converted, tensors matched by names, shapes and
// order.
//
//   bnc::StateDict saved = bnc::StateDict::load("resnet18.pt");
//   bnc::ImportedWeights imported = bnc::import_weights(network, saved);
//   imported.weights.save("resnet18.safetensors");
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <bnc/bnc.h>

namespace bnc {

// The named tensors of a file: a PyTorch archive (.pt, .pth; torch.save since 1.6) or safetensors. Nothing of the file is executed.
class StateDict {
 public:
  // Error where the file is damaged, holds no state dict, or something that is not read.
  static StateDict load(const std::string& path);
  StateDict(StateDict&&) noexcept;
  StateDict& operator=(StateDict&&) noexcept;
  ~StateDict();

  std::vector<std::string> names() const;
  // The key under which a checkpoint holds it (`state_dict`); empty where it is the whole file.
  const std::string& part() const;

  struct Data;
  Data& data() const { return *data_; }  // for the library itself

 private:
  explicit StateDict(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

struct ImportReport {
  std::string dialect;                         // whose layouts and names: PyTorch, Keras, bnc
  size_t by_map = 0, by_name = 0, by_alike_names = 0, by_shape = 0, by_order = 0;   // tensors, by the rule that matched them
  std::vector<std::pair<std::string, size_t>> layouts;     // "convolution OIHW -> HWIO" and how many tensors
  std::vector<std::string> permuted;           // tensors behind a flattened image: "dense_1.weight: rows, [16, 5, 5] is [5, 5, 16] here"
  std::vector<std::string> filled;             // parameters that the state dict leaves out, as they then are: "batch_norm_1.gamma = 1"
  std::vector<std::string> ignored;            // tensors of the state dict without a use: counters, and those that the map names
  std::vector<std::string> notes;              // what else there is to know
};

struct ImportedWeights {
  WeightStore weights;                         // all parameters and states of the network
  ImportReport report;
};

// Tensors were left over on either side, or could be exchanged.
class UnmatchedTensors : public Error {
 public:
  UnmatchedTensors(const std::string& text, std::string draft) : Error(text), draft_(std::move(draft)) {}
  // A map for import_weights() to be corrected by hand: what is uncertain is marked in it, and such a map is refused.
  const std::string& draft() const { return draft_; }

 private:
  std::string draft_;
};

// `map` is the path of a file with lines `parameter = tensor` and `ignore = tensor`, which go before every other rule; empty: none.
// Throws UnmatchedTensors; Error where the map is wrong or a tensor cannot be converted.
ImportedWeights import_weights(const Network& network, const StateDict& saved, const std::string& map = "");

}  // namespace bnc
