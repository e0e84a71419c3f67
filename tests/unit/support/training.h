// A small network and data to train it on, for tests of training runs.
#pragma once

#include <regex>
#include <string>
#include <vector>

#include "bnc/bnc.h"
#include "ir/random.h"
#include "support/files.h"

namespace bnc::test {

// Everything that carries state from step to step: momentum, running statistics with a count, dropout.
inline constexpr const char* training_source = R"(
network net(x: f32[N, 6]) {
  h = relu(batch_norm(dense(x, 33), stats=ema(decay=0.9, corrected)))
  h = dropout(h, rate=0.2)
  return dense(h, 3)
}
train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.05, momentum=0.9)
  batch     = 8
  epochs    = 4
}
)";

inline const Network& network() {
  static const Network net = Network::from_text(training_source, "net.bn");
  return net;
}

// Three clusters of points: 50 examples, so that the last 2 fill no batch of 8.
inline std::string write_data(const TemporaryFolder& folder, int64_t count = 50) {
  RandomStream random(1, "points");
  std::vector<float> x;
  std::vector<int32_t> y;
  for (int64_t k = 0; k < count; ++k) {
    y.push_back(static_cast<int32_t>(random.below(3)));
    for (int i = 0; i < 6; ++i) x.push_back(static_cast<float>(random.normal() + (i % 3 == y.back() ? 2 : 0)));
  }
  const std::string path = folder.path("data" + std::to_string(count) + ".npz");
  save_npz(path, {{"x", Array({count, 6}, x)}, {"y", Array({count}, y)}});
  return path;
}

inline TrainOptions options_for(const std::string& data, const std::string& out) {
  TrainOptions options;
  options.data = options.test = data;
  options.out = out;
  options.seed = 9;
  return options;
}

// The network with another optimizer.
inline Network with_optimizer(const std::string& optimizer) {
  return Network::from_text(std::regex_replace(std::string(training_source), std::regex("sgd\\(.*\\)"), optimizer), "net.bn");
}

}  // namespace bnc::test
