#include "frontend/source/rewrite.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include <fmt/format.h>

namespace bnc::source {

namespace {

using Pieces = std::vector<Piece>;

Pieces copy_of(const Sequence& sequence, const Window& window) {
  const auto begin = sequence.pieces->begin() + static_cast<std::ptrdiff_t>(window.begin);
  return Pieces(begin, begin + static_cast<std::ptrdiff_t>(window.length));
}

// The values of a window, each once, in the order in which they are met.
std::vector<ValueId> values_of(const Piece* begin, const Piece* end) {
  std::vector<ValueId> values = externals_of(begin, end);
  for (const Piece* piece = begin; piece != end; ++piece)
    visit_values(*piece, [](ValueId) {}, [&](ValueId value) { values.push_back(value); });
  return values;
}

// Open settings name parameters of their new place; variables of inner loops move along.
void settle(const Program& program, Pieces& pieces, const Arguments& arguments, const std::vector<int>& parameters,
            const std::map<int, int>& variables) {
  const std::vector<Slot> open = open_slots(program, pieces.data(), pieces.data() + pieces.size());
  const auto is_open = [&](const Setting* setting) {
    return std::any_of(open.begin(), open.end(), [&](const Slot& slot) { return slot.setting == setting; });
  };
  for (Piece& piece : pieces)
    for (Slot& slot : slots_of(program, piece))
      if (!slot.setting->is_literal() && !is_open(slot.setting) && variables.contains(slot.setting->parameter))
        slot.setting->parameter = variables.at(slot.setting->parameter);
  for (size_t k = 0; k < open.size(); ++k) {
    const Arguments::Use& use = arguments.uses[k];
    if (use.parameter < 0) continue;
    *open[k].setting = {.literal = {}, .parameter = parameters[use.parameter], .form = use.form, .factor = use.factor};
  }
}

void renumber_variables(Piece& piece, const std::map<int, int>& variables) {
  for (int& variable : piece.variables) variable = variables.at(variable);
  for (Piece& inner : piece.body) renumber_variables(inner, variables);
}

// What a block's values are called: what they are called wherever it stands.
std::vector<std::string> shared_hints(const Program& program, const std::vector<Sequence>& sequences, const std::vector<Window>& windows) {
  std::vector<std::string> hints;
  for (const Window& window : windows) {
    const Piece* begin = sequences[window.sequence].pieces->data() + window.begin;
    const Function& function = program.functions[sequences[window.sequence].function];
    const std::vector<ValueId> values = values_of(begin, begin + window.length);
    hints.resize(values.size());
    for (size_t k = 0; k < values.size(); ++k) {
      const std::string& hint = function.hints[values[k]];
      if (&window == &windows.front()) hints[k] = hint;
      else if (hints[k] != hint) hints[k].clear();
    }
  }
  return hints;
}

// Numbers the values of the pieces anew, those from outside first: the block's tensors.
void own_values(Function& block, Pieces& pieces, const Function& from, const std::vector<std::string>& hints) {
  std::map<ValueId, ValueId> numbers;
  const std::vector<ValueId> externals = externals_of(pieces.data(), pieces.data() + pieces.size());
  const std::vector<ValueId> values = values_of(pieces.data(), pieces.data() + pieces.size());
  for (size_t k = 0; k < values.size(); ++k) {
    numbers[values[k]] = block.new_value(from.types[values[k]], hints[k]);
    if (k < externals.size()) block.tensors.push_back(numbers[values[k]]);
  }
  const auto renumber = [&](ValueId& value) { value = numbers.at(value); };
  for (Piece& piece : pieces) visit_values(piece, renumber, renumber);
}

// Parameters of the block, those with a default last, each with a name of its own.
std::vector<int> add_parameters(Function& block, const Arguments& arguments) {
  std::vector<int> places;
  for (const Parameter& parameter : arguments.parameters) {
    places.push_back(static_cast<int>(block.parameters.size()));
    const auto taken = [&](const std::string& name) {
      return std::any_of(block.parameters.begin(), block.parameters.end(), [&](const Parameter& each) { return each.name == name; });
    };
    Parameter own = parameter;
    for (int k = 2; taken(own.name); ++k) own.name = fmt::format("{}_{}", parameter.name, k);
    block.parameters.push_back(std::move(own));
  }
  for (const bool with_default : {false, true})
    for (const int place : places)
      if (block.parameters[place].fallback.has_value() == with_default) block.settings.push_back(place);
  return places;
}

// Moves the variables of the loops in the pieces from one function to another.
std::map<int, int> move_variables(Function& to, const Function& from, Pieces& pieces) {
  std::vector<int> variables;
  for (const Piece& piece : pieces) collect_variables(piece, variables);
  std::map<int, int> numbers;
  for (const int variable : variables) {
    numbers[variable] = static_cast<int>(to.parameters.size());
    to.parameters.push_back(from.parameters[variable]);
  }
  return numbers;
}

std::vector<std::string> made_by(const Pieces& pieces) {
  std::vector<std::string> made;
  for (const Piece& piece : pieces) made.insert(made.end(), piece.made.begin(), piece.made.end());
  return made;
}

void replace(Pieces& pieces, const Window& window, size_t length, Piece piece) {
  const auto begin = pieces.begin() + static_cast<std::ptrdiff_t>(window.begin);
  *begin = std::move(piece);
  pieces.erase(begin + 1, begin + static_cast<std::ptrdiff_t>(length));
}

Piece use_of(int block, const Function& function, const Pieces& pieces, const Arguments& arguments, size_t window) {
  Piece use;
  use.kind = Piece::Kind::block;
  use.block = block;
  for (const ValueId value : externals_of(pieces.data(), pieces.data() + pieces.size()))
    use.operands.push_back({.kind = Operand::Kind::given, .values = {value}});
  for (const int parameter : function.settings) use.settings.push_back(arguments.values[parameter][window]);
  use.results = {pieces.back().results[0]};
  use.made = made_by(pieces);
  return use;
}

}  // namespace

int shared_batch_tensor(const Program& program, const std::vector<Sequence>& sequences, const std::vector<Window>& windows) {
  std::vector<bool> fits;
  for (const Window& window : windows) {
    const Piece* begin = sequences[window.sequence].pieces->data() + window.begin;
    const std::vector<ValueId> externals = externals_of(begin, begin + window.length);
    fits.resize(externals.size(), true);
    for (size_t k = 0; k < externals.size(); ++k) {
      const TensorType& type = program.functions[sequences[window.sequence].function].types[externals[k]];
      fits[k] = fits[k] && !type.shape.empty() && type.shape[0] == Dim{1, true};
    }
  }
  const auto found = std::find(fits.begin(), fits.end(), true);
  return found == fits.end() ? -1 : static_cast<int>(found - fits.begin());
}

void make_block(Program& program, const std::vector<Sequence>& sequences, std::vector<Window> windows, const Arguments& arguments) {
  const Function& from = program.functions[sequences[windows[0].sequence].function];
  Function block;
  Pieces body = copy_of(sequences[windows[0].sequence], windows[0]);
  const std::vector<int> parameters = add_parameters(block, arguments);
  const std::map<int, int> variables = move_variables(block, from, body);
  settle(program, body, arguments, parameters, variables);
  for (Piece& piece : body) renumber_variables(piece, variables);
  own_values(block, body, from, shared_hints(program, sequences, windows));
  const int batch = shared_batch_tensor(program, sequences, windows);
  if (batch >= 0) block.batch_of = block.tensors[batch];
  block.outputs = {body.back().results[0]};
  block.body = std::move(body);
  const int number = static_cast<int>(program.functions.size());
  // Inner sequences first, and later windows before earlier ones, so that places stay true.
  std::vector<size_t> order(windows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(windows[a].sequence, windows[b].begin) < std::pair(windows[b].sequence, windows[a].begin);
  });
  for (const size_t window : order) {
    const Sequence& sequence = sequences[windows[window].sequence];
    Piece use = use_of(number, block, copy_of(sequence, windows[window]), arguments, window);
    replace(*sequence.pieces, windows[window], windows[window].length, std::move(use));
  }
  program.functions.push_back(std::move(block));
}

