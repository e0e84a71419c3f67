// Dealing the kernels of a program out to modules that are compiled at the same time.
#pragma once

#include <vector>

#include "codegen/equal_kernels.h"

namespace bnc::codegen {

// For each kernel the number of the part that has its function, 0 to at most `most` - 1. Parts take about equally long to
// compile; a program that compiles in milliseconds is one part.
std::vector<int> partition(const loops::Program& program, const KernelFunctions& functions, int most);

}  // namespace bnc::codegen
