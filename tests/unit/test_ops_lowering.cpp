// What each op is lowered to, interpreted, against its evaluation: element by element and by vectors, for every op.
#include <doctest/doctest.h>

#include "ir/op.h"
#include "ir/ops/common.h"
#include "support/op_cases.h"
#include "tests/unit/loop_interpreter.h"

using namespace bnc;
using namespace bnc::test;
using loops::Expr;

namespace {

// Operands lie row-major in buffers numbered like them. The batch size is a number or the variable N.
class BufferElements : public ElementContext {
 public:
  BufferElements(const Node& node, std::optional<int64_t> batch) : ElementContext(node), batch_(batch) {}

  Expr operand(int k, const Index& index) override {
    const TensorType& type = node.operands[k].type();
    REQUIRE(index.size() == type.shape.size());
    return loops::load(k, type.dtype == DType::i32 ? loops::Scalar::i32 : loops::Scalar::f32, ops::linear_index(*this, index, type.shape));
  }
  Expr extent(const Dim& dim) override {
    if (!dim.batch) return Expr(dim.factor);
    return batch_ ? Expr(dim.at(*batch_)) : loops::variable(loops::batch_variable) * Expr(dim.factor);
  }

 private:
  std::optional<int64_t> batch_;
};

struct Evaluated {
  OpGraph graph;
  std::map<std::string, Tensor> values;
  loops::Program program;  // a buffer for each operand
  std::optional<loops::testing::Interpreter> interpreter;

  explicit Evaluated(const OpCase& test, uint64_t seed = 1) : Evaluated(test, make_bindings(test, seed)) {}
  Evaluated(const OpCase& test, const Bindings& bindings) : graph(make_graph(test)), values(evaluate_all(graph.graph, bindings)) {
    for (Value operand : graph.node->operands)
      program.buffers.push_back({.name = "operand", .elements = Dim{operand ? this->operand(operand).size() : 0}});
    interpreter.emplace(program, test.batch);
    for (size_t k = 0; k < program.buffers.size(); ++k)
      for (size_t p = 0; p < interpreter->memory[k].size(); ++p) {
        double element = operand(graph.node->operands[k]).data[p];
        interpreter->memory[k][p] = {element, std::isfinite(element) ? static_cast<int64_t>(element) : 0};
      }
  }
  const Tensor& operand(Value value) const { return values.at(value.name()); }
  const Tensor& result(int k = 0) const { return values.at(graph.node->results[k].name); }

  std::vector<double> interpret(const Expr& x) {
    std::vector<double> lanes;
    for (const auto& lane : interpreter->evaluate(x)) lanes.push_back(x->type.is_float() ? lane.real : static_cast<double>(lane.integer));
    return lanes;
  }
};

Index scalar_index(const std::vector<int64_t>& index) { return Index(index.begin(), index.end()); }

// Whether a constant index lies within a tensor of `shape`.
bool inside(const Index& index, const Shape& shape, int64_t batch) {
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t position = loops::as_integer(index[d]).value();
    if (position < 0 || position >= shape[d].at(batch)) return false;
  }
  return true;
}

bool close(double a, double b, double tolerance) { return (std::isnan(a) && std::isnan(b)) || a == b || std::fabs(a - b) <= tolerance; }

double largest(const Tensor& tensor) {
  double result = 0;
  for (double x : tensor.data) result = std::max(result, std::fabs(x));
  return result;
}

