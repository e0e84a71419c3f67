#include "runtime/thread_pool.h"

#include <sched.h>

#include <system_error>

#include "runtime/error.h"

namespace bnc {

namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Returns once `word` is no longer `old`. Spins for microseconds, then offers the core to whoever else can run (which may
// be the thread waited for, where there are more threads than cores), and sleeps only when it takes long: waking a
// sleeping thread costs more than most kernels take.
void wait_while(const std::atomic<uint32_t>& word, uint32_t old) {
  constexpr auto spin_time = std::chrono::microseconds(20), yield_time = std::chrono::microseconds(400);
  const auto start = std::chrono::steady_clock::now();
  for (auto waited = start - start; waited < yield_time; waited = std::chrono::steady_clock::now() - start) {
    if (waited >= spin_time) ::sched_yield();
    for (int k = 0; k < 32; ++k) {
      if (word.load(std::memory_order_acquire) != old) return;
      relax();
    }
  }
  word.wait(old, std::memory_order_acquire);
}

void arrive_and_wait(void* barrier) { static_cast<Barrier*>(barrier)->wait(); }

// Thread 0 of a step that is profiled.
struct StampedBarrier {
  Barrier& barrier;
  ThreadPool::Stamps& stamps;
};
void arrive_and_stamp(void* context) {
  auto& stamped = *static_cast<StampedBarrier*>(context);
  stamped.barrier.wait();
  stamped.stamps.push_back(std::chrono::steady_clock::now());
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void Barrier::wait() {
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == participants_) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.fetch_add(1, std::memory_order_release);
    phase_.notify_all();
  } else {
    wait_while(phase_, phase);
  }
}

ThreadPool::ThreadPool(int threads) : barrier_(threads) {
  BNC_CHECK(threads >= 1);
  workers_.reserve(static_cast<size_t>(threads) - 1);
  try {
    for (int thread = 1; thread < threads; ++thread) workers_.emplace_back([this, thread] { work(thread); });
  } catch (const std::system_error&) {
  }
  barrier_.set_participants(this->threads());
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  jobs_.fetch_add(1, std::memory_order_release);
  jobs_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(codegen::StepFunction step, void* const* arguments, void* arena, int64_t n, Stamps* stamps) {
  job_ = {step, arguments, arena, n, stamps};
  if (!workers_.empty()) {
    jobs_.fetch_add(1, std::memory_order_release);
    jobs_.notify_all();
  }
  share(0);
}

void ThreadPool::share(int64_t thread) {
  if (thread == 0 && job_.stamps) {
    StampedBarrier stamped{barrier_, *job_.stamps};
    stamped.stamps.push_back(std::chrono::steady_clock::now());
    job_.step(job_.arguments, job_.arena, job_.n, thread, threads(), arrive_and_stamp, &stamped);
  } else {
    job_.step(job_.arguments, job_.arena, job_.n, thread, threads(), arrive_and_wait, &barrier_);
  }
  if (threads() > 1) barrier_.wait();
}

void ThreadPool::work(int64_t thread) {
  for (uint32_t seen = 0;;) {
    wait_while(jobs_, seen);
    // Jobs come one at a time: the next is not handed out before this one's last barrier.
    ++seen;
    if (stop_) return;
    share(thread);
  }
}

}  // namespace bnc
