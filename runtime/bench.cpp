// Timing of compiled networks.
#include <algorithm>
#include <chrono>
#include <optional>
#include <unistd.h>

#include "codegen/codegen.h"
#include "ir/random.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/session.h"

namespace bnc {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// Every input filled with random data: floats in [0, 1), class numbers below `classes`.
void fill_inputs(Session& session, int64_t classes) {
  RandomStream random(1, "bench");
  for (const ArgumentSlot& slot : session.data().slots) {
    if (slot.kind != ArgumentSlot::Kind::input) continue;
    if (slot.type.dtype == DType::f32) {
      for (float& value : session.input_floats(slot.name)) value = static_cast<float>(random.uniform());
    } else {
      for (int32_t& value : session.input_integers(slot.name)) value = static_cast<int32_t>(random.below(static_cast<uint64_t>(classes)));
    }
  }
}

int64_t classes_of(const Network& network) {
  const std::vector<TensorInfo> outputs = network.outputs();
  return outputs.empty() || outputs.front().dims.empty() ? 2 : std::max<int64_t>(1, outputs.front().dims.back());
}

// The times of all sessions, which run in turns.
std::vector<std::vector<double>> time_runs(const std::vector<Session*>& sessions, double seconds) {
  constexpr int warm_up = 3, least = 5;
  constexpr double most = 1e6;
  std::vector<std::vector<double>> times(sessions.size());
  const auto turn = [&](bool counts) {
    for (size_t s = 0; s < sessions.size(); ++s) {
      const auto start = Clock::now();
      sessions[s]->run();
      if (counts) times[s].push_back(milliseconds(Clock::now() - start));
    }
  };
  for (int k = 0; k < warm_up; ++k) turn(false);
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (times.front().size() < least || (Clock::now() < end && static_cast<double>(times.front().size()) < most)) turn(true);
  return times;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Each kernel's median over some runs of a session of its own, compiled to profile.
std::vector<BenchResult::Kernel> time_kernels(Session& session, double seconds) {
  constexpr size_t warm_up = 2, least = 5, most = 2000;
  Session::Data& data = session.data();
  std::vector<std::vector<double>> times(data.info.kernels.size());
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (size_t run = 0; run < warm_up + least || (run < most && Clock::now() < end); ++run) {
    const std::vector<double> one = data.time_kernels();
    for (size_t k = 0; run >= warm_up && k < one.size(); ++k) times[k].push_back(one[k]);
  }
  std::vector<BenchResult::Kernel> kernels;
  for (size_t k = 0; k < times.size(); ++k) {
    const ProgramInfo::Kernel& kernel = data.info.kernels[k];
    kernels.push_back({kernel.name, median(times[k]), kernel.flops, kernel.bytes});
  }
  return kernels;
}

Session ready_session(const Network& network, const CompileOptions& options, const WeightStore* weights) {
  Session session = weights ? network.compile(options, *weights) : network.compile(options, network.initialize(0));
  fill_inputs(session, classes_of(network));
  return session;
}

// Copies between two buffers far larger than the last cache, by all threads; the bytes read and written in GB/s.
double measure_stream_gbytes(const std::string& cpu, int threads) {
  constexpr int runs = 9;
  constexpr int64_t chunk = int64_t{1} << 20, most_chunks = 512;
  const int64_t cache = std::max<int64_t>(::sysconf(_SC_LEVEL3_CACHE_SIZE), int64_t{16} << 20);
  const int64_t chunks = std::min(most_chunks, 4 * cache / chunk);
  const auto copy = codegen::stream_copy(codegen::target_for(cpu, true), chunks, chunk);
  const AlignedBuffer from(static_cast<size_t>(chunks * chunk)), to(static_cast<size_t>(chunks * chunk));
  void* arguments[] = {from.get(), to.get()};
  ThreadPool pool(threads);
  std::vector<double> seconds;
  for (int run = 0; run < runs; ++run) {
    const auto start = Clock::now();
    pool.run(copy->step(), arguments, nullptr, 1);
    seconds.push_back(1e-3 * milliseconds(Clock::now() - start));
  }
  return 2e-9 * static_cast<double>(chunks * chunk) / median(seconds);
}

}  // namespace

BenchResult bench(const Network& network, const BenchOptions& options, const WeightStore* weights) {
  return at_boundary([&] {
    CompileOptions compile;
    compile.mode = options.mode;
    compile.batch = options.batch;
    compile.run_steps = nominal_run_steps;
    compile.steps_an_epoch = nominal_steps_an_epoch;
    compile.threads = options.threads;
    compile.cpu = options.cpu;
    compile.on_time = options.on_time;
    compile.checks = options.checks;
    Session session = ready_session(network, compile, weights);
    compile.on_time = {};
    std::optional<Session> other;
    std::vector<Session*> sessions{&session};
    if (options.against) sessions.push_back(&other.emplace(ready_session(*options.against, compile, nullptr)));
    const std::vector<std::vector<double>> turns = time_runs(sessions, options.seconds);
    std::vector<double> times = turns.front(), ratios;
    std::sort(times.begin(), times.end());

    BenchResult result;
    result.model = network.name();
    result.mode = options.mode == Mode::train ? "train" : "infer";
    result.batch = options.batch;
    result.threads = session.threads();
    result.median_ms = times[times.size() / 2];
    result.min_ms = times.front();
    result.p90_ms = times[times.size() * 9 / 10];
    result.runs = static_cast<int64_t>(times.size());
    if (other) {
      for (size_t run = 0; run < times.size(); ++run) ratios.push_back(turns[0][run] / turns[1][run]);
      result.against_ms = median(turns[1]);
      result.ratio = median(ratios);
    }
    result.compile_ms = session.info().compile_ms;
    result.flops = session.info().flops;
    result.gflops = result.flops / result.median_ms * 1e-6;
    result.peak_gflops = codegen::measure_peak_gflops(codegen::target_for(options.cpu, true)) * session.threads();
    result.bytes_moved = session.info().bytes;
    result.stream_gbytes = measure_stream_gbytes(options.cpu, session.threads());
    result.arena_bytes = session.info().arena_bytes;
    if (options.profile) {
      compile.profile = true;
      Session profiled = ready_session(network, compile, weights);
      result.kernels = time_kernels(profiled, options.seconds);
    }
    return result;
  });
}

}  // namespace bnc
