// The pipeline: inputs, nodes one by one, outputs; then the network is written.
#include "frontend/onnx/import.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "frontend/onnx/embedded_network.h"
#include "frontend/onnx/import/node_import.h"
#include "frontend/onnx/import/refusals.h"
#include "frontend/onnx/import/written.h"
#include "frontend/onnx/onnx_check.h"
#include "ir/shape_limits.h"

namespace bnc {

namespace onnx {

namespace {

const std::map<std::string, Rule, std::less<>>& all_rules() {
  static const std::map<std::string, Rule, std::less<>> rules = [] {
    std::map<std::string, Rule, std::less<>> all;
    for (const auto* group :
         {&layer_rules(), &pooling_rules(), &normalization_rules(), &activation_rules(), &arithmetic_rules(), &comparison_rules(),
          &reduction_rules(), &shape_rules(), &movement_rules(), &resize_rules(), &recurrent_rules()})
      for (const OpRule& each : *group) all[each.op_type] = each.rule;
    return all;
  }();
  return rules;
}

std::string help_of(const CompileError& error) {
  std::string help;
  for (const Diagnostic& each : error.diagnostics().front().attached)
    if (each.severity == Severity::help) help = each.text;
  return help;
}

class ModelImport {
 public:
  ModelImport(const OnnxModel& model, const OnnxImportOptions& options, bool free_batch)
      : model_(model), options_(options), free_batch_(free_batch), importer_(model) {}

  Importer& run() {
    importer_.graph.name = network_name();
    if (free_batch_) importer_.frozen_batch = batch_of_file(model_, options_);
    count_readers();
    for (const OnnxValue& input : model_.graph.inputs) add_input(input);
    for (const OnnxNode& node : model_.graph.nodes) {
      add_node(node);
      if (importer_.asks_too_much())
        node.fail("up to it the model asks for too large a network", "shorten the sequences of recurrent layers, which are unrolled; "
                  "store tensors as initializers rather than computing them from constants");
    }
    if (!refusals_.empty()) refusals_.raise(model_);
    for (const OnnxValue& output : model_.graph.outputs) add_output(output);
    return importer_;
  }

  // The first dimension of all inputs, where they agree on one.
  static int64_t batch_of_file(const OnnxModel& model, const OnnxImportOptions& options) {
    int64_t batch = 0;
    for (const OnnxValue& input : model.graph.inputs) {
      if (options.shapes.contains(input.name) || !input.dims || input.dims->empty() || !input.dims->front().size) return 0;
      const int64_t size = *input.dims->front().size;
      if (batch && size != batch) return 0;
      batch = size;
    }
    return batch;
  }

 private:
  // Exporters call every graph the same; then the file's name says more.
  std::string network_name() const {
    static const std::set<std::string, std::less<>> usual = {"",        "graph", "main_graph",       "model",
                                                             "tf2onnx", "torch_jit", "torch-jit-export"};
    const std::filesystem::path file = *model_.file;
    return usual.contains(model_.graph.name) && file.extension() == ".onnx" ? file.stem().string() : model_.graph.name;
  }

  void count_readers() {
    for (const OnnxNode& node : model_.graph.nodes)
      for (const std::string& input : node.inputs) ++importer_.readers[input];
    for (const OnnxValue& output : model_.graph.outputs) ++importer_.readers[output.name];
  }

