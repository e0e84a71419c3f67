// fold-batch-norm on random networks, and the proof that these tests can fail: what folding adds is mutated node by node.
#include <map>

#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// Steps over images [N, H, W, C] of a few pixels, with sizes that differ.
class ImageSteps {
 public:
  explicit ImageSteps(RandomNetwork& net) : net_(net) {}

  Value next(Value x) {
    switch (net_.below(8)) {
      case 0: case 1: return convolution(x);
      case 2: case 3: return transposed(x);
      case 4: return pool(x, net_.below(2) ? "max_pool" : "average_pool");
      case 5: return pad(x);
      case 6: return resize(x);
      default: return net_.builder().value("reduce_max", {x}, {{"axes", IntList{1 + net_.below(2)}}, {"keep_dims", true}});
    }
  }

 private:
  RandomNetwork& net_;

  static int64_t extent(Value x, int axis) { return x.type().shape[axis].factor; }
  int64_t below(int64_t bound) { return net_.below(static_cast<int>(bound)); }
  int64_t divisor(int64_t number) {
    int64_t divisor = 1 + below(number);
    while (number % divisor) --divisor;
    return divisor;
  }

  // Ordinary, grouped or depthwise with a multiplier.
  Value convolution(Value x) {
    const int64_t groups = net_.below(2) ? 1 : divisor(extent(x, 3)), kernel_height = 1 + below(3), kernel_width = 1 + below(3);
    AttributeMap window = {{"groups", groups}, {"stride", IntList{1 + below(2), 1 + below(3)}}, {"dilation", IntList{1 + below(2), 1}}};
    IntList padding(4, 0);
    if (net_.below(3))
      for (int64_t& side : padding) side = below(4);
    padding[1] += std::max<int64_t>(0, 2 * kernel_height - extent(x, 1));
    padding[3] += std::max<int64_t>(0, kernel_width - extent(x, 2));
    window["padding"] = padding;
    return net_.convolution(x, kernel_height, kernel_width, groups * (1 + below(3)), window);
  }

  // Of an image twice and three times as large.
  Value transposed(Value x) {
    const int64_t groups = net_.below(2) ? 1 : divisor(extent(x, 3)), height = 2 * extent(x, 1), width = 3 * extent(x, 2) - 1;
    if (height * width > 150) return convolution(x);
    const Value weight = net_.parameter(shape_of({3, 2, 1 + below(3), extent(x, 3)}), "weight");
    return net_.builder().value(
        "convolution_input_gradient", {x, weight},
        {{"size", IntList{height, width}}, {"stride", IntList{2, 3}}, {"padding", IntList{1, 0, 0, 0}}, {"groups", groups}});
  }

  Value pool(Value x, const char* op) {
    if (extent(x, 1) < 2 || extent(x, 2) < 3) return x;
    AttributeMap attributes = {{"kernel", IntList{2, 3}}, {"stride", IntList{1 + below(2), 2}}, {"ceil_mode", net_.below(2) == 0}};
    if (net_.below(2)) attributes["padding"] = IntList{1, 0, 2, 1};
    if (op == std::string("average_pool")) attributes["count_include_pad"] = net_.below(2) == 0;
    return net_.builder().value(op, {x}, attributes);
  }

  Value pad(Value x) {
    return net_.builder().value(
        "pad", {x},
        {{"low", IntList{0, below(2), below(3), 0}}, {"high", IntList{0, 1, 0, net_.below(4) == 0}}, {"value", net_.below(3) ? 0.0 : 0.5}});
  }

  Value resize(Value x) {
    return net_.builder().value("resize", {x},
                                {{"size", IntList{1 + below(5), 1 + below(6)}}, {"mode", net_.below(2) ? "nearest" : "bilinear"}});
  }
};

// Grows a network step by step from a pool of values, so that values, weights and whole batch norms come to be shared.
class Grower {
 public:
  explicit Grower(uint64_t seed, bool images = false) : net(seed), images_(images) {}
  RandomNetwork net;

  void grow(int steps) {
    pool_ = {net.input(batched({2, 3, 5})), net.input(batched({7}), "z")};
    if (images_) pool_.push_back(net.input(batched({5, 4, 6}), "image"));
    for (int step = 0; step < steps; ++step) pool_.push_back(next(pick()));
    net.output(pool_.back());
    if (net.below(3) == 0) net.output(pick());
  }

