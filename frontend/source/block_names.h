// What blocks and their tensors are called.
#pragma once

#include "frontend/source/program.h"

namespace bnc::source {

// Names every block after what it does, and returns them in the order in which they are to be read: those used before those that use them.
std::vector<int> name_blocks(Program& program, const std::string& network);

}  // namespace bnc::source
