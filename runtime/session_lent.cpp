// Inference on memory of the caller.
#include "runtime/error.h"
#include "runtime/session.h"

namespace bnc {

namespace {

struct Stretch {
  const std::string* name;
  const char* begin;
  size_t bytes;
};

bool overlap(const Stretch& a, const Stretch& b) { return a.begin < b.begin + b.bytes && b.begin < a.begin + a.bytes; }

}  // namespace

void Session::Data::run_on(int64_t examples, std::span<const void* const> inputs, std::span<void* const> outputs) {
  if (mode != Mode::infer) fail("only inference runs on memory of the caller");
  if (inputs.size() != input_slots.size() || outputs.size() != output_slots.size())
    fail("network `{}` has {} inputs and {} outputs, but {} and {} are given", network_name, input_slots.size(), output_slots.size(),
         inputs.size(), outputs.size());
  if (examples < 1) fail("a batch of {} holds no example", examples);
  if (fixed_batch && examples != *fixed_batch)
    fail("network `{}` is compiled for {} = {}, but {} examples are given", network_name, batch_symbol, *fixed_batch, examples);
  if (examples == 1 && !refusal_of_one.empty()) throw Error(refusal_of_one);
  reserve_workspace(examples);

  lent = arguments;
  const auto lend = [&](size_t slot, const void* memory) {
    if (!memory) fail("the memory for `{}` is a null pointer", slots[slot].name);
    const Dim elements = *element_count(slots[slot].type.shape);
    lent[slot] = const_cast<void*>(memory);
    return Stretch{&slots[slot].name, static_cast<const char*>(memory), static_cast<size_t>(elements.at(examples)) * 4};
  };
  std::vector<Stretch> read;
  for (size_t k = 0; k < inputs.size(); ++k) {
    const ArgumentSlot& slot = slots[input_slots[k]];
    const Stretch stretch = read.emplace_back(lend(input_slots[k], inputs[k]));
    if (slot.classes > 0) check_labels(slot, {static_cast<const int32_t*>(inputs[k]), stretch.bytes / 4});
  }
  for (size_t k = 0; k < outputs.size(); ++k) {
    const Stretch written = lend(output_slots[k], outputs[k]);
    for (const Stretch& other : read)
      if (overlap(written, other)) fail("the memory for `{}` overlaps that of `{}`", *written.name, *other.name);
    read.push_back(written);
    if (poison) codegen::fill_with_poison(outputs[k], static_cast<int64_t>(written.bytes / 4), 4);
  }
  pool->run(code->step(), lent.data(), workspace.get(), examples);
  code->raise_fault();
}

}  // namespace bnc
