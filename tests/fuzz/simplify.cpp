#include "tests/fuzz/simplify.h"

#include <algorithm>
#include <set>

#include "ir/op.h"
#include "passes/pass.h"
#include "tests/fuzz/values.h"

namespace bnc::fuzz {

namespace {

bool is_source(const SketchNode& node) { return node.op->lowering_as<SourceLowering>(); }
bool is_declared(const SketchNode& node) { return !node.op->infer; }
const TensorType& type_of(const Sketch& sketch, const Ref& ref) {
  return sketch.nodes[static_cast<size_t>(ref.node)].results[static_cast<size_t>(ref.result)];
}

void fewer_outputs(const Sketch& sketch, Sketches& all) {
  if (sketch.outputs.size() < 2) return;
  for (const auto& only : sketch.outputs) {
    all.push_back(sketch);
    all.back().outputs = {only};
  }
  for (size_t k = 0; k < sketch.outputs.size(); ++k) {
    all.push_back(sketch);
    all.back().outputs.erase(all.back().outputs.begin() + static_cast<std::ptrdiff_t>(k));
  }
}

// An output that is what one of its node's operands is.
void earlier_outputs(const Sketch& sketch, Sketches& all) {
  for (size_t k = 0; k < sketch.outputs.size(); ++k) {
    for (const Ref& operand : sketch.nodes[static_cast<size_t>(sketch.outputs[k].second.node)].operands) {
      if (operand.node < 0) continue;
      all.push_back(sketch);
      all.back().outputs[k].second = operand;
    }
  }
}

void replace(Sketch& sketch, const Ref& from, const Ref& to) {
  for (SketchNode& node : sketch.nodes)
    for (Ref& operand : node.operands)
      if (operand == from) operand = to;
  for (auto& [name, ref] : sketch.outputs)
    if (ref == from) ref = to;
}

// A new input in front of everything, in place of a value.
void cut(const Sketch& sketch, const Ref& value, Sketches& all) {
  Sketch changed = sketch;
  for (SketchNode& node : changed.nodes)
    for (Ref& operand : node.operands)
      if (operand.node >= 0) ++operand.node;
  for (auto& [name, ref] : changed.outputs) ++ref.node;
  std::string name = "x";
  const auto taken = [&] {
    return std::any_of(sketch.nodes.begin(), sketch.nodes.end(), [&](const SketchNode& node) { return node.name == name; });
  };
  while (taken()) name += "x";
  const TensorType& type = type_of(sketch, value);
  changed.nodes.insert(changed.nodes.begin(), SketchNode{find_op("input"), {}, {}, name, type, {type}});
  replace(changed, {value.node + 1, value.result}, {0, 0});
  all.push_back(std::move(changed));
}

// A value replaced by what it is computed from, or by an input.
void shorter_ways(const Sketch& sketch, Sketches& all) {
  for (size_t k = sketch.nodes.size(); k-- > 0;) {
    const SketchNode& node = sketch.nodes[k];
    if (is_source(node)) continue;
    for (size_t r = 0; r < node.results.size(); ++r) {
      const Ref value{static_cast<int>(k), static_cast<int>(r)};
      cut(sketch, value, all);
      for (const Ref& operand : node.operands) {
        if (operand.node < 0) continue;
        all.push_back(sketch);
        replace(all.back(), value, operand);
      }
    }
  }
}

void fewer_operands(const Sketch& sketch, Sketches& all) {
  for (size_t k = 0; k < sketch.nodes.size(); ++k) {
    const SketchNode& node = sketch.nodes[k];
    for (size_t o = 0; o < node.operands.size(); ++o) {
      const auto& specs = node.op->operands;
      if (o < specs.size() && specs[o].optional && node.operands[o].node >= 0) {
        all.push_back(sketch);
        all.back().nodes[k].operands[o] = {};
      }
      if (node.operands.size() > specs.size()) {
        all.push_back(sketch);
        auto& operands = all.back().nodes[k].operands;
        operands.erase(operands.begin() + static_cast<std::ptrdiff_t>(o));
      }
      // One source for two operands of the same type.
      for (size_t other = 0; other < o; ++other) {
        const Ref a = node.operands[other], b = node.operands[o];
        if (a.node < 0 || b.node < 0 || a == b || type_of(sketch, a) != type_of(sketch, b)) continue;
        all.push_back(sketch);
        replace(all.back(), b, a);
        all.push_back(sketch);
        replace(all.back(), a, b);
        all.push_back(sketch);
        all.back().nodes[k].operands[o] = a;
      }
    }
  }
}

void plainer_attributes(const Sketch& sketch, Sketches& all) {
  for (size_t k = 0; k < sketch.nodes.size(); ++k) {
    const SketchNode& node = sketch.nodes[k];
    if (is_declared(node)) continue;
    for (const AttributeSpec& spec : node.op->attributes) {
      const auto found = node.attributes.find(spec.name);
      if (found == node.attributes.end()) continue;
      const auto offer = [&](Attribute value) {
        if (value == found->second) return;
        all.push_back(sketch);
        all.back().nodes[k].attributes[spec.name] = std::move(value);
      };
      if (spec.fallback) offer(*spec.fallback);
      if (const int64_t* number = found->second.get_if<int64_t>(); number && *number > 1) {
        for (const int64_t smaller : {int64_t{1}, *number / 2, *number < 100 ? *number - 1 : *number / 4 * 3}) offer(smaller);
      }
      if (found->second.get_if<double>() && found->second.number() != 1) offer(1.0);
      if (const IntList* list = found->second.get_if<IntList>()) {
        for (size_t i = 0; i < list->size(); ++i) {
          for (const int64_t smaller :
               {int64_t{0}, int64_t{1}, (*list)[i] / 2, std::abs((*list)[i]) < 100 ? (*list)[i] - 1 : (*list)[i] / 4 * 3}) {
            IntList changed = *list;
            changed[i] = smaller;
            if (std::abs(smaller) < std::abs((*list)[i])) offer(changed);
          }
        }
      }
    }
  }
}

// Parameters, states and constants as inputs, which take no line.
void plainer_sources(const Sketch& sketch, Sketches& all) {
  for (size_t k = 0; k < sketch.nodes.size(); ++k) {
    if (!is_source(sketch.nodes[k]) || sketch.nodes[k].op->name == "input") continue;
    all.push_back(sketch);
    SketchNode& node = all.back().nodes[k];
    const TensorType type = node.results[0];
    // A constant's name is one of those that nodes get in their order, and may be another's when the network is built again.
    const std::string name = node.op->name == "constant" ? "x_" + node.name : node.name;
    node = SketchNode{find_op("input"), {}, {}, name, type, {type}};
  }
}

// Every dimension and number in attributes that is `from`.
void replace_extent(Sketch& sketch, int64_t from, int64_t to, bool attributes) {
  const auto dim = [&](Dim& d) {
    if (d.factor == from) d.factor = to;
  };
  for (SketchNode& node : sketch.nodes) {
    for (Dim& d : node.type.shape) dim(d);
    for (auto& [name, attribute] : node.attributes) {
      if (const Shape* shape = attribute.get_if<Shape>()) {
        Shape changed = *shape;
        for (Dim& d : changed) dim(d);
        attribute = changed;
      }
      if (!attributes) continue;
      if (const int64_t* number = attribute.get_if<int64_t>(); number && *number == from) attribute = to;
      if (const IntList* list = attribute.get_if<IntList>()) {
        IntList changed = *list;
        std::replace(changed.begin(), changed.end(), from, to);
        attribute = changed;
      }
    }
  }
}

void smaller_extents(const Sketch& sketch, Sketches& all) {
  std::set<int64_t, std::greater<>> extents;
  for (const SketchNode& node : sketch.nodes)
    for (const TensorType& type : node.results)
      for (const Dim& d : type.shape) extents.insert(d.factor);
  for (const int64_t extent : extents) {
    for (const int64_t smaller : std::set<int64_t>{1, 2, 3, extent / 2, extent / 4 * 3, extent - 1}) {
      if (smaller < 1 || smaller >= extent) continue;
      for (const bool attributes : {false, true}) {
        all.push_back(sketch);
        replace_extent(all.back(), extent, smaller, attributes);
      }
    }
  }
  for (size_t k = 0; k < sketch.nodes.size(); ++k) {
    if (!is_declared(sketch.nodes[k])) continue;
    const Shape& shape = sketch.nodes[k].type.shape;
    for (size_t d = 0; d < shape.size(); ++d) {
      for (const int64_t smaller : {int64_t{1}, int64_t{2}, shape[d].factor - 1}) {
        if (smaller < 1 || smaller >= shape[d].factor) continue;
        all.push_back(sketch);
        all.back().nodes[k].type.shape[d].factor = smaller;
      }
      if (shape[d].batch) {
        all.push_back(sketch);
        all.back().nodes[k].type.shape[d] = Dim{shape[d].factor * sketch.batch};
      }
    }
  }
  for (const int64_t batch : {int64_t{1}, int64_t{2}, sketch.batch - 1}) {
    if (batch < 1 || batch >= sketch.batch) continue;
    all.push_back(sketch);
    all.back().batch = batch;
    if (all.back().train) all.back().train->batch = batch;
  }
}

void plainer_training(const Sketch& sketch, Sketches& all) {
  if (!sketch.train) return;
  all.push_back(sketch);
  all.back().train.reset();
  const auto with = [&](const Formula& loss, const Symbol& optimizer) {
    if (loss == sketch.train->loss && optimizer == sketch.train->optimizer) return;
    all.push_back(sketch);
    all.back().train->loss = loss;
    all.back().train->optimizer = optimizer;
  };
  const Formula plain_loss(Symbol{"mean_squared_error", {{"labels", true}}});
  const Symbol plain_optimizer{"sgd", {{"rate", 0.5}}};
  with(plain_loss, plain_optimizer);
  with(plain_loss, sketch.train->optimizer);
  with(sketch.train->loss, plain_optimizer);
  for (size_t k = 0; k < sketch.train->optimizer.arguments.size(); ++k) {
    Symbol fewer = sketch.train->optimizer;
    fewer.arguments.erase(fewer.arguments.begin() + static_cast<std::ptrdiff_t>(k));
    if (fewer.find("rate")) with(sketch.train->loss, fewer);
  }
  Formula bare = sketch.train->loss;
  bare.attributes.clear();
  with(bare, sketch.train->optimizer);
  // One part of a sum or a product.
  for (const Formula& part : sketch.train->loss.operands)
    if (part.kind == Formula::Kind::call) with(part, sketch.train->optimizer);
}

// The training step as a network that is not trained: all it hands out becomes an output.
void unrolled_training(const Sketch& sketch, Sketches& all) {
  if (!sketch.train) return;
  const std::optional<Case> tried = build(sketch);
  if (!tried) return;
  Case step = clone(*tried);
  PassContext context;
  context.train = &*tried->module.train;
  context.batch = tried->batch;
  context.keep_gradients = true;
  context.run_steps = 1000;
  context.steps_an_epoch = 10;
  try {
    run_passes(step.module.main(),
               {"canonicalize", "prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer", "dead-code"}, context);
  } catch (const std::exception&) {
    return;
  }
  for (Output& output : step.module.main().outputs) output = {Output::Role::output, output.value.name(), output.value};
  step.module.train.reset();
  step.batch = *context.batch;
  all.push_back(sketch_of(step));
}

}  // namespace

Sketches simpler(const Sketch& sketch) {
  Sketches all;
  if (sketch.train) plainer_training(sketch, all);
  fewer_outputs(sketch, all);
  earlier_outputs(sketch, all);
  shorter_ways(sketch, all);
  unrolled_training(sketch, all);
  fewer_operands(sketch, all);
  plainer_sources(sketch, all);
  smaller_extents(sketch, all);
  plainer_attributes(sketch, all);
  return all;
}

}  // namespace bnc::fuzz
