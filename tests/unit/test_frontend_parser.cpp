#include <doctest/doctest.h>

#include <functional>

#include "frontend/frontend.h"
#include "frontend/parser.h"
#include "support/frontend.h"

namespace bnc {

namespace {

// An expression with all its parentheses.
std::string grouped(const ast::Expression& e) {
  using Kind = ast::Expression::Kind;
  auto child = [&](size_t k) { return grouped(*e.children[k]); };
  switch (e.kind) {
    case Kind::boolean: return e.boolean ? "true" : "false";
    case Kind::integer: return std::to_string(e.integer);
    case Kind::name: return e.text;
    case Kind::unary: return "(" + e.text + " " + child(0) + ")";
    case Kind::binary: return "(" + child(0) + e.text + child(1) + ")";
    case Kind::index: return "(" + child(0) + "[" + child(1) + "])";
    case Kind::conditional: return "(" + child(0) + "?" + child(1) + ":" + child(2) + ")";
    default: return "?";
  }
}

std::string parsed(const std::string& expression) {
  ast::Module module = parse_syntax(make_source("network f() {\n  y = " + expression + "\n}\n"));
  return grouped(*module.networks.at(0).body.at(0).value);
}

size_t error_count(const std::string& text) { return test::errors_of(text).size(); }

}  // namespace

TEST_CASE("operators bind as the grammar says") {
  CHECK(parsed("a + b * c - d") == "((a+(b*c))-d)");
  CHECK(parsed("a - b - c") == "((a-b)-c)");
  CHECK(parsed("a / b % c") == "((a/b)%c)");
  CHECK(parsed("-a * b") == "((- a)*b)");
  CHECK(parsed("--a") == "(- (- a))");
  CHECK(parsed("a * -b") == "(a*(- b))");
  CHECK(parsed("a or b and not c == d") == "(aor(band(not (c==d))))");
  CHECK(parsed("0 .. n + 1") == "(0..(n+1))");
  CHECK(parsed("a < b + 1") == "(a<(b+1))");
  CHECK(parsed("x.shape[-1] / 2") == "((x.shape[(- 1)])/2)");
  CHECK(parsed("(a + b) * c") == "((a+b)*c)");
  CHECK(parsed("if a { 1 } else if b { 2 } else { 3 }") == "(a?1:(b?2:3))");
}

TEST_CASE("a statement may go on in the next line inside brackets and around operators") {
  CHECK(parsed("a +\n b") == "(a+b)");
  CHECK(parsed("a\n + b") == "(a+b)");
  CHECK(parsed("(a\n + b\n)") == "(a+b)");
  ast::Module module = parse_syntax(make_source("network f(\n  x: f32[N,\n 4],\n) {\n  return relu(\n    x,\n  )\n}\n"));
  CHECK(module.networks.at(0).body.at(0).results.at(0).value->arguments.size() == 1);
}

TEST_CASE("contextual words are names where no name follows") {
  ast::Module module = parse_syntax(make_source(
      "network network(train: f32[N, 4]) {\n  state = relu(train)\n  update = state\n  parameter p: f32[4] = ones\n  return state\n}\n"));
  const auto& body = module.networks.at(0).body;
  CHECK(body.at(0).kind == ast::Statement::Kind::assign);
  CHECK(body.at(1).kind == ast::Statement::Kind::assign);
  CHECK(body.at(2).kind == ast::Statement::Kind::declare);
}

TEST_CASE("parsing goes on behind an error") {
  CHECK(error_count("network f(x: f32[N, 4]) {\n  a = relu(x\n  b = tanh(x, [x\n  c = [1, 2\n  return x\n}\n") == 3);
  CHECK(error_count("network f(x f32) {\n  return x\n}\nnetwork g(y: f32[N, 4]) {\n  a = = 3\n  return y\n}\n") == 2);
  CHECK(error_count("network f(x: f32[N, 4]) {\n  repeat ) { a = ) }\n  if ( { b = ] }\n  return x\n}\n") == 2);
  CHECK(error_count("network f(x: f32[N, 4]) {\n  a = conv(x, 3 4,\n    kernel=3)\n  return x\n}\n") == 1);
}

TEST_CASE("at most twenty errors are reported") {
  std::string body;
  for (int k = 0; k < 50; ++k) body += "  a = )\n";
  CHECK(error_count("network f(x: f32[N, 4]) {\n" + body + "  return x\n}\n") == 20);
}

TEST_CASE("nesting and length are bounded without touching the stack's end") {
  auto deep = [](const std::string& open, const std::string& inner, const std::string& close, int count) {
    std::string text;
    for (int k = 0; k < count; ++k) text += open;
    text += inner;
    for (int k = 0; k < count; ++k) text += close;
    return "network f(x: f32[N, 4]) {\n  y = " + text + "\n  return x\n}\n";
  };
  for (auto [open, inner, close] : std::vector<std::array<std::string, 3>>{{"(", "x", ")"},
                                                                           {"[", "1", "]"},
                                                                           {"-", "x", ""},
                                                                           {"not ", "true", ""},
                                                                           {"relu(", "x", ")"},
                                                                           {"", "x", "[0]"},
                                                                           {"x + ", "x", ""},
                                                                           {"if true { ", "1", " } else { 2 }"}}) {
    CAPTURE(open + close);
    CHECK(error_count(deep(open, inner, close, 100'000)) >= 1);
  }
  std::string blocks = "network f(x: f32[N, 4]) {\n";
  for (int k = 0; k < 100'000; ++k) blocks += "repeat 1 {\n";
  CHECK(error_count(blocks) >= 1);
  std::string chain = "network f(x: f32[N, 4]) {\n  if false { x = x }";
  for (int k = 0; k < 100'000; ++k) chain += " else if false { x = x }";
  CHECK(error_count(chain + "\n  return x\n}\n") >= 1);
}

TEST_CASE("the syntax tree prints") {
  CHECK(dump_ast(make_source("network f(x: f32[N, 4]) {\n  y = -dense(x, units=[1])\n  return y\n}\n")) ==
        "network f line 1\n  takes x\n    type f32\n      N\n      4\n  assign line 2\n    name y\n    unary -\n      call dense\n        "
        "x\n        units =\n          list\n            1\n  return line 3\n    y\n");
}

}  // namespace bnc
