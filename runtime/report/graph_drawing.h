// A graph as boxes and arrows: one box an operation, a kernel, or a whole block where there would be too many.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace bnc {

struct GraphDrawing {
  enum class Kind { other, contraction, normalization, activation, pooling };
  struct Box {
    std::string name, detail, shape;
    Kind kind = Kind::other;
    std::string block;               // the outermost block instance it belongs to; empty for none
    std::vector<std::string> ops;    // of all that is inside
  };
  std::vector<Box> boxes;                       // in topological order
  std::vector<std::pair<size_t, size_t>> edges; // from an earlier box to a later one, each once
};

// The operations that depend on an input; with `kernels`, the kernels that `fuse` formed of them; without, of which one each is part is
// told.
GraphDrawing draw_graph(const Graph& graph, bool kernels);
// Puts boxes of one block into one where there are more than `most`, and leaves out some in the middle where that is not enough.
GraphDrawing collapse(const GraphDrawing& drawing, size_t most);
// `counts` of operations: "4 conv2d, 3 relu, add".
std::string count_ops(const std::vector<std::string>& ops);

// The drawing as inline SVG, one box below the other, with edges that skip boxes at the side.
std::string render_drawing(const GraphDrawing& drawing, const std::string& description);

}  // namespace bnc
