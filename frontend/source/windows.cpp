#include "frontend/source/windows.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace bnc::source {

namespace {

constexpr size_t longest = 48;   // pieces of a window

// A number over the structure of a growing run of pieces: values and variables count by the order of their first appearance.
class Structure {
 public:
  void add(const Piece& piece) {
    mix(static_cast<uint64_t>(piece.kind));
    if (piece.op) mix(piece.op->name);
    mix(static_cast<uint64_t>(piece.block), static_cast<uint64_t>(piece.kernel), piece.settings.size(), piece.variables.size());
    for (const Operand& operand : piece.operands) {
      mix(static_cast<uint64_t>(operand.kind), operand.told, static_cast<uint64_t>(operand.number), operand.values.size());
      if (operand.initializer) mix(to_string(Attribute(*operand.initializer)));
      for (const ValueId value : operand.values) use(value);
    }
    if (piece.kind == Piece::Kind::repeat) {
      values_.emplace(piece.inside_in, values_.size());
      for (const int variable : piece.variables) variables_.emplace(variable, variables_.size());
      for (const Piece& inner : piece.body) add(inner);
      use(piece.inside_out);
    }
    for (const Setting& setting : piece.settings) add(setting);
    for (const ValueId result : piece.results) values_.emplace(result, values_.size());
  }

  uint64_t hash() const { return hash_; }

 private:
  // What must be the same wherever the window stands; everything else may become a parameter.
  void add(const Setting& setting) {
    const auto variable = variables_.find(setting.parameter);
    if (!setting.is_literal() && variable != variables_.end())
      return mix(variable->second + 1, static_cast<uint64_t>(setting.form), static_cast<uint64_t>(setting.factor));
    const Symbol* symbol = setting.literal.get_if<Symbol>();
    const bool fixed = setting.is_literal() && ((symbol && !symbol->arguments.empty()) || setting.literal.get_if<NumberList>());
    mix(fixed ? to_string(setting.literal) : "");
  }

  void use(ValueId value) {
    const auto found = values_.emplace(value, values_.size());
    mix(found.first->second + 7);
  }

  void mix(uint64_t number) {
    hash_ = (hash_ ^ number) * 0x9e3779b97f4a7c15ull;
    hash_ ^= hash_ >> 29;
  }
  template <class... Numbers> void mix(uint64_t first, Numbers... others) {
    mix(first);
    (mix(static_cast<uint64_t>(others)), ...);
  }
  void mix(const std::string& text) {
    for (const char c : text) mix(static_cast<uint64_t>(static_cast<unsigned char>(c)));
    mix(text.size());
  }

  uint64_t hash_ = 0xcbf29ce484222325ull;
  std::unordered_map<ValueId, size_t> values_;
  std::unordered_map<int, size_t> variables_;
};

void collect_sequences(int function, std::vector<Piece>& pieces, std::vector<Sequence>& sequences) {
  for (Piece& piece : pieces)
    if (piece.kind == Piece::Kind::repeat) collect_sequences(function, piece.body, sequences);
  sequences.push_back({function, &pieces});
}

double cost_of(const Program& program, const Piece& piece) {
  if (piece.kind == Piece::Kind::repeat) {
    const double list = piece.variables.empty() ? 0.25 : 0.25 * static_cast<double>(piece.settings.size());
    return 1 + list + cost_of(program, piece.body.data(), piece.body.data() + piece.body.size());
  }
  double cost = piece.kind == Piece::Kind::op && is_infix(*piece.op) ? 0.75 : 1;
  std::vector<Slot> slots = slots_of(program, const_cast<Piece&>(piece));
  for (const Slot& slot : slots)
    if (!slot.setting->is_literal() || slot.setting->literal != slot.fallback) cost += 0.25;
  for (const Operand& operand : piece.operands) cost += operand.told || operand.initializer ? 0.25 : 0;
  return cost;
}

}  // namespace

std::vector<Sequence> sequences_of(Program& program) {
  std::vector<Sequence> sequences;
  for (size_t k = 0; k < program.functions.size(); ++k) collect_sequences(static_cast<int>(k), program.functions[k].body, sequences);
  return sequences;
}

std::vector<std::vector<Window>> alike_windows(const std::vector<Sequence>& sequences) {
  std::unordered_map<uint64_t, size_t> groups;
  std::vector<std::vector<Window>> windows;
  for (size_t s = 0; s < sequences.size(); ++s) {
    const std::vector<Piece>& pieces = *sequences[s].pieces;
    for (size_t begin = 0; begin < pieces.size(); ++begin) {
      Structure structure;
      for (size_t length = 1; length <= longest && begin + length <= pieces.size(); ++length) {
        structure.add(pieces[begin + length - 1]);
        const auto [group, is_new] = groups.emplace(structure.hash(), windows.size());
        if (is_new) windows.emplace_back();
        windows[group->second].push_back({static_cast<int>(s), begin, length});
      }
    }
  }
  std::erase_if(windows, [](const std::vector<Window>& group) { return group.size() < 2; });
  return windows;
}

std::vector<ValueId> externals_of(const Piece* begin, const Piece* end) {
  std::vector<ValueId> externals;
  std::unordered_set<ValueId> known;
  for (const Piece* piece = begin; piece != end; ++piece)
    visit_values(*piece,
                 [&](ValueId value) {
                   if (known.insert(value).second) externals.push_back(value);
                 },
                 [&](ValueId value) { known.insert(value); });
  return externals;
}

bool gives_one_value(const Piece* begin, const Piece* end, const std::vector<int>& uses) {
  std::unordered_map<ValueId, int> inside;
  for (const Piece* piece = begin; piece != end; ++piece)
    visit_values(*piece, [&](ValueId value) { ++inside[value]; }, [](ValueId) {});
  for (const Piece* piece = begin; piece != end; ++piece)
    for (const ValueId result : piece->results) {
      const bool is_output = piece + 1 == end && result == piece->results[0];
      if (!is_output && uses[result] != inside[result]) return false;
      if (is_output && uses[result] == 0) return false;
    }
  return true;
}

int uses_within(const Piece* begin, const Piece* end, ValueId value) {
  int count = 0;
  for (const Piece* piece = begin; piece != end; ++piece)
    visit_values(*piece, [&](ValueId used) { count += used == value; }, [](ValueId) {});
  return count;
}

double cost_of(const Program& program, const Piece* begin, const Piece* end) {
  double cost = 0;
  for (const Piece* piece = begin; piece != end; ++piece) cost += cost_of(program, *piece);
  return cost;
}

std::vector<Slot> open_slots(const Program& program, Piece* begin, Piece* end) {
  std::vector<int> variables;
  for (const Piece* piece = begin; piece != end; ++piece) collect_variables(*piece, variables);
  std::vector<Slot> slots;
  for (Piece* piece = begin; piece != end; ++piece)
    for (Slot& slot : slots_of(program, *piece)) {
      const int parameter = slot.setting->parameter;
      const bool own = parameter >= 0 && std::find(variables.begin(), variables.end(), parameter) != variables.end();
      if (!own) slots.push_back(std::move(slot));
    }
  return slots;
}

}  // namespace bnc::source
