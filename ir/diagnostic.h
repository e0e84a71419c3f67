// Source positions and the errors that point at them. Everything a user can cause to fail is a CompileError.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace bnc {

// The text of one .bn file, kept so that a diagnostic can show the line it speaks of.
struct SourceFile {
  std::string path;
  std::string text;

  // The text of 1-based line `line`, without its newline; empty past the end.
  std::string_view line(int line) const;
};

// A stretch of one source line. Line and column count from 1; a default-constructed range is "no place".
struct SourceRange {
  std::shared_ptr<const SourceFile> file;
  int line = 0;
  int column = 0;
  int length = 1;

  bool known() const { return line > 0; }
};

enum class Severity { error, warning, note, help };

// `FILE:LINE:COL: error: TEXT`, the source line and a caret, followed by notes and help of the same form.
struct Diagnostic {
  Severity severity = Severity::error;
  SourceRange range;
  std::string text;
  std::vector<Diagnostic> attached;

  Diagnostic& note(std::string text, SourceRange range = {});
  Diagnostic& help(std::string text, SourceRange range = {});
};

// The diagnostic as it is shown to the user, ending in a newline.
std::string render(const Diagnostic& diagnostic);

// What a user can cause: the input is wrong. Carries every diagnostic found in the run; what() renders them.
class CompileError : public std::runtime_error {
 public:
  explicit CompileError(Diagnostic diagnostic);
  explicit CompileError(std::vector<Diagnostic> diagnostics);
  explicit CompileError(std::string text) : CompileError(Diagnostic{Severity::error, {}, std::move(text), {}}) {}

  const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

// What only a bug in bnc can cause. The command line exits 70 on it and asks for a report.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws InternalError with the place of the check when `condition` does not hold.
void internal_check_failed(const char* condition, const char* file, int line, const std::string& detail);
#define BNC_CHECK(condition, ...)                                                              \
  do {                                                                                         \
    if (!(condition)) ::bnc::internal_check_failed(#condition, __FILE__, __LINE__, std::string(__VA_ARGS__)); \
  } while (false)

// The candidate nearest to `name` by edit distance, or an empty string when none is near enough to suggest.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);
// A help line for an unknown name: "did you mean `x`?", or all there are where none is near.
std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace bnc
