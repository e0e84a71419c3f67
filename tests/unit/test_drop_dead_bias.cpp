// drop-dead-bias (bn-dead-bias): y, the loss, all gradients and all running statistics stay; one case a form and one a reason to decline.
#include "support/random_network.h"

using namespace bnc;
using namespace bnc::test;

namespace {

Evaluation gradients(const Graph& graph, const Bindings& bindings) {
  Graph copy = graph.clone();
  PassContext context = training_context();
  build_backward(copy, context);
  verify(copy);
  return evaluate(copy, bindings);
}

// Prepares training, drops, and checks that nothing a step computes has changed.
PassContext check_drop(RandomNetwork& net, Value prediction, int dropped) {
  net.output(prediction);
  PassContext context = training_context();
  net.bindings["labels"] = Tensor::filled(DType::f32, concrete(prediction.type().shape, net.batch_size), 0);
  prepare_training(net.graph, context);
  for (double& label : net.bindings["labels"].data) label = net.random().normal();
  const int biases = count(net.graph, "bias");
  const Evaluation before = gradients(net.graph, net.bindings);
  drop_dead_bias(net.graph, context);
  verify(net.graph);
  INFO(print(net.graph));
  const Evaluation after = gradients(net.graph, net.bindings);
  CHECK(std::abs(before.loss - after.loss) < 1e-12 * before.loss);
  CHECK(difference(before.outputs, after.outputs) < 1e-9);
  CHECK(difference(before.updates, after.updates) < 1e-9);
  REQUIRE(before.gradients.size() == after.gradients.size());
  for (const auto& [name, gradient] : before.gradients) {
    // A dead bias has gradient zero but for rounding before, and exactly zero after.
    const Tensor& other = after.gradients.at(name);
    double largest = 0, distance = 0;
    for (size_t i = 0; i < gradient.data.size(); ++i) {
      largest = std::max(largest, std::abs(gradient.data[i]));
      distance = std::max(distance, std::abs(gradient.data[i] - other.data[i]));
    }
    CHECK_MESSAGE(distance <= 1e-9 * std::max(largest, 1e-3), name);
  }
  CHECK(remarks(context, Remark::Kind::done).size() == static_cast<size_t>(dropped));
  CHECK(count(net.graph, "bias") <= biases);
  const std::string text = print(net.graph);
  CHECK_FALSE(drop_dead_bias(net.graph, context));
  CHECK(print(net.graph) == text);
  return context;
}

void check_declined(RandomNetwork& net, Value prediction, const std::string& part) {
  const auto declined = remarks(check_drop(net, prediction, 0), Remark::Kind::declined);
  REQUIRE(declined.size() >= 1);
  CHECK_MESSAGE(declined[0].find(part) != std::string::npos, declined[0]);
}

Value train(RandomNetwork& net, Value x, int axis = -1) { return net.batch_norm(x, axis, "train"); }

}  // namespace

