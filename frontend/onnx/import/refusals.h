// Nodes that cannot be imported, which one error lists.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "frontend/onnx/onnx_model.h"

namespace bnc::onnx {

// Nodes of one op that are refused for the same reason share a note.
class Refusals {
 public:
  void add(const OnnxNode& node, const std::string& reason, const std::string& help);
  bool empty() const { return entries_.empty(); }
  // CompileError with a note for each kind, and all advice.
  [[noreturn]] void raise(const OnnxModel& model) const;

 private:
  struct Entry {
    std::string reason, help;
    int count;
    std::string first;
  };
  std::vector<Entry> entries_;
  std::map<std::string, size_t> places_;   // by op and reason
  int count_ = 0;
};

}  // namespace bnc::onnx
