// How the frontend makes and collects diagnostics.
#pragma once

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ir/diagnostic.h"

namespace bnc {

// A CompileError of one diagnostic; `help` is attached unless empty.
[[noreturn]] void fail_at(const SourceRange& range, std::string text, const std::string& help = "");

// From the start of `first` to the end of `last`, or to the end of the first line where they stand on different ones.
SourceRange span(const SourceRange& first, const SourceRange& last);

// "did you mean `relu`?" by spelling, or by being the beginning of exactly one candidate; else empty.
std::string suggestion(const std::string& name, const std::vector<std::string>& candidates);
// The suggestion, or where there is none a list of the candidates after `intro`, when they are few.
std::string suggestion_or_list(const std::string& name, const std::vector<std::string>& candidates, const std::string& intro);

// "a, b or c", each in backquotes.
std::string quoted_list(const std::vector<std::string>& names, const std::string& conjunction = "or");
// "1 operand", "2 operands".
std::string counted(size_t count, const std::string& noun);

// Collects diagnostics: one a place, because what a loop or a block repeats is one mistake; of syntax errors one a line,
// because a second one there mostly follows from the first.
class Reporter {
 public:
  enum class Once { a_place, a_line };
  explicit Reporter(Once once = Once::a_place) : once_(once) {}
  void add(const CompileError& error);
  bool empty() const { return diagnostics_.empty(); }
  bool full() const { return diagnostics_.size() >= 20; }
  // Throws what was collected, if anything.
  void finish() const;

 private:
  std::vector<Diagnostic> diagnostics_;
  std::set<std::tuple<int, int>> places_;
  Once once_;
};

}  // namespace bnc
