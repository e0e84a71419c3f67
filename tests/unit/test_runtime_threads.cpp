#include <atomic>
#include <vector>

#include <doctest/doctest.h>

#include "runtime/thread_pool.h"

using namespace bnc;

namespace {

// Two phases over an array: the second reads what other threads wrote in the first.
void two_phases(void* const* arguments, void*, int64_t n, int64_t thread, int64_t threads, codegen::Barrier barrier, void* context) {
  int64_t* first = static_cast<int64_t*>(arguments[0]);
  int64_t* second = static_cast<int64_t*>(arguments[1]);
  for (int64_t k = thread; k < n; k += threads) first[k] += k + 1;
  if (threads > 1) barrier(context);
  for (int64_t k = thread; k < n; k += threads) second[k] = first[n - 1 - k] + second[k];
}

void count_calls(void* const* arguments, void*, int64_t, int64_t thread, int64_t threads, codegen::Barrier, void*) {
  static_cast<std::atomic<int64_t>*>(arguments[0])[thread] += threads;
}

}  // namespace

TEST_CASE("all threads run a step together, and a barrier orders their phases") {
  constexpr int64_t n = 33, steps = 2000;
  std::vector<int64_t> reference;
  for (const int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    ThreadPool pool(threads);
    std::vector<int64_t> first(n, 0), second(n, 0);
    void* arguments[] = {first.data(), second.data()};
    for (int64_t step = 0; step < steps; ++step) pool.run(two_phases, arguments, nullptr, n);
    CHECK(first[4] == 5 * steps);
    if (reference.empty()) reference = second;
    CHECK(second == reference);
  }
}

TEST_CASE("every thread takes part in every step, also after it went to sleep") {
  ThreadPool pool(3);
  std::atomic<int64_t> calls[3] = {};
  void* arguments[] = {calls};
  for (int step = 0; step < 20; ++step) {
    pool.run(count_calls, arguments, nullptr, 0);
    if (step % 5 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  for (const auto& count : calls) CHECK(count == 60);
}

TEST_CASE("a pool that never ran ends") {
  CHECK(ThreadPool(4).threads() == 4);
  CHECK(usable_cores() >= 1);
}
