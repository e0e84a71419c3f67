// Summaries of networks: their tensors and layers, with shapes and counts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bnc {

struct TensorInfo {
  std::string name;
  std::string type;             // "f32[N, 784]"
  std::vector<int64_t> dims;    // -factor where a dimension is factor * N
  bool trainable = false;
};

// What a network consists of, as it was written.
struct NetworkSummary {
  struct Layer {
    std::string block;               // the use of a block that it stands in: "stage2.block1"; empty where in none
    std::string name;                // "conv_1"; of a layer without parameters its op
    std::string op, place;           // FILE:LINE
    std::vector<std::string> outputs;   // the types of its results that are of use: "f32[N, 32, 32, 64]"
    int64_t trainable = 0, fixed = 0, statistics = 0;   // how many numbers it has that no layer before it has
    double operations = 0;           // floating-point operations of inference, as `explain` counts them before folding
  };
  std::vector<TensorInfo> inputs;
  std::vector<Layer> layers;         // in the order in which they stand
  int64_t trainable = 0, fixed = 0, statistics = 0;   // of all layers: parameters, those that training leaves alone, running statistics
  double operations = 0;             // of one example, or of a batch where it is given
  int64_t weight_bytes = 0;          // of the tensors of a weights file
};

}  // namespace bnc
