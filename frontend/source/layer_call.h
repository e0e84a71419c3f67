// One node as a call of its op: which of its parameters the call makes, and with which attributes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "frontend/source/program.h"
#include "frontend/write_source.h"

namespace bnc::source {

struct LayerCall {
  Piece piece;                        // without values: operands that are given have none yet
  std::vector<const Node*> made;
};

// `free` says whether nothing but this node reads or names a parameter.
LayerCall layer_call(const Node& node, const std::string& batch_symbol, const SourceOptions& options,
                     const std::function<bool(const Value&)>& free);

}  // namespace bnc::source
