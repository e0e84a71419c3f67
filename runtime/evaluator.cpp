#include "runtime/evaluator.h"

#include <chrono>
#include <cstring>
#include <numeric>

#include "ir/integers.h"
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/session.h"

namespace bnc {

void run_examples(Session& session, const Objective& objective, const Dataset& data, std::span<const int64_t> indices,
                  const BatchShape& shape, Batch& batch) {
  Session::Data& inside = session.data();
  const auto count = static_cast<int64_t>(indices.size());
  fill_batch(data, indices, shape, batch);
  inside.set_batch(count);
  for (const auto& [name, numbers] : objective.bindings(batch, shape.targets)) {
    ArgumentSlot* input = inside.find(name, ArgumentSlot::Kind::input);
    if (!input) continue;   // inference has no targets
    std::memcpy(input->pointer, numbers, static_cast<size_t>(count) * input->memory.bytes() / static_cast<size_t>(inside.capacity));
    input->batch = count;
  }
  session.run();
}

Objective::Run run_of(const Session& session, const WeightStore& weights) {
  return {.output = [&session](const std::string& output) { return session.view(output); }, .weights = &weights};
}

std::optional<EvaluationResult> evaluate_session(Session& session, const Objective& objective, const WeightStore& weights,
                                                 const Dataset& data, int64_t batch_size, const EvaluationHooks& hooks) {
  const BatchShape shape = objective.fit(data, batch_size);
  const auto start = std::chrono::steady_clock::now();
  Progress progress;
  progress.steps = divide_up(data.count(), batch_size);
  Objective::Score total = objective.no_score();
  Batch batch;
  std::vector<int64_t> indices;
  for (int64_t first = 0, count = 0; first < data.count(); first += count) {
    if (hooks.stop && hooks.stop()) return std::nullopt;
    count = std::min(batch_size, data.count() - first);
    const bool leaves_one = data.count() - first - count == 1 && count > 2;
    if (leaves_one && !session.data().refusal_of_one.empty()) --count;   // of two batches none has a single example
    indices.resize(static_cast<size_t>(count));
    std::iota(indices.begin(), indices.end(), first);
    run_examples(session, objective, data, indices, shape, batch);
    objective.add_score(total, run_of(session, weights), batch, shape.targets, count);
    if (hooks.visit) hooks.visit(first, count, batch);
    if (!hooks.on_progress) continue;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++progress.step;
    progress.loss = total.loss / static_cast<double>(first + count);
    progress.accuracy = total.right / static_cast<double>(first + count);
    progress.examples_per_second = static_cast<double>(first + count) / seconds;
    progress.seconds_left = static_cast<double>(data.count() - first - count) / progress.examples_per_second;
    hooks.on_progress(progress);
  }
  return objective.result(total, data.count());
}

EvaluationResult evaluate(const Network& network, const WeightStore& weights, const EvaluateOptions& options) {
  return at_boundary([&] {
    if (options.batch < 1) fail("the batch size is {}, but must be at least 1", options.batch);
    const Objective objective(network);
    const Dataset data = objective.open(options.data, "test", weights, options.data_options);
    if (options.on_warning)
      for (const std::string& note : data.data().notes) options.on_warning("note: " + note);
    objective.fit(data, options.batch);
    CompileOptions compile;
    compile.cpu = options.cpu;
    compile.threads = options.threads;
    compile.batch_statistics = options.batch_statistics;
    compile.on_warning = options.on_warning;
    compile.checks = options.checks;
    Session session = network.compile(compile, weights);
    return *evaluate_session(session, objective, weights, data, std::min(options.batch, data.count()),
                             {.on_progress = options.on_progress});
  });
}

}  // namespace bnc
