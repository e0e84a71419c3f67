#include "tests/fuzz/children.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <regex>
#include <set>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "tests/fuzz/failure.h"

namespace bnc::fuzz {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t phase_bytes = 1024, text_bytes = 1 << 16;

// What a child and its parent both see. A child writes a report, and says through its pipe that it is there.
struct Shared {
  char phase[phase_bytes];
  char kind[phase_bytes], text[text_bytes], refused[phase_bytes];
  int trusted, untrusted;
  bool inferred, trained, exported, same;
  double worst;
};

Shared* own_shared = nullptr;   // of this process, where it is a child

std::set<int> parents_ends;   // of all pipes: a child that kept one open would hide the end of another

void put(char* to, size_t capacity, const std::string& text) {
  const size_t length = std::min(text.size(), capacity - 1);
  memcpy(to, text.data(), length);
  to[length] = 0;
}

// Errors of one kind say the same but for names and numbers.
std::string without_names(const std::string& text) {
  const std::string first = text.substr(0, text.find('\n'));
  return std::regex_replace(first, std::regex("[A-Za-z_]*[0-9][A-Za-z0-9_.]*|`[^`]*`"), "_").substr(0, 160);
}

void fail(const std::string& kind, const std::string& text) {
  put(own_shared->kind, phase_bytes, kind);
  put(own_shared->text, text_bytes, text);
}

void do_work(const Work& work, uint64_t seed) {
  own_shared->kind[0] = own_shared->refused[0] = 0;
  tell_phase("drawing");
  try {
    const Outcome outcome = work(seed);
    put(own_shared->refused, phase_bytes, outcome.refused);
    own_shared->trusted = outcome.trusted;
    own_shared->untrusted = outcome.untrusted;
    own_shared->inferred = outcome.inferred;
    own_shared->trained = outcome.trained;
    own_shared->exported = outcome.exported;
    own_shared->same = outcome.same;
    own_shared->worst = outcome.worst;
  } catch (const Failure& failure) {
    fail(failure.kind, failure.what());
  } catch (const CompileError& error) {
    fail("refused: " + without_names(error.diagnostics().front().text), error.what());
  } catch (const InternalError& error) {
    // The loop IR's verifier names kernel, index and buffer, which are others in a smaller network.
    const bool from_verifier = std::string_view(error.what()).starts_with("loop program");
    fail(from_verifier ? "loop IR" : "internal error: " + without_names(error.what()), error.what());
  } catch (const std::exception& error) {
    fail("exception: " + without_names(error.what()), error.what());
  }
}

class Child {
 public:
  Child() {
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BNC_CHECK(memory != MAP_FAILED, "no shared memory");
    shared_ = static_cast<Shared*>(memory);
  }
  ~Child() { ::munmap(shared_, sizeof(Shared)); }
  Child(const Child&) = delete;

  bool is_running() const { return process_ > 0; }
  int answers() const { return from_child_; }
  bool has_hung(double limit_seconds) const { return std::chrono::duration<double>(Clock::now() - begun_).count() > limit_seconds; }

  void begin(uint64_t seed, const Work& work) {
    if (!is_running()) start(work);
    seed_ = seed;
    begun_ = Clock::now();
    if (::write(to_child_, &seed, sizeof seed) != sizeof seed) {
      // it died: its answer is the end of the pipe
    }
  }

  // What became of the work: its report, or its death.
  Report finish() {
    char done = 0;
    const bool alive = ::read(from_child_, &done, 1) == 1;
    Report report{.seed = seed_, .phase = shared_->phase};
    if (alive) {
      report.kind = shared_->kind;
      report.text = shared_->text;
      report.outcome = {shared_->trusted, shared_->untrusted, shared_->inferred, shared_->trained, shared_->refused,
                        shared_->exported, shared_->same, shared_->worst};
    } else {
      const int status = stop();
      report.kind = WIFSIGNALED(status) ? fmt::format("crash: {}", ::strsignal(WTERMSIG(status)))
                                        : fmt::format("exit {}", WEXITSTATUS(status));
      report.text = report.kind;
    }
    return report;
  }

  Report kill() {
    ::kill(process_, SIGKILL);
    stop();
    return Report{.seed = seed_, .kind = "hang", .text = "it takes too long", .phase = shared_->phase};
  }

  int stop() {
    if (!is_running()) return 0;
    for (const int end : {to_child_, from_child_}) {
      ::close(end);
      parents_ends.erase(end);
    }
    int status = 0;
    ::waitpid(process_, &status, 0);
    process_ = 0;
    return status;
  }

 private:
  void start(const Work& work) {
    int request[2], answer[2];
    BNC_CHECK(::pipe(request) == 0 && ::pipe(answer) == 0, "no pipe");
    process_ = ::fork();
    BNC_CHECK(process_ >= 0, "no process");
    if (process_ == 0) {
      ::close(request[1]);
      ::close(answer[0]);
      for (const int end : parents_ends) ::close(end);
      own_shared = shared_;
      uint64_t seed;
      while (::read(request[0], &seed, sizeof seed) == sizeof seed) {
        do_work(work, seed);
        if (::write(answer[1], "d", 1) != 1) break;
      }
      ::_exit(0);
    }
    ::close(request[0]);
    ::close(answer[1]);
    to_child_ = request[1];
    from_child_ = answer[0];
    parents_ends.insert({to_child_, from_child_});
  }

  Shared* shared_ = nullptr;
  pid_t process_ = 0;
  int to_child_ = -1, from_child_ = -1;
  uint64_t seed_ = 0;
  Clock::time_point begun_;
};

}  // namespace

void tell_phase(const std::string& phase) {
  if (own_shared) put(own_shared->phase, phase_bytes, phase);
}

void run_children(int jobs, double limit_seconds, const std::function<std::optional<uint64_t>()>& next, const Work& work,
                  const std::function<bool(const Report&)>& report) {
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::unique_ptr<Child>> busy, idle;
  for (int k = 0; k < jobs; ++k) idle.push_back(std::make_unique<Child>());
  bool more = true;
  while (true) {
    while (more && !idle.empty()) {
      const std::optional<uint64_t> seed = next();
      more = seed.has_value();
      if (!more) break;
      busy.push_back(std::move(idle.back()));
      idle.pop_back();
      busy.back()->begin(*seed, work);
    }
    if (busy.empty()) break;
    std::vector<pollfd> waited;
    for (const auto& child : busy) waited.push_back({child->answers(), POLLIN, 0});
    ::poll(waited.data(), waited.size(), 200);
    for (size_t k = busy.size(); k-- > 0;) {
      const bool answers = waited[k].revents != 0;
      if (!answers && !busy[k]->has_hung(limit_seconds)) continue;
      more &= report(answers ? busy[k]->finish() : busy[k]->kill());
      idle.push_back(std::move(busy[k]));
      busy.erase(busy.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }
  for (const auto& child : idle) child->stop();
}

Report run_child(double limit_seconds, const Work& work) {
  Report result;
  bool begun = false;
  const auto once = [&]() -> std::optional<uint64_t> { return std::exchange(begun, true) ? std::nullopt : std::optional<uint64_t>(0); };
  run_children(1, limit_seconds, once, work, [&](const Report& report) {
    result = report;
    return true;
  });
  return result;
}

}  // namespace bnc::fuzz
