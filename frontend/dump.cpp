// The syntax tree as indented text, for `--emit ast`.
#include <string>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "frontend/parser.h"
#include "ir/attribute.h"

namespace bnc {

using namespace ast;

namespace {

class Dumper {
 public:
  std::string run(const ast::Module& module) {
    for (const Function& block : module.blocks) function("block", block);
    for (const Function& network : module.networks) function("network", network);
    for (const Train& train : module.trains) {
      line("train {}", train.network);
      Indent indent(*this);
      arguments(train.settings);
    }
    return std::move(text_);
  }

 private:
  struct Indent {
    explicit Indent(Dumper& dumper) : dumper(dumper) { ++dumper.depth_; }
    ~Indent() { --dumper.depth_; }
    Dumper& dumper;
  };

  template <class... Arguments> void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    text_ += std::string(2 * depth_, ' ') + fmt::format(format, std::forward<Arguments>(arguments)...) + "\n";
  }

  void function(const char* word, const Function& function) {
    line("{} {} line {}", word, function.name, function.range.line);
    Indent indent(*this);
    for (const Name& parameter : function.parameters) name("takes", parameter);
    statements(function.body);
  }

  void name(const char* word, const Name& name) {
    line("{} {}", word, name.text);
    Indent indent(*this);
    if (name.type) {
      line("type {}", name.type->name);
      Indent dims(*this);
      for (const ExpressionPtr& dim : name.type->dims) expression(*dim);
    }
    if (name.layout) line("layout {}", name.layout->text);
    if (name.fallback) {
      line("default");
      Indent value(*this);
      expression(*name.fallback);
    }
  }

  void statements(const std::vector<Statement>& statements) {
    for (const Statement& each : statements) statement(each);
  }

  void statement(const Statement& statement) {
    static const char* words[] = {"assign", "", "objective", "", "repeat", "if", "return"};
    line("{} line {}", statement.word.empty() ? words[static_cast<int>(statement.kind)] : statement.word.c_str(), statement.range.line);
    Indent indent(*this);
    for (const Name& each : statement.names) name("name", each);
    if (statement.value) expression(*statement.value);
    arguments(statement.results);
    if (statement.kind != Statement::Kind::repeat && statement.kind != Statement::Kind::conditional) return;
    line("body");
    {
      Indent body(*this);
      statements(statement.body);
    }
    if (statement.otherwise.empty()) return;
    line("else");
    Indent otherwise(*this);
    statements(statement.otherwise);
  }

  void arguments(const std::vector<Argument>& arguments) {
    for (const Argument& argument : arguments) {
      if (!argument.name.empty()) line("{} =", argument.name);
      depth_ += !argument.name.empty();
      expression(*argument.value);
      if (argument.layout) line("layout {}", argument.layout->text);
      depth_ -= !argument.name.empty();
    }
  }

  void expression(const Expression& expression) {
    switch (expression.kind) {
      case Expression::Kind::boolean: line("{}", expression.boolean); break;
      case Expression::Kind::integer: line("{}", expression.integer); break;
      case Expression::Kind::number: line("{}", format_number(expression.number)); break;
      case Expression::Kind::name: line("{}", expression.text); break;
      case Expression::Kind::call: line("call {}", expression.text); break;
      case Expression::Kind::list: line("list"); break;
      case Expression::Kind::index: line("index"); break;
      case Expression::Kind::conditional: line("if"); break;
      case Expression::Kind::unary: line("unary {}", expression.text); break;
      case Expression::Kind::binary: line("binary {}", expression.text); break;
    }
    Indent indent(*this);
    for (const ExpressionPtr& child : expression.children) this->expression(*child);
    arguments(expression.arguments);
  }

  std::string text_;
  int depth_ = 0;
};

}  // namespace

std::string dump_ast(const std::shared_ptr<const SourceFile>& source) { return Dumper().run(parse_syntax(source)); }

}  // namespace bnc
