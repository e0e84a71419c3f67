#include "ir/graph_hash.h"

#include <unordered_map>

#include <fmt/format.h>

#include "ir/op.h"
#include "ir/random.h"

namespace bnc {

namespace {

constexpr const char* initializer = "initializer";

// Defaults and absent operands at the end are left out, so that an op may get more of them in later versions.
class Hashes {
 public:
  void add(const Node& node) {
    std::string text = node.op->name;
    for (const auto& [name, value] : node.attributes) {
      const AttributeSpec* spec = node.op->attribute(name);
      const bool is_default = spec && spec->fallback && value == *spec->fallback;
      if (name != initializer && !is_default) text += fmt::format(" {}={}", name, to_string(value));
    }
    size_t given = node.operands.size();
    while (given > 0 && !node.operands[given - 1]) --given;
    for (size_t k = 0; k < given; ++k) text += " " + of(node.operands[k]);
    for (const Result& result : node.results) text += " " + to_string(result.type);
    if (node.is("parameter") || node.is("state")) text += " " + node.results[0].name;
    if (node.is("input")) text += fmt::format(" {}", inputs_++);
    hashes_[&node] = hash_name(text);
  }

  std::string of(Value value) const { return value ? fmt::format("{:016x}.{}", hashes_.at(value.node), value.index) : "-"; }

 private:
  std::unordered_map<const Node*, uint64_t> hashes_;
  int64_t inputs_ = 0;
};

}  // namespace

std::string graph_hash(const Graph& graph) {
  Hashes hashes;
  for (const auto& node : graph.nodes()) hashes.add(*node);
  std::string text;
  for (const Output& output : graph.outputs) {
    const bool is_named = output.role == Output::Role::gradient || output.role == Output::Role::update;   // by its parameter or state
    text += fmt::format("{} {} {}\n", static_cast<int>(output.role), is_named ? output.name : "", hashes.of(output.value));
  }
  return fmt::format("{:016x}", hash_name(text));
}

}  // namespace bnc
