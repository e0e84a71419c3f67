// Declarations and statements. The grammar stands in docs/language.md.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "frontend/parser_class.h"
#include "ir/hints.h"

namespace bnc {

using namespace ast;

namespace {

constexpr size_t longest_path = 4095;

}  // namespace

ast::Module parse_syntax(const std::shared_ptr<const SourceFile>& source) {
  Reporter reporter(Reporter::Once::a_line);
  std::vector<Token> tokens = lex(source, reporter);
  ast::Module module = Parser(std::move(tokens), reporter).module();
  reporter.finish();
  return module;
}

Parser::Parser(std::vector<Token> tokens, Reporter& reporter) : tokens_(std::move(tokens)), reporter_(reporter) {
  std::erase_if(tokens_, [](const Token& token) { return token.kind == Token::Kind::comment; });
}

ast::Module Parser::module() {
  ast::Module module;
  while (peek().kind != Token::Kind::end && !reporter_.full()) {
    try {
      declaration(module);
    } catch (const CompileError& error) {
      reporter_.add(error);
      skip_to_declaration();
    }
  }
  return module;
}

// The help line where another language's word stands.
static std::string foreign_word(const Token& token) {
  return token.kind == Token::Kind::name ? hint(Hint::Place::word, token.text) : "";
}

void Parser::declaration(ast::Module& module) {
  start_ = at_;
  if (at("block")) {
    module.blocks.push_back(function());
  } else if (at("network")) {
    module.networks.push_back(function());
  } else if (at("train")) {
    module.trains.push_back(train());
  } else if (at("}")) {
    fail_at(peek().range, "`}` closes nothing", "every block, network and train section before it is complete");
  } else {
    std::string help = foreign_word(peek());
    if (help.empty() && peek().kind == Token::Kind::name) help = suggestion(std::string(peek().text), {"block", "network", "train"});
    unexpected("`block`, `network` or `train`", help);
  }
}

Function Parser::function() {
  std::string word(next().text);
  Function function;
  const Token& name = expect_name(fmt::format("the {}'s name", word));
  function.name = name.text, function.range = name.range;
  function.parameters = parameters();
  function.body = block(fmt::format("{} `{}`", word, function.name));
  function.end = previous().range;
  return function;
}

std::vector<Name> Parser::parameters() {
  const Token& open = expect("(", "before the parameters");
  std::vector<Name> names;
  while (!at(")")) {
    names.push_back(parameter());
    if (!accept(",")) break;
  }
  expect_closing(")", open, "`,` or `)` in the parameter list");
  return names;
}

Name Parser::parameter() {
  const Token& token = expect_name("the name of a parameter");
  Name name{std::string(token.text), token.range};
  if (accept(":")) {
    name.type = type();
    name.layout = layout();
  }
  if (accept("=")) name.fallback = expression();
  return name;
}

std::optional<Layout> Parser::layout() {
  if (!at("layout") || !peek(1).is("=")) return std::nullopt;
  next(), next();
  const Token& name = expect_name("a layout such as `nchw`");
  return Layout{std::string(name.text), name.range};
}

ast::Type Parser::type() {
  const Token& token = expect_name("a type such as `f32[N, 784]`");
  ast::Type type{std::string(token.text), token.range, false, {}};
  if (at("(")) unexpected("a shape", fmt::format("a shape stands between `[` and `]`, as in `{}[N, 784]`", type.name));
  if (at("[") && !peek().first_on_line) {
    const Token& open = next();
    type.has_shape = true;
    while (!at("]")) {
      type.dims.push_back(expression());
      if (!accept(",")) break;
    }
    expect_closing("]", open, "`,` or `]` in the shape");
    type.range = span(type.range, previous().range);
  }
  return type;
}

ast::Train Parser::train() {
  next();
  const Token& name = expect_name("the name of the network to train");
  ast::Train train{std::string(name.text), name.range, {}};
  const Token& open = expect("{", "before the settings");
  while (!at_end_of_body()) {
    size_t start = start_ = at_;
    try {
      const Token& key = expect_name("a setting such as `loss = ...`");
      Argument setting{std::string(key.text), key.range, nullptr};
      if (at(":")) unexpected(fmt::format("`=` after `{}`", setting.name), fmt::format("write `{} = ...`", setting.name));
      expect("=", fmt::format("after `{}`", setting.name));
      setting.value = expression();
      end_of_statement();
      train.settings.push_back(std::move(setting));
    } catch (const CompileError& error) {
      reporter_.add(error);
      skip_statement(start);
    }
  }
  expect_closing("}", open, fmt::format("`}}` at the end of `train {}`", train.network));
  return train;
}

std::vector<Statement> Parser::block(const std::string& what) {
  NestingGuard guard(*this);
  const Token& open = expect("{", "before the body");
  std::vector<Statement> statements;
  while (!at_end_of_body()) {
    size_t start = at_;
    try {
      statements.push_back(statement());
    } catch (const CompileError& error) {
      reporter_.add(error);
      if (reporter_.full()) break;
      skip_statement(start);
    }
  }
  if (!reporter_.full()) expect_closing("}", open, fmt::format("`}}` at the end of {}", what));
  return statements;
}

Statement Parser::statement() {
  start_ = at_;
  if (at("repeat")) return repeat();
  if (at("if")) return conditional();
  if (at("return")) return result();
  bool named = peek(1).kind == Token::Kind::name && !peek(1).first_on_line;
  if (named && (at("parameter") || at("state") || at("objective") || at("gradient") || at("update"))) return declaration_statement();
  if (peek().kind == Token::Kind::name && !is_keyword(peek().text)) return assignment();
  if (at("else")) unexpected("a statement", "`else` stands behind the `}` of an `if`");
  unexpected("a statement");
}

Statement Parser::assignment() {
  Statement statement{Statement::Kind::assign, peek().range};
  do {
    statement.names.push_back(dotted_name("a name"));
    if (accept(":")) statement.names.back().type = type();
  } while (accept(","));
  if (!at("=")) {
    std::string help;
    bool named = peek().kind == Token::Kind::name && !peek().first_on_line;
    if (statement.names.size() == 1) help = foreign_word(tokens_[start_]);
    if (help.empty() && named)
      help = suggestion(statement.names[0].text, {"return", "repeat", "parameter", "state", "objective", "gradient", "update"});
    if (help.empty() && (at("(") || at("["))) help = "a result that is not used has no effect; give it a name: `y = ...`";
    unexpected(fmt::format("`=` after `{}`", statement.names.back().text), help);
  }
  next();
  statement.value = expression();
  end_of_statement();
  return statement;
}

Statement Parser::declaration_statement() {
  Statement statement{Statement::Kind::declare, peek().range, std::string(peek().text)};
  next();
  if (statement.word == "objective") statement.kind = Statement::Kind::objective;
  if (statement.word == "gradient" || statement.word == "update") statement.kind = Statement::Kind::derivative;
  statement.names.push_back(dotted_name("a name"));
  if (statement.kind == Statement::Kind::declare) {
    if (!accept(":")) unexpected(fmt::format("`:` and the type of `{}`", statement.names[0].text));
    statement.names[0].type = type();
  }
  if (statement.kind != Statement::Kind::objective) {
    expect("=", fmt::format("and a value for `{}`", statement.names[0].text));
    statement.value = expression();
  }
  end_of_statement();
  return statement;
}

Name Parser::dotted_name(const std::string& what) {
  const Token& first = expect_name(what);
  Name name{std::string(first.text), first.range};
  while (at(".") && !peek().first_on_line) {
    next();
    if (peek().kind != Token::Kind::name) unexpected("a name after `.`");
    name.text += "." + std::string(next().text);
    if (name.text.size() > longest_path)
      fail_at(span(name.range, previous().range), fmt::format("a name with its points has at most {} characters", longest_path));
  }
  name.range = span(name.range, previous().range);
  return name;
}

// Parses what stands between the keyword and the body; after an error there, the body is parsed all the same.
ExpressionPtr Parser::header(Statement& statement, ExpressionPtr (Parser::*parse)(Statement&)) {
  next();
  try {
    ExpressionPtr value = (this->*parse)(statement);
    if (!at("{"))
      unexpected(fmt::format("`{{` and the body of `{}`", statement.kind == Statement::Kind::repeat ? "repeat" : "if"),
                 at(":") ? "a body stands between `{` and `}`" : "");
    return value;
  } catch (const CompileError& error) {
    reporter_.add(error);
    while (!at("{") && !peek().first_on_line && peek().kind != Token::Kind::end) next();
    if (!at("{")) throw;
    return nullptr;
  }
}

ExpressionPtr Parser::repeat_header(Statement& statement) {
  bool names = peek().kind == Token::Kind::name && (peek(1).is("in") || peek(1).is(","));
  if (names) {
    do {
      const Token& name = expect_name("the name of a loop variable");
      statement.names.push_back({std::string(name.text), name.range});
    } while (accept(","));
    expect("in", "after the loop variable");
  }
  return expression();
}

Statement Parser::repeat() {
  Statement statement{Statement::Kind::repeat, peek().range};
  statement.value = header(statement, &Parser::repeat_header);
  statement.body = block("`repeat`");
  end_of_statement();
  return statement;
}

ExpressionPtr Parser::conditional_header(Statement&) { return expression(); }

Statement Parser::conditional() {
  NestingGuard guard(*this);
  Statement statement{Statement::Kind::conditional, peek().range};
  statement.value = header(statement, &Parser::conditional_header);
  statement.body = block("`if`");
  if (accept("else")) {
    if (at("if")) {
      statement.otherwise.push_back(conditional());
      return statement;
    }
    statement.otherwise = block("`else`");
  }
  end_of_statement();
  return statement;
}

Statement Parser::result() {
  Statement statement{Statement::Kind::result, next().range};
  if (peek().first_on_line || at("}")) unexpected("a value to return");
  do {
    Argument argument;
    if (peek().kind == Token::Kind::name && peek(1).is("=")) {
      const Token& name = expect_name("the name of an output");
      argument.name = name.text, argument.name_range = name.range;
      next();
    }
    argument.value = expression();
    if (!peek().first_on_line) argument.layout = layout();
    statement.results.push_back(std::move(argument));
  } while (accept(","));
  end_of_statement();
  return statement;
}

const Token& Parser::next() {
  const Token& token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

bool Parser::accept(std::string_view text) {
  if (!at(text)) return false;
  next();
  return true;
}

const Token& Parser::expect(std::string_view text, const std::string& context) {
  if (!at(text)) unexpected(fmt::format("`{}` {}", text, context));
  return next();
}

const Token& Parser::expect_name(const std::string& what) {
  if (peek().kind == Token::Kind::name && is_keyword(peek().text))
    fail_at(peek().range, fmt::format("expected {}, but `{}` is a keyword", what, peek().text));
  if (peek().kind != Token::Kind::name) unexpected(what);
  return next();
}

// An unclosed bracket is reported behind the last thing that still belongs to it.
void Parser::expect_closing(std::string_view close, const Token& open, const std::string& expected) {
  if (accept(close)) return;
  SourceRange place = peek().first_on_line || peek().kind == Token::Kind::end ? behind_previous() : peek().range;
  Diagnostic diagnostic{Severity::error, place, fmt::format("expected {}, found {}", expected, found()), {}};
  diagnostic.note(fmt::format("the `{}` that is open here", open.text), open.range);
  throw CompileError(std::move(diagnostic));
}

void Parser::end_of_statement() {
  if (peek().first_on_line || at("}") || peek().kind == Token::Kind::end) return;
  std::string help = foreign_word(previous().is("lambda") ? previous() : peek());
  if (!help.empty()) unexpected("the end of the statement", help);
  help = at("=")                                       ? "`==` compares; an assignment is a statement of its own"
         : at("if")                                    ? "a choice is written `if condition { a } else { b }`"
         : at(",")                                     ? "no `,` stands between statements; several values in one are a list, `[a, b]`"
         : peek().kind == Token::Kind::name || at("{") ? "every statement begins on a line of its own"
                                                       : "";
  unexpected("the end of the statement", help);
}

bool Parser::begins_declaration() const {
  return peek().first_on_line && (at("block") || at("network") || at("train")) && peek(1).kind == Token::Kind::name &&
         !peek(1).first_on_line;
}

bool Parser::at_end_of_body() const { return at("}") || peek().kind == Token::Kind::end || begins_declaration() || reporter_.full(); }

SourceRange Parser::behind_previous() const {
  SourceRange place = previous().range;
  place.column += place.length, place.length = 1;
  return place;
}

std::string Parser::found() const {
  if (peek().kind == Token::Kind::end) return "the end of the file";
  return fmt::format("`{}`", peek().text);
}

// What a line lacks at its end is reported there, not at the start of the next line.
void Parser::unexpected(const std::string& expected, const std::string& help) {
  if (at_ > start_ && (peek().first_on_line || peek().kind == Token::Kind::end))
    fail_at(behind_previous(), fmt::format("expected {}, found the end of the line", expected), help);
  fail_at(peek().range, fmt::format("expected {}, found {}", expected, found()), help);
}

// From a syntax error in the statement that began at token `start` to the next statement: the next line outside of any
// brackets opened on the way, or the `}` that ends the body.
void Parser::skip_statement(size_t start) {
  int parentheses = 0, braces = 0;
  // An error at the start of a line means that a bracket was left open, not that the line belongs to it.
  if (!peek().first_on_line)
    for (size_t k = start; k < at_; ++k)
      parentheses += tokens_[k].is("(") || tokens_[k].is("[") ? 1 : tokens_[k].is(")") || tokens_[k].is("]") ? -1 : 0;
  if (at_ == start) next();
  while (peek().kind != Token::Kind::end && !begins_declaration()) {
    if (braces == 0 && (at("}") || (peek().first_on_line && (parentheses <= 0 || at("return") || at("repeat"))))) return;
    if (at("(") || at("[")) ++parentheses;
    if (at(")") || at("]")) --parentheses;
    if (at("{")) ++braces;
    if (at("}")) --braces;
    next();
  }
}

void Parser::skip_to_declaration() {
  do next();
  while (peek().kind != Token::Kind::end && !begins_declaration());
}

}  // namespace bnc
