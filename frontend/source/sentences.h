// Which calls are nested in others, and what the values that are not are called.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "frontend/source/program.h"

namespace bnc::source {

// The text of a call.
struct Rendered {
  std::string text;
  int level;   // 1 a sum, 2 a product, 3 a minus, 4 anything else
};

// Writes one function's body, line by line.
class Sentences {
 public:
  // `reserved` are names that no value may have; `fixed` are names of values that stand.
  Sentences(const Program& program, Function& function, int width, std::set<std::string> reserved, std::map<ValueId, std::string> fixed,
            std::string batch);

  // Appends the lines and returns the text of each output; `returns` says which of these may be calls.
  std::vector<std::string> body(const std::vector<bool>& returns, std::string& lines);
  std::string setting(const Setting& setting) const;

 private:
  using Pieces = std::vector<Piece>;
  void plan(const Pieces& pieces, const std::vector<bool>* returns);
  void plan_reads(const Piece& piece, std::vector<const Piece*>& pending);
  bool may_nest(const Piece& piece) const;
  void live(const Pieces& pieces);
  void read_at(const Piece& piece, int time);
  void write(const Pieces& pieces, int depth, std::string& lines, const std::string* carried);
  std::string loop_head(const Piece& loop) const;
  void write_loop(const Piece& loop, int depth, std::string& lines);
  void name_variables(Pieces& pieces, std::set<std::string> taken);
  std::string name_for(ValueId value, int now);
  void take(ValueId value, const std::string& name);

  Rendered render(const Piece& piece) const;
  Rendered render_value(ValueId value) const;
  std::string render_operand(const Piece& piece, const Operand& operand, int level) const;
  std::string arguments(const Piece& piece) const;
  std::string block_arguments(const Piece& piece) const;

  const Program& program_;
  Function& function_;
  int width_;
  std::set<std::string> reserved_;
  std::map<ValueId, std::string> names_;
  std::string batch_;
  std::vector<int> uses_;
  std::map<ValueId, const Piece*> nested_;
  std::map<ValueId, int> last_use_;
  std::map<const Piece*, int> ends_;
  std::map<std::string, ValueId> holders_;
  int now_ = 0;
};

}  // namespace bnc::source
