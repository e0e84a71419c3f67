// fold-batch-norm into what reads the result, one case a rule and one a reason to decline (bn-fold-consumer).
#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// A value that no rule can fold into, so that only the consumers are left.
Value opaque(RandomNetwork& net, Shape shape) { return net.relu(net.input(std::move(shape))); }

void check_merged(RandomNetwork& net) {
  check_fold(net);
  CHECK(count(net.graph, "batch_norm") == 0);
  CHECK(count(net.graph, "scale_shift") == 1);
}

}  // namespace

TEST_SUITE("fold-batch-norm into consumers") {
  TEST_CASE("matmul: the rows are scaled, a bias appears") {
    RandomNetwork net(101);
    net.output(net.relu(net.matmul(net.batch_norm(opaque(net, batched({5}))), 7)));
    check_folded(net, "folded into matmul");
    CHECK(count(net.graph, "bias") == 1);
  }

  TEST_CASE("matmul with a bias behind it: that one takes up the shift") {
    RandomNetwork net(99);
    net.output(net.relu(net.bias(net.matmul(net.batch_norm(opaque(net, batched({5}))), 7))));
    check_folded(net, "folded into matmul");
    CHECK(count(net.graph, "bias") == 1);
    RandomNetwork shared(100);  // the raw product has another reader, so it needs a shift of its own
    const Value product = shared.matmul(shared.batch_norm(opaque(shared, batched({5}))), 7);
    shared.output(shared.builder().add(shared.bias(product), shared.relu(product)));
    check_folded(shared, "folded into matmul");
    CHECK(count(shared.graph, "bias") == 2);
  }

  TEST_CASE("matmul of a transposed weight, with leading dimensions") {
    RandomNetwork net(102);
    const Value y = net.batch_norm(opaque(net, batched({4, 5})));
    net.output(net.builder().value("matmul", {y, net.parameter(shape_of({7, 5}))}, {{"transpose_right", true}}));
    check_folded(net, "matmul");
  }

  TEST_CASE("matmul of a transposed left operand") {
    RandomNetwork net(103);
    const Value y = net.batch_norm(opaque(net, shape_of({5, 4})), 0);
    net.output(net.builder().value("matmul", {y, net.parameter(shape_of({5, 7}))}, {{"transpose_left", true}}));
    check_folded(net, "matmul");
  }

  TEST_CASE("dense that canonicalize has not seen, with and without bias") {
    for (const bool biased : {true, false}) {
      RandomNetwork net(104);
      const Value y = net.batch_norm(opaque(net, batched({5})));
      net.output(net.builder().value("dense", {y, net.parameter(shape_of({5, 7})), biased ? net.parameter(shape_of({7})) : Value{}}));
      check_folded(net, "dense");
      CHECK(count(net.graph, "bias") == 0);
    }
  }

  TEST_CASE("all readers take it up, a shared weight for each of them anew") {
    RandomNetwork net(105);
    const Value y = net.batch_norm(opaque(net, batched({5}))), weight = net.parameter(shape_of({5, 5}));
    const Value a = net.builder().value("matmul", {y, weight}), b = net.builder().value("matmul", {net.relu(a), weight});
    net.output(net.builder().add(net.matmul(y, 5), b));
    check_folded(net, " and ");
    CHECK(Uses(net.graph).of(weight).size() == 3);  // scaled for a, times the shift for a, as it is for b
  }

  TEST_CASE("through flatten: the scale repeats for each channel") {
    RandomNetwork net(106);
    const Value y = net.batch_norm(opaque(net, batched({2, 3, 5})));
    net.output(net.matmul(net.builder().value("flatten", {y}), 7));
    check_folded(net, "matmul");
  }

  TEST_CASE("through a reshape with the channels in the middle") {
    RandomNetwork net(107);
    const Value y = net.batch_norm(opaque(net, batched({2, 5, 3})), 2);
    net.output(net.matmul(net.builder().reshape(y, batched({30})), 7));
    check_folded(net, "matmul");
  }

  TEST_CASE("through reshapes that add and take away axes of one") {
    RandomNetwork net(108);
    const Value y = net.batch_norm(opaque(net, batched({5})));
    const Value column = net.builder().reshape(y, batched({1, 5, 1}));
    net.output(net.matmul(net.builder().reshape(column, {Dim{1}, Dim{1, true}, Dim{5}}), 7));
    check_folded(net, "matmul");
  }

  TEST_CASE("through transposes") {
    RandomNetwork net(109);
    const Value y = net.batch_norm(opaque(net, batched({5, 2, 3})), 1);
    const Value last = net.builder().value("transpose", {y}, {{"permutation", IntList{0, 3, 2, 1}}});
    net.output(net.matmul(last, 7));
    check_folded(net, "matmul");
  }

  TEST_CASE("through a concatenation: the other branches stay as they are") {
    RandomNetwork net(110);
    const Value x = opaque(net, batched({5}));
    const Value joined = net.builder().value("concat", {net.relu(net.matmul(x, 2)), net.batch_norm(x), net.relu(net.matmul(x, 3))});
    net.output(net.matmul(joined, 7));
    check_folded(net, "matmul");
  }

  TEST_CASE("through a concatenation of several batch norms, flattened") {
    RandomNetwork net(111);
    const Value a = net.batch_norm(net.relu(net.input(batched({2, 3, 5}), "a"))),
                b = net.batch_norm(net.relu(net.input(batched({2, 3, 4}), "b")));
    const Value joined = net.builder().value("flatten", {net.builder().value("concat", {a, b})});
    net.output(net.builder().add(net.matmul(joined, 7), net.matmul(joined, 7)));
    check_folded(net, " and ", 2);
  }

  TEST_CASE("through slices of the channels and of other axes, averages and dropout without a step") {
    RandomNetwork net(112);
    const Value y = net.batch_norm(opaque(net, batched({4, 6, 5})));
    const Value part = net.builder().value("slice", {y}, {{"axis", -1}, {"begin", 1}, {"end", 5}, {"step", 2}});
    const Value rows = net.builder().value("slice", {part}, {{"axis", 1}, {"begin", 1}, {"end", 3}});
    const Value mean = net.builder().value("reduce_mean", {rows}, {{"axes", IntList{1, 2}}});
    net.output(net.matmul(net.builder().value("dropout", {mean, Value{}}), 7));
    check_folded(net, "matmul");
  }

  TEST_CASE("convolutions with every kind of border, strided, dilated and grouped; the bias behind takes up the table") {
    int tables = 0;
    for (uint64_t seed = 0; seed < 200; ++seed) {
      CAPTURE(seed);
      RandomNetwork net(seed);
      const int64_t groups = 1 + net.below(3);
      const Value y = net.batch_norm(opaque(net, batched({3 + net.below(9), 5 + net.below(9), groups * (1 + net.below(3))})));
      IntList padding(4);
      for (int64_t& side : padding) side = net.below(4) * (net.below(4) > 0);
      const Value z = net.convolution(y, 1 + net.below(3), 1 + net.below(3), groups * (1 + net.below(3)),
                                      {{"groups", groups},
                                       {"padding", padding},
                                       {"stride", IntList{1 + net.below(3), 1 + net.below(3)}},
                                       {"dilation", IntList{1, 1 + (seed % 2 == 0)}}});
      net.output(net.relu(net.below(2) ? net.bias(z) : z));
      check_folded(net, "folded into convolution");
      tables += count(net.graph, "border_bias");
      CHECK(count(net.graph, "border_bias") + count(net.graph, "bias") == 1);
    }
    CHECK(tables > 150);
    CHECK(tables < 198);
  }

  TEST_CASE("the table of a large image has one row and column for all that lies inside") {
    RandomNetwork net(140);
    net.batch_size = 1;
    net.output(net.convolution(net.batch_norm(opaque(net, batched({41, 30, 2}))), 7, 7, 3,
                               {{"padding", IntList{3, 3, 3, 3}}, {"stride", IntList{2, 2}}}));
    check_folded(net, "folded into convolution");
    const Value table = net.graph.nodes_of("border_bias")[0]->operands[1];
    CHECK(table.type().shape == shape_of({1, 5, 4, 3}));   // 2 + 1 + 2 rows; 2 + 1 + 1 columns, for the last padding is not reached
  }

  TEST_CASE("through average pooling, resizing, and maximum pooling with positive scales") {
    RandomNetwork net(141);
    const Value y = net.batch_norm(opaque(net, batched({6, 7, 3})));
    const Value average = net.builder().value("average_pool", {y},
                                              {{"kernel", IntList{2, 3}}, {"padding", IntList{1}}, {"count_include_pad", false}});
    const Value resized = net.builder().value("resize", {average}, {{"size", IntList{9, 5}}, {"mode", "bilinear"}});
    net.output(net.convolution(net.builder().value("max_pool", {resized}, {{"kernel", IntList{2}}, {"stride", IntList{1}}}), 2, 3, 7));
    for (double& gamma : net.bindings.at("gamma").data) gamma = 0.25 + std::abs(gamma);
    Weights weights = weights_of(net);
    check_fold(net, &weights);
    CHECK(count(net.graph, "batch_norm") == 0);
    CHECK(count(net.graph, "bias") == 1);
  }

  TEST_CASE("a bias, a sum, a difference or a product with one number a channel behind it becomes part of it") {
    for (int form = 0; form < 6; ++form) {
      RandomNetwork net(120 + form);
      GraphBuilder& builder = net.builder();
      const Value y = net.batch_norm(opaque(net, batched({3, 5})));
      const Value p = net.parameter(shape_of({5})), scalar = net.parameter({});
      const Value results[] = {net.bias(y),       builder.add(p, y),     builder.sub(y, p), builder.sub(scalar, y),
                               builder.mul(y, p), builder.mul(scalar, y)};
      net.output(results[form]);
      check_merged(net);
    }
  }

  TEST_CASE("two scale_shifts behind it, on another axis than the last: each becomes one with it") {
    RandomNetwork net(130);
    const Value y = net.batch_norm(opaque(net, batched({5, 3})), 1);
    for (int k = 0; k < 2; ++k)
      net.output(
          net.relu(net.builder().value("scale_shift", {y, net.parameter(shape_of({5})), net.parameter(shape_of({5}))}, {{"axis", 1}})));
    check_fold(net);
    CHECK(count(net.graph, "batch_norm") == 0);
    CHECK(count(net.graph, "scale_shift") == 2);
  }

  TEST_CASE("two batch norms that read one: both take it up") {
    RandomNetwork net(131);
    const Value y = net.batch_norm(opaque(net, batched({5})));
    net.output(net.relu(net.batch_norm(y)));
    net.output(net.matmul(net.batch_norm(y), 7));
    const PassContext context = check_fold(net);
    CHECK(count(net.graph, "batch_norm") == 1);
    CHECK(count(net.graph, "scale_shift") == 0);
    REQUIRE(context.remarks.size() == 3);
    CHECK(context.remarks[0].text.find("merged into batch_norm") == 0);   // half of it stays
    CHECK(context.remarks[0].kind == Remark::Kind::declined);
    CHECK(context.remarks[1].kind == Remark::Kind::declined);
    CHECK(context.remarks[2].text.find("folded into matmul") == 0);
  }

  TEST_CASE("statistics that a second batch norm hands out stay its own") {
    RandomNetwork net(133);
    const Value y = net.batch_norm(opaque(net, batched({5})));
    for (int k = 0; k < 2; ++k) {
      Node* second = net.batch_norm_node(y);
      net.output(net.relu(second->result(0)));
      net.output(second->result(1));
      net.output(second->result(2));
    }
    check_fold(net);
    CHECK(count(net.graph, "batch_norm") == 2);
  }

  TEST_CASE("a batch norm that merges with a scale_shift has vanished only when that one has") {
    for (const bool folds : {true, false}) {
      RandomNetwork net(135);
      const Value y = net.batch_norm(opaque(net, batched({5})));
      const Value scaled = net.builder().mul(y, net.parameter(shape_of({5})));
      net.output(folds ? net.matmul(scaled, 7) : net.relu(scaled));
      const PassContext context = check_fold(net);
      REQUIRE(context.remarks.size() == 1);
      CHECK(context.remarks[0].kind == (folds ? Remark::Kind::done : Remark::Kind::declined));
      CHECK(context.remarks[0].text.find(folds ? "folded into mul" : "merged into mul") == 0);
      CHECK(context.remarks[0].text.find(folds ? ", and with it into matmul" : ", and stays there: not into its producer") !=
            std::string::npos);
    }
  }

  TEST_CASE("remarks know each batch norm of a chain by its own name") {
    RandomNetwork net(134);
    const Value first = net.batch_norm(opaque(net, batched({5}))), second = net.batch_norm(first);
    net.graph.rename(first, "first");
    net.graph.rename(second, "second");
    net.output(net.relu(second));
    const PassContext context = check_fold(net);
    REQUIRE(context.remarks.size() == 2);
    CHECK(context.remarks[0].subject == "batch_norm first");
    CHECK(context.remarks[0].text.find("not into its producer") == 0);
    CHECK(context.remarks[1].subject == "batch_norm second");
    CHECK(context.remarks[1].text.find("merged into batch_norm `first` before it, and stays there") == 0);
  }

  TEST_CASE("a chain up to a matmul folds to a fixed point") {
    RandomNetwork net(132);
    const Value y = net.bias(net.batch_norm(net.batch_norm(opaque(net, batched({2, 5})))));
    net.output(net.matmul(net.builder().value("flatten", {net.builder().scale(y, -0.5)}), 7));
    const PassContext context = check_fold(net);
    CHECK(count(net.graph, "batch_norm") + count(net.graph, "scale_shift") == 0);
    CHECK(remarks(context, Remark::Kind::declined).empty());
  }
}