  Shape shape_of(const OnnxValue& input) {
    const auto fail = [&](const std::string& what) {
      fail_onnx(model_.file, fmt::format("input {} {}", onnx_quoted(input.name), what),
                fmt::format("say it with `--shape {}={}`, where N is the batch size", input.name, usual_shape(input)));
    };
    Shape shape;
    if (const auto given = options_.shapes.find(input.name); given != options_.shapes.end()) {
      for (const int64_t dim : given->second) shape.push_back(dim < 0 ? Dim{1, true} : Dim{dim, false});
      return shape;
    }
    if (!input.dims) fail("has a rank that the file does not tell");
    std::string batch_symbol;
    for (size_t k = 0; k < input.dims->size(); ++k) {
      const OnnxDim& dim = (*input.dims)[k];
      if (dim.size && *dim.size < 1) fail(fmt::format("has a dimension of {}", *dim.size));
      if (dim.size) {
        shape.push_back(k == 0 && importer_.frozen_batch ? Dim{1, true} : Dim{*dim.size, false});
      } else if (k == 0 || (is_batch(dim) && !has_batch(shape))) {
        shape.push_back({1, true});
        if (!dim.symbol.empty()) batch_symbols_.insert(dim.symbol);
      } else {
        fail(fmt::format("has a dimension {} whose size the file leaves open",
                         dim.symbol.empty() ? std::to_string(k) : onnx_quoted(dim.symbol)));
      }
    }
    return shape;
  }
  // What a user may say of an input: the file's own numbers, and a usual size of images for what it leaves open.
  static std::string usual_shape(const OnnxValue& input) {
    if (!input.dims) return "N,3,224,224";
    std::string text;
    for (const OnnxDim& dim : *input.dims) text += (text.empty() ? "N" : dim.size ? fmt::format(",{}", *dim.size) : ",224");
    return text;
  }
  bool is_batch(const OnnxDim& dim) const {
    return batch_symbols_.contains(dim.symbol) || dim.symbol == "batch_size" || dim.symbol == "batch";
  }
  static bool has_batch(const Shape& shape) {
    return std::any_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; });
  }

  void add_input(const OnnxValue& input) {
    const bool real = input.type == OnnxType::f32 || input.type == OnnxType::f64 || input.type == OnnxType::f16 ||
                      input.type == OnnxType::bf16;
    if (!real && input.type != OnnxType::i64 && input.type != OnnxType::i32)
      fail_onnx(model_.file, fmt::format("input {} is of type {}", onnx_quoted(input.name), to_string(input.type)),
                "inputs of a network are numbers in f32, or class numbers in i32");
    if (real && input.type != OnnxType::f32)
      importer_.note(fmt::format("input {} is of type {}; the network takes f32", onnx_quoted(input.name), to_string(input.type)));
    const TensorType type{real ? DType::f32 : DType::i32, shape_of(input)};
    if (const std::string why = why_impossible(type.shape, importer_.graph.batch_symbol); !why.empty())
      fail_onnx(model_.file, fmt::format("input {}: {}", onnx_quoted(input.name), why));
    const Value value = importer_.build.input(name_of(input.name, "x"), type);
    ImportedPointer imported = importer_.imported(value, identity_order(type.rank()));
    if (reads_images() && type.rank() > 2 && !is_transposed(input.name)) {
      // Everything behind it is channels last. A transpose also of one channel: it becomes the layout of the input.
      const IntList order = channels_last_order(type.rank());
      imported->forms[order] = importer_.build.value("transpose", {value}, {{"permutation", order}});
      imported->order = order;
    }
    if (real && type.rank() > 2 && !options_.mean.empty()) imported = preprocessed(*imported, is_transposed(input.name));
    importer_.values[input.name] = std::move(imported);
  }

  // An image as it comes from a file, prepared as the model expects it.
  ImportedPointer preprocessed(Imported& image, bool channels_last) {
    const IntList order = channels_last ? identity_order(image.rank()) : channels_last_order(image.rank());
    const Value value = importer_.in_order(image, order);
    const Dim channels = image.shape[static_cast<size_t>(order.back())];
    const size_t count = std::max(options_.mean.size(), options_.deviation.size());
    const auto fits = [&](const std::vector<double>& each) { return each.size() == count || each.size() == 1; };
    if (!fits(options_.mean) || !fits(options_.deviation) || (count > 1 && channels != Dim{static_cast<int64_t>(count), false}))
      fail_onnx(
          model_.file,
          fmt::format("{} means and {} deviations for {} channels", options_.mean.size(), options_.deviation.size(), to_string(channels)),
          "give one number for each channel, or one for all");
    const auto state = [&](const std::vector<double>& each, const ParameterKind& kind) {
      std::vector<float> numbers(each.begin(), each.end());
      numbers.resize(count, numbers.front());
      return importer_.parameter(count > 1 ? std::vector<int64_t>{static_cast<int64_t>(count)} : std::vector<int64_t>{}, std::move(numbers),
                                 kind);
    };
    const Value offset = state(options_.mean, {.stem = "offset", .initializer = "zeros", .state = true});
    const Value scale = state(options_.deviation, {.stem = "scale", .initializer = "ones", .state = true});
    return importer_.imported(importer_.build.value("preprocess", {value, offset, scale}, {{"method", "given"}}), order);
  }

