// Networks of very many layers: what takes more than linear time, or stack for each layer, does not end here.
#include <doctest/doctest.h>

#include "support/frontend.h"
#include "support/generated_training.h"

using namespace bnc;

namespace {

std::string repeated(int times, const std::string& layer) { return fmt::format("h = x\n repeat {} {{ {} }}\n", times, layer); }

}  // namespace

// Each level reads the one before it twice: written out as one expression it would have 2^40 parts.
TEST_CASE("values that are read twice at each of many levels are computed once") {
  const char* levels[] = {"h = (h + relu(h)) * 0.5", "h = sqrt(h * h + 0.01)", "h = (h + tanh(h)) * 0.6"};
  for (const std::string level : levels) {
    INFO(level);
    for (const char* input : {"x: f32[N, 6]", "x: f32[N, 9, 9, 3]"}) {
      const Graph graph = test::graph_of_body(repeated(40, level) + "return y = h", input);
      test::check_generated(graph, test::random_bindings(graph, 5), {}, 1e-5);
    }
  }
}

TEST_CASE("so are they where a product, a reduction or all elements read them") {
  const std::string body = repeated(40, "h = (h + relu(h)) * 0.5") +
                           "return y = dense(h, 4), z = reduce_mean(h * h, axes=[0]), s = h * reduce_max(h)";
  const Graph graph = test::graph_of_body(body, "x: f32[N, 20, 20, 6]");
  test::check_generated(graph, test::random_bindings(graph, 12), {}, 1e-5);
  const Graph scalars = test::graph_of_body("h = reduce_mean(x)\n repeat 40 { h = (h + tanh(h)) * 0.5 }\n return y = x * h, s = h");
  test::check_generated(scalars, test::random_bindings(scalars, 3), {}, 1e-5);
}
