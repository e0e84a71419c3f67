// The parser's insides, shared by parser.cpp (declarations, statements) and parser_expressions.cpp.
#pragma once

#include <string>
#include <vector>

#include "frontend/parser.h"

namespace bnc {

class Parser {
 public:
  Parser(std::vector<Token> tokens, Reporter& reporter);
  ast::Module module();

 private:
  // Declarations and statements.
  void declaration(ast::Module& module);
  ast::Function function();
  ast::Train train();
  std::vector<ast::Name> parameters();
  ast::Type type();
  std::optional<ast::Layout> layout();
  std::vector<ast::Statement> block(const std::string& what);
  ast::Statement statement();
  ast::Statement assignment();
  ast::Statement declaration_statement();
  ast::Statement repeat();
  ast::Statement conditional();
  ast::Statement result();
  ast::ExpressionPtr header(ast::Statement& statement, ast::ExpressionPtr (Parser::*parse)(ast::Statement&));
  ast::ExpressionPtr repeat_header(ast::Statement& statement);
  ast::ExpressionPtr conditional_header(ast::Statement& statement);
  ast::Name parameter();
  ast::Name dotted_name(const std::string& what);

  // Expressions, loosest binding first.
  ast::ExpressionPtr expression() { return binary(0); }
  ast::ExpressionPtr binary(int level);
  ast::ExpressionPtr unary();
  ast::ExpressionPtr postfix();
  [[noreturn]] void called_twice(const ast::Expression& call);
  ast::ExpressionPtr primary();
  ast::ExpressionPtr literal();
  ast::ExpressionPtr name_or_call();
  ast::ExpressionPtr list();
  ast::ExpressionPtr conditional_expression();
  std::vector<ast::Argument> arguments(const Token& open, const std::string& what);
  ast::ExpressionPtr node(ast::Expression::Kind kind, const SourceRange& range, std::string text = "");
  void adopt(ast::Expression& parent, ast::ExpressionPtr child);
  void grow(ast::Expression& parent, const ast::Expression& child);

  // Tokens.
  const Token& peek(size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  const Token& previous() const { return tokens_[at_ > 0 ? at_ - 1 : 0]; }
  const Token& next();
  bool at(std::string_view text) const { return peek().is(text); }
  bool accept(std::string_view text);
  const Token& expect(std::string_view text, const std::string& context);
  const Token& expect_name(const std::string& what);
  void expect_closing(std::string_view close, const Token& open, const std::string& expected);
  void end_of_statement();
  bool begins_declaration() const;
  bool at_end_of_body() const;

  // Errors.
  std::string found() const;
  SourceRange behind_previous() const;
  [[noreturn]] void unexpected(const std::string& expected, const std::string& help = "");
  void skip_statement(size_t start);
  void skip_to_declaration();

  std::vector<Token> tokens_;
  Reporter& reporter_;
  size_t at_ = 0;
  size_t start_ = 0;  // where the current statement or declaration begins
  int depth_ = 0;
  friend class NestingGuard;
};

// Counts a level of nesting for as long as it lives; a syntax error where there are too many.
class NestingGuard {
 public:
  explicit NestingGuard(Parser& parser);
  ~NestingGuard() { --parser_.depth_; }

 private:
  Parser& parser_;
};

}  // namespace bnc
