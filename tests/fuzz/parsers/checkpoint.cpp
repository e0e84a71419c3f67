// Checkpoints of training runs: an input holds the files of the folder one after the other.
#include "runtime/checkpoint.h"

#include <filesystem>

#include "runtime/error.h"
#include "tests/fuzz/parsers/target.h"

BNC_FUZZ_TARGET(checkpoint)(const uint8_t* data, size_t size) {
  static const bnc::fuzz::Folder folder;
  std::filesystem::create_directories(folder.path("checkpoint"));
  std::span<const uint8_t> input(data, size);
  for (const char* name : {"progress.json", "history.csv", "distributions.csv", "weights.safetensors", "best.safetensors"}) {
    folder.write(std::string("checkpoint/") + name, bnc::fuzz::take_part(input));
  }
  folder.write("checkpoint/state.npz", input);
  try {
    const bnc::Checkpoint checkpoint = bnc::read_checkpoint(folder.path());
    bnc::write_checkpoint(folder.path(), checkpoint);
    const bnc::Checkpoint again = bnc::read_checkpoint(folder.path());
    bnc::fuzz::expect(to_csv(again.history) == to_csv(checkpoint.history), "the history survives");
    bnc::fuzz::expect(to_csv(again.distributions) == to_csv(checkpoint.distributions), "the distributions survive");
    bnc::fuzz::expect(again.step == checkpoint.step && again.seed == checkpoint.seed && again.network == checkpoint.network,
                      "the progress survives");
  } catch (const bnc::Error& error) {
    bnc::fuzz::expect_error(error.what(), folder.path());
  }
  return 0;
}
