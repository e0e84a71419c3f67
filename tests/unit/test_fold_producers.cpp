// fold-batch-norm into what computes the operand, one case a rule and one a reason to decline (bn-fold-producer).
// All sizes differ from one another, so that a wrong axis cannot go unnoticed.
#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

TEST_SUITE("fold-batch-norm into producers") {
  TEST_CASE("matmul: the columns are scaled, a bias appears") {
    RandomNetwork net(1);
    const Value x = net.input(batched({5}));
    net.output(net.batch_norm(net.matmul(x, 7)));
    check_folded(net, "folded into matmul");
    CHECK(count(net.graph, "matmul") == 1);
    CHECK(count(net.graph, "bias") == 1);
  }

  TEST_CASE("matmul of a transposed weight, with leading dimensions") {
    RandomNetwork net(2);
    const Value x = net.input(batched({4, 5}));
    const Value product = net.builder().value("matmul", {x, net.parameter(shape_of({7, 5}))}, {{"transpose_right", true}});
    net.output(net.batch_norm(product));
    check_folded(net, "matmul");
  }

  TEST_CASE("an existing bias changes with the scale") {
    RandomNetwork net(3);
    net.output(net.batch_norm(net.bias(net.matmul(net.input(batched({5})), 7))));
    check_folded(net, "matmul");
    CHECK(count(net.graph, "bias") == 1);
  }

  TEST_CASE("a bias written as an addition, on either side, or of one number for all channels") {
    for (const int form : {0, 1, 2, 3}) {
      RandomNetwork net(4 + form);
      const Value product = net.matmul(net.input(batched({5})), 7);
      const Value bias = form == 2 ? net.builder().constant(0.25) : net.parameter(shape_of({7}));
      const Value sum = form == 1   ? net.builder().add(bias, product)
                        : form == 3 ? net.builder().sub(product, bias)
                                    : net.builder().add(product, bias);
      net.output(net.batch_norm(sum));
      check_folded(net, "matmul");
      CHECK(count(net.graph, "bias") == 0);
    }
  }

  TEST_CASE("a constant minus the product") {
    RandomNetwork net(8);
    net.output(net.batch_norm(net.builder().sub(net.parameter(shape_of({7})), net.matmul(net.input(batched({5})), 7))));
    check_folded(net, "matmul");
  }

  TEST_CASE("dense that canonicalize has not seen, with and without bias") {
    for (const bool biased : {true, false}) {
      RandomNetwork net(9);
      const Value x = net.input(batched({5})), weight = net.parameter(shape_of({5, 7}));
      net.output(net.batch_norm(net.builder().value("dense", {x, weight, biased ? net.parameter(shape_of({7})) : Value{}})));
      check_folded(net, "dense");
      CHECK(count(net.graph, "dense") == 1);
      CHECK(count(net.graph, "bias") == 0);
    }
  }

  TEST_CASE("scale_shift, on the last axis and on another one") {
    for (const int axis : {-1, 1}) {
      RandomNetwork net(10);
      const Value x = net.relu(net.input(batched({5, 7})));
      const int64_t channels = axis == -1 ? 7 : 5;
      const Value y = net.builder().value("scale_shift", {x, net.parameter(shape_of({channels})), net.parameter(shape_of({channels}))},
                                          {{"axis", axis}});
      net.output(net.batch_norm(y, axis));
      const PassContext context = check_fold(net);
      CHECK(count(net.graph, "batch_norm") == 0);
      CHECK(count(net.graph, "scale_shift") == 1);
      const auto stay = remarks(context, Remark::Kind::declined);   // both of them live on in one
      REQUIRE(stay.size() == 2);
      CHECK(stay[1].find("merged into scale_shift") == 0);
    }
  }

  TEST_CASE("mul by one number a channel, by one for all, by one an element") {
    for (const std::vector<int64_t>& dims : {std::vector<int64_t>{7}, {}, {5, 7}, {5, 1}}) {
      RandomNetwork net(11);
      const Value x = net.relu(net.input(batched({5, 7})));
      net.output(net.batch_norm(net.builder().mul(net.parameter(shape_of(dims)), x)));
      check_fold(net);
      CHECK(count(net.graph, "batch_norm") == 0);
    }
  }

  TEST_CASE("a chain of batch norms folds to a fixed point") {
    RandomNetwork net(12);
    net.output(net.batch_norm(net.batch_norm(net.batch_norm(net.matmul(net.input(batched({5})), 7)))));
    check_folded(net, "matmul", 3);
  }

  TEST_CASE("two batch norms with nothing to fold into become one") {
    RandomNetwork net(13);
    net.output(net.relu(net.batch_norm(net.batch_norm(net.input(batched({5, 7}))))));
    const PassContext context = check_fold(net);
    CHECK(count(net.graph, "batch_norm") == 1);
    const auto stay = remarks(context, Remark::Kind::declined);
    REQUIRE(stay.size() == 2);
    CHECK(stay[0].find("not into its producer") == 0);
    CHECK(stay[1].find("merged into batch_norm") == 0);
  }

  TEST_CASE("through a reshape that splits the columns: the scale repeats") {
    RandomNetwork net(14);
    const Value product = net.bias(net.matmul(net.input(batched({5})), 2 * 3 * 7));
    net.output(net.batch_norm(net.builder().reshape(product, batched({2, 3, 7}))));
    check_folded(net, "matmul");
  }

  TEST_CASE("through a reshape to channels that are not the last axis") {
    RandomNetwork net(15);
    const Value product = net.matmul(net.input(batched({5})), 2 * 3 * 7);
    net.output(net.batch_norm(net.builder().reshape(product, batched({2, 3, 7})), 2));
    check_folded(net, "matmul");
  }

  TEST_CASE("through a reshape that merges the batch with positions") {
    RandomNetwork net(16);
    const Value product = net.matmul(net.input(batched({4, 5})), 7);
    net.output(net.batch_norm(net.builder().reshape(product, {Dim{4, true}, Dim{7}})));
    check_folded(net, "matmul");
  }

  TEST_CASE("through transposes") {
    RandomNetwork net(17);
    const Value product = net.matmul(net.input(batched({4, 2, 5})), 7);  // [N, 4, 2, 7] -> [4, 7, N, 2]
    net.output(net.batch_norm(net.builder().value("transpose", {product}, {{"permutation", IntList{1, 3, 0, 2}}}), 1));
    check_folded(net, "matmul");

    RandomNetwork reversed(18);  // [N, 4, 7] -> [7, 4, N]
    reversed.output(reversed.batch_norm(reversed.builder().value("transpose", {reversed.matmul(reversed.input(batched({4, 5})), 7)}), 0));
    check_folded(reversed, "matmul");
  }

  TEST_CASE("through a concatenation along the channels: each branch gets its part") {
    RandomNetwork net(19);
    const Value x = net.input(batched({5}));
    net.output(net.batch_norm(net.builder().value("concat", {net.matmul(x, 2), net.bias(net.matmul(x, 7)), net.matmul(x, 3)})));
    check_folded(net, " and ");
  }

  TEST_CASE("through a concatenation along another axis: each branch gets the whole") {
    RandomNetwork net(20);
    const Value a = net.matmul(net.input(batched({4, 5}), "a"), 7), b = net.matmul(net.input(batched({3, 5}), "b"), 7);
    net.output(net.batch_norm(net.builder().value("concat", {a, b}, {{"axis", 1}})));
    check_folded(net, " and ");
  }

  TEST_CASE("through sums and differences of branches") {
    for (const char* op : {"add", "sub"}) {
      RandomNetwork net(21);
      const Value x = net.input(batched({5}));
      net.output(net.batch_norm(net.builder().value(op, {net.matmul(x, 7), net.bias(net.matmul(net.relu(x), 7))})));
      check_folded(net, " and ");
      CHECK(count(net.graph, "bias") == 2);
    }
  }

  TEST_CASE("through a sum whose right branch has a lower rank") {
    RandomNetwork net(22);
    const Value a = net.matmul(net.input(batched({4, 5}), "a"), 7), b = net.matmul(net.input(shape_of({4, 3}), "b"), 7);
    net.output(net.batch_norm(net.builder().add(a, b)));
    check_folded(net, " and ");
  }

  TEST_CASE("through averages, slices and dropout without a step") {
    RandomNetwork net(23);
    const Value product = net.matmul(net.input(batched({4, 6, 5})), 7);
    const Value part = net.builder().value("slice", {product}, {{"axis", 1}, {"begin", 1}, {"end", 4}, {"step", 2}});
    const Value mean = net.builder().value("reduce_mean", {part}, {{"axes", IntList{1}}});
    const Value kept = net.builder().value("dropout", {mean, Value{}});
    net.output(net.batch_norm(net.builder().value("reduce_mean", {kept}, {{"axes", IntList{-2}}, {"keep_dims", true}})));
    check_folded(net, "matmul");
  }

  TEST_CASE("through average pooling; where padding counts as zeros, the shift stays behind it") {
    for (const bool include : {true, false})
      for (const int64_t padding : {0, 1}) {
        RandomNetwork net(60);
        const Value y = net.convolution(net.input(batched({6, 5, 3})), 2, 3, 7);
        net.output(net.batch_norm(net.builder().value(
            "average_pool", {y}, {{"kernel", IntList{3, 2}}, {"padding", IntList{padding}}, {"count_include_pad", include}})));
        check_folded(net, "into convolution");
        const Node* bias = net.graph.nodes_of("bias")[0];
        CHECK(bias->operands[0].node->is(include && padding ? "average_pool" : "convolution"));
      }
  }

  TEST_CASE("through padding with zeros and resizing") {
    for (const char* mode : {"nearest", "bilinear"}) {
      RandomNetwork net(61);
      const Value y = net.convolution(net.input(batched({6, 5, 3})), 2, 3, 7);
      const Value padded = net.builder().value("pad", {y}, {{"low", IntList{0, 1, 0, 0}}, {"high", IntList{0, 2, 3, 0}}});
      net.output(net.batch_norm(net.builder().value("resize", {padded}, {{"size", IntList{5, 11}}, {"mode", mode}})));
      check_folded(net, "into convolution");
    }
  }

  TEST_CASE("through maximum pooling, where weights show that all scales are positive") {
    for (const bool global : {true, false}) {
      RandomNetwork net(62);
      const Value y = net.convolution(net.input(batched({6, 5, 3})), 2, 3, 7);
      const Value pooled = global ? net.builder().value("reduce_max", {y}, {{"axes", IntList{1, 2}}})
                                  : net.builder().value("max_pool", {y}, {{"kernel", IntList{2}}, {"padding", IntList{1}}});
      net.output(net.batch_norm(pooled));
      for (double& gamma : net.bindings.at("gamma").data) gamma = 0.25 + std::abs(gamma);
      Weights weights = weights_of(net);
      check_fold(net, &weights);
      CHECK(count(net.graph, "batch_norm") == 0);
    }
  }

  TEST_CASE("a weight with two uses is scaled for each of them anew") {
    RandomNetwork net(24);
    const Value weight = net.parameter(shape_of({5, 5}), "weight"), x = net.input(batched({5}));
    const Value a = net.batch_norm(net.builder().value("matmul", {x, weight}));
    const Value b = net.batch_norm(net.builder().value("matmul", {net.relu(a), weight}));
    net.output(net.builder().value("matmul", {net.relu(b), weight}));
    check_folded(net, "matmul", 2);
    CHECK(Uses(net.graph).of(weight).size() == 3);
  }

  TEST_CASE("border_bias: the table takes up scale and shift, the convolution the scale") {
    RandomNetwork net(44);
    const Value y = net.convolution(net.input(batched({6, 5, 3})), 2, 3, 7);
    net.output(
        net.batch_norm(net.builder().value("border_bias", {y, net.parameter(shape_of({1, 4, 2, 7}))}, {{"interior", IntList{1, 0}}})));
    check_folded(net, "into convolution");
    CHECK(count(net.graph, "border_bias") == 1);
    CHECK(count(net.graph, "bias") == 0);
  }

  TEST_CASE("filters that three convolutions share are scaled for two of them, from either side") {
    RandomNetwork net(67);
    const Value weight = net.parameter(shape_of({3, 3, 4, 4}), "weight"), x = net.input(batched({5, 6, 4}));
    const AttributeMap same{{"padding", IntList{1, 1, 1, 1}}};
    const Value a = net.relu(net.batch_norm(net.builder().value("convolution", {x, weight}, same)));
    const Value b = net.relu(net.builder().value("convolution", {net.batch_norm(net.relu(a)), weight}, same));
    net.output(net.builder().value("convolution", {b, weight}, same));
    check_folded(net, "into convolution", 2);
    CHECK(Uses(net.graph).of(weight).size() == 4);   // scaled for a, scaled and times the shift for b, as it is behind b
  }

  TEST_CASE("the statistics that an inference batch norm hands out are the stored ones") {
    RandomNetwork net(25);
    Node* node = net.batch_norm_node(net.matmul(net.input(batched({5})), 7));
    net.output(node->result(0));
    net.output(node->result(1));
    net.output(node->result(2));
    check_folded(net, "matmul");
  }

  TEST_CASE("a batch norm of weights alone is left to constant-fold") {
    RandomNetwork net(28);
    net.output(net.batch_norm(net.builder().mul(net.parameter(shape_of({3, 5})), net.parameter(shape_of({5})))));
    const PassContext context = check_fold(net);
    REQUIRE(context.remarks.size() == 1);
    CHECK(context.remarks[0].text == "computed when freezing, for its operand is a constant");
  }

  TEST_CASE("the folded value keeps the batch norm's name") {
    RandomNetwork net(26);
    const Value normalized = net.batch_norm(net.matmul(net.input(batched({5})), 7));
    net.graph.rename(normalized, "normalized");
    net.output(normalized);
    check_fold(net);
    CHECK(net.graph.outputs[0].value.name() == "normalized");
  }

  TEST_CASE("infinity and NaN in the input reach the output, also where gamma is zero") {
    for (const double poison : {static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
      RandomNetwork net(27);
      const Value x = net.input(batched({5}));
      const Value product = net.matmul(x, 7);
      net.output(net.batch_norm(product));
      net.bindings.at("gamma").data[2] = 0;
      net.bindings.at(x.name()).data[1] = poison;
      PassContext context;
      fold_batch_norm(net.graph, context);
      const Tensor y = evaluate(net.graph, net.bindings).outputs.at("y0");
      for (int channel = 0; channel < 7; ++channel) CHECK_FALSE(std::isfinite(y.data[channel]));
      CHECK(std::isfinite(y.data[7]));
    }
  }
}

TEST_SUITE("fold-batch-norm declines producers") {
  TEST_CASE("a nonlinearity between") {
    RandomNetwork net(40);
    net.output(net.batch_norm(net.relu(net.matmul(net.input(batched({5})), 7))));
    check_declined(net, "is a nonlinearity");
  }
  TEST_CASE("the input itself") {
    RandomNetwork net(41);
    net.output(net.batch_norm(net.input(batched({5}))));
    check_declined(net, "`x` is an input of the network");
  }
  TEST_CASE("the raw result has another user") {
    RandomNetwork net(42);
    const Value raw = net.matmul(net.input(batched({5})), 7);
    net.output(net.builder().add(net.batch_norm(raw), net.relu(raw)));
    check_declined(net, "has 2 users: ");
  }
  TEST_CASE("the raw result is an output") {
    RandomNetwork net(43);
    const Value raw = net.matmul(net.input(batched({5})), 7);
    net.output(raw);
    net.output(net.batch_norm(raw));
    check_declined(net, "is an output of the network");
  }
  TEST_CASE("a value between has another user") {
    RandomNetwork net(44);
    const Value raw = net.matmul(net.input(batched({5})), 7);
    net.output(net.batch_norm(net.bias(raw)));
    net.output(net.relu(raw));
    check_declined(net, "has 2 users: bias");
  }
  TEST_CASE("channels on the rows of a matmul") {
    RandomNetwork net(45);
    net.output(net.batch_norm(net.matmul(net.input(batched({7, 5})), 7), 1));
    check_declined(net, "the channels are on axis 1, the columns of matmul");
  }
  TEST_CASE("a matmul of two computed operands") {
    RandomNetwork net(46);
    const Value x = net.input(shape_of({5, 5}));
    net.output(net.batch_norm(net.builder().value("matmul", {x, net.relu(x)})));
    check_declined(net, "both operands of matmul");
  }
  TEST_CASE("a bias on another axis") {
    RandomNetwork net(47);
    net.output(net.batch_norm(net.bias(net.matmul(net.input(batched({7, 5})), 7), 1)));
    check_declined(net, "adds along axis 1, the channels are on axis 2");
  }
  TEST_CASE("a bias whose own producer cannot take the scale") {
    RandomNetwork net(48);
    net.output(net.batch_norm(net.bias(net.relu(net.input(batched({5}))))));
    check_declined(net, "relu");
  }
  TEST_CASE("a scale on another axis") {
    RandomNetwork net(49);
    const Value x = net.relu(net.input(batched({7, 7})));
    net.output(net.batch_norm(net.batch_norm(x, 1), 2));
    CHECK(remarks(check_fold(net), Remark::Kind::declined).size() == 2);
    CHECK(count(net.graph, "batch_norm") == 2);
  }
  TEST_CASE("a reshape that merges the channels with positions") {
    RandomNetwork net(50);
    net.output(net.batch_norm(net.builder().reshape(net.matmul(net.input(batched({4, 5})), 7), batched({28}))));
    check_declined(net, "merges the channels");
  }
  TEST_CASE("one branch of a concatenation or sum that cannot") {
    RandomNetwork net(51);
    const Value x = net.input(batched({5}));
    net.output(net.batch_norm(net.builder().value("concat", {net.matmul(x, 7), net.relu(x)})));
    check_declined(net, "relu");
    RandomNetwork sum(52);
    const Value z = sum.input(batched({5}));
    sum.output(sum.batch_norm(sum.builder().add(sum.matmul(z, 5), z)));
    check_declined(sum, "users: matmul");
  }
  TEST_CASE("a branch of a sum that is repeated along the channels") {
    RandomNetwork net(53);
    const Value x = net.input(batched({5}));
    net.output(net.batch_norm(net.builder().add(net.matmul(x, 7), net.matmul(net.relu(x), 1))));
    check_declined(net, "repeats matmul");
  }
  TEST_CASE("the product of two computed values") {
    RandomNetwork net(54);
    const Value x = net.input(batched({5}));
    net.output(net.batch_norm(net.builder().mul(net.matmul(x, 7), net.matmul(net.relu(x), 7))));
    check_declined(net, "both factors of mul");
  }
  TEST_CASE("maximum pooling with scales that are zero, negative or unknown") {
    RandomNetwork unknown(63);
    unknown.output(unknown.batch_norm(
        unknown.builder().value("max_pool", {unknown.convolution(unknown.input(batched({6, 5, 3})), 2, 3, 7)}, {{"kernel", IntList{2}}})));
    check_declined(unknown, "commutes with positive scales only: the signs of its scale are known only with the weights");
    for (const double scale : {0.0, -0.5, static_cast<double>(NAN)}) {
      RandomNetwork net(64);
      net.output(net.batch_norm(
          net.builder().value("max_pool", {net.convolution(net.input(batched({6, 5, 3})), 2, 3, 7)}, {{"kernel", IntList{2}}})));
      auto& gamma = net.bindings.at("gamma").data;
      gamma = {1, 2, scale, 1e-30, scale, 1, 1};
      Weights weights = weights_of(net);
      const auto declined = remarks(check_fold(net, &weights), Remark::Kind::declined);
      REQUIRE(declined.size() == 1);
      CHECK_MESSAGE(declined[0].find(fmt::format("2 of its 7 scales are not positive, the first in channel 2: {};",
                                                 format_number(scale))) != std::string::npos,
                    declined[0]);
    }
  }
  TEST_CASE("padding with something else than zero, or of the channels") {
    RandomNetwork net(65);
    const Value y = net.convolution(net.input(batched({6, 5, 3})), 2, 3, 7);
    net.output(
        net.batch_norm(net.builder().value("pad", {y}, {{"low", IntList{0, 1, 0, 0}}, {"high", IntList{0, 0, 0, 0}}, {"value", 0.5}})));
    check_declined(net, "pads with 0.5, which the scale would change");
    RandomNetwork channels(66);
    const Value z = channels.convolution(channels.input(batched({6, 5, 3})), 2, 3, 7);
    channels.output(
        channels.batch_norm(channels.builder().value("pad", {z}, {{"low", IntList{0, 1, 0, 0}}, {"high", IntList{0, 0, 0, 2}}})));
    check_declined(channels, "pads the channels themselves");
  }
  TEST_CASE("a slice or an average of the channels themselves") {
    RandomNetwork net(55);
    net.output(
        net.batch_norm(net.builder().value("slice", {net.matmul(net.input(batched({5})), 7)}, {{"axis", -1}, {"begin", 2}, {"end", 6}})));
    check_declined(net, "takes some of the channels only");
    RandomNetwork mean(56);
    mean.output(mean.batch_norm(
        mean.builder().value("reduce_mean", {mean.matmul(mean.input(batched({5})), 7)}, {{"axes", IntList{-1}}, {"keep_dims", true}})));
    check_declined(mean, "averages over the channels");
  }
  TEST_CASE("statistics of the batch itself") {
    for (const char* mode : {"train", "auto"}) {
      RandomNetwork net(57);
      net.output(net.batch_norm(net.matmul(net.input(batched({5})), 7), -1, mode));
      PassContext context;
      CHECK_FALSE(fold_batch_norm(net.graph, context));
      REQUIRE(context.remarks.size() == 1);
      CHECK(context.remarks[0].text.find(fmt::format("it is in mode {}", mode)) != std::string::npos);
    }
  }
  TEST_CASE("a scale computed from the input") {
    RandomNetwork net(58);
    const Value x = net.input(batched({5})), gamma = net.input(shape_of({7}), "gamma_input");
    Node* node = net.batch_norm_node(net.matmul(x, 7));
    node->operands[1] = gamma;
    net.output(node->result());
    check_declined(net, "its gamma is computed from the network's input by input `gamma_input`");
  }
}
