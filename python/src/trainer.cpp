// Training step by step.
#include <cstring>
#include <mutex>

#include <pybind11/stl.h>

#include "python/src/module.h"
#include "python/src/program.h"

namespace bnc::python {

namespace {

class Stepper {
 public:
  Stepper(const Network& network, Session session) : inputs_(network.inputs()), session_(std::move(session)) {
    for (TensorInfo& target : network.targets()) inputs_.push_back(std::move(target));
  }

  double step(const py::args& given, const py::kwargs& named) {
    std::vector<Operand> operands;
    for (size_t k = 0; k < inputs_.size(); ++k) operands.push_back(operand_of(inputs_[k], operand(k, given, named)));
    if (given.size() + named.size() != inputs_.size())
      throw py::type_error("a step takes " + std::to_string(inputs_.size()) + " arrays: the inputs, then the targets");
    py::gil_scoped_release release;
    const std::lock_guard lock(running_);
    for (size_t k = 0; k < inputs_.size(); ++k) session_.bind(inputs_[k].name, arrays_of(inputs_[k], operands[k]));
    session_.run();
    return static_cast<double>(session_.view("loss")[0]);
  }

  py::array read(const std::string& name) {
    const std::lock_guard lock(running_);
    return to_numpy(session_.read(name));
  }

  py::tuple weights() {
    const std::lock_guard lock(running_);
    return to_python(session_.weights());
  }

  void set_weights(py::handle given) {
    const WeightStore weights = to_weights(given);
    const std::lock_guard lock(running_);
    session_.restore(weights, session_.hidden_state());
  }

  std::vector<std::string> readable() const { return session_.readable(); }
  int threads() const { return session_.threads(); }
  const std::vector<TensorInfo>& inputs() const { return inputs_; }

 private:
  py::handle operand(size_t k, const py::args& given, const py::kwargs& named) const {
    if (k < given.size()) return given[k].ptr();
    const py::handle found = PyDict_GetItemString(named.ptr(), inputs_[k].name.c_str());
    if (!found) throw py::type_error("`" + inputs_[k].name + "` is missing: a step takes the inputs, then the targets");
    return found;
  }

  // Session::bind() checks labels, so it gets a copy.
  static Array arrays_of(const TensorInfo& info, const Operand& operand) { return to_array(info, operand.array); }

  std::vector<TensorInfo> inputs_;   // and targets
  Session session_;
  std::mutex running_;
};

}  // namespace

void define_trainer(py::module_& module) {
  py::class_<Stepper>(module, "Trainer")
      .def("step", &Stepper::step)
      .def("read", &Stepper::read)
      .def("weights", &Stepper::weights)
      .def("set_weights", &Stepper::set_weights)
      .def_property_readonly("readable", &Stepper::readable)
      .def_property_readonly("threads", &Stepper::threads)
      .def_property_readonly("inputs", [](const Stepper& stepper) { return describe(stepper.inputs()); });
  module.def("trainer", [](const Network& network, py::handle given, std::optional<int64_t> batch, std::optional<uint64_t> seed,
                           int threads, const std::string& cpu, bool gradients, std::optional<int64_t> steps,
                           std::optional<int64_t> steps_an_epoch) {
    const WeightStore weights = given.is_none() ? network.initialize(seed.value_or(0)) : to_weights(given);
    CompileOptions options;
    options.mode = Mode::train;
    options.batch = batch;
    options.seed = seed;
    options.threads = threads;
    options.cpu = cpu;
    options.keep_gradients = gradients;
    options.run_steps = steps;
    options.steps_an_epoch = steps_an_epoch;
    py::gil_scoped_release release;
    return std::make_unique<Stepper>(network, network.compile(options, weights));
  });
}

}  // namespace bnc::python
