// Trains a batch-normalized network to tell two interleaved half circles apart, then freezes it and classifies points.
// Everything goes through bnc's C++ API; the code that runs is generated here and now.
#include <bnc/bnc.h>

#include <cmath>
#include <cstdio>
#include <random>

namespace {

constexpr int64_t batch = 64;

constexpr const char* source = R"(
network moons(x: f32[N, 2]) {
  h = x
  repeat 2 { h = relu(batch_norm(dense(h, 32, bias=false))) }
  return scores = dense(h, 2)
}

train moons {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=0.1, momentum=0.9)
  batch     = 64
}
)";

struct Points {
  std::vector<float> x;
  std::vector<int32_t> labels;
};

// Points on two half circles, with some noise.
Points draw(std::mt19937& random, int64_t count) {
  std::uniform_real_distribution<float> angle(0, 3.14159265f);
  std::normal_distribution<float> noise(0, 0.1f);
  Points points;
  for (int64_t k = 0; k < count; ++k) {
    const int32_t label = static_cast<int32_t>(random() % 2);
    const float t = angle(random);
    points.x.push_back((label ? 1 - std::cos(t) : std::cos(t)) + noise(random));
    points.x.push_back((label ? 0.5f - std::sin(t) : std::sin(t)) + noise(random));
    points.labels.push_back(label);
  }
  return points;
}

int run() {
  const bnc::Network network = bnc::Network::from_text(source, "moons.bn");
  std::mt19937 random(1);

  bnc::CompileOptions training;
  training.mode = bnc::Mode::train;
  training.batch = batch;
  bnc::Session trainer = network.compile(training, network.initialize(/*seed=*/1));
  for (int step = 0; step < 300; ++step) {
    Points points = draw(random, batch);
    trainer.bind("x", bnc::Array({batch, 2}, std::move(points.x)));
    trainer.bind("labels", bnc::Array({batch}, std::move(points.labels)));
    trainer.run();
    if (step % 100 == 0) std::printf("step %d: loss %.4f\n", step, trainer.view("loss")[0]);
  }

  // Frozen: the batch norms are folded into the weights, and any number of points can be classified at once.
  bnc::Session classifier = network.compile({}, trainer.weights());
  constexpr int64_t count = 1000;
  Points test = draw(random, count);
  classifier.bind("x", bnc::Array({count, 2}, std::move(test.x)));
  classifier.run();
  const bnc::Array scores = classifier.read("scores");
  int64_t right = 0;
  for (size_t k = 0; k < count; ++k) right += (scores.floats()[2 * k + 1] > scores.floats()[2 * k]) == (test.labels[k] == 1);
  std::printf("%s: %lld of %lld points right\n", bnc::version().c_str(), static_cast<long long>(right), static_cast<long long>(count));
  return right > 950 ? 0 : 1;
}

}  // namespace

int main() {
  try {
    return run();
  } catch (const bnc::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
