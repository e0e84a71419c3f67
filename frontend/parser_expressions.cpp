// Expressions, by precedence climbing.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "frontend/parser_class.h"
#include "ir/hints.h"

namespace bnc {

using namespace ast;
using Kind = Expression::Kind;

namespace {

constexpr int max_levels = 100, max_height = 200;

// Binary operators from the loosest binding to the tightest.
const std::array<std::vector<std::string_view>, 6> operators = {{
    {"or"}, {"and"}, {"==", "!=", "<", "<=", ">", ">="}, {".."}, {"+", "-"}, {"*", "/", "%"},
}};
constexpr int comparison_level = 2, range_level = 3;
const char* const part_of_tensor = "a part of a tensor is `slice(x, axis=1, begin=0, end=10)`; lists take one index";

}  // namespace

NestingGuard::NestingGuard(Parser& parser) : parser_(parser) {
  if (parser_.depth_ >= max_levels) fail_at(parser_.peek().range, fmt::format("nested more than {} levels deep", max_levels));
  ++parser_.depth_;
}

ExpressionPtr Parser::node(Kind kind, const SourceRange& range, std::string text) {
  return std::make_unique<Expression>(Expression{kind, range, std::move(text)});
}

void Parser::grow(Expression& parent, const Expression& child) {
  parent.height = std::max(parent.height, child.height + 1);
  if (parent.height > max_height) fail_at(parent.range, "this expression is too long", "give its parts names of their own");
}

void Parser::adopt(Expression& parent, ExpressionPtr child) {
  grow(parent, *child);
  parent.children.push_back(std::move(child));
}

ExpressionPtr Parser::binary(int level) {
  if (level == static_cast<int>(operators.size())) return unary();
  ExpressionPtr left = binary(level + 1);
  auto at_operator = [&] {
    return std::any_of(operators[level].begin(), operators[level].end(), [&](std::string_view text) { return at(text); });
  };
  while (at_operator()) {
    ExpressionPtr result = node(Kind::binary, left->range, std::string(next().text));
    adopt(*result, std::move(left));
    adopt(*result, binary(level + 1));
    result->range = span(result->range, previous().range);
    left = std::move(result);
    if ((level == comparison_level || level == range_level) && at_operator())
      fail_at(peek().range, fmt::format("`{}` cannot be chained", peek().text),
              level == comparison_level ? "join comparisons with `and`" : "");
  }
  return left;
}

ExpressionPtr Parser::unary() {
  if (!at("-") && !at("not")) return postfix();
  NestingGuard guard(*this);
  const Token& token = next();
  ExpressionPtr result = node(Kind::unary, token.range, std::string(token.text));
  // `not` reaches over a comparison: `not a == b` denies the equality.
  adopt(*result, token.text == "not" ? binary(comparison_level) : unary());
  result->range = span(result->range, previous().range);
  return result;
}

// A layer that is made first and applied then, `Dense(100)(x)`.
void Parser::called_twice(const Expression& call) {
  const Hint* known = find_hint(Hint::Place::layer, call.text);
  const std::string op = op_like(call.text);
  const std::string written = known && !known->instead.empty() ? known->instead : (op.empty() ? call.text : op) + "(x, ...)";
  fail_at(peek().range, fmt::format("what `{}` gives cannot be called", call.text),
          fmt::format("a layer takes its tensor first, at once: `{}`", written));
}

ExpressionPtr Parser::postfix() {
  ExpressionPtr value = primary();
  if (at("(") && !peek().first_on_line && value->kind == Kind::call) called_twice(*value);
  while (at("[") && !peek().first_on_line) {
    NestingGuard guard(*this);
    ExpressionPtr result = node(Kind::index, value->range);
    const Token& open = next();
    adopt(*result, std::move(value));
    if (at(":") || at("..")) unexpected("an index", part_of_tensor);
    adopt(*result, expression());
    if (at(":") || at(",")) unexpected("`]` behind the index", part_of_tensor);
    expect_closing("]", open, "`]` behind the index");
    result->range = span(result->range, previous().range);
    value = std::move(result);
  }
  return value;
}

ExpressionPtr Parser::primary() {
  if (peek().kind == Token::Kind::integer || peek().kind == Token::Kind::number || at("true") || at("false")) return literal();
  NestingGuard guard(*this);
  if (at("(")) {
    const Token& open = next();
    ExpressionPtr value = expression();
    if (at(",")) fail_at(peek().range, "expected `)`, found `,`", "a list stands between `[` and `]`, as in `[3, 3]`");
    expect_closing(")", open, "`)`");
    return value;
  }
  if (at("[")) return list();
  if (at("if")) return conditional_expression();
  if (peek().kind == Token::Kind::name && !is_keyword(peek().text)) return name_or_call();
  unexpected("a value");
}

ExpressionPtr Parser::literal() {
  const Token& token = next();
  const char *begin = token.text.data(), *end = begin + token.text.size();
  if (token.kind == Token::Kind::name) {
    ExpressionPtr value = node(Kind::boolean, token.range);
    value->boolean = token.text == "true";
    return value;
  }
  if (token.kind == Token::Kind::integer) {
    ExpressionPtr value = node(Kind::integer, token.range);
    if (std::from_chars(begin, end, value->integer).ec != std::errc())
      fail_at(token.range, "this integer does not fit in 64 bits", "a number may be written with an exponent: 1e20");
    return value;
  }
  ExpressionPtr value = node(Kind::number, token.range);
  if (std::from_chars(begin, end, value->number).ec != std::errc())
    fail_at(token.range, "this number is outside of what a 64-bit float can hold");
  return value;
}

ExpressionPtr Parser::name_or_call() {
  Name name = dotted_name("a name");
  if (!at("(") || peek().first_on_line) return node(Kind::name, name.range, name.text);
  ExpressionPtr call = node(Kind::call, name.range, name.text);
  const Token& open = next();
  call->arguments = arguments(open, name.text);
  for (const Argument& argument : call->arguments) grow(*call, *argument.value);
  call->range = span(call->range, previous().range);
  return call;
}

std::vector<Argument> Parser::arguments(const Token& open, const std::string& what) {
  std::vector<Argument> arguments;
  while (!at(")")) {
    Argument argument;
    if (peek().kind == Token::Kind::name && peek(1).is("=")) {
      const Token& name = expect_name("the name of an argument");
      argument.name = name.text, argument.name_range = name.range;
      next();
    }
    argument.value = expression();
    arguments.push_back(std::move(argument));
    if (!accept(",")) break;
  }
  expect_closing(")", open, fmt::format("`,` or `)` in the arguments of `{}`", what));
  return arguments;
}

ExpressionPtr Parser::list() {
  const Token& open = next();
  ExpressionPtr list = node(Kind::list, open.range);
  while (!at("]")) {
    adopt(*list, expression());
    if (!accept(",")) break;
  }
  expect_closing("]", open, "`,` or `]` in the list");
  list->range = span(list->range, previous().range);
  return list;
}

// if condition { value } else { value }
ExpressionPtr Parser::conditional_expression() {
  ExpressionPtr result = node(Kind::conditional, next().range);
  adopt(*result, expression());
  const Token& then = expect("{", "and a value");
  adopt(*result, expression());
  expect_closing("}", then, "`}`");
  expect("else", "with the other value");
  if (at("if")) {
    adopt(*result, primary());
  } else {
    const Token& otherwise = expect("{", "and a value");
    adopt(*result, expression());
    expect_closing("}", otherwise, "`}`");
  }
  result->range = span(result->range, previous().range);
  return result;
}

}  // namespace bnc
