#include "frontend/onnx/onnx_check.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <unordered_set>

#include <fmt/format.h>

#include "frontend/report.h"
#include "ir/shape_limits.h"
#include "ir/utf8.h"

namespace bnc {

namespace {

// Every value has one name and one origin. The views are into the graph.
class OnnxOrigins {
 public:
  static constexpr size_t given = ~size_t{0};  // an input or an initializer

  OnnxOrigins(const OnnxGraph& graph, const OnnxFile& file) : file_(file) {
    for (const OnnxValue& input : graph.inputs) add(input.name, given, [] { return "an input"; });
    for (const OnnxTensor& tensor : graph.initializers) add(tensor.name, given, [] { return "an initializer"; });
    for (size_t k = 0; k < graph.nodes.size(); ++k)
      for (const std::string& output : graph.nodes[k].outputs)
        if (!output.empty()) add(output, k, [&] { return "a result of the " + graph.nodes[k].describe(); });
  }

  // The node that makes a value, or `given`; null where there is no such value.
  const size_t* origin(const std::string& name) const {
    const auto found = origins_.find(name);
    return found == origins_.end() ? nullptr : &found->second;
  }

 private:
  template <class What>
  void add(const std::string& name, size_t origin, What&& what) {
    if (name.empty()) fail_onnx(file_, fmt::format("{} has no name", what()), onnx_damaged);
    if (!origins_.try_emplace(name, origin).second)
      fail_onnx(file_, fmt::format("value {} is {}, but another value has that name", onnx_quoted(name), what()), onnx_damaged);
  }

  const OnnxFile& file_;
  std::unordered_map<std::string_view, size_t> origins_;
};

// Of nodes of which none can come first: a node that reads what is computed from its own result.
[[noreturn]] void fail_onnx_cycle(const OnnxGraph& graph, const OnnxOrigins& values, const std::vector<size_t>& waiting) {
  const auto blocking = [&](size_t k) -> const std::string& {
    return *std::ranges::find_if(graph.nodes[k].inputs, [&](const std::string& input) {
      const size_t* origin = input.empty() ? nullptr : values.origin(input);
      return origin && *origin != OnnxOrigins::given && waiting[*origin] > 0;
    });
  };
  size_t at = static_cast<size_t>(std::ranges::find_if(waiting, [](size_t count) { return count > 0; }) - waiting.begin());
  std::unordered_set<size_t> seen;
  while (seen.insert(at).second) at = *values.origin(blocking(at));
  graph.nodes[at].fail(fmt::format("its operand {} is computed from its own result: the graph has a cycle", onnx_quoted(blocking(at))),
                       onnx_damaged);
}

// Which nodes read what each node makes, and how many operands of each are made by nodes.
struct OnnxReaders {
  std::vector<std::vector<size_t>> of;
  std::vector<size_t> waiting;

  OnnxReaders(const OnnxGraph& graph, const OnnxOrigins& values) : of(graph.nodes.size()), waiting(graph.nodes.size(), 0) {
    for (size_t k = 0; k < graph.nodes.size(); ++k) {
      for (const std::string& input : graph.nodes[k].inputs) {
        if (input.empty()) continue;
        const size_t* origin = values.origin(input);
        if (!origin) graph.nodes[k].fail(fmt::format("there is no value {}, which it reads", onnx_quoted(input)), onnx_damaged);
        if (*origin == OnnxOrigins::given) continue;
        of[*origin].push_back(k);
        ++waiting[k];
      }
    }
  }
};

// Of the nodes that can come next always the first of the file.
std::vector<size_t> sorted_onnx_nodes(const OnnxGraph& graph, const OnnxOrigins& values) {
  OnnxReaders readers(graph, values);
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t k = 0; k < graph.nodes.size(); ++k)
    if (readers.waiting[k] == 0) ready.push(k);
  std::vector<size_t> order;
  while (!ready.empty()) {
    const size_t next = ready.top();
    ready.pop();
    order.push_back(next);
    for (const size_t reader : readers.of[next])
      if (--readers.waiting[reader] == 0) ready.push(reader);
  }
  if (order.size() < graph.nodes.size()) fail_onnx_cycle(graph, values, readers.waiting);
  return order;
}

void check_onnx_outputs(const OnnxGraph& graph, const OnnxOrigins& values, const OnnxFile& file) {
  std::unordered_set<std::string_view> seen;
  for (const OnnxValue& output : graph.outputs) {
    if (!values.origin(output.name))
      fail_onnx(file, fmt::format("there is no value {}, which is an output", onnx_quoted(output.name)), onnx_damaged);
    if (!seen.insert(output.name).second)
      fail_onnx(file, fmt::format("output {} is listed twice", onnx_quoted(output.name)), onnx_damaged);
  }
}

}  // namespace

void fail_onnx(const OnnxFile& file, const std::string& text, const std::string& help) { fail_at({}, *file + ": " + text, help); }

std::string onnx_shortened(std::string_view name) {
  constexpr size_t longest = 100;
  if (name.size() <= longest) return std::string(name);
  size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // between characters
  return fmt::format("{}...", name.substr(0, end));
}

std::string onnx_quoted(std::string_view name) { return fmt::format("`{}`", onnx_shortened(name)); }

void check_onnx_text(const OnnxFile& file, std::string_view text, const std::string& what) {
  if (const auto at = first_not_utf8(text)) fail_onnx(file, fmt::format("{} is no UTF-8 at byte {}", what, *at), onnx_damaged);
}

void check_onnx_name(const OnnxFile& file, std::string_view name, const std::string& what) {
  check_onnx_text(file, name, what);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(name, is_control)) fail_onnx(file, fmt::format("{} holds a control character", what), onnx_damaged);
}

void check_onnx_dims(const OnnxTensor& tensor) {
  const std::string what = "tensor " + onnx_quoted(tensor.name);
  if (tensor.dims.size() > max_rank)
    fail_onnx(tensor.file, fmt::format("{} has {} dimensions; bnc takes at most {}", what, tensor.dims.size(), max_rank));
  int64_t count = 1;
  for (const int64_t dim : tensor.dims) {
    if (dim < 0) fail_onnx(tensor.file, fmt::format("{} has the dimension {}", what, dim), onnx_damaged);
    if (__builtin_mul_overflow(count, std::max<int64_t>(dim, 1), &count) || count > int64_t{1} << 59)
      fail_onnx(tensor.file, fmt::format("{} of dimensions [{}] is too large", what, fmt::join(tensor.dims, ", ")), onnx_damaged);
  }
}

void check_onnx_graph(OnnxGraph& graph, const OnnxFile& file) {
  if (graph.nodes.empty()) fail_onnx(file, "its graph has no nodes", "export the model again; this file computes nothing");
  if (graph.outputs.empty()) fail_onnx(file, "its graph has no outputs", "export the model again; this file computes nothing");
  for (size_t k = 0; k < graph.initializers.size(); ++k) graph.initializer_index.try_emplace(graph.initializers[k].name, k);
  std::erase_if(graph.inputs, [&](const OnnxValue& input) { return graph.initializer_index.contains(input.name); });

  const OnnxOrigins values(graph, file);
  check_onnx_outputs(graph, values, file);
  const std::vector<size_t> order = sorted_onnx_nodes(graph, values);
  std::vector<OnnxNode> nodes;
  for (const size_t k : order) nodes.push_back(std::move(graph.nodes[k]));
  graph.nodes = std::move(nodes);
}

}  // namespace bnc
