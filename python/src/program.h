// A compiled network that Python calls.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "python/src/arrays.h"

namespace bnc::python {

class Program {
 public:
  // Compiled for so many examples, or for any.
  Program(const Network& network, Session session, std::optional<int64_t> batch)
      : inputs_(network.inputs()), outputs_(network.outputs()), session_(std::move(session)), batch_(batch) {}

  // One array where the network has one output, else a dictionary.
  py::object call(const py::args& inputs, const py::kwargs& named);
  // The same without Python around it, `count` times; the nanoseconds of each.
  std::vector<int64_t> time_calls(const py::args& inputs, int64_t count);

  const std::vector<TensorInfo>& inputs() const { return inputs_; }
  const std::vector<TensorInfo>& outputs() const { return outputs_; }
  const Session& session() const { return session_; }
  std::optional<int64_t> batch() const { return batch_; }

 private:
  struct Call;
  void run(const Call& call);

  std::vector<TensorInfo> inputs_, outputs_;
  Session session_;
  std::optional<int64_t> batch_;
  std::mutex running_;   // a session runs for one thread at a time
};

// (name, type, dims, trainable) of each; a dimension of f * N is -f.
py::list describe(const std::vector<TensorInfo>& infos);

// The network with these weights, or fresh ones where they are None; what is to be warned of is appended to `told`.
std::unique_ptr<Program> compile(const Network& network, py::handle weights, std::optional<int64_t> batch, int threads,
                                 const std::string& cpu, py::list& told);

void define_program(py::module_& module);

}  // namespace bnc::python
