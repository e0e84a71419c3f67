// The C interface of an object, as the emitter and the header writer both need it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codegen/codegen.h"

namespace bnc::codegen {

// What NAME_infer and NAME_workspace_bytes return when they refuse.
inline constexpr int error_batch = -1, error_null = -2;
// A workspace may begin anywhere; this many bytes more make room to align it to 64.
inline constexpr int64_t workspace_slack = 63;

// The argument buffers in the order of the C parameters. InternalError where the program has others.
std::vector<const loops::Buffer*> object_arguments(const loops::Program& program, const ObjectOptions& object);
bool needs_workspace(const loops::Program& program);
// What NAME_workspace_bytes returns for a batch of n.
int64_t workspace_bytes(const loops::Program& program, int64_t n);
// The largest batch size for which no size in bytes overflows.
int64_t largest_batch(const loops::Program& program);
// Writes the data of a constant buffer as they lie in memory.
void write_constant(const loops::Buffer& buffer, char* to);

}  // namespace bnc::codegen