  // Whether the model itself brings an input into another order before anything reads it for which that matters.
  bool is_transposed(const std::string& input) const {
    static const std::set<std::string, std::less<>> anywhere = {"Add", "Cast", "Clip", "Div", "Identity", "Mul", "Pad", "Sub"};
    constexpr size_t most_nodes = 16;   // before an image is turned
    std::vector<std::string> names = {input};
    for (size_t k = 0; k < names.size(); ++k) {
      for (const OnnxNode& node : model_.graph.nodes) {
        const bool reads = std::find(node.inputs.begin(), node.inputs.end(), names[k]) != node.inputs.end();
        if (!reads || node.op_type == "Transpose" || node.op_type == "Shape") continue;
        if (!anywhere.contains(node.op_type) || names.size() > most_nodes) return false;
        names.insert(names.end(), node.outputs.begin(), node.outputs.end());
      }
    }
    return true;
  }

  // A word of the language that no other input or output is called; the model's own where that is one.
  std::string name_of(const std::string& name, const char* stem) {
    std::string legal;
    for (const char c : name) legal += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    if (legal.empty() || !std::isalpha(static_cast<unsigned char>(legal[0]))) legal.insert(0, std::string(stem) + "_");
    std::string unique = legal;
    for (int k = 2; !names_.insert(unique).second; ++k) unique = fmt::format("{}_{}", legal, k);
    return unique;
  }

  bool reads_images() const {
    return std::any_of(model_.graph.nodes.begin(), model_.graph.nodes.end(), [](const OnnxNode& node) {
      return node.op_type == "Conv" || node.op_type == "ConvTranspose" || node.op_type.find("Pool") != std::string::npos ||
             node.op_type == "BatchNormalization" || node.op_type == "InstanceNormalization" || node.op_type == "Resize" ||
             node.op_type == "Upsample" || node.op_type == "GroupNormalization" || node.op_type == "DepthToSpace" || node.op_type == "LRN";
    });
  }

  void refuse(const OnnxNode& node, const std::string& reason, const std::string& help = "") {
    refusals_.add(node, reason, help);
    mark_refused(node);
  }
  void mark_refused(const OnnxNode& node) {
    for (const std::string& output : node.outputs) {
      auto refused = std::make_shared<Imported>();
      refused->refused = true;
      importer_.values[output] = std::move(refused);
    }
  }

  // False where it comes from a node that cannot be imported.
  bool read_operands(const OnnxNode& node) {
    bool readable = true;
    for (const std::string& name : node.inputs) {
      if (name.empty()) continue;
      auto found = importer_.values.find(name);
      if (found == importer_.values.end()) {
        const OnnxTensor* tensor = model_.graph.initializer(name);
        BNC_CHECK(tensor, "a checked model reads a value that nothing makes");
        if (!tensor->readable())
          fail_onnx(model_.file, fmt::format("initializer {} is of type {}", onnx_quoted(name), to_string(tensor->type)),
                    "bnc computes with f32; convert the model to float first");
        found = importer_.values.emplace(name, importer_.imported(known_of(*tensor))).first;
      }
      readable &= !found->second->refused;
    }
    return readable;
  }

  void add_node(const OnnxNode& node) {
    if (!node.unsupported.empty()) return refuse(node, node.unsupported, node.advice);
    const auto rule = all_rules().find(node.op_type);
    const bool readable = read_operands(node);
    const bool own_domain = node.domain.empty() || node.domain == "ai.onnx";
    try {
      if (readable && own_domain && add_known(node)) return;
      if (!own_domain)
        return refuse(node, fmt::format("an op of domain {}", onnx_quoted(node.domain)),
                      "bnc imports ONNX's own ops; export without that extension");
      if (rule == all_rules().end())
        return refuse(node, "bnc has no op for it", "compute it outside of the network, or express it by other ops");
      if (!readable) return mark_refused(node);   // the node before it is in the list
      NodeImport cx(importer_, node);
      rule->second(cx);
      check_results(node);
    } catch (const CompileError& error) {
      std::string reason = error.diagnostics().front().text;
      const std::string prefix = fmt::format("{}: {}: ", *model_.file, node.describe());
      if (reason.starts_with(prefix)) reason = reason.substr(prefix.size());
      refuse(node, reason, help_of(error));
    }
  }

