#include "frontend/report.h"

#include <algorithm>

#include <fmt/format.h>

namespace bnc {

void fail_at(const SourceRange& range, std::string text, const std::string& help) {
  Diagnostic diagnostic{Severity::error, range, std::move(text), {}};
  if (!help.empty()) diagnostic.help(help);
  throw CompileError(std::move(diagnostic));
}

SourceRange span(const SourceRange& first, const SourceRange& last) {
  SourceRange range = first;
  if (!first.file) return range;
  int end = last.line == first.line ? last.column + last.length : static_cast<int>(first.file->line(first.line).size()) + 1;
  range.length = std::max(first.length, end - first.column);
  return range;
}

namespace {

std::string nearest_candidate(const std::string& name, const std::vector<std::string>& candidates) {
  std::string near = nearest_name(name, candidates);
  if (!near.empty() || name.size() < 2) return near;
  for (const std::string& candidate : candidates) {
    if (!candidate.starts_with(name)) continue;
    if (!near.empty() && near != candidate) return "";
    near = candidate;
  }
  return near;
}

}  // namespace

std::string suggestion(const std::string& name, const std::vector<std::string>& candidates) {
  std::string near = nearest_candidate(name, candidates);
  return near.empty() ? "" : fmt::format("did you mean `{}`?", near);
}

std::string suggestion_or_list(const std::string& name, const std::vector<std::string>& candidates, const std::string& intro) {
  std::string help = suggestion(name, candidates);
  if (help.empty() && !candidates.empty() && candidates.size() <= 12) help = intro + " " + quoted_list(candidates, "and");
  return help;
}

std::string quoted_list(const std::vector<std::string>& names, const std::string& conjunction) {
  std::string text;
  for (size_t k = 0; k < names.size(); ++k) {
    if (k > 0) text += k + 1 == names.size() ? " " + conjunction + " " : ", ";
    text += "`" + names[k] + "`";
  }
  return text;
}

std::string counted(size_t count, const std::string& noun) { return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s"); }

void Reporter::add(const CompileError& error) {
  for (const Diagnostic& diagnostic : error.diagnostics()) {
    if (full()) return;
    const SourceRange& range = diagnostic.range;
    if (!range.known() || places_.insert({range.line, once_ == Once::a_line ? 0 : range.column}).second) diagnostics_.push_back(diagnostic);
  }
}

void Reporter::finish() const {
  if (!diagnostics_.empty()) throw CompileError(diagnostics_);
}

}  // namespace bnc