TEST_SUITE("drop-dead-bias") {
  TEST_CASE("a bias behind a matmul") {
    RandomNetwork net(201);
    check_drop(net, net.relu(train(net, net.bias(net.matmul(net.input(batched({5})), 7)))), 1);
    CHECK(count(net.graph, "bias") == 0);
    CHECK(net.graph.find("bias"));  // in the graph still, for the running mean, and in the file
  }

  TEST_CASE("the parameter's gradient is exactly zero, and it gets no update") {
    RandomNetwork net(202);
    net.output(train(net, net.bias(net.matmul(net.input(batched({5})), 7))));
    TrainSection section;
    section.loss = Symbol{"mean_squared_error", {{"labels", true}}};
    section.optimizer = Symbol{"sgd", {{"rate", 0.1}, {"momentum", 0.9}}};
    PassContext context;
    context.train = &section;
    run_passes(net.graph, {"prepare-training", "drop-dead-bias", "build-backward", "attach-optimizer"}, context);
    CHECK(net.graph.output(Output::Role::update, "gamma"));
    CHECK(net.graph.output(Output::Role::update, "mean"));
    CHECK_FALSE(net.graph.output(Output::Role::update, "bias"));
    REQUIRE(context.remarks.size() == 1);
    CHECK(context.remarks[0].text.find("dropped: batch_norm") == 0);
  }

  TEST_CASE("an addition of a parameter, on either side, of one number a channel or one for all") {
    for (const std::vector<int64_t>& dims : {std::vector<int64_t>{7}, {1, 7}, {1}, {}})
      for (const bool left : {false, true}) {
        RandomNetwork net(203);
        const Value x = net.matmul(net.input(batched({4, 5})), 7), p = net.parameter(shape_of(dims));
        check_drop(net, train(net, left ? net.builder().add(p, x) : net.builder().add(x, p)), 1);
      }
  }

  TEST_CASE("two biases in a row") {
    RandomNetwork net(204);
    check_drop(net, train(net, net.bias(net.bias(net.matmul(net.input(batched({5})), 7)))), 2);
  }

  TEST_CASE("a channel axis in the middle") {
    RandomNetwork net(205);
    check_drop(net, train(net, net.bias(net.relu(net.input(batched({4, 5}))), 1), 1), 1);
  }

  TEST_CASE("through reshape and transpose") {
    RandomNetwork net(206);  // [N, 4, 7] -> [N, 7, 4] -> [N, 7, 2, 2]
    const Value turned = net.builder().value("transpose", {net.bias(net.matmul(net.input(batched({4, 5})), 7))},
                                             {{"permutation", IntList{0, 2, 1}}});
    check_drop(net, train(net, net.builder().reshape(turned, batched({7, 2, 2})), 1), 1);
  }

  TEST_CASE("through a flatten that repeats it: the running mean gets it back repeated") {
    RandomNetwork net(207);
    const Value wide = net.bias(net.matmul(net.input(batched({2, 3, 5})), 7));
    check_drop(net, train(net, net.builder().reshape(wide, batched({42}))), 1);
    RandomNetwork twice(208);  // [N, 2, 3, 7] -> [N, 2, 21] -> [N, 42]
    const Value rows = twice.builder().reshape(twice.bias(twice.matmul(twice.input(batched({2, 3, 5})), 7)), batched({2, 21}));
    check_drop(twice, train(twice, twice.builder().reshape(rows, batched({42}))), 1);
  }

  TEST_CASE("every rule of the running statistics") {
    const Symbol rules[] = {{"ema", {{"decay", 0.7}}}, {"ema", {{"decay", 0.7}, {"corrected", true}}}, {"cumulative", {}}};
    for (const Symbol& rule : rules) {
      RandomNetwork net(209);
      Node* node = net.batch_norm_node(net.bias(net.matmul(net.input(batched({5})), 7)), -1, "train");
      node->attributes["stats"] = rule;
      node->operands[5] = GraphBuilder::before(net.graph, node).state("count", {}, Symbol{"zeros", {}});
      net.bindings["count"] = Tensor::filled(DType::f32, {}, 3);
      check_drop(net, node->result(), 1);
    }
  }

  TEST_CASE("ghost batches, also of images, by every rule of the running statistics") {
    const Symbol rules[] = {{"ema", {{"decay", 0.7}}}, {"ema", {{"decay", 0.7}, {"corrected", true}}}, {"cumulative", {}}};
    for (const Symbol& rule : rules)
      for (const Shape& shape : {batched({5}), batched({3, 2, 5})}) {
        RandomNetwork net(214);
        net.batch_size = 8;
        Node* node = net.batch_norm_node(net.bias(net.matmul(net.input(shape), 7)), -1, "train");
        node->attributes["stats"] = rule;
        node->attributes["ghost"] = 4;
        node->operands[5] = GraphBuilder::before(net.graph, node).state("count", {}, Symbol{"zeros", {}});
        net.bindings["count"] = Tensor::filled(DType::f32, {}, 3);
        check_drop(net, node->result(), 1);
        CHECK(count(net.graph, "bias") == 0);
      }
  }

  TEST_CASE("a reader of the batch's mean gets the bias back, and its gradient") {
    RandomNetwork net(210);
    Node* node = net.batch_norm_node(net.bias(net.matmul(net.input(batched({5})), 7)), -1, "train");
    check_drop(net, net.builder().add(node->result(0), node->result(1)), 1);
  }

  TEST_CASE("a chain of bias and batch norm, twice") {
    RandomNetwork net(211);
    const Value hidden = net.relu(train(net, net.bias(net.matmul(net.input(batched({5})), 7))));
    check_drop(net, train(net, net.bias(net.matmul(hidden, 3))), 2);
  }

  TEST_CASE("a bias that stays: behind the batch norm, or of a batch norm's other operand") {
    RandomNetwork net(212);
    CHECK(remarks(check_drop(net, net.bias(train(net, net.matmul(net.input(batched({5})), 7))), 0), Remark::Kind::declined).empty());
  }

  TEST_CASE("a running mean that forgets the bias is caught") {
    RandomNetwork net(213);
    net.output(train(net, net.bias(net.matmul(net.input(batched({5})), 7))));
    PassContext context = training_context();
    prepare_training(net.graph, context);
    net.bindings["labels"] = Tensor::filled(DType::f32, {net.batch_size, 7}, 0);
    const auto before = evaluate(net.graph, net.bindings).updates;
    drop_dead_bias(net.graph, context);
    CHECK(difference(before, evaluate(net.graph, net.bindings).updates) < 1e-9);
    for (const auto& node : net.graph.nodes())
      if (node->is("add") && node->operands[1].name() == "bias") net.graph.replace_all_uses(node->result(), node->operands[0]);
    CHECK(difference(before, evaluate(net.graph, net.bindings).updates) > 1e-3);
  }
}

