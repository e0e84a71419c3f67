#include "runtime/session.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "ir/evaluate.h"
#include "ir/op.h"
#include "passes/graph/single_element.h"
#include "runtime/error.h"
#include "runtime/reference.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// Waking another thread costs some microseconds: less work than this is done by one.
constexpr double least_flops_a_thread = 4e5, least_bytes_a_thread = 1e6;

int choose_threads(int wanted, const ProgramInfo& info, std::optional<int64_t> batch) {
  const int limit = wanted > 0 ? wanted : usable_cores();
  if (!batch) return limit;
  const double worth = std::max(info.flops / least_flops_a_thread, info.bytes / least_bytes_a_thread);
  return std::clamp(static_cast<int>(worth), 1, limit);
}

// The bytes of `elements` at that batch size; Error when nobody has so much memory.
size_t checked_bytes(const Dim& elements, int64_t batch) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements.factor, elements.batch ? batch : 1, &bytes) || __builtin_mul_overflow(bytes, 4, &bytes)) {
    fail("a batch of {} takes more memory than can be addressed", batch);
  }
  return static_cast<size_t>(bytes);
}

Dim elements_of(const TensorType& type) {
  const auto count = element_count(type.shape);
  BNC_CHECK(count.has_value());
  return *count;
}

// Inputs, parameters and states, by name.
std::unordered_map<std::string, const Node*> sources_of(const Graph& graph) {
  std::unordered_map<std::string, const Node*> sources;
  for (const char* kind : {"input", "parameter", "state"})
    for (const Node* node : graph.nodes_of(kind)) sources.emplace(node->results[0].name, node);
  return sources;
}

}  // namespace

// Those of the losses that read them, as the train section or the network's own nodes have it.
static IntList ignored_labels(const Network::Data& network, const std::string& input) {
  IntList ignored;
  const auto add = [&](const AttributeMap& attributes) {
    const auto found = attributes.find("ignore");
    if (found == attributes.end()) return;
    const IntList& labels = found->second.integers();
    ignored.insert(ignored.end(), labels.begin(), labels.end());
  };
  const std::function<void(const Formula&)> visit = [&](const Formula& formula) {
    if (formula.operands.size() > 1 && formula.operands[1].name == input) add(formula.attributes);
    for (const Formula& operand : formula.operands) visit(operand);
  };
  if (network.train()) visit(network.train()->loss);
  for (const auto& node : network.graph().nodes())
    if (node->op->target_type && node->operands[1].name() == input) add(node->attributes);
  return ignored;
}

