// Finds what repeats in a program, and makes blocks and loops of it while the text gets shorter by that.
#pragma once

#include "frontend/source/program.h"

namespace bnc::source {

void find_repeats(Program& program);

}  // namespace bnc::source
