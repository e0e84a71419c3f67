// Networks: what they consist of, their weights, and their text at each stage.
#include "runtime/network.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "bnc/advice.h"
#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "ir/evaluate.h"
#include "ir/gradcheck.h"
#include "ir/print.h"
#include "passes/ghost_batches.h"
#include "passes/optimizers/optimizer.h"
#include "passes/train_loss.h"
#include "runtime/equivalence.h"
#include "runtime/error.h"
#include "runtime/model_constants.h"
#include "runtime/model_identity.h"
#include "runtime/weight_store.h"

namespace bnc {

Network::Network(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Network::Network(Network&&) noexcept = default;
Network& Network::operator=(Network&&) noexcept = default;
Network::~Network() = default;

namespace {

std::unique_ptr<Network::Data> parse(const std::function<std::shared_ptr<const SourceFile>()>& read) {
  return at_boundary([&] {
    const auto start = std::chrono::steady_clock::now();
    auto data = std::make_unique<Network::Data>();
    data->source = read();
    data->module = parse_module(data->source);
    if (data->module.train) const OptimizerSettings checked(*data->module.train);   // also where nothing is trained
    data->parse_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (data->module.networks.empty()) fail("{} holds no network", data->source->path);
    return data;
  });
}

std::vector<TensorInfo> outputs_of(const Graph& graph) {
  std::vector<TensorInfo> infos;
  for (const Output& output : graph.outputs) {
    if (output.role == Output::Role::output) infos.push_back(describe(output.name, output.value.type(), graph));
  }
  return infos;
}

bool is_identifier(const std::string& text) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) && std::all_of(text.begin(), text.end(), is_part);
}

// What of a file of weights does not fit a network.
class Misfits {
 public:
  bool any() const { return !missing_.empty() || !misshapen_.empty() || !other_types_.empty(); }

  // "3 tensors are missing, 1 has another shape, 3 are unknown".
  std::string summary() const {
    std::vector<std::string> parts;
    const auto count = [&](size_t number, const char* one, const char* several) {
      if (number == 0) return;
      const char* noun = !parts.empty() ? "" : number == 1 ? " tensor" : " tensors";
      parts.push_back(fmt::format("{}{} {}", number, noun, number == 1 ? one : several));
    };
    count(missing_.size(), "is missing", "are missing");
    count(misshapen_.size(), "has another shape", "have another shape");
    count(other_types_.size(), "is not F32", "are not F32");
    count(unknown_.size(), "is unknown", "are unknown");
    return fmt::format("{}", fmt::join(parts, ", "));
  }

  // Appends a line for each, of many only for the first few of a kind; true where some were left out.
  bool list(std::string& text, bool whole) const {
    constexpr size_t shown = 4, few = 14;
    const bool shorten = !whole && missing_.size() + misshapen_.size() + other_types_.size() + unknown_.size() > few;
    bool shortened = false;
    const auto lines = [&](const char* kind, size_t count, const auto& line) {
      const size_t most = shorten && count > shown + 1 ? shown : count;
      for (size_t k = 0; k < most; ++k) text += fmt::format("\n  {}{}", kind, line(k));
      if (most < count) text += fmt::format("\n  {}{} more", kind, count - most), shortened = true;
    };
    lines("missing: ", missing_.size(), [&](size_t k) { return fmt::format("`{}` {}", missing_[k].name, missing_[k].type); });
    lines("misshapen: ", misshapen_.size(), [&](size_t k) { return misshapen_[k]; });
    lines("", other_types_.size(), [&](size_t k) { return other_types_[k]; });
    lines("unknown: ", unknown_.size(), [&](size_t k) { return unknown_[k].second + suggestion(k); });
    return shortened;
  }

  // The likely reason, where there is one for at least half of them.
  std::string cause() const {
    std::map<std::string, size_t> prefixes;
    size_t of_pytorch = 0;
    std::unordered_set<std::string> missing;
    for (const TensorInfo& info : missing_) missing.insert(info.name);
    for (const auto& [name, text] : unknown_) {
      of_pytorch += name.ends_with(".running_mean") || name.ends_with(".running_var") || name.ends_with(".num_batches_tracked");
      for (size_t point = name.find('.'); point != std::string::npos; point = name.find('.', point + 1))
        if (missing.contains(name.substr(point + 1))) ++prefixes[name.substr(0, point + 1)];
    }
    for (const auto& [prefix, count] : prefixes)
      if (2 * count >= missing_.size())
        return fmt::format("{} of the unknown names are missing ones behind `{}`: take it off", count, prefix);
    if (of_pytorch > 0)
      return "names such as `running_mean` are PyTorch's; docs/coming-from-pytorch.md says what they are here and how weights lie";
    if (reversed_ > 0)
      return fmt::format("{} of the shapes are only turned round: PyTorch's dense weights are [out, in], here they are [in, out]",
                         reversed_);
    return "";
  }

