// What goes into a session and comes out of it.
#include <algorithm>
#include <cstring>

#include "runtime/error.h"
#include "runtime/finite.h"
#include "runtime/session.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

// The batch size with which `dims` fit the type; -1 where the type has none, 0 where they do not fit.
int64_t batch_of(const TensorType& type, const std::vector<int64_t>& dims) {
  if (dims.size() != type.shape.size()) return 0;
  int64_t batch = -1;
  for (size_t k = 0; k < dims.size(); ++k) {
    const Dim& dim = type.shape[k];
    if (!dim.batch && dims[k] != dim.factor) return 0;
    if (!dim.batch) continue;
    if (dims[k] % dim.factor != 0 || (batch >= 0 && dims[k] / dim.factor != batch)) return 0;
    batch = dims[k] / dim.factor;
  }
  return batch;
}

Array array_of(const TensorType& type, int64_t batch, const void* memory) {
  const std::vector<int64_t> dims = concrete(type.shape, batch);
  const auto size = static_cast<size_t>(element_count(dims));
  if (type.dtype == DType::i32) {
    const int32_t* values = static_cast<const int32_t*>(memory);
    return Array(dims, std::vector<int32_t>(values, values + size));
  }
  const float* values = static_cast<const float*>(memory);
  return Array(dims, std::vector<float>(values, values + size));
}

ArgumentSlot& fixed_input(Session::Data& data, const std::string& name, DType dtype) {
  ArgumentSlot& slot = data.input(name);
  if (!data.fixed_batch) fail("input `{}` can be written in place only with a fixed batch size", name);
  if (slot.type.dtype != dtype) fail("input `{}` is {}, not {}", name, to_string(slot.type, data.batch_symbol), to_string(dtype));
  const bool has_batch = std::any_of(slot.type.shape.begin(), slot.type.shape.end(), [](const Dim& dim) { return dim.batch; });
  slot.batch = has_batch ? *data.fixed_batch : -1;
  return slot;
}

}  // namespace

void Session::Data::check_labels(const ArgumentSlot& slot, std::span<const int32_t> labels) const {
  if (slot.classes == 0) return;
  for (size_t k = 0; k < labels.size(); ++k) {
    const bool is_ignored = std::find(slot.ignored.begin(), slot.ignored.end(), labels[k]) != slot.ignored.end();
    if ((labels[k] < 0 || labels[k] >= slot.classes) && !is_ignored)
      fail("input `{}` has label {} at {}, but there are {} classes, 0 to {}", slot.name, labels[k], k, slot.classes, slot.classes - 1);
  }
}

void Session::bind(const std::string& name, const Array& value) {
  at_boundary([&] {
    ArgumentSlot& slot = data_->input(name);
    const std::string given = show(value.dims(), value.is_float() ? "f32" : "i32"), type = to_string(slot.type, data_->batch_symbol);
    if (value.is_float() != (slot.type.dtype == DType::f32)) fail("input `{}` is {}, but the array bound to it is {}", name, type, given);
    const int64_t batch = batch_of(slot.type, value.dims());
    if (batch == 0 && value.size() == 0) fail("input `{}` is {}, but the array bound to it holds no example: {}", name, type, given);
    if (batch == 0) fail("input `{}` is {}, but the array bound to it is {}", name, type, given);
    if (data_->fixed_batch && batch > 0 && batch != *data_->fixed_batch) {
      fail("input `{}` is {} compiled for {} = {}, but the array bound to it is {}", name, type, data_->batch_symbol, *data_->fixed_batch,
           given);
    }
    data_->check_labels(slot, value.integers());
    if (batch > 0) data_->set_batch(batch);
    slot.batch = batch;
    if (value.is_float()) std::copy(value.floats().begin(), value.floats().end(), slot.floats());
    else std::copy(value.integers().begin(), value.integers().end(), slot.integers());
  });
}

std::span<float> Session::input_floats(const std::string& name) {
  const ArgumentSlot& slot = fixed_input(*data_, name, DType::f32);
  return {slot.floats(), slot.memory.bytes() / sizeof(float)};
}

std::span<int32_t> Session::input_integers(const std::string& name) {
  const ArgumentSlot& slot = fixed_input(*data_, name, DType::i32);
  return {slot.integers(), slot.memory.bytes() / sizeof(int32_t)};
}

void Session::run() {
  at_boundary([&] { data_->run(); });
}

void Session::run(int64_t examples, std::span<const void* const> inputs, std::span<void* const> outputs) {
  at_boundary([&] { data_->run_on(examples, inputs, outputs); });
}

std::vector<std::string> Session::readable() const {
  std::vector<std::string> names;
  for (const ArgumentSlot& slot : data_->slots) {
    if (slot.name.starts_with("output/") && slot.kind == ArgumentSlot::Kind::result) names.push_back(slot.name.substr(7));
  }
  if (data_->mode == Mode::infer) return names;
  names.insert(names.begin(), "loss");
  for (const ArgumentSlot& slot : data_->slots) {
    if (slot.name.starts_with("grad/") && slot.kind == ArgumentSlot::Kind::result) names.push_back(slot.name);
  }
  for (const auto& [name, type] : data_->gradient_types) {
    if (!data_->result("grad/" + name)) names.push_back("grad/" + name);
  }
  for (const std::string& name : data_->statistics) {
    if (data_->result("state/" + name)) names.push_back("state/" + name);
  }
  return names;
}

