#include "frontend/onnx/import/refusals.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace bnc::onnx {

void Refusals::add(const OnnxNode& node, const std::string& reason, const std::string& help) {
  const std::string key = node.op_type + "\n" + reason;
  auto [found, is_new] = places_.try_emplace(key, entries_.size());
  if (is_new) entries_.push_back({reason, help, 0, node.describe()});
  ++entries_[found->second].count;
  ++count_;
}

void Refusals::raise(const OnnxModel& model) const {
  std::string text = fmt::format("{}: {} of {} nodes cannot be imported", *model.file, count_, model.graph.nodes.size());
  Diagnostic diagnostic{Severity::error, {}, std::move(text), {}};
  std::vector<std::string> advice;
  for (const Entry& entry : entries_) {
    diagnostic.note(
        fmt::format("{}{}: {}", entry.first, entry.count > 1 ? fmt::format(" and {} more", entry.count - 1) : "", entry.reason));
    if (!entry.help.empty() && std::find(advice.begin(), advice.end(), entry.help) == advice.end()) advice.push_back(entry.help);
  }
  for (const std::string& each : advice) diagnostic.help(each);
  throw CompileError(std::move(diagnostic));
}

}  // namespace bnc::onnx
