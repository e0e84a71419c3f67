#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>

#include "runtime/checkpoint.h"
#include "support/training.h"

using namespace bnc;
using namespace bnc::test;

namespace {

Checkpoint numbered_checkpoint(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.network = "net";
  checkpoint.step = step;
  checkpoint.batch = 8;
  checkpoint.history = {{step, 1, 0.5, 0.25, false}};
  checkpoint.weights.set("w", {1000}, std::vector<float>(1000, static_cast<float>(step)));
  checkpoint.hidden_state = {{"v", Array({500}, std::vector<float>(500, static_cast<float>(step)))}};
  return checkpoint;
}

// Runs `body` in a process of its own, which is killed as it makes its system call number `call`, from 1. Returns false where it ended
// before that.
template <class Body>
bool killed_at_call(int call, Body&& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    ::raise(SIGSTOP);
    body();
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSTOPPED(status));   // else this machine forbids ptrace(2)
  for (int stops = 0; stops < 2 * call - 1; ++stops) {   // it stops as it begins a call and as it ends one
    REQUIRE(::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr) == 0);
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSTOPPED(status)) continue;
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    return false;
  }
  ::kill(child, SIGKILL);
  REQUIRE(::waitpid(child, &status, 0) == child);
  return true;
}

}  // namespace

TEST_CASE("a process killed at any system call of writing a checkpoint leaves a whole one") {
  const TemporaryFolder folder;
  write_checkpoint(folder.path(), numbered_checkpoint(1));
  int64_t newest = 1;
  int kept = 0, replaced = 0;
  for (int call = 1;; ++call) {
    CAPTURE(call);
    const bool killed = killed_at_call(call, [&] { write_checkpoint(folder.path(), numbered_checkpoint(newest + 1)); });
    const Checkpoint found = read_checkpoint(folder.path());
    CHECK((found.step == newest || found.step == newest + 1));
    CHECK(found.weights.values("w")[999] == static_cast<float>(found.step));
    CHECK(found.hidden_state[0].second.floats()[499] == static_cast<float>(found.step));
    CHECK(found.history[0].step == found.step);
    if (!killed) {
      CHECK(found.step == newest + 1);
      break;
    }
    ++(found.step == newest ? kept : replaced);
    newest = found.step;
  }
  CHECK(kept > 10);
  CHECK(replaced > 2);
}

TEST_CASE("damaged checkpoints are refused by name") {
  const TemporaryFolder folder;
  CHECK(contains(message_of<Error>([&] { read_checkpoint(folder.path()); }), "holds no checkpoint"));
  Checkpoint checkpoint;
  checkpoint.network = "net";
  checkpoint.batch = 8;
  checkpoint.epoch.right = std::nan("");
  write_checkpoint(folder.path(), checkpoint);
  CHECK(std::isnan(read_checkpoint(folder.path()).epoch.right));
  for (const char* file : {"progress.json", "weights.safetensors", "state.npz", "history.csv"}) {
    const std::string path = folder.path(std::string("checkpoint/") + file), bytes = read_bytes(path);
    folder.write(std::string("checkpoint/") + file, bytes.substr(0, bytes.size() / 2));
    CHECK(contains(message_of<Error>([&] { read_checkpoint(folder.path()); }), file));
    folder.write(std::string("checkpoint/") + file, bytes);
  }
  std::filesystem::rename(folder.path("checkpoint"), folder.path("checkpoint.old"));
  CHECK(read_checkpoint(folder.path()).batch == 8);
}