 private:
  bool images_;
  std::vector<Value> pool_;

  // Mostly the latest value.
  Value pick() { return net.below(3) ? pool_.back() : pool_[net.below(static_cast<int>(pool_.size()))]; }
  int channel_axis(Value x) { return net.below(3) ? x.type().rank() - 1 : 1 + net.below(x.type().rank() - 1); }
  Shape channels(Value x, int axis) { return {x.type().shape[axis]}; }

  Value next(Value x) {
    if (images_ && x.type().rank() == 4 && x.type().shape[0] == Dim{1, true} && net.below(5) < 2) return ImageSteps(net).next(x);
    switch (net.below(16)) {
      case 0: case 1: case 2: case 14: case 15: return net.batch_norm(x, channel_axis(x));
      case 3: case 4: return matmul(x);
      case 5: return net.bias(x, channel_axis(x));
      case 6: return net.relu(x);
      case 7: return view(x);
      case 8: return transpose(x);
      case 9: return concat(x);
      case 10: return join(x);
      case 11: return constant_arithmetic(x);
      case 12: return part(x);
      default: return scale_shift(x);
    }
  }

  Value matmul(Value x) {
    static const int64_t widths[] = {1, 2, 5, 6, 12};
    const int64_t rows = x.type().shape.back().factor, columns = widths[net.below(5)];
    for (Node* node : net.graph.nodes_of("parameter"))  // now and then a weight that is there already
      if (net.below(2) && node->results[0].type.rank() == 2 && node->results[0].type.shape[0].factor == rows)
        return net.builder().value("matmul", {x, node->result()});
    return net.matmul(x, columns);
  }

  // Flattens, or splits an axis, or merges the batch with positions, or adds an axis of one.
  Value view(Value x) {
    const Shape& shape = x.type().shape;
    const int64_t last = shape.back().factor;
    switch (net.below(4)) {
      case 0: return net.builder().value("flatten", {x});
      case 1: {
        if (last % 2) return x;
        Shape split(shape.begin(), shape.end() - 1);
        split.push_back({2});
        split.push_back({last / 2});
        return split.size() > 4 ? x : net.builder().reshape(x, split);
      }
      case 2: {
        Shape wide = shape;
        wide.insert(wide.begin() + 1 + net.below(x.type().rank()), Dim{});
        return wide.size() > 4 ? x : net.builder().reshape(x, wide);
      }
      default: return net.builder().reshape(x, {Dim{element_count(shape)->factor / last, true}, Dim{last}});
    }
  }

  // The batch stays in front.
  Value transpose(Value x) {
    IntList permutation{0};
    for (int axis = x.type().rank() - 1; axis > 0; --axis) permutation.push_back(axis);
    return net.builder().value("transpose", {x}, {{"permutation", permutation}});
  }

  Value concat(Value x) {
    const int axis = channel_axis(x);
    std::vector<Value> branches{x};
    for (const Value& other : pool_) {
      Shape mine = x.type().shape, its = other.type().shape;
      if (mine.size() != its.size() || !net.below(2)) continue;
      mine[axis] = its[axis] = Dim{};
      if (mine == its) branches.push_back(other);
    }
    return net.builder().value("concat", branches, {{"axis", axis}});
  }

  Value join(Value x) {
    for (const Value& other : pool_)
      if (!(other == x) && other.type() == x.type()) return net.builder().value(net.below(2) ? "add" : "sub", {x, other});
    return net.builder().add(x, net.batch_norm(net.matmul(x, x.type().shape.back().factor)));
  }

  Value constant_arithmetic(Value x) {
    const int axis = channel_axis(x), rank = x.type().rank();
    Shape shape(rank - axis, Dim{});
    shape[0] = channels(x, axis)[0];
    const Value p = net.below(3) ? net.parameter(shape) : net.builder().constant(net.random().normal());
    static const char* ops[] = {"add", "sub", "mul"};
    const char* op = ops[net.below(3)];
    return net.below(2) ? net.builder().value(op, {x, p}) : net.builder().value(op, {p, x});
  }

