#include "frontend/onnx/import/written.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "frontend/onnx/import/preprocessing.h"
#include "frontend/onnx/import/simplify.h"
#include "frontend/onnx/unread.h"
#include "frontend/write_source.h"

namespace bnc::onnx {

namespace {

std::string comment_of(const OnnxModel& model) {
  const std::string file = std::filesystem::path(*model.file).filename().string();
  std::string producer = model.producer.empty() ? ""
                                                : fmt::format(", written by {}{}{}", model.producer,
                                                              model.producer_version.empty() ? "" : " ", model.producer_version);
  std::string comment = fmt::format("Imported from {} (opset {}{}).", file, model.opset(), producer);
  std::erase_if(comment, [](char c) { return static_cast<unsigned char>(c) < 32; });
  return comment;
}

// Images are shifted by an eighth of their size, as most networks of images were trained; 0 where the input is none.
int64_t pixels_to_shift(const Graph& graph) {
  const std::vector<Node*> inputs = graph.nodes_of("input");
  if (inputs.size() != 1 || inputs[0]->results[0].type.rank() != 4) return 0;
  IntList sizes;
  for (const Dim& dim : inputs[0]->results[0].type.shape)
    if (!dim.batch) sizes.push_back(dim.factor);
  std::sort(sizes.begin(), sizes.end());
  return sizes.size() == 3 && sizes[1] >= 16 ? sizes[1] / 8 : 0;   // the smaller side: channels are fewer
}

// Fine-tuning as one would begin it, where the network tells classes apart: it gives a score, or a probability, for each.
std::string train_section(const Graph& graph) {
  const Output& output = graph.outputs.front();
  const TensorType& type = output.value.type();
  const bool classes = type.dtype == DType::f32 && type.rank() == 2 && type.shape[0] == Dim{1, true} && !type.shape[1].batch &&
                       type.shape[1].factor > 1;
  if (!classes || graph.outputs.size() != 1) return "";
  const std::string scores = output.value.node->is("softmax") ? fmt::format("log({} + 1e-07), ", output.name) : "";
  std::string text = fmt::format("\ntrain {} {{\n  loss = softmax_cross_entropy({}labels)\n", graph.name, scores);
  text += "  optimizer = sgd(rate=0.0003, momentum=0.9)\n  batch = 32\n  epochs = 1\n";
  if (const int64_t shift = pixels_to_shift(graph)) text += fmt::format("  augment = pad_and_crop(pixels={})\n", shift);
  return text + "}\n";
}

}  // namespace

OnnxImport written(const OnnxModel& model, Importer& importer) {
  Graph& graph = importer.graph;
  // What nothing reads: layers that got a bias, reshapes that met others, the other branch of a fold.
  erase_unread(graph, &importer.weights);
  name_preprocessing(importer);
  simplify(graph);
  erase_unread(graph, &importer.weights);
  OnnxImport result = written(model, graph, importer.weights);
  result.notes = std::move(importer.notes);
  return result;
}

OnnxImport written(const OnnxModel& model, const Graph& graph, const Weights& weights) {
  OnnxImport result;
  SourceNames names;
  result.source = write_source(graph, {.comment = comment_of(model), .initializers = false}, &names);
  result.graph = parse_module(make_source(result.source, graph.name + ".bn")).main().clone();
  result.source = format_source(make_source(result.source + train_section(result.graph), graph.name + ".bn"));
  std::map<std::string, std::string> before;
  for (const auto& [from, to] : names) before[to] = from;
  for (const auto& node : result.graph.nodes()) {
    if (!node->is("parameter") && !node->is("state")) continue;
    const std::string& name = node->results[0].name;
    const Weight* weight = weights.find(before.contains(name) ? before.at(name) : name);
    BNC_CHECK(weight, "an imported parameter has no weight: " + name);
    result.weights.set(name, *weight);
  }
  size_t next = 0;
  for (const Node* input : result.graph.nodes_of("input"))
    result.inputs.emplace_back(model.graph.inputs[next++].name, input->results[0].name);
  for (size_t k = 0; k < result.graph.outputs.size(); ++k)
    result.outputs.emplace_back(model.graph.outputs[k].name, result.graph.outputs[k].name);
  return result;
}

}  // namespace bnc::onnx