void make_loop(Program& program, const std::vector<Sequence>& sequences, const std::vector<Window>& windows, const Arguments& arguments) {
  const Sequence& sequence = sequences[windows[0].sequence];
  Function& function = program.functions[sequence.function];
  Pieces body = copy_of(sequence, windows[0]);
  const Pieces second = copy_of(sequence, windows[1]), last = copy_of(sequence, windows.back());
  Piece loop;
  loop.kind = Piece::Kind::repeat;
  loop.results = {last.back().results[0]};
  loop.inside_out = body.back().results[0];
  for (const Parameter& parameter : arguments.parameters) {
    loop.variables.push_back(static_cast<int>(function.parameters.size()));
    function.parameters.push_back({parameter.name, {}});
  }
  settle(program, body, arguments, loop.variables, {});
  for (size_t round = 0; round < windows.size(); ++round) {
    for (const std::vector<Setting>& values : arguments.values) loop.settings.push_back(values[round]);
    const std::vector<std::string> made = made_by(copy_of(sequence, windows[round]));
    loop.made.insert(loop.made.end(), made.begin(), made.end());
  }
  if (loop.variables.empty()) loop.settings.push_back({.literal = static_cast<int64_t>(windows.size())});
  // What the second round reads of the first stands where the first reads what the loop begins with.
  const std::vector<ValueId> first_reads = externals_of(body.data(), body.data() + body.size());
  const std::vector<ValueId> then_reads = externals_of(second.data(), second.data() + second.size());
  const size_t place = static_cast<size_t>(std::find(then_reads.begin(), then_reads.end(), loop.inside_out) - then_reads.begin());
  loop.operands.push_back({.kind = Operand::Kind::given, .values = {first_reads[place]}});
  loop.inside_in = function.new_value(function.types[first_reads[place]], function.hints[first_reads[place]]);
  const auto enter = [&](ValueId& value) { value = value == first_reads[place] ? loop.inside_in : value; };
  for (Piece& piece : body) visit_values(piece, enter, [](ValueId&) {});
  loop.body = std::move(body);
  replace(*sequence.pieces, windows[0], windows[0].length * windows.size(), std::move(loop));
}

}  // namespace bnc::source