 private:
  // Perhaps what is missing, by another name.
  std::string suggestion(size_t k) const {
    constexpr size_t most_suggestions = 100;   // each compares a name with all others
    const std::string near = k < most_suggestions ? nearest_name(unknown_[k].first, known_) : "";
    return near.empty() ? "" : fmt::format("; did you mean `{}`?", near);
  }

  std::vector<TensorInfo> missing_;
  std::vector<std::string> misshapen_, other_types_, known_;
  std::vector<std::pair<std::string, std::string>> unknown_;   // name, and name with shape
  size_t reversed_ = 0;
  friend Misfits misfits_of(const std::vector<TensorInfo>& parameters, const WeightStore::Data& file);
};

Misfits misfits_of(const std::vector<TensorInfo>& parameters, const WeightStore::Data& file) {
  Misfits misfits;
  std::unordered_map<std::string, const OtherTensor*> others;
  for (const OtherTensor& other : file.others) others.emplace(other.name, &other);
  for (const TensorInfo& info : parameters) {
    misfits.known_.push_back(info.name);
    const Weight* weight = file.weights.find(info.name);
    const auto other = others.find(info.name);
    if (!weight && other != others.end())
      misfits.other_types_.push_back(fmt::format("`{}` is {}; bnc reads F32 only", info.name, other->second->dtype));
    else if (!weight) misfits.missing_.push_back(info);
    if (!weight || weight->dims == info.dims) continue;
    misfits.misshapen_.push_back(fmt::format("`{}` is {}, but the network has {}", info.name, show(weight->dims), info.type));
    misfits.reversed_ += std::equal(weight->dims.begin(), weight->dims.end(), info.dims.rbegin(), info.dims.rend());
  }
  const std::unordered_set<std::string> is_known(misfits.known_.begin(), misfits.known_.end());
  for (const auto& [name, weight] : file.weights.entries())
    if (!is_known.contains(name)) misfits.unknown_.emplace_back(name, fmt::format("`{}` {}", name, show(weight.dims)));
  return misfits;
}

void refuse_misfits(const Network& network, const WeightStore& store, bool whole_list) {
  const Misfits misfits = misfits_of(network.parameters(), store.data());
  if (!misfits.any()) return;
  const std::string source = store.data().path.empty() ? "the weights do" : store.data().path + " does";
  std::string text = fmt::format("error: {} not fit network `{}`: {}", source, network.name(), misfits.summary());
  const bool shortened = misfits.list(text, whole_list);
  if (const std::string cause = misfits.cause(); !cause.empty()) text += "\nhelp: " + cause;
  if (shortened) text += "\nhelp: with `--verbose` all of them are listed";
  if (const std::string identity = identity_of(store.data().metadata); !identity.empty()) text += "\nnote: the weights are of " + identity;
  throw Error(text);
}

}  // namespace

Network Network::from_file(const std::string& path) {
  return Network(parse([&] { return read_source(path); }));
}

Network Network::from_text(const std::string& text, const std::string& path) {
  return Network(parse([&] { return make_source(text, path); }));
}

const std::string& Network::name() const { return data_->graph().name; }
bool Network::trainable() const { return data_->train() != nullptr; }

std::vector<TensorInfo> Network::inputs() const {
  std::vector<TensorInfo> infos;
  for (const Node* node : data_->graph().nodes_of("input"))
    infos.push_back(describe(node->results[0].name, node->results[0].type, data_->graph()));
  return infos;
}

std::vector<TensorInfo> Network::targets() const {
  return at_boundary([&] {
    std::vector<TensorInfo> infos;
    Graph graph = data_->graph().clone();
    if (!trainable() || graph.output(Output::Role::loss)) return infos;
    append_loss(graph, data_->train());
    for (const Node* node : graph.nodes_of("input")) {
      const Result& input = node->results[0];
      if (!data_->graph().find(input.name)) infos.push_back(describe(input.name, input.type, graph));
    }
    return infos;
  });
}

std::vector<TensorInfo> Network::outputs() const { return outputs_of(data_->graph()); }

std::vector<TensorInfo> Network::parameters() const {
  std::vector<TensorInfo> infos;
  for (const Node* node : weight_nodes(data_->graph())) {
    infos.push_back(describe(node->results[0].name, node->results[0].type, data_->graph()));
    infos.back().trainable = is_trainable(*node);
  }
  return infos;
}

WeightStore Network::initialize(uint64_t seed) const {
  return at_boundary([&] {
    ModelMetadata metadata;
    sign(*this, metadata);
    return make_store(initial_weights(data_->graph(), seed), std::move(metadata));
  });
}

void Network::check_weights(const WeightStore& store) const { refuse_misfits(*this, store, false); }

void check_weights_fully(const Network& network, const WeightStore& weights) { refuse_misfits(network, weights, true); }