Session::Data::Data(const Network::Data& network, const CompileOptions& options, const WeightStore& initial, bool fold)
    : mode(options.mode), network_name(network.graph().name), batch_symbol(network.graph().batch_symbol),
      weights(weights_of(network.graph(), initial.data().weights)), metadata(initial.data().metadata) {
  const auto start = std::chrono::steady_clock::now();
  Compilation compilation(network, options, fold ? &weights : nullptr, true);
  compilation.run_passes(compilation.passes());
  // Frozen weights never change: what reads them is made for them, like packed panels.
  embedded = options.mode == Mode::infer && compilation.context.weights;
  const loops::Program program = compilation.lower(embedded);
  if (options.profile && options.checks.poison) fail("code that poisons memory is not profiled");
  poison = options.checks.poison;
  code = codegen::jit(program, compilation.context.target,
                      {.threads = options.threads,
                       .profile = options.profile,
                       .checks = {options.checks.bounds, options.checks.poison},
                       .on_time = options.on_time});

  fixed_batch = compilation.context.batch;
  for (const loops::Kernel& kernel : program.kernels) {
    info.kernels.push_back({kernel.name, kernel.flops, kernel.bytes});
    info.flops += kernel.flops;
    info.bytes += kernel.bytes;
  }
  pool = std::make_unique<ThreadPool>(choose_threads(options.threads, info, fixed_batch));
  workspace_bytes = program.workspace_bytes(0, pool->threads());
  workspace_bytes_per_example = program.arena_bytes_per_example;
  info.arena_bytes = program.workspace_bytes(fixed_batch.value_or(1), pool->threads());
  for (const Node* node : weight_nodes(network.graph())) {
    weight_order.push_back(node->results[0].name);
    if (node->is("state")) statistics.push_back(node->results[0].name);
    if (options.mode == Mode::train && options.keep_gradients && is_trainable(*node))
      gradient_types[node->results[0].name] = node->results[0].type;
  }
  make_slots(program, compilation.graph);
  if (options.mode == Mode::infer) order_slots(network.graph());
  if (options.mode == Mode::train)
    for (ArgumentSlot& slot : slots) slot.ignored = ignored_labels(network, slot.name);
  if (fixed_batch) set_batch(*fixed_batch);
  else refusal_of_one = refusal_of_one_example(network.graph());
  fill_slots(compilation.graph, compilation.context.weights ? compilation.weights : weights);
  info.compile_ms = network.parse_ms + std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

void Session::Data::make_slots(const loops::Program& program, const Graph& graph) {
  for (const loops::Buffer& buffer : program.buffers) {
    if (buffer.kind != loops::BufferKind::argument) continue;
    const size_t position = static_cast<size_t>(buffer.argument);
    if (slots.size() <= position) slots.resize(position + 1);
    slots[position].name = buffer.name;
  }
  const std::unordered_map<std::string, const Node*> sources = sources_of(graph);
  std::unordered_map<std::string, const Output*> outputs;
  for (const Output& output : graph.outputs) {
    const bool is_output = output.role == Output::Role::output, is_gradient = output.role == Output::Role::gradient;
    if (output.role != Output::Role::update)
      outputs.emplace(is_output ? "output/" + output.name : is_gradient ? "grad/" + output.name : "loss", &output);
  }
  for (ArgumentSlot& slot : slots) {
    if (const auto found = sources.find(slot.name); found != sources.end()) {
      const Node& source = *found->second;
      slot.kind = source.is("input")       ? ArgumentSlot::Kind::input
                  : source.is("parameter") ? ArgumentSlot::Kind::parameter
                                           : ArgumentSlot::Kind::state;
      slot.type = source.results[0].type;
      if (source.is("input")) slot.classes = label_classes(graph, &source);
    } else {
      const auto output = outputs.find(slot.name);
      BNC_CHECK(output != outputs.end(), "the argument buffer " + slot.name + " is nothing the graph hands out");
      slot.type = output->second->value.type();
    }
    (slot.kind == ArgumentSlot::Kind::result ? results_ : others_).emplace(slot.name, &slot);
    if (!elements_of(slot.type).batch) slot.batch = slot.kind == ArgumentSlot::Kind::input ? 0 : -1;
  }
  arguments.resize(slots.size());
  allocate(1, false);
}

// The memory of the slots whose size depends on the batch, or of the others; what they held before stays at their beginning.
void Session::Data::allocate(int64_t wanted, bool by_batch) {
  std::vector<size_t> chosen, sizes;
  for (size_t k = 0; k < slots.size(); ++k) {
    const Dim elements = elements_of(slots[k].type);
    if (elements.batch != by_batch) continue;
    chosen.push_back(k);
    sizes.push_back(checked_bytes(elements, wanted));
  }
  std::vector<AlignedBuffer> memory = AlignedBuffer::together(sizes);
  for (size_t i = 0; i < chosen.size(); ++i) {
    ArgumentSlot& slot = slots[chosen[i]];
    if (slot.memory.bytes() > 0) std::memcpy(memory[i].get(), slot.memory.get(), slot.memory.bytes());
    slot.memory = std::move(memory[i]);
    slot.pointer = arguments[chosen[i]] = slot.memory.get();
  }
}

void Session::Data::fill_slots(const Graph& graph, const Weights& values) {
  const std::unordered_map<std::string, const Node*> sources = sources_of(graph);
  for (ArgumentSlot& slot : slots) {
    if (slot.kind != ArgumentSlot::Kind::parameter && slot.kind != ArgumentSlot::Kind::state) continue;
    if (const Weight* weight = values.find(slot.name)) {
      BNC_CHECK(weight->data.size_bytes() == slot.memory.bytes(), slot.name);
      std::copy(weight->data.begin(), weight->data.end(), slot.floats());
      continue;
    }
    // Made by a pass: momenta, the step counter. They start the same way in every run.
    const Symbol& initializer = sources.at(slot.name)->attribute("initializer").symbol();
    if (initializer.name == "zeros") continue;   // as the memory comes
    const Tensor start = initialize(slot.name, slot.type, initializer, 0);
    if (slot.type.dtype == DType::f32) std::copy(start.data.begin(), start.data.end(), slot.floats());
    else std::copy(start.data.begin(), start.data.end(), slot.integers());
  }
}

void Session::Data::order_slots(const Graph& written) {
  const auto position = [&](const ArgumentSlot* slot) {
    BNC_CHECK(slot != nullptr, "inputs and outputs are arguments of the code");
    return static_cast<size_t>(slot - slots.data());
  };
  for (const Node* node : written.nodes_of("input")) input_slots.push_back(position(named(node->results[0].name, false)));
  for (const Output& output : written.outputs)
    if (output.role == Output::Role::output) output_slots.push_back(position(named("output/" + output.name, true)));
}

void Session::Data::set_batch(int64_t wanted) {
  batch = wanted;
  if (wanted > capacity) allocate(wanted, true);
  capacity = std::max(capacity, wanted);
  reserve_workspace(wanted);
}

void Session::Data::reserve_workspace(int64_t wanted) {
  if (wanted <= workspace_capacity) return;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(workspace_bytes_per_example, wanted, &bytes) || __builtin_add_overflow(bytes, workspace_bytes, &bytes)) {
    fail("a batch of {} takes more memory than can be addressed", wanted);
  }
  workspace = std::move(AlignedBuffer::together({static_cast<size_t>(bytes)}).front());
  workspace_capacity = wanted;
}

