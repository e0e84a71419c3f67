// What an ONNX file holds, in structures of our own. They are consistent whatever the file says: names are unique, every value
// that is read exists, nodes stand behind those they read, and a tensor has as many elements as its dimensions say.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

namespace bnc {

// An element type, with the number that ONNX has for it.
enum class OnnxType {
  undefined, f32, u8, i8, u16, i16, i32, i64, string, boolean, f16, f64, u32, u64, complex64, complex128, bf16,
  f8_e4m3fn, f8_e4m3fnuz, f8_e5m2, f8_e5m2fnuz, u4, i4, f4_e2m1, f8_e8m0
};
std::string to_string(OnnxType type);

using OnnxFile = std::shared_ptr<const std::string>;  // the path of a model, for its errors

// Constant data: an initializer, or an attribute of a node. A copy shares the elements.
struct OnnxTensor {
  std::string name;
  OnnxType type = OnnxType::undefined;
  std::vector<int64_t> dims;
  std::string_view bytes;             // the elements in row-major order, little-endian; none where the type is not readable
  std::shared_ptr<const void> owner;  // of the bytes
  OnnxFile file;

  int64_t element_count() const;
  // Whether there are elements to read: of real numbers, integers of 8 bits or more, or truth values.
  bool readable() const;
  bool is_integer() const;  // truth values are integers
  // The elements, rounded to f32. CompileError where the type is not readable.
  std::vector<float> floats() const;
  // The elements. CompileError where the type is no integer, or a number exceeds an int64.
  std::vector<int64_t> integers() const;
};

using OnnxAttribute = std::variant<float, int64_t, std::string, OnnxTensor, std::vector<float>, std::vector<int64_t>,
                                   std::vector<std::string>, std::vector<OnnxTensor>>;

struct OnnxNode {
  std::string op_type, domain;  // the domain of ONNX's own ops, `ai.onnx`, is empty
  std::string name;             // may be empty, or that of another node too
  std::vector<std::string> inputs, outputs;  // an empty name is an operand left out, or a result that nobody wants
  std::map<std::string, OnnxAttribute, std::less<>> attributes;
  // What no importer can take of this node (a subgraph, say), and what the user can do about it; empty of other nodes.
  std::string unsupported, advice;
  OnnxFile file;

  // "Conv node `conv1`", or "Conv node that makes `y`" where it has no name.
  std::string describe() const;
  bool has_input(size_t k) const { return k < inputs.size() && !inputs[k].empty(); }
  bool has_output(size_t k) const { return k < outputs.size() && !outputs[k].empty(); }
  // The attribute, or null where it is left out. CompileError where it is of another type.
  template <class T>
  const T* find(std::string_view attribute) const;
  template <class T>
  T get(std::string_view attribute, T otherwise) const {
    const T* found = find<T>(attribute);
    return found ? *found : otherwise;
  }
  // CompileError: the file, the node, `text`, and advice unless it is empty.
  [[noreturn]] void fail(const std::string& text, const std::string& help = "") const;
};

// A dimension of an input or output: a number, a symbol, or neither where nothing is known.
struct OnnxDim {
  std::optional<int64_t> size;  // not negative
  std::string symbol;
};

struct OnnxValue {
  std::string name;
  OnnxType type = OnnxType::undefined;
  std::optional<std::vector<OnnxDim>> dims;  // nothing where the file does not tell the rank
};

struct OnnxGraph {
  std::string name;
  std::vector<OnnxNode> nodes;          // topologically sorted; in the file's order where that is one
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValue> inputs;        // without those that an initializer gives a value
  std::vector<OnnxValue> outputs;

  const OnnxTensor* initializer(const std::string& name) const;

  std::unordered_map<std::string, size_t> initializer_index;  // made by check_onnx_graph
};

struct OnnxModel {
  OnnxFile file;
  int64_t ir_version = 0;
  std::string producer, producer_version;
  std::map<std::string, int64_t> opsets;  // by domain, that of ONNX's own ops being empty; 0 where the file names none
  std::map<std::string, std::string> metadata;
  OnnxGraph graph;

  int64_t opset(const std::string& domain = "") const;
};

// Reads a file; its tensors may lie in other files of its folder. CompileError where anything is wrong.
OnnxModel read_onnx(const std::string& path);
// Reads the bytes of a file, which errors call `name`. They have no folder, so that all tensors must lie in them.
OnnxModel parse_onnx(std::string_view bytes, const std::string& name);

}  // namespace bnc
