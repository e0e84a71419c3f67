// Every pass function. What each does stands with it in passes/registry.cpp.
#pragma once

#include "passes/pass.h"

namespace bnc {

bool canonicalize(Graph&, PassContext&);
bool constant_fold(Graph&, PassContext&);
bool common_subexpressions(Graph&, PassContext&);
bool dead_code(Graph&, PassContext&);
bool prepare_training(Graph&, PassContext&);
bool drop_dead_bias(Graph&, PassContext&);
bool build_backward(Graph&, PassContext&);
bool attach_optimizer(Graph&, PassContext&);
bool freeze(Graph&, PassContext&);
bool fold_batch_norm(Graph&, PassContext&);
bool decompose(Graph&, PassContext&);
bool fuse(Graph&, PassContext&);
// lower_to_loops and plan_memory stand in passes/pass.h.

}  // namespace bnc
