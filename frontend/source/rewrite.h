// Puts a block or a loop in the place of windows that are alike.
#pragma once

#include <vector>

#include "frontend/source/arguments.h"
#include "frontend/source/windows.h"

namespace bnc::source {

// The place among the values that the windows read of one whose first dimension is the batch size in all of them; or -1.
int shared_batch_tensor(const Program& program, const std::vector<Sequence>& sequences, const std::vector<Window>& windows);

// A new block, and a use of it for each window.
void make_block(Program& program, const std::vector<Sequence>& sequences, std::vector<Window> windows, const Arguments& arguments);

// A loop for windows that stand one behind the other, each reading what the one before gives.
void make_loop(Program& program, const std::vector<Sequence>& sequences, const std::vector<Window>& windows, const Arguments& arguments);

}  // namespace bnc::source