std::string Network::unused_weights(const WeightStore& store) const {
  constexpr size_t shown = 8;
  const WeightStore::Data& file = store.data();
  const Weights used = weights_of(data_->graph(), file.weights);
  std::vector<std::string> unused;
  for (const auto& [name, weight] : file.weights.entries())
    if (!used.find(name)) unused.push_back(fmt::format("`{}` {}", name, show(weight.dims)));
  for (const OtherTensor& other : file.others) unused.push_back(fmt::format("`{}` {}", other.name, show(other.dims, other.dtype.c_str())));
  if (unused.empty()) return "";
  const size_t more = unused.size() - std::min(unused.size(), shown);
  unused.resize(unused.size() - more);
  return fmt::format("note: {} has {} that network `{}` does not use: {}{}", file.path.empty() ? "the file" : file.path,
                     unused.size() + more == 1 ? "a tensor" : "tensors", name(), fmt::join(unused, ", "),
                     more > 0 ? fmt::format(" and {} more", more) : "");
}

std::string Network::emit(Stage stage, const CompileOptions& options, const WeightStore* weights) const {
  return at_boundary([&]() -> std::string {
    if (stage == Stage::ast) return dump_ast(data_->source);
    const bool as_parsed = options.mode == Mode::infer && !weights && options.passes.empty() && options.stop_after.empty();
    if (stage == Stage::graph && as_parsed) return print(data_->graph());
    if (weights) check_weights(*weights);
    Compilation compilation(*data_, options, weights ? &weights->data().weights : nullptr);
    compilation.run_passes(compilation.passes());
    if (stage == Stage::graph) return print(compilation.graph);
    const loops::Program program = compilation.lower();
    if (stage == Stage::loops) return loops::to_string(program);
    return stage == Stage::llvm ? codegen::emit_llvm(program, compilation.context.target)
                                : codegen::emit_assembly(program, compilation.context.target);
  });
}

std::string Network::optimize(const std::vector<std::string>& passes, const CompileOptions& options, const WeightStore* weights) const {
  return at_boundary([&] {
    if (weights) check_weights(*weights);
    Compilation compilation(*data_, options, weights ? &weights->data().weights : nullptr);
    compilation.run_passes(passes);
    if (compilation.program) return loops::to_string(*compilation.program);
    Module module;
    for (const Graph& graph : data_->module.networks)
      module.networks.push_back(&graph == &data_->graph() ? compilation.graph.clone() : graph.clone());
    module.train = data_->module.train;
    return print(module);
  });
}

ObjectFiles Network::compile_object(const CompileOptions& options, const WeightStore& weights) const {
  return at_boundary([&] {
    check_weights(weights);
    if (options.mode == Mode::train) fail("an object holds inference code only");
    Compilation compilation(*data_, options, &weights.data().weights);
    compilation.run_passes(compilation.passes());
    const loops::Program program = compilation.lower(true);
    codegen::ObjectOptions object;
    object.function_name = options.object_name.empty() ? name() : options.object_name;
    if (!is_identifier(object.function_name))
      fail("`{}` cannot be part of a C name\nhelp: give letters, digits and underscores, no digit first", object.function_name);
    object.on_time = options.on_time;
    for (const TensorInfo& input : inputs()) object.inputs.push_back(input.name);
    for (const TensorInfo& output : outputs()) object.outputs.push_back("output/" + output.name);
    const std::string comment = fmt::format("Network `{}` of {}, compiled by {} for {}.", name(), data_->source->path, version(),
                                            compilation.context.target.cpu);
    const std::string constants = model_constants(object.function_name, weights.data().metadata);
    return ObjectFiles{codegen::emit_object(program, compilation.context.target, object),
                       codegen::emit_header(program, object, comment, constants)};
  });
}

std::vector<GradientCheck> Network::check_gradients(uint64_t seed) const {
  return at_boundary([&] {
    const int64_t ghosts = ghost_batch_size(data_->graph());
    CompileOptions options;
    options.mode = Mode::train;
    options.batch = ghosts > 1 ? 2 * ghosts : 4;
    Compilation compilation(*data_, options, nullptr);
    compilation.run_passes({"canonicalize", "prepare-training", "build-backward", "canonicalize"});
    GradientCheckSettings settings;
    settings.seed = seed;
    std::vector<GradientCheck> checks;
    for (const GradientComparison& comparison :
         bnc::check_gradients(compilation.graph, random_bindings(compilation.graph, *compilation.context.batch, seed), settings)) {
      checks.push_back({comparison.tensor, comparison.relative_error, settings.tolerance, comparison.passed});
    }
    return checks;
  });
}

std::vector<EquivalenceCheck> Network::check_equivalence(const std::vector<std::string>& passes, uint64_t seed, bool fold_weights) const {
  return at_boundary([&] { return bnc::check_equivalence(data_->module, passes, seed, fold_weights); });
}

std::string format_file(const std::string& path) {
  return at_boundary([&] { return format_source(read_source(path)); });
}

std::string format_text(const std::string& text, const std::string& path) {
  return at_boundary([&] { return format_source(make_source(text, path)); });
}

std::string version() { return fmt::format("bnc {} ({})", BNC_VERSION, codegen::llvm_version()); }

}  // namespace bnc
