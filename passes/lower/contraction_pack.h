// Packed right operands of contractions over rows.
#pragma once

#include "passes/lower/contraction_form.h"

namespace bnc::lower {

// Panels [part][group][panel][reduction][width]: a kernel of its own copies them, or they are computed now and become a
// constant where the operand is one. Gives the buffer.
int pack_right(Lowering& lowering, const Node& node, const ContractionForm& form, int64_t width);

}  // namespace bnc::lower
