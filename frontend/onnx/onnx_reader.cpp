// From protobuf's messages to the structures of onnx_model.h. No other file sees protobuf.
#include <charconv>
#include <concepts>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#define ONNX_ML 1
#include <onnx/onnx_pb.h>

#include "frontend/onnx/onnx_check.h"
#include "frontend/onnx/onnx_files.h"

namespace bnc {

namespace {

constexpr const char* subgraph_advice = "export the model without control flow: for one way through it, by tracing";
constexpr const char* function_advice = "expand functions first: onnx.inliner.inline_local_functions";
constexpr const char* sparse_advice = "bnc takes dense tensors: store them as such before exporting";

std::string checked_name(const OnnxFile& file, const std::string& name, const char* what) {
  check_onnx_name(file, name, what);
  return name;
}

std::string checked_text(const OnnxFile& file, const std::string& text, const char* what) {
  check_onnx_text(file, text, what);
  return text;
}

std::string op_domain(const OnnxFile& file, const std::string& domain) {
  return domain == "ai.onnx" ? "" : checked_name(file, domain, "the domain of an op");
}

// The whole of a text as an unsigned number.
std::optional<uint64_t> to_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Where a tensor lies that is not in the model itself.
OnnxLocation read_location(const onnx::TensorProto& proto, const OnnxTensor& tensor) {
  OnnxLocation location;
  for (const onnx::StringStringEntryProto& entry : proto.external_data()) {
    if (entry.key() == "location") location.path = checked_name(tensor.file, entry.value(), "the name of a file of external data");
    if (entry.key() != "offset" && entry.key() != "length") continue;
    const auto number = to_number(entry.value());
    if (!number)
      fail_onnx(tensor.file, fmt::format("tensor {} lies in another file, but its {} is no number", onnx_quoted(tensor.name), entry.key()),
                onnx_damaged);
    if (entry.key() == "offset") location.offset = *number;
    else location.length = number;
  }
  return location;
}

// The elements of a field of protobuf, as T, in the bytes that `raw_data` would have.
template <class T, class Field>
std::string to_raw(const OnnxTensor& tensor, const Field& field) {
  std::string raw;
  raw.reserve(static_cast<size_t>(field.size()) * sizeof(T));
  for (const auto element : field) {
    if constexpr (std::integral<T>) {
      if (!std::in_range<T>(element))
        fail_onnx(tensor.file, fmt::format("tensor {} holds {}, which is no {}", onnx_quoted(tensor.name), element, to_string(tensor.type)),
                  onnx_damaged);
    }
    const T value = static_cast<T>(element);
    raw.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  return raw;
}

std::string typed_elements(const onnx::TensorProto& proto, const OnnxTensor& tensor) {
  switch (tensor.type) {
    case OnnxType::f32: return to_raw<float>(tensor, proto.float_data());
    case OnnxType::f64: return to_raw<double>(tensor, proto.double_data());
    case OnnxType::i64: return to_raw<int64_t>(tensor, proto.int64_data());
    case OnnxType::u64: return to_raw<uint64_t>(tensor, proto.uint64_data());
    case OnnxType::u32: return to_raw<uint32_t>(tensor, proto.uint64_data());
    case OnnxType::i32: return to_raw<int32_t>(tensor, proto.int32_data());
    case OnnxType::i16: return to_raw<int16_t>(tensor, proto.int32_data());
    case OnnxType::i8: return to_raw<int8_t>(tensor, proto.int32_data());
    case OnnxType::u8: case OnnxType::boolean: return to_raw<uint8_t>(tensor, proto.int32_data());
    default: return to_raw<uint16_t>(tensor, proto.int32_data());  // uint16, and the bits of float16 and bfloat16
  }
}

// The elements of a tensor whose type and dimensions are known.
void read_elements(onnx::TensorProto& proto, OnnxExternalData& external, OnnxTensor& tensor) {
  if (!tensor.readable()) return;
  const uint64_t element_bytes = onnx_element_bytes(tensor.type), count = static_cast<uint64_t>(tensor.element_count());
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    OnnxBytes data = external.read(tensor, read_location(proto, tensor), count * element_bytes);
    tensor.bytes = data.bytes;
    tensor.owner = std::move(data.owner);
    return;
  }
  const bool raw = !proto.raw_data().empty();
  const auto owned = std::make_shared<const std::string>(raw ? std::move(*proto.mutable_raw_data()) : typed_elements(proto, tensor));
  if (owned->size() != count * element_bytes)
    fail_onnx(tensor.file, fmt::format("tensor {} of type {} and dimensions [{}] takes {} bytes, but has {}", onnx_quoted(tensor.name),
                                       to_string(tensor.type), fmt::join(tensor.dims, ", "), count * element_bytes, owned->size()),
              onnx_damaged);
  tensor.bytes = *owned;
  tensor.owner = owned;
}

// What a message holds, taken out of it.
class OnnxReader {
 public:
  OnnxReader(OnnxFile file, OnnxExternalData external) : file_(std::move(file)), external_(std::move(external)) {}
  OnnxModel read(onnx::ModelProto& proto);

