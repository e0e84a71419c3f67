#include "python/src/program.h"

#include <algorithm>
#include <chrono>

#include <pybind11/stl.h>

namespace bnc::python {

// What one run reads and writes. The arrays keep the memory alive.
struct Program::Call {
  std::vector<Operand> operands;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  int64_t batch = 1;
};

namespace {

// The operands in the order of the inputs: first those without a name.
std::vector<py::handle> in_order(const std::vector<TensorInfo>& inputs, const py::args& given, const py::kwargs& named) {
  std::vector<py::handle> ordered(inputs.size());
  if (given.size() > inputs.size())
    throw py::type_error("the network has " + std::to_string(inputs.size()) + " inputs, but it is given " + std::to_string(given.size()));
  for (size_t k = 0; k < given.size(); ++k) ordered[k] = given[k].ptr();
  size_t used = given.size();
  for (size_t k = 0; named.size() > 0 && k < inputs.size(); ++k) {
    if (!named.contains(inputs[k].name.c_str())) continue;
    if (ordered[k]) throw py::type_error("input `" + inputs[k].name + "` is given twice");
    ordered[k] = PyDict_GetItemString(named.ptr(), inputs[k].name.c_str());
    ++used;
  }
  if (used != given.size() + named.size() - (named.contains("out") ? 1 : 0)) {
    for (const auto& [name, value] : named) {
      const std::string text = name.cast<std::string>();
      const auto is_it = [&](const TensorInfo& info) { return info.name == text; };
      if (text == "out" || std::any_of(inputs.begin(), inputs.end(), is_it)) continue;
      throw py::type_error("the network has no input `" + text + "`");
    }
  }
  for (size_t k = 0; k < inputs.size(); ++k)
    if (!ordered[k]) throw py::type_error("input `" + inputs[k].name + "` is missing");
  return ordered;
}

py::array empty_array(const TensorInfo& info, int64_t batch) {
  if (holds_floats(info)) return py::array_t<float>(shape_at(info, batch));
  return py::array_t<int32_t>(shape_at(info, batch));
}

py::handle output_named(py::handle out, const std::string& name) {
  if (!py::isinstance<py::dict>(out)) throw py::type_error("`out` is a dictionary of the outputs, of which there are several");
  const py::handle found = PyDict_GetItemString(out.ptr(), name.c_str());
  if (!found) throw py::type_error("`out` lacks output `" + name + "`");
  return found;
}

}  // namespace

void Program::run(const Call& call) {
  py::gil_scoped_release release;
  const std::lock_guard lock(running_);
  session_.run(call.batch, call.inputs, call.outputs);
}

py::object Program::call(const py::args& inputs, const py::kwargs& named) {
  Call call{.batch = batch_.value_or(1)};
  const std::vector<py::handle> given = in_order(inputs_, inputs, named);
  const TensorInfo* first = nullptr;
  for (size_t k = 0; k < given.size(); ++k) {
    const Operand& operand = call.operands.emplace_back(operand_of(inputs_[k], given[k]));
    call.inputs.push_back(operand.array.data());
    if (operand.batch < 0) continue;
    if (first && operand.batch != call.batch)
      throw Error("error: the inputs of a run have one batch size, but `" + first->name + "` has " + std::to_string(call.batch) + " and `" +
                  inputs_[k].name + "` has " + std::to_string(operand.batch));
    call.batch = operand.batch;
    first = &inputs_[k];
  }
  const py::handle out = named.size() > 0 ? PyDict_GetItemString(named.ptr(), "out") : nullptr;
  const bool into = out && !out.is_none();
  const bool one = outputs_.size() == 1;
  py::object result = into ? py::reinterpret_borrow<py::object>(out) : one ? py::object() : py::object(py::dict());
  for (const TensorInfo& info : outputs_) {
    if (into) {
      call.outputs.push_back(memory_for(info, call.batch, one ? out : output_named(out, info.name)));
      continue;
    }
    py::array array = empty_array(info, call.batch);
    call.outputs.push_back(array.mutable_data());
    if (one) result = std::move(array);
    else result[info.name.c_str()] = std::move(array);
  }
  run(call);
  return result;
}

std::vector<int64_t> Program::time_calls(const py::args& inputs, int64_t count) {
  Call call{.batch = batch_.value_or(1)};
  for (size_t k = 0; k < inputs_.size(); ++k) {
    const Operand& operand = call.operands.emplace_back(operand_of(inputs_[k], inputs[k]));
    call.inputs.push_back(operand.array.data());
    if (operand.batch > 0) call.batch = operand.batch;
  }
  std::vector<py::array> results;
  for (const TensorInfo& info : outputs_) call.outputs.push_back(results.emplace_back(empty_array(info, call.batch)).mutable_data());
  std::vector<int64_t> times;
  py::gil_scoped_release release;
  const std::lock_guard lock(running_);
  for (int64_t k = 0; k < count; ++k) {
    const auto start = std::chrono::steady_clock::now();
    session_.run(call.batch, call.inputs, call.outputs);
    times.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count());
  }
  return times;
}

py::list describe(const std::vector<TensorInfo>& infos) {
  py::list list;
  for (const TensorInfo& info : infos) list.append(py::make_tuple(info.name, info.type, py::tuple(py::cast(info.dims)), info.trainable));
  return list;
}

void define_program(py::module_& module) {
  py::class_<Program>(module, "Program")
      .def(py::init(&compile))
      .def("__call__", &Program::call, "Runs the network on arrays, in the order of its inputs or by name; `out=` takes the results.")
      .def("_time_calls", &Program::time_calls, py::kw_only(), py::arg("count"))
      .def_property_readonly("threads", [](const Program& program) { return program.session().threads(); },
                             "how many threads it may use")
      .def_property_readonly("flops", [](const Program& program) { return program.session().info().flops; },
                             "floating-point operations of a run; of one example where the batch is not fixed")
      .def_property_readonly("arena_bytes", [](const Program& program) { return program.session().info().arena_bytes; },
                             "memory for what lies between kernels")
      .def_property_readonly("compile_ms", [](const Program& program) { return program.session().info().compile_ms; },
                             "how long compiling took")
      .def_property_readonly("batch", &Program::batch, "the batch size it is compiled for; None for any")
      .def_property_readonly("inputs", [](const Program& program) { return describe(program.inputs()); })
      .def_property_readonly("outputs", [](const Program& program) { return describe(program.outputs()); });
}

}  // namespace bnc::python
