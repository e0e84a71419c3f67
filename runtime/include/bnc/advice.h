// Advice for the command line: what to write in place of what other programs have, and what of some weights does not fit.
#pragma once

#include <string>
#include <vector>

#include <bnc/bnc.h>

namespace bnc {

std::string hints_reference();   // the tables of docs/coming-from-pytorch.md
// What to write for a command or an option of other programs (`fit`, `batch-size`), a help line; empty where nothing is known of it.
std::string hint_on_command(const std::string& word);
// `taken` are the options that the command has, and what it takes without one (`model`): nothing is said of others.
std::string hint_on_option(const std::string& word, const std::vector<std::string>& taken);

// Network::check_weights with an error that lists everything, not the first few.
void check_weights_fully(const Network& network, const WeightStore& weights);

}  // namespace bnc