  bool add_known(const OnnxNode& node) {
    std::vector<KnownPointer> operands;
    for (const std::string& name : node.inputs) {
      operands.push_back(name.empty() ? nullptr : importer_.values.at(name)->known);
      if (!name.empty() && !operands.back()) return false;
    }
    if (node.outputs.size() != 1) return false;
    std::optional<Known> known = fold(node, operands, model_.opset());
    if (!known) return false;
    importer_.charge(known->size());
    importer_.computes_not_finite |= std::any_of(known->numbers.begin(), known->numbers.end(), [](double x) { return !std::isfinite(x); });
    importer_.values[node.outputs[0]] = importer_.imported(std::move(*known));
    return true;
  }

  // Results that a rule did not give must not be read.
  void check_results(const OnnxNode& node) {
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (node.outputs[k].empty() || importer_.values.contains(node.outputs[k])) continue;
      if (importer_.readers[node.outputs[k]] > 0) node.fail(fmt::format("its result {} is read", k));
      importer_.values[node.outputs[k]] = std::make_shared<Imported>();
    }
  }

  void add_output(const OnnxValue& output) {
    auto found = importer_.values.find(output.name);
    if (found == importer_.values.end()) {
      const OnnxTensor* tensor = model_.graph.initializer(output.name);
      BNC_CHECK(tensor, "a checked model returns a value that nothing makes");
      found = importer_.values.emplace(output.name, importer_.imported(known_of(*tensor))).first;
    }
    if (found->second->known && found->second->known->numbers.empty())
      fail_onnx(model_.file, fmt::format("output {} has no elements", onnx_quoted(output.name)));
    const Value value = importer_.canonical(*found->second);
    if (free_batch_ && importer_.frozen_batch) {
      const Shape& shape = value.type().shape;
      const auto is_batch = [](const Dim& dim) { return dim.batch; };
      if (shape.empty() || shape[0] != Dim{1, true} || std::count_if(shape.begin(), shape.end(), is_batch) != 1)
        fail_onnx(model_.file, fmt::format("output {} is not one for each example", onnx_quoted(output.name)));
    }
    importer_.graph.outputs.push_back({Output::Role::output, name_of(output.name, "y"), value});
  }

  const OnnxModel& model_;
  const OnnxImportOptions& options_;
  bool free_batch_;
  Importer importer_;
  Refusals refusals_;
  std::set<std::string> batch_symbols_, names_;
};

// Errors of ops and of the written text do not know the file.
OnnxImport attempt(const OnnxModel& model, const OnnxImportOptions& options, bool free_batch) {
  try {
    ModelImport importing(model, options, free_batch);
    return written(model, importing.run());
  } catch (const CompileError& error) {
    const std::string& text = error.diagnostics().front().text;
    if (text.starts_with(*model.file)) throw;
    fail_onnx(model.file, text, help_of(error));
  }
}

}  // namespace

}  // namespace onnx

namespace {

// From the model's nodes.
OnnxImport read_network(const OnnxModel& model, const OnnxImportOptions& options) {
  const int64_t frozen = options.keep_batch ? 0 : onnx::ModelImport::batch_of_file(model, options);
  std::optional<OnnxImport> result;
  std::string reason;
  if (frozen > 0) {
    try {
      result = onnx::attempt(model, options, true);
      result->notes.insert(result->notes.begin(), fmt::format("the file fixes the batch size to {}; the network takes any", frozen));
    } catch (const CompileError& error) {
      // Some node depends on the batch size: then it stays what it is.
      const Diagnostic& first = error.diagnostics().front();
      reason = first.attached.empty() ? first.text : first.attached.front().text;
    }
  }
  if (!result) {
    result = onnx::attempt(model, options, false);
    if (frozen > 0)
      result->notes.insert(result->notes.begin(),
                           fmt::format("the batch size stays {}, which the file fixes ({})", frozen, reason));
  }
  return *std::move(result);
}

}  // namespace

OnnxImport import_onnx(const OnnxModel& model, const OnnxImportOptions& options) {
  const bool is_as_written = options.shapes.empty() && options.mean.empty() && options.deviation.empty();
  const std::optional<EmbeddedNetwork> embedded = is_as_written ? embedded_network(model) : std::nullopt;
  OnnxImport result = embedded ? onnx::written(model, embedded->graph, embedded->weights) : read_network(model, options);
  if (embedded) result.notes.push_back("it is the network that bnc wrote the model from, which the file holds");
  for (const OnnxNode& node : model.graph.nodes) ++result.ops[node.op_type];
  return result;
}

}  // namespace bnc
