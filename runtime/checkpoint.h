// The state of a training run in a folder: all it takes to go on to the same bits.
#pragma once

#include <optional>
#include <string>

#include "bnc/bnc.h"
#include "runtime/distributions.h"
#include "runtime/history.h"
#include "runtime/run_settings.h"

namespace bnc {

// Sums over training batches.
struct RunningSum {
  double loss = 0, right = 0;   // losses an example, summed over batches; right answers
  int64_t batches = 0;
};

// The row of the history with the best test so far, and the weights then.
struct BestTest {
  HistoryRow row;
  WeightStore weights;
};

struct Checkpoint {
  std::string network;
  RunSettings settings;          // of the network's file
  int64_t step = 0;              // steps done; the next batch of the data order follows from it
  uint64_t seed = 0;
  int64_t batch = 0, examples = 0;   // of the data, with what is held out
  int64_t steps = 0;             // that the run was to have
  double validate = 0;           // the share of the examples held out
  double seconds = 0;            // that the run has taken
  RunningSum epoch, interval;    // of the current epoch; since the last row of the history
  History history;
  Distributions distributions;   // of what batch norms take in
  std::optional<BestTest> best;
  WeightStore weights;
  NamedArrays hidden_state;
};

// Writes OUT/checkpoint: into a folder beside it first, which then takes its place in one step, so that at any moment a whole
// checkpoint is there. Error when it cannot be written; the checkpoint before stays.
void write_checkpoint(const std::string& out, const Checkpoint& checkpoint);
// Error when OUT holds none or a damaged one.
Checkpoint read_checkpoint(const std::string& out);
std::string checkpoint_folder(const std::string& out);

}  // namespace bnc