TEST_SUITE("fold-batch-norm declines consumers") {
  TEST_CASE("padding, and pooling in which padding counts as zeros") {
    RandomNetwork net(142);
    const Value y = net.batch_norm(opaque(net, batched({6, 7, 3})));
    net.output(net.convolution(net.builder().value("pad", {y}, {{"low", IntList{0, 1, 0, 0}}, {"high", IntList{0, 0, 0, 0}}}), 2, 3, 7));
    check_declined(net, "surrounds it with 0, which scale and shift would not reach");
    RandomNetwork pool(143);
    const Value z = pool.batch_norm(opaque(pool, batched({6, 7, 3})));
    pool.output(pool.convolution(pool.builder().value("average_pool", {z}, {{"kernel", IntList{2}}, {"padding", IntList{1}}}), 2, 3, 7));
    check_declined(pool, "counts padding as zeros");
  }
  TEST_CASE("maximum pooling with a negative scale") {
    RandomNetwork net(144);
    const Value y = net.batch_norm(opaque(net, batched({6, 7, 3})));
    net.output(net.convolution(net.builder().value("max_pool", {y}, {{"kernel", IntList{2}}}), 2, 3, 7));
    net.bindings.at("gamma").data = {1, -2, 3};
    Weights weights = weights_of(net);
    const auto declined = remarks(check_fold(net, &weights), Remark::Kind::declined);
    REQUIRE(declined.size() == 1);
    CHECK_MESSAGE(declined[0].find("1 of its 3 scales are not positive, the first in channel 1: -2") != std::string::npos, declined[0]);
  }
  TEST_CASE("a nonlinearity behind it") {
    RandomNetwork net(140);
    net.output(net.matmul(net.relu(net.batch_norm(opaque(net, batched({5})))), 7));
    check_declined(net, "not into its consumers: relu");
  }
  TEST_CASE("one of the readers cannot") {
    RandomNetwork net(141);
    const Value y = net.batch_norm(opaque(net, batched({5})));
    net.output(net.matmul(y, 7));
    net.output(net.builder().value("softmax", {y}));
    check_declined(net, "not into its consumers: softmax");
  }
  TEST_CASE("its result is an output") {
    RandomNetwork net(142);
    const Value y = net.batch_norm(opaque(net, batched({5})));
    net.output(y);
    net.output(net.matmul(y, 7));
    check_declined(net, "is an output of the network");
  }
  TEST_CASE("a view on the way is an output") {
    RandomNetwork net(143);
    const Value flat = net.builder().value("flatten", {net.batch_norm(opaque(net, batched({2, 5})))});
    net.output(flat);
    net.output(net.matmul(flat, 7));
    check_declined(net, "is an output of the network");
  }
  TEST_CASE("a matmul that sums over another axis") {
    RandomNetwork net(144);
    net.output(net.matmul(net.batch_norm(opaque(net, batched({5, 5})), 1), 7));
    check_declined(net, "sums over axis 2, the channels are on axis 1");
  }
  TEST_CASE("the right operand of a matmul") {
    RandomNetwork net(145);
    const Value left = net.parameter(shape_of({5, 5}));
    net.output(net.builder().value("matmul", {left, net.batch_norm(opaque(net, shape_of({5, 5})))}));
    check_declined(net, "not the left operand of matmul");
  }
  TEST_CASE("a matmul whose other operand is computed") {
    RandomNetwork net(146);
    const Value y = net.batch_norm(opaque(net, shape_of({5, 5})));
    net.output(net.builder().value("matmul", {y, net.relu(net.input(shape_of({5, 5}), "z"))}));
    check_declined(net, "the right operand of matmul");
  }
  TEST_CASE("a reader that takes it twice") {
    RandomNetwork net(147);
    const Value y = net.batch_norm(opaque(net, batched({5})));
    net.output(net.builder().add(y, y));
    check_declined(net, "reads it more than once");
  }
  TEST_CASE("a sum with a computed value, or with a constant an element") {
    RandomNetwork net(148);
    const Value x = opaque(net, batched({5}));
    net.output(net.builder().add(net.batch_norm(x), x));
    check_declined(net, "which is computed from the network's input");
    RandomNetwork constant(149);
    constant.output(constant.builder().add(constant.batch_norm(opaque(constant, batched({5, 5}))), constant.parameter(shape_of({5, 1}))));
    check_declined(constant, "which is not one number for each channel on axis 2");
  }
  TEST_CASE("a bias on another axis") {
    RandomNetwork net(150);
    net.output(net.bias(net.batch_norm(opaque(net, batched({5, 5}))), 1));
    check_declined(net, "works along axis 1, the channels are on axis 2");
  }
  TEST_CASE("a reshape that splits the channels") {
    RandomNetwork net(151);
    net.output(net.matmul(net.builder().reshape(net.batch_norm(opaque(net, batched({10}))), batched({2, 5})), 7));
    check_declined(net, "spreads the channels over several axes");
  }
  TEST_CASE("a reshape that merges the channels with the batch") {
    RandomNetwork net(152);
    net.output(net.matmul(net.builder().reshape(net.batch_norm(opaque(net, batched({5, 4})), 1), {Dim{5, true}, Dim{4}}), 7));
    check_declined(net, "merges them with the batch");
  }
  TEST_CASE("a concatenation along another axis") {
    RandomNetwork net(153);
    const Value x = opaque(net, batched({4, 5}));
    net.output(net.matmul(net.builder().value("concat", {net.batch_norm(x), x}, {{"axis", 1}}), 7));
    check_declined(net, "joins it along axis 1");
  }
  TEST_CASE("an average over the channels") {
    RandomNetwork net(154);
    net.output(net.builder().value("reduce_mean", {net.batch_norm(opaque(net, batched({4, 5})))}));
    check_declined(net, "averages over the channels");
  }
}
