// Where the buffers of a program lie in memory.
#pragma once

#include "ir/loops.h"

namespace bnc::loops {

// Whether two arena buffers share memory, for some batch size.
bool overlap_in_arena(const Program& program, const Buffer& a, const Buffer& b);

// Checks what plan-memory has done: buffers lie inside of their memory, at multiples of 64 bytes, and those of one kernel apart. Throws
// InternalError naming kernel and buffer.
void verify_placement(const Program& program);

}  // namespace bnc::loops
