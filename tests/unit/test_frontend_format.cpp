#include <doctest/doctest.h>

#include <filesystem>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "support/places.h"

namespace bnc {

namespace {

std::string formatted(const std::string& text) {
  std::string once = format_source(make_source(text));
  CHECK(format_source(make_source(once)) == once);
  return once;
}

}  // namespace

TEST_CASE("spaces, indentation and blank lines become canonical") {
  CHECK(formatted("\n\nblock  b( x ,units:integer = 3){\n\n\n h=dense( x,units = units*2 )\n\n\n\nif not(units>2 and true){ h = - h "
                  "}else{h=h-1}\n  return h\n\n}\nnetwork f(x:f32[ 2 * N,4 ]){\nreturn b(x)\n}") ==
        "block b(x, units: integer=3) {\n  h = dense(x, units=units * 2)\n\n  if not (units > 2 and true) { h = -h } else { h = h - 1 }\n  "
        "return h\n}\n\nnetwork f(x: f32[2*N, 4]) {\n  return b(x)\n}\n");
}

TEST_CASE("lines inside brackets and continued lines are indented") {
  CHECK(formatted(
            "network f(x: f32[N, 4]) {\ny = concat(\nx,\n[\nx,\n],\n)\nz = y +\ny\n- x\nrepeat i in [1,\n2] {\ny = y\n}\nreturn y\n}\n") ==
        "network f(x: f32[N, 4]) {\n  y = concat(\n    x,\n    [\n      x,\n    ],\n  )\n  z = y +\n    y\n    - x\n  repeat i in [1,\n    "
        "2] {\n    y = y\n  }\n  return y\n}\n");
}

TEST_CASE("comments are kept, wherever they stand, and aligned behind neighbouring lines") {
  CHECK(formatted("#head\n#  note  \n\nnetwork f(x: f32[N, 4]) {   #in\n# own\n  y = relu( # inner\n x) # end\n  longer = tanh(y)# "
                  "second\n\n  return longer # last\n#tail\n}\n#after\n") ==
        "# head\n#  note\n\nnetwork f(x: f32[N, 4]) {  # in\n  # own\n  y = relu(         # inner\n    x)              # end\n  longer = "
        "tanh(y)  # second\n\n  return longer  # last\n  # tail\n}\n\n# after\n");
}

TEST_CASE("settings of a train section stand in a column") {
  CHECK(formatted("network f(x: f32[N, 4]) { return x }\ntrain f {\nloss=mean_squared_error(y)\n# comment\noptimizer  = sgd(rate = "
                  "0.1)\nbatch=3\n}") ==
        "network f(x: f32[N, 4]) { return x }\n\ntrain f {\n  loss      = mean_squared_error(y)\n  # comment\n  optimizer = "
        "sgd(rate=0.1)\n  batch     = 3\n}\n");
}

TEST_CASE("a layout stands tight behind what has it") {
  CHECK(formatted("network f(x: f32[N, 3, 4, 4]  layout = nchw) {\n  return layout=x layout = nchw, (x)   layout=nchw\n}\n") ==
        "network f(x: f32[N, 3, 4, 4] layout=nchw) {\n  return layout = x layout=nchw, (x) layout=nchw\n}\n");
}

TEST_CASE("the examples are in canonical layout") {
  for (const auto& entry : std::filesystem::directory_iterator(test::source_folder() + "/examples")) {
    if (entry.path().extension() != ".bn") continue;
    CAPTURE(entry.path().string());
    auto source = read_source(entry.path().string());
    CHECK(format_source(source) == source->text);
  }
}

TEST_CASE("formatting never changes what a file means") {
  auto source = read_source(test::source_folder() + "/examples/mnist_mlp.bn");
  std::string squeezed;
  for (char c : source->text) squeezed += c == '=' || c == '(' ? fmt::format(" {}\t ", c) : std::string(1, c);
  CHECK(format_source(make_source(squeezed)) == source->text);
}

TEST_CASE("a file with syntax errors is not formatted") { CHECK_THROWS_AS(format_source(make_source("network f( {")), CompileError); }

}  // namespace bnc
