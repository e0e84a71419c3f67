// Graph -> pieces: which parameters a layer makes by itself, which numbers stand beside a tensor, and in which order to write.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "frontend/source/program.h"
#include "frontend/write_source.h"

namespace bnc::source {

// What stands around the body of the network.
struct Frame {
  struct Input {
    const Node* node;
    std::string name, layout;     // `nchw`, or empty
  };
  struct Declared {
    const Node* node;             // a parameter or state that no layer makes
    std::string name;
  };
  struct Returned {
    Output::Role role;
    std::string name, layout;     // of a gradient or update what it is of
    size_t output;                // its place among the outputs of the network's function
  };

  std::string name, batch_symbol;
  std::vector<Input> inputs;
  std::vector<Declared> declared;
  std::vector<Returned> returned;
};

struct Layers {
  Program program;
  Frame frame;
};

Layers name_layers(const Graph& graph, const SourceOptions& options);

}  // namespace bnc::source
