// Networks: what they consist of, their weights, and their text at each stage.
#include "runtime/network.h"

#include <algorithm>
#include <cctype>
#include <chrono>

#include "bnc/advice.h"
#include "codegen/codegen.h"
#include "frontend/frontend.h"
#include "ir/evaluate.h"
#include "ir/gradcheck.h"
#include "ir/print.h"
#include "passes/graph/ghost_batches.h"
#include "passes/optimizers/optimizer.h"
#include "passes/graph/train_loss.h"
#include "runtime/equivalence.h"
#include "runtime/error.h"
#include "runtime/model_constants.h"
#include "runtime/model_identity.h"
#include "runtime/weight_misfits.h"
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

void refuse_misfits(const Network& network, const WeightStore& store, bool whole_list) {
  const Misfits misfits(network.parameters(), store.data());
  if (!misfits.any()) return;
  const std::string source = store.data().path.empty() ? "the weights do" : store.data().path + " does";
  std::string text = fmt::format("error: {} not fit network `{}`: {}", source, network.name(), misfits.summary());
  const bool shortened = misfits.list(text, whole_list);
  if (const std::string cause = misfits.cause(); !cause.empty()) text += "\nhelp: " + cause;
  if (shortened) text += "\nhelp: with `--verbose` all of them are listed";
  if (const std::string identity = identity_of(store.data().metadata); !identity.empty()) text += "\nnote: the weights are of " + identity;
  throw Error(text);
}

int64_t numbers_an_example(const TensorType& type) {
  const auto count = element_count(type.shape);
  return count ? count->factor : 0;
}

// The output with a score for each class, or with one number for the second of two; null where there is none.
const Output* output_of_classes(const Graph& graph, int64_t classes) {
  for (const int64_t width : {classes, classes == 2 ? int64_t{1} : classes})
    for (const Output& output : graph.outputs)
      if (output.role == Output::Role::output && numbers_an_example(output.value.type()) == width) return &output;
  return nullptr;
}

// The constants of a C header, without what is not of this network's input and outputs: metadata may be stale, or edited.
std::string fitting_constants(const std::string& prefix, const Graph& graph, ModelMetadata model) {
  const Output* scores = output_of_classes(graph, static_cast<int64_t>(model.classes.size()));
  if (!scores) model.classes.clear();
  const auto inputs = graph.nodes_of("input");
  if (model.table && (inputs.empty() || model.table->width() != numbers_an_example(inputs.front()->results[0].type))) model.table.reset();
  return model_constants(prefix, model, scores ? scores->name : "");
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
  for (const StoredTensor& other : file.others) unused.push_back(fmt::format("`{}` {}", other.name, show(other.dims, other.dtype.c_str())));
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
    const std::string constants = fitting_constants(object.function_name, data_->graph(), weights.data().metadata);
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
