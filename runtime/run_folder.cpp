#include "runtime/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include "runtime/checkpoint.h"
#include "runtime/error.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;

// What of a run lies in the folder; empty where there is none.
std::string file_of_run(const std::string& folder) {
  std::error_code ignored;
  for (const std::string& name : run_files())
    if (fs::exists(fs::path(folder) / name, ignored)) return name;
  const fs::path checkpoint = checkpoint_folder(folder);
  return fs::exists(checkpoint, ignored) ? checkpoint.filename().string() : "";
}

// K of a folder NAME-K; 0 where it is called something else, or K is no number that a run would get.
int64_t number_of(const std::string& folder, const std::string& name) {
  constexpr int64_t most = 1'000'000'000;
  int64_t number = 0;
  if (!folder.starts_with(name + "-")) return 0;
  const char *first = folder.data() + name.size() + 1, *last = folder.data() + folder.size();
  const auto [end, error] = std::from_chars(first, last, number);
  return error == std::errc() && end == last && number > 0 && number <= most ? number : 0;
}

}  // namespace

void check_run_folder(const TrainOptions& options) {
  std::error_code ignored;
  if (options.out.empty() || options.overwrite) return;
  if (!options.resume.empty() && fs::equivalent(options.out, options.resume, ignored)) return;
  const std::string found = file_of_run(options.out);
  if (found.empty()) return;
  const bool resumable = fs::exists(checkpoint_folder(options.out), ignored);
  fail("{} holds {} of another run, which would be lost\nhelp: {}give another `--out`, or `--overwrite`", options.out,
       found == "checkpoint" ? "a checkpoint" : found, resumable ? fmt::format("go on with that run by `--resume {}`, ", options.out) : "");
}

void prepare_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail("cannot make folder {}: {}", folder, error.message());
  std::string probe = (fs::path(folder) / ".bnc.XXXXXX").string();
  const int descriptor = ::mkostemp(probe.data(), O_CLOEXEC);
  if (descriptor < 0) fail("cannot write to folder {}: {}", folder, std::strerror(errno));
  ::close(descriptor);
  ::unlink(probe.c_str());
}

void remove_leftovers(const std::string& folder) {
  constexpr size_t suffix = 7;  // .XXXXXX
  const std::vector<std::string> files = run_files();
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (name.size() <= suffix || name[name.size() - suffix] != '.') continue;
    const std::string stem = name.substr(0, name.size() - suffix);
    if (std::find(files.begin(), files.end(), stem) != files.end()) fs::remove(entry->path(), ignored);
  }
}

std::vector<std::string> run_files() {
  return {"history.csv", "distributions.csv", "report.html", "report.json", "weights.safetensors", "weights.best.safetensors"};
}

std::string make_run_folder(const std::string& name) {
  return at_boundary([&] {
    const fs::path runs = "runs";
    int64_t last = 0;
    std::error_code error;
    for (fs::directory_iterator entry(runs, error), end; !error && entry != end; entry.increment(error))
      last = std::max(last, number_of(entry->path().filename().string(), name));
    error.clear();   // there may be none yet
    while (!error) {   // another process may take a number at the same time
      const fs::path folder = runs / fmt::format("{}-{}", name, ++last);
      if (fs::create_directories(folder, error)) return folder.string();
    }
    fail("cannot make a folder for the run in {}: {}\nhelp: give `--out DIR`", runs.string(), error.message());
  });
}

}  // namespace bnc