// Compares element expressions with the evaluation: each alone, and rows along `vector_axis` in vectors that cover them.
void check_elements(const OpCase& test, std::optional<int64_t> batch, int vector_axis) {
  Evaluated evaluated(test);
  const auto& lowering = *evaluated.graph.node->op->lowering_as<ElementLowering>();
  BufferElements elements(*evaluated.graph.node, batch);
  const Tensor& expected = evaluated.result();
  const double tolerance = 2e-6 * largest(expected);
  int wrong = 0;
  ops::for_each_index(expected.dims, [&](const std::vector<int64_t>& index, int64_t position) {
    Index at = scalar_index(index);
    int lanes = 1;
    if (vector_axis >= 0) {
      if (index[vector_axis] != 0) return;
      lanes = static_cast<int>(expected.dims[vector_axis]);
      at[vector_axis] = loops::ramp(at[vector_axis], 1, lanes);
    }
    int64_t stride = vector_axis >= 0 ? ops::row_major_strides(expected.dims)[vector_axis] : 0;
    std::vector<double> values = evaluated.interpret(lowering.element(elements, at));
    if (static_cast<int>(values.size()) != lanes) ++wrong;
    for (size_t lane = 0; lane < values.size(); ++lane)
      wrong += !close(values[lane], expected.data[position + static_cast<int64_t>(lane) * stride], tolerance);
  });
  INFO(test.describe(), ", batch size ", std::string(batch ? "fixed" : "symbolic"), ", vectors along ", vector_axis);
  CHECK(wrong == 0);
}

// What the element of a one-operand op is for x when each operation rounds to f32.
double in_f32(const std::string& op, double x) {
  OpCase test{op, {f32({})}};
  Evaluated evaluated(test, {{"x0", {DType::f32, {}, {x}}}});
  BufferElements elements(*evaluated.graph.node, 1);
  return evaluated.interpret(evaluated.graph.node->op->lowering_as<ElementLowering>()->element(elements, {}))[0];
}

double in_f64(const std::string& op, double x) {
  return Evaluated({op, {f32({})}}, {{"x0", {DType::f32, {}, {x}}}}).result().data[0];
}

// What an index function of a contraction gives at a point (i, k).
std::vector<int64_t> index_at(const ContractLowering::Part& part, int function, const std::vector<int64_t>& point) {
  const Index i(point.begin(), point.begin() + static_cast<int>(part.space.size())),
      k(point.begin() + static_cast<int>(part.space.size()), point.end());
  std::vector<int64_t> index;
  for (const Expr& d : function == 0 ? part.result(i) : function == 1 ? part.left(i, k) : part.right(i, k))
    index.push_back(loops::as_integer(d).value());
  return index;
}

}  // namespace

TEST_CASE("element lowerings compute what the op evaluates to") {
  for (const OpCase& test : op_cases()) {
    if (!find_op(test.op)->lowering_as<ElementLowering>()) continue;
    int rank = make_graph(test).node->results[0].type.rank();
    for (int axis = -1; axis < rank; ++axis)
      for (std::optional<int64_t> batch : {std::optional(test.batch), std::optional<int64_t>()}) check_elements(test, batch, axis);
  }
}

TEST_CASE("reduce lowerings name the axes that the op reduces over") {
  for (const OpCase& test : op_cases()) {
    const auto* lowering = find_op(test.op)->lowering_as<ReduceLowering>();
    if (!lowering) continue;
    Evaluated evaluated(test);
    const Tensor& x = evaluated.operand(evaluated.graph.node->operands[0]);
    std::vector<int> axes = lowering->axes(*evaluated.graph.node);
    std::vector<int64_t> kept = x.dims;
    for (int axis : axes) kept[axis] = 1;
    std::vector<std::vector<double>> groups(evaluated.result().size());
    ops::for_each_index(x.dims, [&](const std::vector<int64_t>& index, int64_t p) {
      groups.at(ops::broadcast_position(index, kept)).push_back(x.data[p]);
    });
    INFO(test.describe());
    CHECK(std::is_sorted(axes.begin(), axes.end()));
    CHECK(ops::reduced_shape(test.operands[0]->shape, axes, lowering->keep_dims(*evaluated.graph.node)) ==
          evaluated.graph.node->results[0].type.shape);
    for (size_t g = 0; g < groups.size(); ++g) {
      double sum = 0, highest = groups[g][0], squares = 0, m = static_cast<double>(groups[g].size());
      for (double value : groups[g]) sum += value, highest = std::max(highest, value);
      for (double value : groups[g]) squares += (value - sum / m) * (value - sum / m);
      using Kind = ReduceLowering::Kind;
      const auto first = std::find(groups[g].begin(), groups[g].end(), highest) - groups[g].begin();
      double expected = lowering->kind == Kind::sum             ? sum
                        : lowering->kind == Kind::maximum       ? highest
                        : lowering->kind == Kind::first_maximum ? static_cast<double>(first)
                                                                : sum / m;
      CHECK(evaluated.result().data[g] == doctest::Approx(expected).epsilon(1e-12));
      if (lowering->kind == Kind::moments) CHECK(evaluated.result(1).data[g] == doctest::Approx(squares / m).epsilon(1e-12));
    }
  }
}

