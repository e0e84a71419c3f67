#include "frontend/onnx/onnx_model.h"

#include <bit>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "frontend/onnx/onnx_check.h"
#include "ir/small_floats.h"

namespace bnc {

static_assert(std::endian::native == std::endian::little, "elements are read as they stand in a file");

namespace {

constexpr const char* type_names[] = {"undefined", "float", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool",
                                      "float16", "double", "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8e4m3fn",
                                      "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1", "float8e8m0"};

struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

float to_float(Float16 value) { return float_of_half(value.bits); }
float to_float(BFloat16 value) { return float_of_bfloat16(value.bits); }

template <class T>
float to_float(T value) {
  return static_cast<float>(value);
}

// Calls `use` with each element as one of T.
template <class T, class Use>
void each_as(std::string_view bytes, Use&& use) {
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof(T));
    use(value);
  }
}

template <class Use>
void each_element(const OnnxTensor& tensor, Use&& use) {
  switch (tensor.type) {
    case OnnxType::f32: return each_as<float>(tensor.bytes, use);
    case OnnxType::f64: return each_as<double>(tensor.bytes, use);
    case OnnxType::f16: return each_as<Float16>(tensor.bytes, use);
    case OnnxType::bf16: return each_as<BFloat16>(tensor.bytes, use);
    case OnnxType::i8: return each_as<int8_t>(tensor.bytes, use);
    case OnnxType::i16: return each_as<int16_t>(tensor.bytes, use);
    case OnnxType::i32: return each_as<int32_t>(tensor.bytes, use);
    case OnnxType::i64: return each_as<int64_t>(tensor.bytes, use);
    case OnnxType::u8: return each_as<uint8_t>(tensor.bytes, use);
    case OnnxType::u16: return each_as<uint16_t>(tensor.bytes, use);
    case OnnxType::u32: return each_as<uint32_t>(tensor.bytes, use);
    case OnnxType::u64: return each_as<uint64_t>(tensor.bytes, use);
    case OnnxType::boolean: return each_as<uint8_t>(tensor.bytes, [&](uint8_t value) { use(static_cast<uint8_t>(value != 0)); });
    default: return;
  }
}

std::string onnx_tensor(const OnnxTensor& tensor) {
  return tensor.name.empty() ? "a tensor without a name" : "tensor " + onnx_quoted(tensor.name);
}

template <class T>
std::string onnx_attribute_type() {
  if constexpr (std::is_same_v<T, float>) return "a number";
  if constexpr (std::is_same_v<T, int64_t>) return "an integer";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (std::is_same_v<T, OnnxTensor>) return "a tensor";
  if constexpr (std::is_same_v<T, std::vector<float>>) return "a list of numbers";
  if constexpr (std::is_same_v<T, std::vector<int64_t>>) return "a list of integers";
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return "a list of strings";
  return "a list of tensors";
}

}  // namespace

std::string to_string(OnnxType type) { return type_names[static_cast<size_t>(type)]; }

size_t onnx_element_bytes(OnnxType type) {
  switch (type) {
    case OnnxType::u8: case OnnxType::i8: case OnnxType::boolean: return 1;
    case OnnxType::u16: case OnnxType::i16: case OnnxType::f16: case OnnxType::bf16: return 2;
    case OnnxType::f32: case OnnxType::u32: case OnnxType::i32: return 4;
    case OnnxType::f64: case OnnxType::u64: case OnnxType::i64: return 8;
    default: return 0;
  }
}

OnnxType onnx_type(const OnnxFile& file, int number, const std::string& what) {
  if (number < 0 || static_cast<size_t>(number) >= std::size(type_names))
    fail_onnx(file, fmt::format("{} has elements of type number {}, which is not known", what, number), "bnc knows the types of ONNX 1.18");
  return static_cast<OnnxType>(number);
}

int64_t OnnxTensor::element_count() const {
  int64_t count = 1;
  for (const int64_t dim : dims) count *= dim;  // check_onnx_dims has excluded an overflow
  return count;
}

bool OnnxTensor::readable() const { return onnx_element_bytes(type) > 0; }

bool OnnxTensor::is_integer() const {
  return readable() && type != OnnxType::f32 && type != OnnxType::f64 && type != OnnxType::f16 && type != OnnxType::bf16;
}

std::vector<float> OnnxTensor::floats() const {
  if (!readable())
    fail_onnx(file, fmt::format("{} has elements of type {}", onnx_tensor(*this), to_string(type)),
              "bnc computes with f32; convert the model to float first");
  std::vector<float> values;
  values.reserve(static_cast<size_t>(element_count()));
  each_element(*this, [&](auto value) { values.push_back(to_float(value)); });
  return values;
}

std::vector<int64_t> OnnxTensor::integers() const {
  if (!is_integer())
    fail_onnx(file, fmt::format("{} has elements of type {} where integers are needed", onnx_tensor(*this), to_string(type)));
  std::vector<int64_t> values;
  values.reserve(static_cast<size_t>(element_count()));
  each_element(*this, [&](auto value) {
    if constexpr (std::is_integral_v<decltype(value)>) {
      if (!std::in_range<int64_t>(value)) fail_onnx(file, fmt::format("{} holds {}, which exceeds an int64", onnx_tensor(*this), value));
      values.push_back(static_cast<int64_t>(value));
    }
  });
  return values;
}

std::string OnnxNode::describe() const {
  const std::string op = onnx_shortened(op_type) + " node";
  if (!name.empty()) return op + " " + onnx_quoted(name);
  for (const std::string& output : outputs)
    if (!output.empty()) return op + " that makes " + onnx_quoted(output);
  return op + " without a name";
}

void OnnxNode::fail(const std::string& text, const std::string& help) const { fail_onnx(file, describe() + ": " + text, help); }

template <class T>
const T* OnnxNode::find(std::string_view attribute) const {
  const auto found = attributes.find(attribute);
  if (found == attributes.end()) return nullptr;
  if (const T* value = std::get_if<T>(&found->second)) return value;
  const auto type_of = [](const auto& value) { return onnx_attribute_type<std::decay_t<decltype(value)>>(); };
  const std::string given = std::visit(type_of, found->second);
  fail(fmt::format("attribute {} is {} where {} is needed", onnx_quoted(attribute), given, onnx_attribute_type<T>()));
}

template const float* OnnxNode::find(std::string_view) const;
template const int64_t* OnnxNode::find(std::string_view) const;
template const std::string* OnnxNode::find(std::string_view) const;
template const OnnxTensor* OnnxNode::find(std::string_view) const;
template const std::vector<float>* OnnxNode::find(std::string_view) const;
template const std::vector<int64_t>* OnnxNode::find(std::string_view) const;
template const std::vector<std::string>* OnnxNode::find(std::string_view) const;
template const std::vector<OnnxTensor>* OnnxNode::find(std::string_view) const;

const OnnxTensor* OnnxGraph::initializer(const std::string& name) const {
  const auto found = initializer_index.find(name);
  return found == initializer_index.end() ? nullptr : &initializers[found->second];
}

int64_t OnnxModel::opset(const std::string& domain) const {
  const auto found = opsets.find(domain);
  return found == opsets.end() ? 0 : found->second;
}

}  // namespace bnc
