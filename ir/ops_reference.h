// docs/ops.md, generated from the op definitions.
#pragma once

#include <string>

namespace bnc {

std::string ops_reference();

}  // namespace bnc