TEST_SUITE("drop-dead-bias declines") {
  TEST_CASE("a batch norm in inference mode") {
    RandomNetwork net(220);
    check_declined(net, net.batch_norm(net.bias(net.matmul(net.input(batched({5})), 7))),
                   "is in mode infer: with stored statistics the bias changes its result");
  }
  TEST_CASE("another reader of the biased value") {
    RandomNetwork net(221);
    const Value h = net.bias(net.matmul(net.input(batched({5})), 7));
    check_declined(net, net.builder().add(train(net, h), net.relu(h)), "has 2 users");
  }
  TEST_CASE("two batch norms that read it") {
    RandomNetwork net(222);
    const Value h = net.bias(net.matmul(net.input(batched({5})), 7));
    check_declined(net, net.builder().add(train(net, h), train(net, h)), "has 2 users");
  }
  TEST_CASE("another reader of ghost batches: a mean over the channels too, a difference from something else, an instance norm") {
    const auto declined_for = [](auto other) {
      RandomNetwork net(228);
      const Value x = net.matmul(net.input(batched({4, 5})), 7), h = net.bias(x);
      const Value mean = net.builder().value("reduce_mean", {h}, {{"axes", IntList{0, 1}}});
      const Value y = net.builder().add(net.builder().value("instance_norm", {h}), mean);
      check_declined(net, net.builder().add(y, other(net, x, h)), "has 3 users");
    };
    declined_for([](RandomNetwork& net, Value, Value h) {
      return net.builder().value("reduce_mean", {h}, {{"axes", IntList{1, 2}}, {"keep_dims", true}});
    });
    declined_for([](RandomNetwork& net, Value x, Value h) { return net.builder().sub(h, x); });
    declined_for([](RandomNetwork& net, Value, Value h) { return net.builder().value("instance_norm", {h}, {{"epsilon", 0.5}}); });
  }
  TEST_CASE("an instance norm for itself: its bias would be of no use to the graph, and have no gradient to hand out") {
    RandomNetwork net(229);
    const Value h = net.bias(net.matmul(net.input(batched({4, 5})), 7));
    const Value difference = net.builder().sub(h, net.builder().value("reduce_mean", {h}, {{"axes", IntList{1}}, {"keep_dims", true}}));
    CHECK(remarks(check_drop(net, net.builder().add(net.builder().value("instance_norm", {h}), difference), 0), Remark::Kind::declined)
              .empty());
    CHECK(count(net.graph, "bias") == 1);
  }
  TEST_CASE("an output") {
    RandomNetwork net(223);
    const Value h = net.bias(net.matmul(net.input(batched({5})), 7));
    PassContext context = training_context();
    net.output(train(net, h));
    prepare_training(net.graph, context);
    net.output(h);
    CHECK_FALSE(drop_dead_bias(net.graph, context));
    REQUIRE(context.remarks.size() == 1);
    CHECK(context.remarks[0].text.find("is an output of the network") != std::string::npos);
  }
  TEST_CASE("another reader of a view between") {
    RandomNetwork net(224);
    const Value flat = net.builder().reshape(net.bias(net.matmul(net.input(batched({2, 5})), 7)), batched({14}));
    check_declined(net, net.builder().add(train(net, flat), net.relu(flat)), "has 2 users");
  }
  TEST_CASE("another axis than the channels") {
    RandomNetwork net(225);
    check_declined(net, train(net, net.bias(net.matmul(net.input(batched({7, 5})), 7), 1)),
                   "it adds along axis 1, the channels of batch_norm");
  }
  TEST_CASE("a constant for each position") {
    RandomNetwork net(226);
    const Value h = net.matmul(net.input(batched({4, 5})), 7);
    check_declined(net, train(net, net.builder().add(h, net.parameter(shape_of({4, 7})))), "is not one number for each channel");
  }
  TEST_CASE("a reshape that splits its channels") {
    RandomNetwork net(227);
    const Value h = net.bias(net.matmul(net.input(batched({5})), 14));
    check_declined(net, train(net, net.builder().reshape(h, batched({2, 7}))), "spreads its channels over several");
  }
}
