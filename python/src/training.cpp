// Whole training runs.
#include <chrono>
#include <exception>
#include <optional>

#include <pybind11/stl.h>

#include "python/src/arrays.h"
#include "python/src/module.h"

namespace bnc::python {

namespace {

using namespace py::literals;
using Clock = std::chrono::steady_clock;

py::object figures_of(const EvaluationResult& result) {
  if (result.count == 0) return py::none();
  py::dict figures("loss"_a = result.loss, "accuracy"_a = result.accuracy, "count"_a = result.count, "not_finite"_a = result.not_finite);
  for (const auto& [name, value] : result.metrics) figures[name.c_str()] = value;
  return figures;
}

// Calls Python now and then from a run that holds no lock of the interpreter. What Python raises ends the run in good order, and is raised
// again behind it.
class Watcher {
 public:
  Watcher(py::object callback, double seconds) : callback_(std::move(callback)), interval_(seconds) {}

  void progress(const Progress& progress) {
    if (callback_.is_none() || stopped_) return;
    const bool tested = progress.tested_step != tested_step_;
    if (!tested && Clock::now() - last_call_ < std::chrono::duration<double>(interval_)) return;
    tested_step_ = progress.tested_step;
    const py::gil_scoped_acquire acquire;
    guarded([&] { stopped_ = callback_(progress).is(py::bool_(false)); });
    last_call_ = Clock::now();
  }

  // Also lets Ctrl-C through.
  bool stop() {
    constexpr auto interval = std::chrono::milliseconds(50);
    if (stopped_ || Clock::now() - last_look_ < interval) return stopped_;
    last_look_ = Clock::now();
    const py::gil_scoped_acquire acquire;
    guarded([] {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    });
    return stopped_;
  }

  void raise_again() const {
    if (raised_) std::rethrow_exception(raised_);
  }

 private:
  template <class Body>
  void guarded(Body&& body) {
    try {
      body();
    } catch (const py::error_already_set&) {
      raised_ = std::current_exception();
      stopped_ = true;
    }
  }

  py::object callback_;
  double interval_;
  bool stopped_ = false;
  int64_t tested_step_ = 0;
  std::exception_ptr raised_;
  Clock::time_point last_call_{}, last_look_ = Clock::now();
};

template <class T>
void take(const py::dict& options, const char* name, T& to) {
  if (options.contains(name)) to = options[name].cast<T>();
}

TrainOptions to_options(const py::dict& given) {
  TrainOptions options;
  take(given, "data", options.data);
  take(given, "test", options.test);
  take(given, "validate", options.validate);
  take(given, "epochs", options.epochs);
  take(given, "steps", options.steps);
  take(given, "batch", options.batch);
  take(given, "patience", options.patience);
  take(given, "test_every", options.test_every);
  take(given, "seed", options.seed);
  take(given, "weights", options.weights);
  take(given, "out", options.out);
  take(given, "overwrite", options.overwrite);
  take(given, "resume", options.resume);
  take(given, "tensorboard", options.tensorboard);
  take(given, "threads", options.threads);
  take(given, "cpu", options.cpu);
  take(given, "label", options.data_options.label);
  take(given, "targets", options.data_options.targets);
  take(given, "ignore", options.data_options.ignore);
  if (given.contains("missing")) {
    using Missing = DataOptions::Missing;
    const std::string missing = given["missing"].cast<std::string>();
    if (missing != "refuse" && missing != "mean" && missing != "drop")
      throw Error("error: `missing` is `" + missing + "`, but may be refuse, mean or drop");
    options.data_options.missing = missing == "mean" ? Missing::mean : missing == "drop" ? Missing::drop : Missing::refuse;
  }
  if (given.contains("resize")) {
    const auto [height, width] = given["resize"].cast<std::pair<int64_t, int64_t>>();
    options.data_options.resize = ImageSize{height, width};
  }
  return options;
}

py::tuple train_network(const Network& network, const py::dict& given, py::object callback, double seconds) {
  TrainOptions options = to_options(given);
  std::vector<std::string> warnings;
  Watcher watcher(std::move(callback), seconds);
  options.on_progress = [&](const Progress& progress) { watcher.progress(progress); };
  options.stop = [&] { return watcher.stop(); };
  options.on_warning = [&](const std::string& warning) { warnings.push_back(warning); };
  TrainResult result;
  {
    py::gil_scoped_release release;
    result = train(network, options);
  }
  watcher.raise_again();
  py::object best = py::none();
  if (result.best) best = py::dict("step"_a = result.best->step, "epoch"_a = result.best->epoch, "test"_a = figures_of(result.best->test));
  const py::dict found("steps"_a = result.steps, "stopped"_a = result.stopped, "out_of_patience"_a = result.out_of_patience,
                       "train"_a = figures_of(result.train), "validation"_a = figures_of(result.validation),
                       "test"_a = figures_of(result.test), "best"_a = best, "weights_path"_a = result.weights_path,
                       "best_weights_path"_a = result.best_weights_path, "report_path"_a = result.report_path,
                       "checkpoint_path"_a = result.checkpoint_path);
  return py::make_tuple(found, warnings);
}

}  // namespace

void define_training(py::module_& module) {
  py::class_<Progress>(module, "Progress", "How far a training run is, as the callback of `train` is told.")
      .def_readonly("step", &Progress::step, "how many steps are done")
      .def_readonly("steps", &Progress::steps, "how many there will be")
      .def_readonly("epoch", &Progress::epoch, "the epoch, from 1")
      .def_readonly("epochs", &Progress::epochs, "how many there will be")
      .def_readonly("loss", &Progress::loss, "an example, of this epoch's batches so far")
      .def_readonly("accuracy", &Progress::accuracy, "of this epoch's batches so far")
      .def_readonly("rate", &Progress::rate, "the learning rate of the latest step")
      .def_readonly("examples_per_second", &Progress::examples_per_second, "how fast it goes")
      .def_readonly("seconds_left", &Progress::seconds_left, "how long it will take")
      .def_readonly("activity", &Progress::activity, "what is done between steps, such as `testing`; empty while it trains")
      .def_readonly("activity_share", &Progress::activity_share, "which share of that is done")
      .def_property_readonly("test", [](const Progress& progress) { return figures_of(progress.test); },
                             "figures of the latest test: loss, accuracy, count and metrics; None before the first one")
      .def("__repr__", [](const Progress& progress) {
        return "<bnc.Progress, step " + std::to_string(progress.step) + " of " + std::to_string(progress.steps) + ", loss " +
               py::str(py::float_(progress.loss)).cast<std::string>() + ">";
      });
  module.def("train", &train_network);
}

}  // namespace bnc::python
