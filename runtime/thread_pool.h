// A fixed set of threads that all run one step together.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "codegen/codegen.h"

namespace bnc {

// How many cores this process may use.
int usable_cores();

// Lets `participants` threads go on only when all have arrived. Spins for microseconds, then yields, then sleeps.
class Barrier {
 public:
  explicit Barrier(int participants) : participants_(participants) {}
  // Only while nobody waits.
  void set_participants(int participants) { participants_ = participants; }
  void wait();

 private:
  int participants_;
  std::atomic<int> arrived_{0};
  std::atomic<uint32_t> phase_{0};
};

class ThreadPool {
 public:
  // `threads` counts the caller of run(), which is thread 0. There are fewer where the system starts no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }
  // Runs `step` on every thread and returns when all are done. One wake-up, no allocation, no lock.
  // With `stamps`, of a step compiled for profiling: appends the time at the begin and behind each kernel, as thread 0 sees it.
  using Stamps = std::vector<std::chrono::steady_clock::time_point>;
  void run(codegen::StepFunction step, void* const* arguments, void* arena, int64_t n, Stamps* stamps = nullptr);

 private:
  struct Job {
    codegen::StepFunction step = nullptr;
    void* const* arguments = nullptr;
    void* arena = nullptr;
    int64_t n = 0;
    Stamps* stamps = nullptr;
  };
  void work(int64_t thread);
  void share(int64_t thread);

  Job job_;
  Barrier barrier_;
  std::atomic<uint32_t> jobs_{0};   // counts up with each job; wakes the workers
  bool stop_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace bnc