ArgumentSlot* Session::Data::named(const std::string& buffer, bool is_result) const {
  const auto& slots_by_name = is_result ? results_ : others_;
  const auto found = slots_by_name.find(buffer);
  return found == slots_by_name.end() ? nullptr : found->second;
}

ArgumentSlot* Session::Data::find(const std::string& name, ArgumentSlot::Kind kind) {
  ArgumentSlot* slot = named(name, kind == ArgumentSlot::Kind::result);
  return slot && slot->kind == kind ? slot : nullptr;
}

ArgumentSlot& Session::Data::input(const std::string& name) {
  if (ArgumentSlot* slot = find(name, ArgumentSlot::Kind::input)) {
    slot->pointer = arguments[static_cast<size_t>(slot - slots.data())] = slot->memory.get();
    return *slot;
  }
  std::vector<std::string> names;
  for (const ArgumentSlot& slot : slots) {
    if (slot.kind == ArgumentSlot::Kind::input) names.push_back(slot.name);
  }
  fail("network `{}` has no input `{}`\nhelp: {}", network_name, name, did_you_mean(name, names));
}

const ArgumentSlot* Session::Data::result(const std::string& name) const {
  if (const ArgumentSlot* output = named("output/" + name, true)) return output;
  if (name == "loss" || name.starts_with("grad/")) return named(name, true);
  if (mode != Mode::train || !name.starts_with("state/")) return nullptr;
  const std::string state = name.substr(6);
  const ArgumentSlot* slot = named(state, false);
  return slot && slot->kind == ArgumentSlot::Kind::state && weights.find(state) ? slot : nullptr;   // one of the network's, not of a pass
}

void Session::Data::lend(const std::string& name, const void* memory) {
  ArgumentSlot& slot = input(name);
  BNC_CHECK(fixed_batch.has_value());
  slot.batch = *fixed_batch;
  slot.pointer = arguments[static_cast<size_t>(&slot - slots.data())] = const_cast<void*>(memory);
}

void Session::Data::run() {
  prepare_run();
  pool->run(code->step(), arguments.data(), workspace.get(), batch);
  code->raise_fault();
}

std::vector<double> Session::Data::time_kernels() {
  prepare_run();
  ThreadPool::Stamps stamps;
  stamps.reserve(info.kernels.size() + 1);
  pool->run(code->step(), arguments.data(), workspace.get(), batch, &stamps);
  code->raise_fault();
  BNC_CHECK(stamps.size() == info.kernels.size() + 1, "the step is compiled to be profiled");
  std::vector<double> times;
  for (size_t k = 0; k + 1 < stamps.size(); ++k)
    times.push_back(std::chrono::duration<double, std::milli>(stamps[k + 1] - stamps[k]).count());
  return times;
}

void Session::Data::prepare_run() {
  const ArgumentSlot* first = nullptr;
  for (const ArgumentSlot& slot : slots) {
    if (slot.kind != ArgumentSlot::Kind::input) continue;
    if (slot.batch == 0) fail("input `{}` of network `{}` has not been bound", slot.name, network_name);
    if (slot.batch < 0) continue;
    if (first && first->batch != slot.batch) {
      fail("the inputs of a run have one batch size, but `{}` has {} and `{}` has {}", first->name, first->batch, slot.name, slot.batch);
    }
    if (!first) first = &slot;
  }
  const int64_t examples = first ? first->batch : fixed_batch.value_or(1);
  if (examples == 1 && !refusal_of_one.empty()) throw Error(refusal_of_one);
  set_batch(examples);
  if (!poison) return;
  for (ArgumentSlot& slot : slots) {
    if (slot.kind == ArgumentSlot::Kind::result) codegen::fill_with_poison(slot.pointer, elements_of(slot.type).at(batch), 4);
  }
}

Session make_unfolded_session(const Network& network, const CompileOptions& options, const WeightStore& weights) {
  return at_boundary([&] {
    network.check_weights(weights);
    return Session(std::make_unique<Session::Data>(network.data(), options, weights, false));
  });
}

Session Network::compile(const CompileOptions& options, const WeightStore& weights) const {
  return at_boundary([&] {
    check_weights(weights);
    return Session(std::make_unique<Session::Data>(*data_, options, weights, options.mode == Mode::infer));
  });
}

Session::Session(std::unique_ptr<Data> data) : data_(std::move(data)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;
Session::~Session() = default;

}  // namespace bnc
