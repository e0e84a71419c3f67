// Passes: one free function each, in a file of its own, registered on one line in passes/registry.cpp.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ir/graph.h"
#include "ir/loops.h"
#include "ir/target.h"
#include "ir/tensor.h"

namespace bnc {

// What a pass says of one node: what it did, or why it declined.
struct Remark {
  enum class Kind { done, declined } kind;
  std::string pass;
  std::string subject;   // the node's op and result name: `batch_norm h2`
  std::string path;      // the layer's path in the source: `batch_norm_1`; empty where it has none
  std::string text;
  SourceRange range;
};

// What passes may look at beside the graph, and where they leave their remarks.
class PassContext {
 public:
  const TrainSection* train = nullptr;  // what prepare-training and attach-optimizer read
  Weights* weights = nullptr;           // with weights, constant-fold evaluates expressions of parameters into new ones
  bool assume_weights = false;          // without weights, constant-fold makes the same parameters, of unknown values (`explain`)
  TargetDescription target;
  std::optional<int64_t> batch;         // the batch size where it is fixed
  std::optional<int64_t> run_steps, steps_an_epoch;  // the length of the training, for schedules of the learning rate
  std::optional<uint64_t> seed;         // of dropout; none: the train section's
  bool embed_weights = false;           // lower-to-loops makes parameters and states constants of the program
  bool batch_statistics = false;        // freeze: normalize with the batch's own statistics (`eval --stats batch`)
  bool keep_gradients = false;          // attach-optimizer: the gradients stay outputs
  std::vector<Remark> remarks;
  std::vector<Diagnostic> warnings;     // what the user must hear of although compilation goes on
  std::string current_pass;             // set by the pass manager

  void done(const Node* node, const std::string& text) { remark(Remark::Kind::done, node, text); }
  void decline(const Node* node, const std::string& reason) { remark(Remark::Kind::declined, node, reason); }
  // A remark for later, still without a text.
  Remark about(const Node* node) const;

 private:
  void remark(Remark::Kind kind, const Node* node, const std::string& text);
};

// Returns whether it changed anything.
using GraphPass = std::function<bool(Graph&, PassContext&)>;
using LoweringPass = std::function<loops::Program(const Graph&, PassContext&)>;
using LoopPass = std::function<bool(loops::Program&, PassContext&)>;

struct PassInfo {
  std::string name;
  std::string summary;              // one line, for --list-passes and docs/passes.md
  std::string description;          // what it does and when it declines
  std::variant<GraphPass, LoweringPass, LoopPass> run;
};

const std::vector<PassInfo>& all_passes();
const PassInfo* find_pass(const std::string& name);

// The pipelines, by name: `training` and `inference` work on the graph, `lowering` makes loops of it.
const std::vector<std::string>& pipeline(const std::string& name);

struct PassOptions {
  bool verify_each = true;
  std::string stop_after;                                       // run no pass behind this one
  std::function<void(const std::string& pass, const Graph&)> on_change;  // for --print-changed
  std::function<void(const std::string& pass, double milliseconds)> on_time;
};

// Runs passes in order; what `lower-to-loops` makes goes to `program`, and passes on loops work on that. CompileError for
// an unknown pass name, with a suggestion, and for passes in an order that makes no sense.
bool run_passes(Graph& graph, const std::vector<std::string>& names, PassContext& context, const PassOptions& options = {},
                std::optional<loops::Program>* program = nullptr);

// Graph -> loops: one kernel for each group that `fuse` formed.
loops::Program lower_to_loops(const Graph& graph, PassContext& context);
// Places the arena's buffers: those alive at the same time never overlap.
bool plan_memory(loops::Program& program, PassContext& context);

}  // namespace bnc
