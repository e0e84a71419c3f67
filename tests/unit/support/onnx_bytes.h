// ONNX files made by hand, in the wire format of protobuf: right ones and any wrong ones.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace bnc::test::onnx {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

inline std::string integer(int field, int64_t value) {
  return varint(static_cast<uint64_t>(field) << 3) + varint(static_cast<uint64_t>(value));
}
inline std::string bytes(int field, const std::string& value) {
  return varint(static_cast<uint64_t>(field) << 3 | 2) + varint(value.size()) + value;
}

template <class T>
std::string raw(const std::vector<T>& values) {
  std::string text(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(text.data(), values.data(), text.size());
  return text;
}

// The fields of TensorProto that describe it; its data follow.
inline std::string tensor_head(const std::string& name, int type, const std::vector<int64_t>& dims) {
  std::string text;
  for (const int64_t dim : dims) text += integer(1, dim);
  return text + integer(2, type) + bytes(8, name);
}
inline std::string raw_tensor(const std::string& name, int type, const std::vector<int64_t>& dims, const std::string& data) {
  return tensor_head(name, type, dims) + bytes(9, data);
}
inline std::string float_tensor(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& values) {
  return raw_tensor(name, 1, dims, raw(values));
}
inline std::string entry(const std::string& key, const std::string& value) { return bytes(1, key) + bytes(2, value); }
// A tensor of floats in another file.
inline std::string external_tensor(const std::string& name, const std::vector<int64_t>& dims,
                                   const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string text = tensor_head(name, 1, dims) + integer(14, 1);
  for (const auto& [key, value] : entries) text += bytes(13, entry(key, value));
  return text;
}

inline std::string attribute(const std::string& name, int type, const std::string& value) {
  return bytes(1, name) + integer(20, type) + value;
}

inline std::string node(const std::string& op, const std::string& name, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs, const std::vector<std::string>& attributes = {}) {
  std::string text;
  for (const std::string& input : inputs) text += bytes(1, input);
  for (const std::string& output : outputs) text += bytes(2, output);
  text += bytes(3, name) + bytes(4, op);
  for (const std::string& each : attributes) text += bytes(5, each);
  return text;
}

// An input or output; a dimension is the text of a TensorShapeProto.Dimension.
inline std::string value(const std::string& name, const std::vector<std::string>& dims, int type = 1) {
  std::string shape;
  for (const std::string& dim : dims) shape += bytes(1, dim);
  return bytes(1, name) + bytes(2, bytes(1, integer(1, type) + bytes(2, shape)));
}
inline std::string size(int64_t value) { return integer(1, value); }
inline std::string symbol(const std::string& name) { return bytes(2, name); }

struct GraphText {
  std::vector<std::string> nodes, initializers;
  std::vector<std::string> inputs = {value("x", {symbol("N"), size(2)})};
  std::vector<std::string> outputs = {value("y", {symbol("N"), size(2)})};
};

inline std::string graph_text(const GraphText& graph) {
  std::string text = bytes(2, "net");
  for (const std::string& each : graph.nodes) text += bytes(1, each);
  for (const std::string& each : graph.initializers) text += bytes(5, each);
  for (const std::string& each : graph.inputs) text += bytes(11, each);
  for (const std::string& each : graph.outputs) text += bytes(12, each);
  return text;
}

inline std::string opset(const std::string& domain, int64_t version) { return bytes(8, bytes(1, domain) + integer(2, version)); }

// A whole file, with further fields of ModelProto in `rest`.
inline std::string model(const GraphText& graph, const std::string& rest = "") {
  return integer(1, 8) + bytes(2, "by hand") + bytes(7, graph_text(graph)) + opset("", 13) + rest;
}

// x + w, with `w` given.
inline GraphText sum_with(const std::string& tensor) {
  return {.nodes = {node("Add", "sum", {"x", "w"}, {"y"})}, .initializers = {tensor}};
}

}  // namespace bnc::test::onnx
