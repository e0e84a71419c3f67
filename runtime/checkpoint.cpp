#include "runtime/checkpoint.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/file_bytes.h"
#include "runtime/json_numbers.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;
using OrderedJson = nlohmann::ordered_json;

constexpr const char *weights_file = "weights.safetensors", *best_file = "best.safetensors", *state_file = "state.npz",
                     *history_file = "history.csv", *distributions_file = "distributions.csv", *progress_file = "progress.json";

void synchronize_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

OrderedJson to_json(const RunningSum& sum) { return {{"loss", sum.loss}, {"right", sum.right}, {"batches", sum.batches}}; }

RunningSum running_sum(const OrderedJson& json) {
  return {number(json.at("loss")), number(json.at("right")), whole_number<int64_t>(json.at("batches"))};
}

void write_contents(const fs::path& folder, const Checkpoint& checkpoint) {
  checkpoint.weights.save(folder / weights_file);
  if (checkpoint.best) checkpoint.best->weights.save(folder / best_file);
  save_npz(folder / state_file, checkpoint.hidden_state);
  write_file(folder / history_file, to_csv(checkpoint.history));
  write_file(folder / distributions_file, to_csv(checkpoint.distributions));
  const OrderedJson progress = {{"network", checkpoint.network},
                         {"step", checkpoint.step},
                         {"steps", checkpoint.steps},
                         {"seed", checkpoint.seed},
                         {"batch", checkpoint.batch},
                         {"examples", checkpoint.examples},
                         {"validate", checkpoint.validate},
                         {"epoch", to_json(checkpoint.epoch)},
                         {"interval", to_json(checkpoint.interval)},
                         {"best_step", checkpoint.best ? OrderedJson(checkpoint.best->row.step) : OrderedJson()},
                         {"seconds", checkpoint.seconds},
                         {"settings", checkpoint.settings}};
  write_file(folder / progress_file, progress.dump(2) + "\n");
  synchronize_folder(folder);
}

// Returns the step of the best test; -1 where there was none.
int64_t read_progress(const std::string& path, Checkpoint& checkpoint) {
  const auto bytes = open_file(path);
  int64_t best_step = -1;
  try {
    const OrderedJson progress = OrderedJson::parse(bytes->bytes().begin(), bytes->bytes().end());
    checkpoint.network = progress.at("network").get<std::string>();
    checkpoint.step = whole_number<int64_t>(progress.at("step"));
    checkpoint.steps = whole_number<int64_t>(progress.at("steps"));
    checkpoint.seed = whole_number<uint64_t>(progress.at("seed"));
    checkpoint.batch = whole_number<int64_t>(progress.at("batch"));
    checkpoint.examples = whole_number<int64_t>(progress.at("examples"));
    checkpoint.validate = number(progress.at("validate"));
    checkpoint.epoch = running_sum(progress.at("epoch"));
    checkpoint.interval = running_sum(progress.at("interval"));
    checkpoint.seconds = number(progress.at("seconds"));
    if (progress.contains("settings"))
      checkpoint.settings = progress.at("settings").get<RunSettings>();  // those of older versions have none
    if (!progress.at("best_step").is_null()) best_step = whole_number<int64_t>(progress.at("best_step"));
  } catch (const OrderedJson::exception&) {
    fail("{}: damaged: not the progress of a training run", path);
  }
  if (checkpoint.step < 0 || checkpoint.batch < 1) fail("{}: damaged: step {}, batch {}", path, checkpoint.step, checkpoint.batch);
  return best_step;
}

// By the names of its files first: to list a folder takes a descriptor, which the system may refuse.
void remove_folder(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {weights_file, best_file, state_file, history_file, distributions_file, progress_file})
    fs::remove(folder / name, ignored);
  if (!fs::remove(folder, ignored)) fs::remove_all(folder, ignored);
}

// Puts `fresh` in the place of `current`; what was there is gone afterwards. Where the file system cannot exchange two
// folders the old one steps aside under a name that read_checkpoint() knows.
void replace_folder(const fs::path& fresh, const fs::path& current, const fs::path& aside) {
  std::error_code ignored;
  if (!fs::exists(current, ignored)) {
    fs::rename(fresh, current);
  } else if (::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, current.c_str(), RENAME_EXCHANGE) != 0) {
    remove_folder(aside);
    fs::rename(current, aside);
    fs::rename(fresh, current);
  }
  synchronize_folder(current.parent_path());
  remove_folder(fresh);
  remove_folder(aside);
}

}  // namespace

std::string checkpoint_folder(const std::string& out) { return fs::path(out) / "checkpoint"; }

void write_checkpoint(const std::string& out, const Checkpoint& checkpoint) {
  const fs::path current = checkpoint_folder(out), fresh = current.string() + ".new", aside = current.string() + ".old";
  try {
    fs::remove_all(fresh);
    fs::create_directories(fresh);
    write_contents(fresh, checkpoint);
    replace_folder(fresh, current, aside);
  } catch (const fs::filesystem_error& error) {
    remove_folder(fresh);
    fail("cannot write {}: {}", current.string(), error.code().message());
  } catch (const Error&) {
    remove_folder(fresh);
    throw;
  }
}

Checkpoint read_checkpoint(const std::string& out) {
  fs::path folder = checkpoint_folder(out);
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) {
    const fs::path aside = folder.string() + ".old";
    if (!fs::exists(aside, ignored)) fail("{} holds no checkpoint: there is no {}", out, folder.string());
    folder = aside;
  }
  Checkpoint checkpoint;
  const int64_t best_step = read_progress(folder / progress_file, checkpoint);
  checkpoint.weights = WeightStore::load(folder / weights_file);
  checkpoint.hidden_state = load_npz(folder / state_file);
  const std::string history_path = folder / history_file;
  const auto history = open_file(history_path);
  checkpoint.history = parse_csv({reinterpret_cast<const char*>(history->bytes().data()), history->bytes().size()}, history_path);
  const std::string distributions_path = folder / distributions_file;
  if (fs::exists(distributions_path, ignored)) {
    const auto distributions = open_file(distributions_path);
    checkpoint.distributions = parse_distributions(
        {reinterpret_cast<const char*>(distributions->bytes().data()), distributions->bytes().size()}, distributions_path);
  }
  if (best_step < 0) return checkpoint;
  const auto best = std::find_if(checkpoint.history.begin(), checkpoint.history.end(),
                                 [&](const HistoryRow& row) { return row.step == best_step && row.tested; });
  if (best == checkpoint.history.end()) fail("{}: damaged: there is no test at step {}, which was the best one", history_path, best_step);
  checkpoint.best = {*best, WeightStore::load(folder / best_file)};
  return checkpoint;
}

}  // namespace bnc
