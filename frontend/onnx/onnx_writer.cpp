// From the structures of onnx_model.h to protobuf's messages.
#include "frontend/onnx/onnx_writer.h"

#include <type_traits>

#include <fmt/format.h>

#define ONNX_ML 1
#include <onnx/onnx_pb.h>

#include "frontend/onnx/onnx_check.h"
#include "ir/diagnostic.h"

namespace bnc {

namespace {

void write_tensor(const OnnxTensor& tensor, onnx::TensorProto& proto) {
  proto.set_name(tensor.name);
  proto.set_data_type(static_cast<int>(tensor.type));
  for (const int64_t dim : tensor.dims) proto.add_dims(dim);
  BNC_CHECK(tensor.readable() && tensor.bytes.size() == static_cast<size_t>(tensor.element_count()) * onnx_element_bytes(tensor.type),
            "tensor " + tensor.name);
  proto.set_raw_data(tensor.bytes.data(), tensor.bytes.size());
}

void write_attribute(const OnnxAttribute& attribute, onnx::AttributeProto& proto) {
  const auto write = [&](const auto& value) {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, float>) {
      proto.set_type(onnx::AttributeProto::FLOAT);
      proto.set_f(value);
    } else if constexpr (std::is_same_v<T, int64_t>) {
      proto.set_type(onnx::AttributeProto::INT);
      proto.set_i(value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      proto.set_type(onnx::AttributeProto::STRING);
      proto.set_s(value);
    } else if constexpr (std::is_same_v<T, OnnxTensor>) {
      proto.set_type(onnx::AttributeProto::TENSOR);
      write_tensor(value, *proto.mutable_t());
    } else if constexpr (std::is_same_v<T, std::vector<float>>) {
      proto.set_type(onnx::AttributeProto::FLOATS);
      for (const float number : value) proto.add_floats(number);
    } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      proto.set_type(onnx::AttributeProto::INTS);
      for (const int64_t number : value) proto.add_ints(number);
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      proto.set_type(onnx::AttributeProto::STRINGS);
      for (const std::string& text : value) proto.add_strings(text);
    } else {
      proto.set_type(onnx::AttributeProto::TENSORS);
      for (const OnnxTensor& tensor : value) write_tensor(tensor, *proto.add_tensors());
    }
  };
  std::visit(write, attribute);
}

void write_node(const OnnxNode& node, onnx::NodeProto& proto) {
  for (const std::string& input : node.inputs) proto.add_input(input);
  for (const std::string& output : node.outputs) proto.add_output(output);
  proto.set_name(node.name);
  proto.set_op_type(node.op_type);
  if (!node.domain.empty()) proto.set_domain(node.domain);
  for (const auto& [name, attribute] : node.attributes) {
    onnx::AttributeProto& written = *proto.add_attribute();
    written.set_name(name);
    write_attribute(attribute, written);
  }
}

void write_value(const OnnxValue& value, onnx::ValueInfoProto& proto) {
  proto.set_name(value.name);
  if (value.type == OnnxType::undefined) return;
  auto& type = *proto.mutable_type()->mutable_tensor_type();
  type.set_elem_type(static_cast<int>(value.type));
  if (!value.dims) return;
  auto& shape = *type.mutable_shape();
  for (const OnnxDim& dim : *value.dims) {
    auto& written = *shape.add_dim();
    if (dim.size) written.set_dim_value(*dim.size);
    else if (!dim.symbol.empty()) written.set_dim_param(dim.symbol);
  }
}

void write_graph(const OnnxGraph& graph, onnx::GraphProto& proto) {
  proto.set_name(graph.name);
  for (const OnnxNode& node : graph.nodes) write_node(node, *proto.add_node());
  for (const OnnxTensor& tensor : graph.initializers) write_tensor(tensor, *proto.add_initializer());
  for (const OnnxValue& value : graph.inputs) write_value(value, *proto.add_input());
  for (const OnnxValue& value : graph.outputs) write_value(value, *proto.add_output());
}

void write_model(const OnnxModel& model, onnx::ModelProto& proto) {
  proto.set_ir_version(model.ir_version);
  proto.set_producer_name(model.producer);
  proto.set_producer_version(model.producer_version);
  for (const auto& [domain, version] : model.opsets) {
    onnx::OperatorSetIdProto& opset = *proto.add_opset_import();
    opset.set_domain(domain);
    opset.set_version(version);
  }
  for (const auto& [key, value] : model.metadata) {
    onnx::StringStringEntryProto& entry = *proto.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  write_graph(model.graph, *proto.mutable_graph());
}

}  // namespace

std::string write_onnx(const OnnxModel& model) {
  size_t weights = 0;
  for (const OnnxTensor& tensor : model.graph.initializers) weights += tensor.bytes.size();
  const auto refuse = [&](size_t bytes) {
    Diagnostic diagnostic{Severity::error, {}, fmt::format("network `{}` takes {:.1f} GiB as a file of ONNX, which holds 2 GiB at most",
                                                           model.graph.name, static_cast<double>(bytes) / (1 << 30)), {}};
    diagnostic.help("weights are not written to files of their own yet; `--state-dict` writes them for PyTorch, at any size");
    throw CompileError(std::move(diagnostic));
  };
  if (weights > largest_onnx_file) refuse(weights);
  onnx::ModelProto proto;
  write_model(model, proto);
  if (const size_t bytes = proto.ByteSizeLong(); bytes > largest_onnx_file) refuse(bytes);
  std::string text;
  BNC_CHECK(proto.SerializeToString(&text), "a model of ONNX cannot be written");
  return text;
}

}  // namespace bnc
