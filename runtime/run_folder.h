// The folder that a training run writes into.
#pragma once

#include <string>

#include "bnc/bnc.h"

namespace bnc {

// Error where `out` holds another run than the one that goes on, unless that may be lost.
void check_run_folder(const TrainOptions& options);
// Makes the folder, and finds out before the work begins that its results can be kept there.
void prepare_folder(const std::string& folder);
// Removes what a run killed while it replaced one of its files has left beside it.
void remove_leftovers(const std::string& folder);

}  // namespace bnc
