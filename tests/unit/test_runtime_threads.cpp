#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>
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

// Folders of this process's threads, as Linux shows them.
std::set<std::filesystem::path> threads_of_process() {
  std::set<std::filesystem::path> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) threads.insert(entry.path());
  return threads;
}

bool sleeps(const std::filesystem::path& thread) {
  std::ifstream file(thread / "stat");   // number (name) state ...
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.at(text.rfind(')') + 2) == 'S';
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
  const std::set<std::filesystem::path> others = threads_of_process();
  ThreadPool pool(3);
  std::vector<std::filesystem::path> workers;
  std::ranges::set_difference(threads_of_process(), others, std::back_inserter(workers));
  REQUIRE(workers.size() == 2);
  std::atomic<int64_t> calls[3] = {};
  void* arguments[] = {calls};
  for (int step = 0; step < 20; ++step) {
    pool.run(count_calls, arguments, nullptr, 0);
    while (step % 5 == 0 && !std::ranges::all_of(workers, sleeps)) std::this_thread::yield();
  }
  for (const auto& count : calls) CHECK(count == 60);
}

TEST_CASE("a pool that never ran ends") {
  CHECK(ThreadPool(4).threads() == 4);
  CHECK(usable_cores() >= 1);
}
