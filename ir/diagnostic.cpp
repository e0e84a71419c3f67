#include "ir/diagnostic.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>

namespace bnc {

std::string_view SourceFile::line(int line) const {
  std::string_view rest = text;
  for (int current = 1; current < line; ++current) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (!rest.empty() && rest.back() == '\r') rest.remove_suffix(1);
  return rest;
}

Diagnostic& Diagnostic::note(std::string text, SourceRange range) {
  attached.push_back(Diagnostic{Severity::note, std::move(range), std::move(text), {}});
  return *this;
}

Diagnostic& Diagnostic::help(std::string text, SourceRange range) {
  attached.push_back(Diagnostic{Severity::help, std::move(range), std::move(text), {}});
  return *this;
}

static const char* name_of(Severity severity) {
  switch (severity) {
    case Severity::error: return "error";
    case Severity::warning: return "warning";
    case Severity::note: return "note";
    case Severity::help: return "help";
  }
  return "";
}

// The source line and, under the range, `^~~~`. Columns count bytes; a UTF-8 continuation byte takes no room on the screen.
static std::string excerpt(const SourceRange& range) {
  std::string_view line = range.file->line(range.line);
  int column = range.column;
  // Of a very long line only the neighbourhood of the caret.
  constexpr int before = 80, longest = 200;
  if (line.size() > longest && column > before) {
    line.remove_prefix(column - before);
    while (!line.empty() && (line[0] & 0xC0) == 0x80) line.remove_prefix(1);
    column = range.column - static_cast<int>(line.data() - range.file->line(range.line).data());
  }
  if (line.size() > longest) {
    line = line.substr(0, longest);
    while (!line.empty() && (line.back() & 0x80)) line.remove_suffix(1);
  }
  std::string marks;
  for (int i = 0; i < std::max<int>(line.size(), column); ++i) {
    const char byte = i < static_cast<int>(line.size()) ? line[i] : ' ';
    if ((byte & 0xC0) == 0x80) continue;
    if (i + 1 == column) marks += '^';
    else if (i + 1 < column) marks += byte == '\t' ? '\t' : ' ';
    else if (i + 1 < column + range.length) marks += '~';
  }
  std::string shown(line);
  for (char& byte : shown)
    if ((byte >= 0 && byte < ' ' && byte != '\t') || byte == 0x7f) byte = '?';
  return fmt::format("{}\n{}\n", shown, marks);
}

std::string render(const Diagnostic& diagnostic) {
  const SourceRange& range = diagnostic.range;
  std::string text;
  if (range.file) text += range.file->path + ":";
  if (range.file && range.known()) text += fmt::format("{}:{}:", range.line, range.column);
  if (!text.empty()) text += " ";
  text += fmt::format("{}: {}\n", name_of(diagnostic.severity), diagnostic.text);
  if (range.file && range.known()) text += excerpt(range);
  for (const Diagnostic& attached : diagnostic.attached) text += render(attached);
  return text;
}

static std::string render_all(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += render(diagnostic);
  return text;
}

CompileError::CompileError(Diagnostic diagnostic) : CompileError(std::vector<Diagnostic>{std::move(diagnostic)}) {}

CompileError::CompileError(std::vector<Diagnostic> diagnostics)
    : std::runtime_error(render_all(diagnostics)), diagnostics_(std::move(diagnostics)) {}

void internal_check_failed(const char* condition, const char* file, int line, const std::string& detail) {
  const std::string_view path = file;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  throw InternalError(fmt::format("{}:{}: internal check failed: {}{}{}", name, line, condition, detail.empty() ? "" : ": ", detail));
}

// Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`; case does not count.
static size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + !same(a[i - 1], b[j - 1])});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  return cost[a.size()][b.size()];
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t longest = 255;  // comparing two names takes the product of their lengths
  if (name.size() > longest) return "";
  std::string nearest;
  size_t least = std::max<size_t>(name.size() / 3, 1) + 1;
  for (const std::string& candidate : candidates) {
    if (std::max(name.size(), candidate.size()) - std::min(name.size(), candidate.size()) >= least) continue;
    const size_t distance = edit_distance(name, candidate);
    if (distance < least && distance < std::max(name.size(), candidate.size())) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string nearest = nearest_name(name, candidates);
  if (!nearest.empty()) return fmt::format("did you mean `{}`?", nearest);
  return fmt::format("there {} {}", candidates.size() == 1 ? "is" : "are", fmt::join(candidates, ", "));
}

}  // namespace bnc
