// Networks and what they are compiled to.
#include <optional>

#include <pybind11/stl.h>

#include "python/src/module.h"
#include "python/src/program.h"

namespace bnc::python {

namespace {

using namespace py::literals;
using Warnings = std::vector<std::string>;

CompileOptions inference(std::optional<int64_t> batch, int threads, const std::string& cpu, Warnings& warnings) {
  CompileOptions options;
  options.batch = batch;
  options.threads = threads;
  options.cpu = cpu;
  options.on_warning = [&warnings](const std::string& warning) { warnings.push_back(warning); };
  return options;
}

void note_foreign(const Network& network, const WeightStore& weights, Warnings& warnings) {
  if (std::string warning = network.foreign_weights(weights); !warning.empty()) warnings.push_back(std::move(warning));
}

}  // namespace

std::unique_ptr<Program> compile(const Network& network, py::handle given, std::optional<int64_t> batch, int threads,
                                 const std::string& cpu, py::list& told) {
  const WeightStore weights = given.is_none() ? network.initialize(0) : to_weights(given);
  Warnings warnings;
  std::unique_ptr<Program> program;
  {
    py::gil_scoped_release release;
    note_foreign(network, weights, warnings);
    program = std::make_unique<Program>(network, network.compile(inference(batch, threads, cpu, warnings), weights), batch);
  }
  for (const std::string& warning : warnings) told.append(warning);
  return program;
}

namespace {

py::tuple compile_object(const Network& network, py::handle given, std::optional<int64_t> batch, const std::string& cpu,
                         const std::string& name) {
  const WeightStore weights = to_weights(given);
  Warnings warnings;
  ObjectFiles files;
  {
    py::gil_scoped_release release;
    note_foreign(network, weights, warnings);
    CompileOptions options = inference(batch, 0, cpu, warnings);
    options.object_name = name;
    files = network.compile_object(options, weights);
  }
  return py::make_tuple(py::bytes(files.object), files.header, warnings);
}

py::list list_of(const std::vector<Explanation::Entry>& entries) {
  py::list list;
  for (const Explanation::Entry& entry : entries)
    list.append(py::dict("op"_a = entry.op, "path"_a = entry.path, "place"_a = entry.place, "source_line"_a = entry.source_line,
                         "folded"_a = entry.folded, "what"_a = entry.what));
  return list;
}

py::dict explain(const Network& network, py::handle given, bool training, std::optional<int64_t> batch, const std::string& cpu) {
  std::optional<WeightStore> weights;
  if (!given.is_none()) weights = to_weights(given);
  Explanation found;
  {
    py::gil_scoped_release release;
    CompileOptions options;
    options.mode = training ? Mode::train : Mode::infer;
    options.batch = batch;
    options.cpu = cpu;
    found = network.explain(options, weights ? &*weights : nullptr);
  }
  return py::dict("batch_norms"_a = list_of(found.batch_norms), "biases"_a = list_of(found.biases),
                  "contractions"_a = list_of(found.contractions), "flops_before"_a = found.flops_before,
                  "flops_after"_a = found.flops_after, "bytes_before"_a = found.bytes_before, "bytes_after"_a = found.bytes_after,
                  "arena_before"_a = found.arena_before, "arena_after"_a = found.arena_after,
                  "predicted_difference"_a = found.predicted_difference, "measured_difference"_a = found.measured_difference);
}

NamedArrays to_arrays(const Network& network, const py::dict& inputs) {
  NamedArrays arrays;
  for (const TensorInfo& info : network.inputs()) {
    if (!inputs.contains(info.name.c_str())) continue;
    const Operand operand = operand_of(info, inputs[info.name.c_str()]);
    arrays.emplace_back(info.name, to_array(info, operand.array));
  }
  return arrays;
}

py::tuple verify(const Network& network, py::handle given, const py::dict& inputs, std::optional<int64_t> batch, uint64_t seed,
                 double bound, int threads, const std::string& cpu) {
  const WeightStore weights = to_weights(given);
  Warnings warnings;
  VerifyOptions options{.inputs = to_arrays(network, inputs), .batch = batch, .seed = seed, .bound = bound, .threads = threads, .cpu = cpu};
  options.on_warning = [&](const std::string& warning) { warnings.push_back(warning); };
  Verification found;
  {
    py::gil_scoped_release release;
    found = network.verify(weights, options);
  }
  py::list layers;
  for (const LayerCheck& layer : found.layers)
    layers.append(py::dict("layer"_a = layer.layer, "op"_a = layer.op, "place"_a = layer.place, "error"_a = layer.error,
                           "folding_predicted"_a = layer.folding_predicted, "folding_measured"_a = layer.folding_measured,
                           "passed"_a = layer.passed));
  const py::dict result("layers"_a = layers, "worst"_a = found.worst, "worst_layer"_a = found.worst_layer, "passed"_a = found.passed,
                        "bound"_a = bound);
  return py::make_tuple(result, warnings);
}

std::string emit(const Network& network, const std::string& stage, py::handle given, std::optional<int64_t> batch, const std::string& cpu) {
  const std::vector<std::pair<std::string, Stage>> stages{
      {"ast", Stage::ast}, {"graph", Stage::graph}, {"loops", Stage::loops}, {"llvm", Stage::llvm}, {"asm", Stage::assembly}};
  for (const auto& [name, value] : stages) {
    if (name != stage) continue;
    std::optional<WeightStore> weights;
    if (!given.is_none()) weights = to_weights(given);
    CompileOptions options;
    options.batch = batch;
    options.cpu = cpu;
    py::gil_scoped_release release;
    return network.emit(value, options, weights ? &*weights : nullptr);
  }
  throw Error("error: there is no stage `" + stage + "`\nhelp: ast, graph, loops, llvm and asm are the stages");
}

}  // namespace

void define_network(py::module_& module) {
  py::class_<Network>(module, "Network")
      .def_static("from_file", &Network::from_file, py::call_guard<py::gil_scoped_release>())
      .def_static("from_text", &Network::from_text, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("name", &Network::name)
      .def_property_readonly("trainable", &Network::trainable)
      .def("inputs", [](const Network& network) { return describe(network.inputs()); })
      .def("targets", [](const Network& network) { return describe(network.targets()); })
      .def("outputs", [](const Network& network) { return describe(network.outputs()); })
      .def("parameters", [](const Network& network) { return describe(network.parameters()); })
      .def("initialize", [](const Network& network, uint64_t seed) { return to_python(network.initialize(seed)); })
      .def("compile_object", &compile_object)
      .def("explain", &explain)
      .def("verify", &verify)
      .def("emit", &emit);
  module.def("load_weights", [](const std::string& path) { return to_python(WeightStore::load(path)); });
  module.def("save_weights", [](const std::string& path, py::handle weights) { to_weights(weights).save(path); });
  module.def("write_file", [](const std::string& path, const py::bytes& bytes) { write_file(path, std::string_view(bytes)); });
}

}  // namespace bnc::python
