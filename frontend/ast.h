// The syntax tree of a .bn file: what is written, before any of it means something.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/diagnostic.h"

namespace bnc::ast {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

// `layout=nchw` behind an input or a returned value of a network: the order of dimensions that its caller sees.
struct Layout {
  std::string text;
  SourceRange range;
};

// `value` or `name=value`; `name` is empty in the first form.
struct Argument {
  std::string name;
  SourceRange name_range;
  ExpressionPtr value;
  std::optional<Layout> layout = {};  // of what `return` gives
};

struct Expression {
  enum class Kind {
    boolean,      // boolean
    integer,      // integer
    number,       // number
    name,         // text, dots included: `h`, `dense_1.weight`, `x.shape`
    call,         // text(arguments)
    list,         // [children]
    unary,        // text is `-` or `not`; children[0]
    binary,       // children[0] text children[1]; text is an operator, `and`, `or` or `..`
    index,        // children[0][children[1]]
    conditional,  // if children[0] { children[1] } else { children[2] }
  };
  Kind kind;
  SourceRange range;
  std::string text = {};
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;
  std::vector<ExpressionPtr> children = {};
  std::vector<Argument> arguments = {};
  int height = 1;  // of the tree, bounded by the parser so that walks over it can be recursive
};

// `f32[N, 784]`, or a kind of compile-time value: `integer`.
struct Type {
  std::string name;
  SourceRange range;
  bool has_shape = false;
  std::vector<ExpressionPtr> dims;
};

// A name that is given a value, or a parameter of a block or network.
struct Name {
  std::string text;
  SourceRange range;
  std::optional<Type> type = {};
  ExpressionPtr fallback = {};  // parameters only: the default
  std::optional<Layout> layout = {};
};

struct Statement {
  enum class Kind {
    assign,       // names = value
    declare,      // parameter|state names[0] = value
    objective,    // objective names[0]
    derivative,   // gradient|update names[0] = value
    repeat,       // repeat value { body }, repeat names in value { body }
    conditional,  // if value { body } else { otherwise }
    result,       // return results
  };
  Kind kind;
  SourceRange range;    // of its first word
  std::string word = {};  // `parameter`, `state`, `gradient` or `update`
  std::vector<Name> names = {};
  ExpressionPtr value = {};
  std::vector<Argument> results = {};
  std::vector<Statement> body = {}, otherwise = {};
};

// A block or a network.
struct Function {
  std::string name;
  SourceRange range;
  std::vector<Name> parameters;
  std::vector<Statement> body;
  SourceRange end;  // the closing brace
};

struct Train {
  std::string network;
  SourceRange range;
  std::vector<Argument> settings;  // key = value
};

struct Module {
  std::vector<Function> blocks, networks;
  std::vector<Train> trains;
};

}  // namespace bnc::ast
