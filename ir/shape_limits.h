// Which shapes a tensor can have.
#pragma once

#include <string>

#include "ir/type.h"

namespace bnc {

inline constexpr size_t max_rank = 32;

// Why no tensor can have that shape; empty where one can.
std::string why_impossible(const Shape& shape, const std::string& batch_symbol);

}  // namespace bnc