TEST_CASE("contract lowerings sum the products that the op evaluates to") {
  for (const OpCase& test : op_cases()) {
    const auto* lowering = find_op(test.op)->lowering_as<ContractLowering>();
    if (!lowering) continue;
    Evaluated evaluated(test);
    BufferElements elements(*evaluated.graph.node, test.batch);
    const Tensor& expected = evaluated.result();
    std::vector<int> covered(expected.data.size());
    INFO(test.describe());
    for (const ContractLowering::Part& part : lowering->parts(*evaluated.graph.node)) {
      ops::for_each_index(concrete(part.space, test.batch), [&](const std::vector<int64_t>& i, int64_t) {
        std::vector<int64_t> index;
        for (const Expr& d : part.result(scalar_index(i))) index.push_back(loops::as_integer(d).value());
        const int64_t p = ops::position_of(index, expected.dims);
        double sum = 0;
        ops::for_each_index(concrete(part.reduction, test.batch), [&](const std::vector<int64_t>& k, int64_t) {
          const Index left = part.left(scalar_index(i), scalar_index(k));
          if (lowering->zero_outside && !inside(left, evaluated.graph.node->operands[0].type().shape, test.batch)) return;
          const Expr right = elements.operand(1, part.right(scalar_index(i), scalar_index(k)));
          sum += evaluated.interpret(elements.operand(0, left))[0] * evaluated.interpret(right)[0];
        });
        CHECK(sum == doctest::Approx(expected.data[p]).epsilon(1e-12));
        ++covered[p];
      });
    }
    CHECK(std::all_of(covered.begin(), covered.end(), [](int times) { return times == 1; }));
  }
}

TEST_CASE("indices of contractions are affine: unit vectors tell their coefficients") {
  for (const OpCase& test : op_cases()) {
    const auto* lowering = find_op(test.op)->lowering_as<ContractLowering>();
    if (!lowering) continue;
    const OpGraph graph = make_graph(test);
    INFO(test.describe());
    for (const ContractLowering::Part& part : lowering->parts(*graph.node))
      for (int function : {0, 1, 2}) {
        std::vector<int64_t> point(part.space.size() + part.reduction.size(), 0);
        const std::vector<int64_t> origin = index_at(part, function, point);
        std::vector<int64_t> expected = origin;
        for (size_t d = 0; d < point.size(); ++d) {
          std::vector<int64_t> unit(point.size(), 0);
          unit[d] = 1;
          point[d] = static_cast<int64_t>(5 * d + 3);
          const std::vector<int64_t> there = index_at(part, function, unit);
          for (size_t axis = 0; axis < origin.size(); ++axis) expected[axis] += point[d] * (there[axis] - origin[axis]);
        }
        CHECK(index_at(part, function, point) == expected);
      }
  }
}

TEST_CASE("rewriting an op into others changes no result") {
  for (const OpCase& test : op_cases()) {
    const auto* lowering = find_op(test.op)->lowering_as<DecomposeLowering>();
    if (!lowering) continue;
    OpGraph graph = make_graph(test);
    Bindings bindings = make_bindings(test, 1);
    Evaluation before = evaluate(graph.graph, bindings);
    GraphBuilder builder = GraphBuilder::before(graph.graph, graph.node);
    std::vector<Value> results = lowering->rewrite(builder, *graph.node);
    INFO(test.describe());
    REQUIRE(results.size() == graph.node->results.size());
    for (size_t k = 0; k < results.size(); ++k) graph.graph.replace_all_uses(graph.node->result(static_cast<int>(k)), results[k]);
    graph.graph.erase(graph.node);
    Evaluation after = evaluate(graph.graph, bindings);
    for (const auto& [name, expected] : before.outputs)
      for (size_t p = 0; p < expected.data.size(); ++p)
        CHECK(after.outputs.at(name).data[p] == doctest::Approx(expected.data[p]).epsilon(1e-12));
  }
}