Array Session::read(const std::string& name) const {
  return at_boundary([&] {
    if (const ArgumentSlot* slot = data_->result(name)) return array_of(slot->type, data_->batch, slot->pointer);
    // A tensor that training leaves alone because the loss does not depend on it: a bias in front of a batch norm.
    if (name.starts_with("grad/")) {
      if (const auto found = data_->gradient_types.find(name.substr(5)); found != data_->gradient_types.end()) {
        const std::vector<int64_t> dims = concrete(found->second.shape, 1);
        return Array(dims, std::vector<float>(static_cast<size_t>(element_count(dims)), 0.0f));
      }
    }
    fail("nothing named `{}` can be read from network `{}`\nhelp: {}", name, data_->network_name, did_you_mean(name, readable()));
  });
}

std::span<const float> Session::view(const std::string& name) const {
  const ArgumentSlot* slot = data_->result(name);
  if (!slot) fail("nothing named `{}` can be read from network `{}`\nhelp: {}", name, data_->network_name, did_you_mean(name, readable()));
  if (slot->type.dtype != DType::f32) fail("`{}` is {}, not f32", name, to_string(slot->type, data_->batch_symbol));
  return {slot->floats(), static_cast<size_t>(element_count(concrete(slot->type.shape, data_->batch)))};
}

WeightStore Session::weights() const {
  return at_boundary([&] {
    Weights weights;
    for (const std::string& name : data_->weight_order) {
      const Weight& given = *data_->weights.find(name);
      const ArgumentSlot* slot = data_->weight(name);
      if (!slot) weights.set(name, given);
      else weights.set(name, Weight::owned(given.dims, std::vector<float>(slot->floats(), slot->floats() + given.data.size())));
    }
    return make_store(std::move(weights), data_->metadata);
  });
}

namespace {

bool is_hidden(const Session::Data& data, const ArgumentSlot& slot) {
  return slot.kind == ArgumentSlot::Kind::state && !data.weights.find(slot.name);
}

}  // namespace

const ArgumentSlot* Session::Data::first_not_finite() const {
  const auto is_bad = [](const ArgumentSlot& slot) {
    const bool kept = slot.kind == ArgumentSlot::Kind::parameter || slot.kind == ArgumentSlot::Kind::state;
    return kept && slot.type.dtype == DType::f32 && !all_finite({slot.floats(), slot.memory.bytes() / sizeof(float)});
  };
  const ArgumentSlot* hidden = nullptr;
  std::map<std::string, const ArgumentSlot*> weights_found;
  for (const ArgumentSlot& slot : slots) {
    if (!is_bad(slot)) continue;
    if (!is_hidden(*this, slot)) weights_found.emplace(slot.name, &slot);
    else if (!hidden) hidden = &slot;
  }
  for (const std::string& name : weight_order)
    if (const auto found = weights_found.find(name); found != weights_found.end()) return found->second;
  return hidden;
}

NamedArrays Session::hidden_state() const {
  return at_boundary([&] {
    NamedArrays arrays;
    for (const ArgumentSlot& slot : data_->slots) {
      if (is_hidden(*data_, slot)) arrays.emplace_back(slot.name, array_of(slot.type, 1, slot.pointer));
    }
    return arrays;
  });
}

// Carried from step to step is above all what the optimizer keeps.
static constexpr const char* same_optimizer = "help: go on with the network and the optimizer that it was saved from";

void Session::restore(const WeightStore& weights, const NamedArrays& hidden_state) {
  at_boundary([&] {
    if (data_->embedded) fail("the weights of frozen network `{}` were folded into its code: compile it again", data_->network_name);
    std::unordered_map<std::string, const Array*> hidden;
    for (const auto& [name, array] : hidden_state) hidden.emplace(name, &array);
    for (ArgumentSlot& slot : data_->slots) {
      if (slot.kind != ArgumentSlot::Kind::parameter && slot.kind != ArgumentSlot::Kind::state) continue;
      if (!is_hidden(*data_, slot)) {
        const Weight* weight = weights.data().weights.find(slot.name);
        if (!weight || weight->data.size_bytes() != slot.memory.bytes())
          fail("the weights do not fit network `{}` at `{}`", data_->network_name, slot.name);
        std::memcpy(slot.pointer, weight->data.data(), weight->data.size_bytes());
        continue;
      }
      const auto found = hidden.find(slot.name);
      if (found == hidden.end()) fail("the state to restore lacks `{}`\n{}", slot.name, same_optimizer);
      const Array& value = *found->second;
      const bool fits = value.is_float() == (slot.type.dtype == DType::f32) && value.dims() == concrete(slot.type.shape, 1);
      if (!fits) fail("`{}` to restore does not fit: the network has {}", slot.name, to_string(slot.type, data_->batch_symbol));
      if (value.is_float()) std::copy(value.floats().begin(), value.floats().end(), slot.floats());
      else std::copy(value.integers().begin(), value.integers().end(), slot.integers());
    }
    for (const auto& [name, value] : hidden_state) {
      const ArgumentSlot* slot = data_->find(name, ArgumentSlot::Kind::state);
      if (!slot || !is_hidden(*data_, *slot))
        fail("the state to restore has `{}`, which network `{}` does not\n{}", name, data_->network_name, same_optimizer);
    }
    for (const std::string& name : data_->weight_order) {
      if (const Weight* weight = weights.data().weights.find(name)) data_->weights.set(name, *weight);
    }
  });
}

const ProgramInfo& Session::info() const { return data_->info; }
int Session::threads() const { return data_->pool->threads(); }

}  // namespace bnc
