// What write_source works on between graph and text: functions of pieces, where a piece is a call of an op, the use of a block, or a loop.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ir/op.h"

namespace bnc::source {

using ValueId = int;   // a tensor, numbered within its function

// A compile-time value: as it stands, or computed from a parameter of the block or a variable of a loop around it.
struct Setting {
  enum class Form { same, times, over, half };   // p, p*factor, p/factor, floor(p/2)

  Attribute literal;
  int parameter = -1;
  Form form = Form::same;
  int64_t factor = 1;

  bool is_literal() const { return parameter < 0; }
  bool operator==(const Setting& other) const;
};

// The setting changed by that form; nothing where the result is not one of the forms.
std::optional<Setting> changed(const Setting& setting, Setting::Form form, int64_t factor);

struct Operand {
  enum class Kind { absent, made, given, number };

  Kind kind = Kind::absent;
  std::vector<ValueId> values = {};               // given; several of a variadic operand
  std::optional<Symbol> initializer = {};         // made, where it is not the layer's own
  bool told = false;                              // absent although the layer would make it: `bias=false`
  int number = -1;                                // a number beside a tensor: its place among the settings
};

struct Piece {
  enum class Kind { op, block, repeat };

  Kind kind = Kind::op;
  const OpDefinition* op = nullptr;
  int block = -1;                                 // index into Program::functions
  std::vector<Operand> operands = {};             // of the op; one for each tensor of a block; of a loop what it begins with
  // Of an op one for each of its attributes, then the numbers among its operands; of a block one for each of its parameters; of a loop
  // the values of its variables, round after round, or without variables how often it runs.
  std::vector<Setting> settings = {};
  std::vector<ValueId> results = {};
  int kernel = -1;
  std::vector<std::string> made = {};             // what the graph calls the parameters it makes, in the order of their making

  // Of a loop: its body, which carries one value from round to round.
  std::vector<Piece> body = {};
  ValueId inside_in = -1, inside_out = -1;
  std::vector<int> variables = {};                // parameters of the function
};

// A parameter of a block, or a variable of a loop.
struct Parameter {
  std::string name;
  std::optional<Attribute> fallback = {};
};

struct Function {
  std::string name;
  std::vector<ValueId> tensors;                   // its tensor parameters
  std::vector<int> settings;                      // its other parameters, in order
  std::vector<Parameter> parameters;              // those, and the variables of its loops
  std::vector<TensorType> types;                  // of each value, where it was found first
  std::vector<std::string> hints;                 // what a person called each value, or empty
  std::vector<Piece> body;
  std::vector<ValueId> outputs;
  ValueId batch_of = -1;                          // of a block: a tensor whose first dimension is the batch size

  ValueId new_value(const TensorType& type, const std::string& hint);
};

struct Program {
  std::deque<Function> functions;                 // the network, then the blocks

  Function& network() { return functions.front(); }
  const Function& network() const { return functions.front(); }
};

// Calls `use` for each value that the piece reads and `define` for each that it gives, those of a loop's body included, in order.
void visit_values(Piece& piece, const std::function<void(ValueId&)>& use, const std::function<void(ValueId&)>& define);
void visit_values(const Piece& piece, const std::function<void(ValueId)>& use, const std::function<void(ValueId)>& define);

// A setting of a piece, with what is known of the attribute or parameter it is for.
struct Slot {
  Setting* setting;
  std::string name;
  std::optional<Attribute> fallback;
};
// All settings of the piece, those of a loop's body included, in order.
std::vector<Slot> slots_of(const Program& program, Piece& piece);
// The variables of the loops in the piece.
void collect_variables(const Piece& piece, std::vector<int>& variables);

// How often each value of the function is read.
std::vector<int> count_uses(const Function& function);

// Whether an operator stands for the op: `a + b`.
bool is_infix(const OpDefinition& op);
// Whether it multiplies by weights or is a block.
bool is_heavy(const Piece& piece);
bool mentions_batch(const Attribute& attribute);
// A list of one integer as that integer, for which arithmetic is possible.
Attribute plain(const Attribute& attribute);

}  // namespace bnc::source
