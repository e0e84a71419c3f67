// Networks that are exported as ONNX and imported again are what they were, but for names.
#include <doctest/doctest.h>

#include <filesystem>

#include "frontend/frontend.h"
#include "ir/evaluate.h"
#include "ir/print.h"
#include "support/places.h"
#include "support/round_trip.h"

namespace bnc {

namespace {

using namespace bnc::test;

void check_comes_back(const OnnxModel& model, const Graph& graph, const Weights& weights) {
  const OnnxImport back = import_onnx(model, {.keep_batch = true});
  CAPTURE(print(graph));
  CAPTURE(back.source);
  CHECK(computation(back.graph, back.weights) == computation(graph, weights));
  const std::vector<std::string> before = parameters_in_order(graph), after = parameters_in_order(back.graph);
  REQUIRE(before.size() == after.size());
  for (size_t k = 0; k < before.size(); ++k) {
    const Weight *old = weights.find(before[k]), *now = back.weights.find(after[k]);
    REQUIRE(old);
    REQUIRE(now);
    CHECK_MESSAGE(std::equal(old->data.begin(), old->data.end(), now->data.begin(), now->data.end()), before[k]);
  }
}

// By the network that the model holds, and by its nodes.
void check_round_trip(const Graph& graph, const Weights& weights) {
  const OnnxModel model = written_and_read(export_onnx(graph, weights, "test").model);
  CHECK(embedded_network(model));
  check_comes_back(model, graph, weights);
  check_comes_back(without_network(model), graph, weights);
}

}  // namespace

TEST_CASE("onnx: every example is the same network behind an export and an import, trainable and frozen") {
  for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/examples")) {
    if (entry.path().extension() != ".bn") continue;
    CAPTURE(entry.path().string());
    const Module module = parse_module(read_source(entry.path().string()));
    Weights weights = initial_weights(module.main(), 1);
    check_round_trip(module.main(), weights);
    Graph frozen = module.main().clone();
    PassContext context;
    context.weights = &weights;
    run_passes(frozen, {"canonicalize", "freeze", "fold-batch-norm", "canonicalize", "constant-fold", "common-subexpressions", "dead-code"},
               context);
    check_round_trip(frozen, weights);
  }
}

}  // namespace bnc
