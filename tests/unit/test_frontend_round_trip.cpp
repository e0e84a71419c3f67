// Whatever prints parses back to the same graph; whatever is read ends in a graph or in an error.
#include <doctest/doctest.h>

#include <filesystem>

#include "frontend/frontend.h"
#include "ir/op.h"
#include "ir/random.h"
#include "passes/pass.h"
#include "support/frontend.h"
#include "support/places.h"

namespace bnc {

namespace {

void check_round_trip(const Graph& graph) {
  std::string text = print(graph);
  CAPTURE(text);
  Module again;
  REQUIRE_NOTHROW(again = parse_module(make_source(text, "printed.bn")));
  const Graph& other = again.networks.at(0);
  CHECK(print(other) == text);
  CHECK_NOTHROW(verify(other));
  REQUIRE(other.nodes().size() == graph.nodes().size());
  // Inputs stand in the head of the text, so they come first after parsing.
  for (const auto& node : graph.nodes()) {
    Node* same = other.find(node->results[0].name).node;
    REQUIRE(same);
    CHECK(same->op == node->op);
    CHECK(same->kernel == node->kernel);
    for (const auto& [name, value] : node->attributes) CHECK(to_string(same->attribute(name)) == to_string(value));
  }
}

Module example(const std::filesystem::path& path) { return parse_module(read_source(path.string())); }

std::vector<std::filesystem::path> example_files() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/examples"))
    if (entry.path().extension() == ".bn") paths.push_back(entry.path());
  return paths;
}

}  // namespace

TEST_CASE("the example of every op survives printing and parsing") {
  for (const OpDefinition& op : all_ops()) {
    if (op.category == OpCategory::source && !op.infer) continue;
    CAPTURE(op.name);
    check_round_trip(test::graph_of("network example(" + op.example_inputs + ") {\n  return y = " + op.example + "\n}\n"));
  }
}

// Of large networks, which repeat a few blocks, only what the last pass leaves.
TEST_CASE("the examples survive printing and parsing after every pass of both pipelines") {
  constexpr size_t large = 300;   // nodes
  for (const auto& path : example_files()) {
    CAPTURE(path.string());
    for (const char* name : {"training", "inference"}) {
      Module module = example(path);
      if (!module.train) continue;
      check_round_trip(module.main());
      PassContext context;
      context.train = &*module.train;
      for (const std::string& pass : pipeline(name)) {
        CAPTURE(pass);
        const std::string before = module.main().nodes().size() > large ? "" : print(module.main());
        run_passes(module.main(), {pass}, context);
        const bool skipped = module.main().nodes().size() > large && pass != pipeline(name).back();
        if (!skipped && print(module.main()) != before) check_round_trip(module.main());   // else it is what survived already
      }
    }
  }
}

TEST_CASE("names, kernels and constants of the flat form are read as they stand") {
  check_round_trip(test::graph_of(R"(network f(x: f32[M, 4], i: i32[M]) {
  parameter a.b.c: f32[4] = constant(value=0.25, trainable=false)
  state s: i32[] = zeros
  t5: f32[4], t9: f32[4] = moments(x)
  t2: f32[4], t1: f32[4] = moments(x)
  t7: f32[M, 4] = normalize(x, t5, t9, epsilon=1e-05, in_kernel=3)
  h_2: f32[M, 4] = relu(t7, in_kernel=0)
  h: f32[M, 4] = relu(h_2)
  inf_: f32[2] = constant([inf, -1e+300], shape=[2])
  one: i32[] = constant(1, dtype=i32)
  update s = one
  return h, x
}
)"));
}

TEST_CASE("damaged files end in an error or a graph, never in anything else") {
  RandomStream random(7, "damage");
  std::vector<std::string> texts;
  for (const auto& path : example_files()) texts.push_back(read_source(path.string())->text);
  texts.push_back(
      "block b(x, n: integer=3, f=relu) {\n  repeat i in 0..n { x = f(dense(x, i + 1)) * [1, 2.5][i % 2] }\n  if n == 3 and not false { "
      "return x, n } else { return x, -n }\n}\nnetwork f(x: f32[N, 4], k=[1, 2]) {\n  y, n = b(x, n=k[1])\n  a, m: f32[1], v = "
      "batch_norm(x, stats=ema(decay=0.9, corrected))\n  return y, z = if n > 1 { a } else { y }\n}\n");
  const std::string alphabet = "(){}[],:=+-*/%<>.# \n\"xN01e_@\xc3\xa9";
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    std::string text = texts[random.below(texts.size())];
    for (uint64_t edits = 1 + random.below(4); edits > 0; --edits) {
      size_t at = random.below(text.size()), length = random.below(12);
      switch (random.below(4)) {
        case 0: text.erase(at, length); break;
        case 1: text.insert(at, 1, alphabet[random.below(alphabet.size())]); break;
        case 2: text[at] = alphabet[random.below(alphabet.size())]; break;
        default: text.insert(random.below(text.size()), text.substr(at, length)); break;
      }
      if (text.empty()) text = " ";
    }
    CAPTURE(text);
    auto source = make_source(text, "damaged.bn");
    try {
      Module module = parse_module(source);
      for (const Graph& graph : module.networks) verify(graph);
    } catch (const CompileError& error) {
      ++refused;
      for (const Diagnostic& diagnostic : error.diagnostics()) CHECK(diagnostic.range.known());
    }
    try {
      std::string once = format_source(source);
      CHECK(format_source(make_source(once)) == once);
    } catch (const CompileError&) {
    }
  }
  CHECK(refused > 300);
}

}  // namespace bnc