  Value part(Value x) {
    const int axis = channel_axis(x);
    if (net.below(2) && x.type().rank() > 2)
      return net.builder().value("reduce_mean", {x}, {{"axes", IntList{axis}}, {"keep_dims", net.below(2) == 0}});
    const int64_t extent = x.type().shape[axis].factor;
    return net.builder().value("slice", {x}, {{"axis", axis}, {"begin", extent / 3}, {"end", extent}, {"step", 1 + net.below(2)}});
  }

  Value scale_shift(Value x) {
    const int axis = channel_axis(x);
    return net.builder().value("scale_shift", {x, net.parameter(channels(x, axis)), net.parameter(channels(x, axis))}, {{"axis", axis}});
  }
};

}  // namespace

TEST_SUITE("fold-batch-norm on random networks") {
  TEST_CASE("the results stay, and a second time changes nothing") {
    int folded = 0, merged = 0, declined = 0;
    std::map<std::string, int> rules;   // by how often an op took a map up
    for (uint64_t seed = 0; seed < 800; ++seed) {
      CAPTURE(seed);
      Grower grower(seed, /*images=*/seed % 4 != 0);
      grower.grow(4 + grower.net.below(12));
      Weights weights = weights_of(grower.net);
      const PassContext context = check_fold(grower.net, seed % 2 ? &weights : nullptr);
      for (const Remark& remark : context.remarks) {
        (remark.kind == Remark::Kind::done ? folded : remark.text.starts_with("merged") ? merged : declined)++;
        for (const char* op : {"into convolution `", "into convolution_input_gradient `", "into matmul `", "into scale_shift `",
                               "commutes with positive", "_pool `", "pad `", "resize `"})
          rules[op] += remark.text.find(op) != std::string::npos;
      }
    }
    // The networks must be ones in which there is something to do and something to refuse.
    CHECK(folded > 400);
    CHECK(merged > 100);
    CHECK(declined > 300);
    for (const auto& [op, times] : rules) CHECK_MESSAGE(times > 10, op);
  }

  TEST_CASE("mutants are caught: every product, sum and difference that folding adds matters") {
    int mutants = 0;
    for (uint64_t seed = 0; seed < 60; ++seed) {
      CAPTURE(seed);
      Grower grower(seed);
      grower.grow(8);
      RandomNetwork& net = grower.net;
      for (auto& [name, tensor] : net.bindings)  // no scale of zero, which would hide a mutant
        for (double& element : tensor.data)
          element = name.find("variance") == 0 ? 0.5 + element / 1e9 : element + (element < 0 ? -0.5 : 0.5);
      const auto expected = evaluate(net.graph, net.bindings).outputs;
      std::map<std::string, bool> original;
      for (const auto& node : net.graph.nodes()) original[node->results[0].name] = true;
      PassContext context;
      fold_batch_norm(net.graph, context);
      dead_code(net.graph, context);
      for (const auto& node : net.graph.nodes()) {
        const std::string op = node->op->name;
        if (original.count(node->results[0].name) || (op != "mul" && op != "add" && op != "sub")) continue;
        if (node->operands[0].node->is("constant") || node->operands[1].node->is("constant"))
          continue;  // variance + epsilon: too small a change
        node->op = find_op(op == "sub" ? "add" : "sub");
        const auto mutated = evaluate(net.graph, net.bindings).outputs;
        node->op = find_op(op);
        CHECK_MESSAGE(difference(expected, mutated) > 1e-6, print(net.graph));
        ++mutants;
      }
    }
    CHECK(mutants > 100);
  }

  TEST_CASE("a scale along the wrong axis is caught") {
    RandomNetwork net(7);
    net.output(net.batch_norm(net.matmul(net.input(batched({5})), 5)));
    const auto expected = evaluate(net.graph, net.bindings).outputs;
    PassContext context;
    fold_batch_norm(net.graph, context);
    CHECK(difference(expected, evaluate(net.graph, net.bindings).outputs) < 1e-9);
    Node* product = net.graph.nodes_of("matmul")[0]->operands[1].node;  // weight * scale, both sides of size 5
    GraphBuilder builder = GraphBuilder::before(net.graph, product);
    product->operands[1] = builder.reshape(product->operands[1], shape_of({5, 1}));
    CHECK(difference(expected, evaluate(net.graph, net.bindings).outputs) > 1e-3);
  }
}
