#include "frontend/source/sentences.h"

#include <algorithm>

#include <fmt/format.h>

#include "frontend/source/words.h"

namespace bnc::source {

namespace {

constexpr int indent = 2;
constexpr const char* pool[] = {"h", "a", "b", "c", "d", "e", "f", "g"};
constexpr int never = 1 << 30;

int heavy_within(const Piece& piece, const std::map<ValueId, const Piece*>& nested) {
  int count = is_heavy(piece);
  for (const Operand& operand : piece.operands)
    for (const ValueId value : operand.values)
      if (const auto found = nested.find(value); found != nested.end()) count += heavy_within(*found->second, nested);
  return count;
}

}  // namespace

Sentences::Sentences(const Program& program, Function& function, int width, std::set<std::string> reserved,
                     std::map<ValueId, std::string> fixed, std::string batch)
    : program_(program), function_(function), width_(width), reserved_(std::move(reserved)), names_(std::move(fixed)),
      batch_(std::move(batch)), uses_(count_uses(function)) {
  std::set<std::string> taken = reserved_;
  for (const int parameter : function.settings) taken.insert(function.parameters[parameter].name);
  for (const auto& [value, name] : names_) taken.insert(name);
  name_variables(function.body, taken);
  for (const Parameter& parameter : function.parameters) reserved_.insert(parameter.name);
  for (const auto& [value, name] : names_) reserved_.insert(name);
}

// A loop's variable must not be called as what is known around it.
void Sentences::name_variables(Pieces& pieces, std::set<std::string> taken) {
  for (Piece& piece : pieces) {
    if (piece.kind != Piece::Kind::repeat) continue;
    std::set<std::string> inside = taken;
    for (const int variable : piece.variables) {
      const std::string stem = function_.parameters[variable].name;
      std::string name = is_reserved(stem) ? stem + "_value" : stem;
      for (int k = 2; !inside.insert(name).second; ++k) name = fmt::format("{}_{}", stem, k);
      function_.parameters[variable].name = name;
    }
    name_variables(piece.body, inside);
  }
}

std::vector<std::string> Sentences::body(const std::vector<bool>& returns, std::string& lines) {
  plan(function_.body, &returns);
  live(function_.body);
  for (const ValueId output : function_.outputs) {
    last_use_[output] = never;
    if (const auto nested = nested_.find(output); nested != nested_.end()) read_at(*nested->second, never);
  }
  now_ = 0;
  write(function_.body, 1, lines, nullptr);
  std::vector<std::string> outputs;
  for (const ValueId output : function_.outputs) outputs.push_back(render_value(output).text);
  return outputs;
}

// A value is nested where its only reader stands next, so that everything is still made in the same order.
bool Sentences::may_nest(const Piece& piece) const {
  if (piece.kind == Piece::Kind::repeat || (piece.kind == Piece::Kind::op && is_symbol(piece.op->name))) return false;
  for (size_t k = 1; k < piece.results.size(); ++k)
    if (uses_[piece.results[k]] > 0) return false;
  return uses_[piece.results[0]] == 1;
}

void Sentences::plan_reads(const Piece& piece, std::vector<const Piece*>& pending) {
  std::vector<ValueId> reads;
  for (const Operand& operand : piece.operands) reads.insert(reads.end(), operand.values.begin(), operand.values.end());
  size_t first = pending.size();
  for (size_t k = reads.size(); k-- > 0 && first > 0;)
    if (pending[first - 1]->results[0] == reads[k]) --first;
  for (size_t k = pending.size(); k-- > first;) nested_[pending[k]->results[0]] = pending[k];
  // Too long or too much for one line: names are given, first things first.
  bool unnested = false;
  for (size_t k = first; k < pending.size(); ++k) {
    const bool fits = static_cast<int>(render(piece).text.size()) + 16 <= width_ && heavy_within(piece, nested_) <= 1;
    if (fits) break;
    nested_.erase(pending[k]->results[0]);
    unnested = true;
  }
  pending.resize(unnested ? 0 : first);   // what is named comes behind everything that was called before it
  const bool reads_pending = std::any_of(reads.begin(), reads.end(), [&](ValueId value) {
    return std::any_of(pending.begin(), pending.end(), [&](const Piece* each) { return each->results[0] == value; });
  });
  if (reads_pending || piece.kind == Piece::Kind::repeat) pending.clear();
}

void Sentences::plan(const Pieces& pieces, const std::vector<bool>* returns) {
  std::vector<const Piece*> pending;
  for (const Piece& piece : pieces) {
    if (piece.kind == Piece::Kind::repeat) {
      pending.clear();
      plan(piece.body, nullptr);
      continue;
    }
    plan_reads(piece, pending);
    if (may_nest(piece)) pending.push_back(&piece);
    else pending.clear();
  }
  // What is returned stands behind `return` where it comes last; in a loop's body it is assigned.
  if (!returns) return;
  size_t first = pending.size();
  for (size_t k = function_.outputs.size(); k-- > 0 && first > 0;) {
    if (!(*returns)[k] || pending[first - 1]->results[0] != function_.outputs[k]) break;
    --first;
  }
  for (size_t k = first; k < pending.size(); ++k) nested_[pending[k]->results[0]] = pending[k];
}

// When each named value is read last; what a loop reads of its surroundings lives until it ends.
void Sentences::live(const Pieces& pieces) {
  for (const Piece& piece : pieces) {
    ++now_;
    if (piece.kind == Piece::Kind::repeat) {
      last_use_[piece.operands[0].values[0]] = now_;
      live(piece.body);
      const int end = ++now_;
      std::set<ValueId> own = {piece.inside_in};
      for (const Piece& inner : piece.body)
        visit_values(inner, [](ValueId) {}, [&](ValueId value) { own.insert(value); });
      for (const Piece& inner : piece.body)
        visit_values(inner, [&](ValueId value) { if (!own.contains(value)) last_use_[value] = end; }, [](ValueId) {});
      last_use_[piece.inside_out] = end;
      ends_[&piece] = end;
      continue;
    }
    if (!nested_.contains(piece.results[0])) read_at(piece, now_);
  }
}

// A nested call reads when the call around it does.
void Sentences::read_at(const Piece& piece, int time) {
  for (const Operand& operand : piece.operands)
    for (const ValueId value : operand.values) {
      last_use_[value] = time;
      if (const auto nested = nested_.find(value); nested != nested_.end()) read_at(*nested->second, time);
    }
}

void Sentences::take(ValueId value, const std::string& name) {
  names_[value] = name;
  holders_[name] = value;
}

std::string Sentences::name_for(ValueId value, int now) {
  const auto free = [&](const std::string& name) {
    if (reserved_.contains(name) || is_reserved(name)) return false;
    const auto holder = holders_.find(name);
    return holder == holders_.end() || last_use_[holder->second] <= now;
  };
  const std::string& hint = function_.hints[value];
  std::string chosen = !hint.empty() && free(hint) ? hint : "";
  for (const char* name : pool)
    if (chosen.empty() && free(name)) chosen = name;
  for (int k = 2; chosen.empty(); ++k)
    if (const std::string name = fmt::format("h{}", k); free(name)) chosen = name;
  take(value, chosen);
  return chosen;
}

void Sentences::write(const Pieces& pieces, int depth, std::string& lines, const std::string* carried) {
  for (const Piece& piece : pieces) {
    ++now_;
    if (piece.kind == Piece::Kind::repeat) {
      write_loop(piece, depth, lines);
    } else if (!nested_.contains(piece.results[0])) {
      const std::string text = render(piece).text;
      size_t named = 1;
      for (size_t k = 1; k < piece.results.size(); ++k)
        if (uses_[piece.results[k]] > 0) named = piece.results.size();
      std::vector<std::string> names;
      if (carried && &piece == &pieces.back()) take(piece.results[0], *carried);
      for (size_t k = 0; k < named; ++k) {
        const bool is_carried = carried && &piece == &pieces.back() && k == 0;
        if (named > 1) last_use_[piece.results[k]] = std::max(last_use_[piece.results[k]], now_ + 1);
        names.push_back(is_carried ? *carried : name_for(piece.results[k], now_));
      }
      lines += fmt::format("{:{}}{} = {}\n", "", depth * indent, fmt::join(names, ", "), text);
    }
    const bool last_loop = carried && &piece == &pieces.back() && piece.kind == Piece::Kind::repeat;
    if (last_loop && names_.at(piece.results[0]) != *carried)
      lines += fmt::format("{:{}}{} = {}\n", "", depth * indent, *carried, names_.at(piece.results[0]));
  }
}

std::string Sentences::loop_head(const Piece& loop) const {
  std::string head = "repeat";
  if (loop.variables.empty()) {
    head += " " + setting(loop.settings[0]);
  } else {
    std::vector<std::string> variables, rounds;
    for (const int variable : loop.variables) variables.push_back(function_.parameters[variable].name);
    for (size_t k = 0; k < loop.settings.size(); k += variables.size()) {
      std::vector<std::string> values;
      for (size_t v = 0; v < variables.size(); ++v) values.push_back(setting(loop.settings[k + v]));
      rounds.push_back(variables.size() == 1 ? values[0] : fmt::format("[{}]", fmt::join(values, ", ")));
    }
    head += fmt::format(" {} in [{}]", fmt::join(variables, ", "), fmt::join(rounds, ", "));
  }
  return head;
}

void Sentences::write_loop(const Piece& loop, int depth, std::string& lines) {
  const ValueId begin = loop.operands[0].values[0];
  std::string name = names_.at(begin);
  if (reserved_.contains(name) || last_use_[begin] > now_) {
    const std::string from = name;
    name = name_for(loop.inside_in, now_ - 1);
    lines += fmt::format("{:{}}{} = {}\n", "", depth * indent, name, from);
  }
  take(loop.inside_in, name);
  const int end = ends_.at(&loop);
  if (last_use_[loop.inside_in] == 0) last_use_[loop.inside_in] = now_;
  std::string inner;
  write(loop.body, depth + 1, inner, &name);
  now_ = end;
  take(loop.results[0], name);
  const std::string head = loop_head(loop);
  const std::string margin(static_cast<size_t>(depth * indent), ' ');
  const bool one_line = std::count(inner.begin(), inner.end(), '\n') == 1;
  if (one_line) {
    const size_t inner_margin = static_cast<size_t>((depth + 1) * indent);
    const std::string only = inner.substr(inner_margin, inner.size() - inner_margin - 1);
    const std::string line = fmt::format("{}{} {{ {} }}\n", margin, head, only);
    if (static_cast<int>(line.size()) <= width_) {
      lines += line;
      return;
    }
  }
  lines += fmt::format("{}{} {{\n{}{}}}\n", margin, head, inner, margin);
}

}  // namespace bnc::source
