// What of a network's file decides the bits of a training run, so that a run that goes on does so with what it began with.
#pragma once

#include <map>
#include <string>

#include "runtime/network.h"

namespace bnc {

struct Checkpoint;

// Settings of the train section as they are printed, and under `network` the graph in its flat form. Layout, comments and how long the
// run is to be are no part of them.
using RunSettings = std::map<std::string, std::string>;
RunSettings run_settings(const Network& network);

// CompileError where the file no longer says what it said when the run in folder `run` began (whose checkpoint may be older than such
// records, and then allows everything). With `allow` only `batch` and `seed` have to be the same, on which the order of the data depends;
// where the run had those from elsewhere, the file may come to say the same.
void check_unchanged(const Network& network, const Checkpoint& checkpoint, const std::string& run, bool allow);

}  // namespace bnc
