// What became of every batch norm and dropped bias, and how contractions are computed, from the remarks of the passes.
#include <set>
#include <unordered_map>

#include "passes/graph/rewrite.h"
#include "runtime/error.h"
#include "runtime/network.h"
#include "runtime/reference.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

Explanation::Entry entry_at(const std::string& op, const std::string& path, const SourceRange& range) {
  Explanation::Entry entry;
  entry.op = op;
  entry.path = path;
  if (range.known() && range.file) {
    entry.place = fmt::format("{}:{}", range.file->path, range.line);
    const std::string_view line = range.file->line(range.line);
    const size_t begin = line.find_first_not_of(" \t");
    if (begin != std::string_view::npos) entry.source_line = line.substr(begin);
  }
  return entry;
}

// The last word that a pass had on each node: a later sweep may fold what an earlier one could not.
std::unordered_map<std::string, const Remark*> last_remarks(const std::vector<Remark>& remarks, const std::string& pass) {
  std::unordered_map<std::string, const Remark*> last;
  for (const Remark& remark : remarks) {
    if (remark.pass == pass) last[remark.subject] = &remark;
  }
  return last;
}

std::vector<Explanation::Entry> batch_norm_entries(const Graph& parsed, Mode mode, const std::vector<Remark>& remarks) {
  std::vector<Explanation::Entry> entries;
  const auto last = last_remarks(remarks, "fold-batch-norm");
  for (const Node* node : parsed.nodes_of("batch_norm")) {
    Explanation::Entry entry = entry_at("batch_norm", layer_path(*node), node->range);
    const auto found = last.find("batch_norm " + node->results[0].name);
    const Remark* remark = found == last.end() ? nullptr : found->second;
    entry.folded = remark && remark->kind == Remark::Kind::done;
    if (remark) entry.what = entry.folded ? remark->text : "stayed: " + remark->text;
    else if (mode == Mode::train) entry.what = "stayed: training normalizes with the statistics of each batch";
    else entry.what = "stayed: fold-batch-norm did not run on it";
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::vector<Explanation::Entry> bias_entries(const std::vector<Remark>& remarks) {
  std::vector<Explanation::Entry> entries;
  for (const Remark& remark : remarks) {
    if (remark.pass != "drop-dead-bias") continue;
    Explanation::Entry entry = entry_at("bias", remark.path, remark.range);
    entry.folded = remark.kind == Remark::Kind::done;
    entry.what = remark.kind == Remark::Kind::done ? remark.text : "stayed: " + remark.text;
    entries.push_back(std::move(entry));
  }
  return entries;
}

// How each contraction over many rows is computed.
std::vector<Explanation::Entry> contraction_entries(const std::vector<Remark>& remarks) {
  std::vector<Explanation::Entry> entries;
  for (const Remark& remark : remarks) {
    if (remark.pass != "lower-to-loops") continue;
    Explanation::Entry entry = entry_at("contraction", remark.subject, remark.range);
    entry.what = remark.text;
    entries.push_back(std::move(entry));
  }
  return entries;
}

struct Totals {
  double flops = 0, bytes = 0;
  int64_t arena = 0;
};

Totals totals_of(const loops::Program& program) {
  Totals totals;
  for (const loops::Kernel& kernel : program.kernels) {
    totals.flops += kernel.flops;
    totals.bytes += kernel.bytes;
  }
  totals.arena = program.workspace_bytes(program.batch.value_or(1), 1);
  return totals;
}

// The same network with batch norms and biases where the source has them, every op a kernel of its own.
Totals totals_before(const Network::Data& network, const CompileOptions& options) {
  Compilation compilation(network, options, nullptr);
  std::vector<std::string> names = compilation.passes();
  const std::set<std::string> rewrites = {"fold-batch-norm", "drop-dead-bias", "fuse"};
  std::erase_if(names, [&](const std::string& name) { return rewrites.count(name) > 0; });
  compilation.run_passes(names);
  int kernel = 0;
  for (const auto& node : compilation.graph.nodes()) node->kernel = kernel++;
  return totals_of(compilation.lower());
}

// Of the outputs, folded against the frozen network as it was written, on random inputs.
double measured_difference(const Network::Data& network, const CompileOptions& options, const Weights& weights, const Compilation& folded) {
  constexpr int64_t batch = 4;
  constexpr uint64_t seed = 1;
  Compilation frozen(network, options, nullptr);
  frozen.run_passes({"canonicalize", "freeze"});
  const Bindings inputs = random_inputs(frozen.graph, batch, seed);
  const auto expected = reference_outputs(frozen.graph, weights, inputs), got = reference_outputs(folded.graph, folded.weights, inputs);
  Tensor all_expected, all_got;
  for (const auto& [name, tensor] : expected) {
    all_expected.data.insert(all_expected.data.end(), tensor.data.begin(), tensor.data.end());
    all_got.data.insert(all_got.data.end(), got.at(name).data.begin(), got.at(name).data.end());
  }
  return norm_error(all_expected, all_got);
}

}  // namespace

Explanation Network::explain(const CompileOptions& given, const WeightStore* weights) const {
  return at_boundary([&] {
    if (weights) check_weights(*weights);
    CompileOptions options = given;
    options.stop_after.clear();
    options.run_steps = nominal_run_steps;
    options.steps_an_epoch = nominal_steps_an_epoch;
    const bool frozen = options.mode == Mode::infer;
    Compilation compilation(*data_, options, frozen && weights ? &weights->data().weights : nullptr);
    compilation.context.assume_weights = frozen;   // which weights they are does not change the counts
    compilation.run_passes(compilation.passes());

    Explanation explanation;
    explanation.batch_norms = batch_norm_entries(data_->graph(), options.mode, compilation.context.remarks);
    explanation.biases = bias_entries(compilation.context.remarks);
    const Totals after = totals_of(compilation.lower());
    explanation.contractions = contraction_entries(compilation.context.remarks);
    options.on_change = {};
    options.on_time = {};
    const Totals before = totals_before(*data_, options);
    explanation.flops_before = before.flops;
    explanation.flops_after = after.flops;
    explanation.bytes_before = before.bytes;
    explanation.bytes_after = after.bytes;
    explanation.arena_before = before.arena;
    explanation.arena_after = after.arena;
    if (weights && options.mode == Mode::infer) {
      constexpr double most_flops = 1e8;   // what the reference evaluator does in seconds
      explanation.predicted_difference = predicted_folding_error(folded_tensors(compilation.graph));
      if (before.flops <= most_flops)
        explanation.measured_difference = measured_difference(*data_, options, weights->data().weights, compilation);
    }
    return explanation;
  });
}

}  // namespace bnc