TEST_CASE("activations in f32 are accurate to rounding, near zero and far out") {
  for (const char* op : {"elu", "softplus", "sigmoid", "tanh", "hard_swish", "hard_sigmoid", "exp"})
    for (double x : {-87.0, -30.0, -3.001, -1.0, -0.01, -1e-4, -1e-7, 0.0, 1e-7, 0.3, 2.999, 20.0, 80.0}) {
      double at = static_cast<float>(x), expected = in_f64(op, at), scale = std::max(std::fabs(expected), 1e-37);
      INFO(op, " of ", at);
      CHECK(std::fabs(in_f32(op, at) - expected) <= 6e-7 * scale);
    }
  // gelu's 1 + erf cancels where the result is small beside x: the error is bounded by x's rounding there.
  for (double x : {-10.0, -4.0, -1.0, -1e-5, 1e-5, 0.5, 7.0})
    CHECK(std::fabs(in_f32("gelu", static_cast<float>(x)) - in_f64("gelu", static_cast<float>(x))) <= 1.2e-7 * std::fabs(x));
}

TEST_CASE("NaN and infinity reach the result of every map, evaluated and lowered alike") {
  const double infinity = INFINITY;
  struct Limits {
    const char* op;
    double at_minus_infinity, at_infinity;
  };
  const Limits limits[] = {{"relu", 0, infinity},
                           {"leaky_relu", -infinity, infinity},
                           {"elu", -1, infinity},
                           {"sigmoid", 0, 1},
                           {"tanh", -1, 1},
                           {"softplus", 0, infinity},
                           {"gelu", 0, infinity},
                           {"hard_sigmoid", 0, 1},
                           {"hard_swish", 0, infinity},
                           {"clip", 0, 1},
                           {"exp", 0, infinity},
                           {"log", NAN, infinity},
                           {"sqrt", NAN, infinity},
                           {"rsqrt", NAN, 0},
                           {"neg", infinity, -infinity},
                           {"abs", infinity, infinity}};
  for (const auto& [op, low, high] : limits) {
    INFO(op);
    CHECK(std::isnan(in_f64(op, NAN)));
    CHECK(std::isnan(in_f32(op, NAN)));
    CHECK(close(in_f64(op, -infinity), low, 0));
    CHECK(close(in_f32(op, -infinity), low, 0));
    CHECK(close(in_f64(op, infinity), high, 0));
    CHECK(close(in_f32(op, infinity), high, 0));
  }
}

TEST_CASE("a NaN gradient or input is never turned into a number by the gradient of a map") {
  for (const OpDefinition& op : all_ops()) {
    const auto* lowering = op.lowering_as<ElementLowering>();
    if (op.category != OpCategory::gradient || op.operands.size() != 2 || !lowering || !lowering->pointwise) continue;
    OpCase test{op.name, {f32({{2}}), f32({{2}})}};
    Evaluated evaluated(test, {{"x0", {DType::f32, {2}, {NAN, 1}}}, {"x1", {DType::f32, {2}, {0.5, NAN}}}});
    BufferElements elements(*evaluated.graph.node, 1);
    INFO(op.name);
    CHECK(std::isnan(evaluated.result().data[0]));
    CHECK(evaluated.result().data[1] != 0);
    CHECK(std::isnan(evaluated.interpret(op.lowering_as<ElementLowering>()->element(elements, {Expr(0)}))[0]));
    CHECK(evaluated.interpret(op.lowering_as<ElementLowering>()->element(elements, {Expr(1)}))[0] != 0);
  }
}
