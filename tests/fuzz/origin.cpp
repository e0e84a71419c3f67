// The witnesses between the reference and the code tell where a difference arises.
#include <cmath>

#include "ir/verify.h"
#include "tests/fuzz/check_parts.h"
#include "tests/unit/loop_interpreter.h"

namespace bnc::fuzz {

namespace {

// What the loop interpreter makes of the program.
Tensors interpret(const loops::Program& program, const Bindings& bindings, int64_t batch) {
  loops::testing::Interpreter interpreter(program, batch);
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    if (program.buffers[b].kind != loops::BufferKind::argument) continue;
    const auto value = bindings.find(program.buffers[b].name);
    for (size_t k = 0; value != bindings.end() && k < value->second.data.size(); ++k)
      interpreter.memory[b][k] = {value->second.data[k], static_cast<int64_t>(value->second.data[k])};
  }
  interpreter.run();
  Tensors results;
  for (size_t b = 0; b < program.buffers.size(); ++b) {
    if (program.buffers[b].kind != loops::BufferKind::argument) continue;
    Tensor& tensor = results[program.buffers[b].name];
    for (const loops::testing::Lane& lane : interpreter.memory[b])
      tensor.data.push_back(program.buffers[b].scalar == loops::Scalar::i32 ? static_cast<double>(lane.integer) : lane.real);
  }
  return results;
}

}  // namespace

std::string origin_of(const Graph& lowered, const loops::Program& program, const Bindings& bindings, const Expected& expected) {
  try {
    if (compare_all(evaluate_handed_out(lowered, bindings, expected.batch), expected.reference, of_f32)) return "the graph passes";
    if (compare_all(interpret(program, bindings, expected.batch), expected.reference, of_f32)) return "lowering";
  } catch (const std::exception& error) {
    return std::string("lowering: the loop interpreter says ") + error.what();
  }
  return "code generation";
}

}  // namespace bnc::fuzz