 private:
  void read_opsets(const onnx::ModelProto& proto, OnnxModel& model);
  void check_opset(const OnnxModel& model);
  OnnxGraph read_graph(onnx::GraphProto& proto);
  OnnxNode read_node(onnx::NodeProto& proto);
  void read_attribute(onnx::AttributeProto& proto, OnnxNode& node);
  OnnxTensor read_tensor(onnx::TensorProto& proto);
  OnnxValue read_value(const onnx::ValueInfoProto& proto);
  OnnxDim read_dim(const onnx::TensorShapeProto::Dimension& proto, const std::string& what);

  OnnxFile file_;
  OnnxExternalData external_;
  std::set<std::pair<std::string, std::string>> functions_;  // domain and name of those that the model defines
};

OnnxTensor OnnxReader::read_tensor(onnx::TensorProto& proto) {
  OnnxTensor tensor{.name = checked_name(file_, proto.name(), "the name of a tensor"), .file = file_};
  const std::string what = "tensor " + onnx_quoted(tensor.name);
  tensor.type = onnx_type(file_, proto.data_type(), what);
  if (tensor.type == OnnxType::undefined) fail_onnx(file_, what + " has no element type", onnx_damaged);
  tensor.dims.assign(proto.dims().begin(), proto.dims().end());
  check_onnx_dims(tensor);
  if (proto.has_segment()) fail_onnx(file_, what + " is stored in segments", "no exporter writes these: export the model again");
  read_elements(proto, external_, tensor);
  return tensor;
}

// Files of the first versions do not name an attribute's type; the field that is filled tells it.
onnx::AttributeProto::AttributeType attribute_kind(const onnx::AttributeProto& proto) {
  using Attribute = onnx::AttributeProto;
  if (proto.type() != Attribute::UNDEFINED) return proto.type();
  if (proto.has_f()) return Attribute::FLOAT;
  if (proto.has_i()) return Attribute::INT;
  if (proto.has_s()) return Attribute::STRING;
  if (proto.has_t()) return Attribute::TENSOR;
  if (proto.has_g()) return Attribute::GRAPH;
  if (proto.floats_size() > 0) return Attribute::FLOATS;
  if (proto.ints_size() > 0) return Attribute::INTS;
  if (proto.strings_size() > 0) return Attribute::STRINGS;
  if (proto.tensors_size() > 0) return Attribute::TENSORS;
  if (proto.graphs_size() > 0) return Attribute::GRAPHS;
  return Attribute::UNDEFINED;
}

void OnnxReader::read_attribute(onnx::AttributeProto& proto, OnnxNode& node) {
  const std::string name = checked_name(file_, proto.name(), "the name of an attribute");
  const auto refuse = [&](const char* what, const char* advice) {
    node.unsupported = fmt::format("attribute {} {}", onnx_quoted(name), what);
    node.advice = advice;
  };
  const auto keep = [&](OnnxAttribute value) {
    if (!node.attributes.emplace(name, std::move(value)).second)
      node.fail(fmt::format("attribute {} is given twice", onnx_quoted(name)), onnx_damaged);
  };
  if (!proto.ref_attr_name().empty()) return refuse("refers to an attribute of a function", function_advice);
  switch (attribute_kind(proto)) {
    case onnx::AttributeProto::FLOAT: return keep(proto.f());
    case onnx::AttributeProto::INT: return keep(int64_t{proto.i()});
    case onnx::AttributeProto::STRING: return keep(std::move(*proto.mutable_s()));
    case onnx::AttributeProto::TENSOR: return keep(read_tensor(*proto.mutable_t()));
    case onnx::AttributeProto::FLOATS: return keep(std::vector<float>(proto.floats().begin(), proto.floats().end()));
    case onnx::AttributeProto::INTS: return keep(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
    case onnx::AttributeProto::STRINGS: return keep(std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
    case onnx::AttributeProto::TENSORS: {
      std::vector<OnnxTensor> tensors;
      for (onnx::TensorProto& tensor : *proto.mutable_tensors()) tensors.push_back(read_tensor(tensor));
      return keep(std::move(tensors));
    }
    case onnx::AttributeProto::GRAPH: case onnx::AttributeProto::GRAPHS: return refuse("is a subgraph", subgraph_advice);
    case onnx::AttributeProto::SPARSE_TENSOR: case onnx::AttributeProto::SPARSE_TENSORS:
      return refuse("is a sparse tensor", sparse_advice);
    default: return refuse("is of a type that bnc does not know", "export the model for opset 21 or earlier");
  }
}

OnnxNode OnnxReader::read_node(onnx::NodeProto& proto) {
  OnnxNode node{.op_type = checked_name(file_, proto.op_type(), "the op of a node"),
                .domain = op_domain(file_, proto.domain()),
                .name = checked_name(file_, proto.name(), "the name of a node"),
                .file = file_};
  for (const std::string& input : proto.input()) node.inputs.push_back(checked_name(file_, input, "the name of a value"));
  for (const std::string& output : proto.output()) node.outputs.push_back(checked_name(file_, output, "the name of a value"));
  if (node.op_type.empty()) node.fail("it does not say which op it is", onnx_damaged);
  if (functions_.contains({node.domain, node.op_type})) {
    node.unsupported = "it calls a function that the model defines";
    node.advice = function_advice;
  }
  for (onnx::AttributeProto& attribute : *proto.mutable_attribute()) read_attribute(attribute, node);
  return node;
}

OnnxDim OnnxReader::read_dim(const onnx::TensorShapeProto::Dimension& proto, const std::string& what) {
  if (proto.has_dim_param()) return {.size = {}, .symbol = checked_name(file_, proto.dim_param(), "the symbol of a dimension")};
  if (!proto.has_dim_value() || proto.dim_value() == -1) return {};  // some exporters write -1 for what they do not know
  if (proto.dim_value() < 0)
    fail_onnx(file_, fmt::format("{} has the dimension {}", what, proto.dim_value()), onnx_damaged);
  return {.size = proto.dim_value(), .symbol = {}};
}

OnnxValue OnnxReader::read_value(const onnx::ValueInfoProto& proto) {
  OnnxValue value{.name = checked_name(file_, proto.name(), "the name of a value")};
  const std::string what = "value " + onnx_quoted(value.name);
  const onnx::TypeProto& type = proto.type();
  if (type.value_case() == onnx::TypeProto::VALUE_NOT_SET) return value;
  if (!type.has_tensor_type())
    fail_onnx(file_, what + " is no tensor but a sequence, a map or the like",
              "networks take and give tensors: export the model without it (skl2onnx: zipmap=False)");
  value.type = onnx_type(file_, type.tensor_type().elem_type(), what);
  if (!type.tensor_type().has_shape()) return value;
  for (const auto& dim : type.tensor_type().shape().dim()) {
    if (!value.dims) value.dims.emplace();
    value.dims->push_back(read_dim(dim, what));
  }
  if (!value.dims) value.dims.emplace();  // a scalar
  return value;
}

OnnxGraph OnnxReader::read_graph(onnx::GraphProto& proto) {
  OnnxGraph graph{.name = checked_name(file_, proto.name(), "the name of the graph")};
  if (proto.sparse_initializer_size() > 0)
    fail_onnx(file_, fmt::format("it has sparse initializers, {} of them", proto.sparse_initializer_size()), sparse_advice);
  for (onnx::NodeProto& node : *proto.mutable_node()) graph.nodes.push_back(read_node(node));
  for (onnx::TensorProto& tensor : *proto.mutable_initializer()) graph.initializers.push_back(read_tensor(tensor));
  for (const onnx::ValueInfoProto& value : proto.input()) graph.inputs.push_back(read_value(value));
  for (const onnx::ValueInfoProto& value : proto.output()) graph.outputs.push_back(read_value(value));
  check_onnx_graph(graph, file_);
  return graph;
}

void OnnxReader::read_opsets(const onnx::ModelProto& proto, OnnxModel& model) {
  for (const onnx::OperatorSetIdProto& opset : proto.opset_import()) {
    const std::string domain = op_domain(file_, opset.domain());
    const auto [entry, is_new] = model.opsets.emplace(domain, opset.version());
    if (opset.version() < 1 || (!is_new && entry->second != opset.version()))
      fail_onnx(file_, fmt::format("it names opset {} of domain {}, which is none or contradicts another", opset.version(),
                                   onnx_quoted(domain)), onnx_damaged);
  }
  if (model.ir_version < 3) model.opsets.try_emplace("", 1);  // files of that time name none
}

// The meaning of an op depends on the opset.
void OnnxReader::check_opset(const OnnxModel& model) {
  if (model.opset() > 0) return;
  for (const OnnxNode& node : model.graph.nodes)
    if (node.domain.empty()) node.fail("the file does not say of which opset it is", onnx_damaged);
}

OnnxModel OnnxReader::read(onnx::ModelProto& proto) {
  OnnxModel model{.file = file_,
                  .ir_version = proto.ir_version(),
                  .producer = checked_text(file_, proto.producer_name(), "the name of its producer"),
                  .producer_version = checked_text(file_, proto.producer_version(), "the version of its producer")};
  if (!proto.has_graph() || model.ir_version < 1)
    fail_onnx(file_, "no ONNX model: it holds no graph or names no version of the format", "is it the right file?");
  read_opsets(proto, model);
  for (const onnx::StringStringEntryProto& entry : proto.metadata_props())
    model.metadata[checked_text(file_, entry.key(), "a key in its metadata")] = checked_text(file_, entry.value(), "its metadata");
  for (const onnx::FunctionProto& function : proto.functions()) functions_.emplace(op_domain(file_, function.domain()), function.name());
  model.graph = read_graph(*proto.mutable_graph());
  check_opset(model);
  return model;
}

OnnxModel read_model(std::string_view bytes, const OnnxFile& file, OnnxExternalData external) {
  constexpr size_t most = std::numeric_limits<int>::max();
  if (bytes.size() > most)
    fail_onnx(file, fmt::format("it has {} bytes; a file of protobuf ends at 2 GiB", bytes.size()),
              "store the weights beside it: onnx.save_model(model, path, save_as_external_data=True)");
  if (bytes.starts_with("version https://git-lfs"))
    fail_onnx(file, "no ONNX model but a pointer of Git LFS to one", "fetch it: git lfs pull");
  if (bytes.starts_with("PK\3\4"))
    fail_onnx(file, "no ONNX model but a zip archive", "unpack it; a PyTorch checkpoint is read with `--model M.bn`");
  onnx::ModelProto proto;
  // The checks of complete messages, which print, have nothing to do: ONNX requires no field.
  if (bytes.empty() || !proto.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size())))
    fail_onnx(file, "no ONNX model, or one that is cut short, damaged, or nested more than 100 deep", "is it the right file, and whole?");
  return OnnxReader(file, std::move(external)).read(proto);
}

}  // namespace

OnnxModel read_onnx(const std::string& path) {
  const OnnxBytes file = read_onnx_bytes(path);
  const OnnxFile name = std::make_shared<const std::string>(path);
  return read_model(file.bytes, name, OnnxExternalData(name));
}

OnnxModel parse_onnx(std::string_view bytes, const std::string& name) {
  return read_model(bytes, std::make_shared<const std::string>(name), {});
}

}  // namespace bnc
