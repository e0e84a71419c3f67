// The public C++ API: a training step, the weights it leaves saved and loaded, and predictions with them.
#include <stdlib.h>

#include <filesystem>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "runtime/weight_store.h"
#include "tests/fuzz/run.h"

namespace bnc::fuzz {

namespace {

Tensor tensor_of(const Array& array) {
  Tensor tensor{array.is_float() ? DType::f32 : DType::i32, array.dims(), {}};
  if (array.is_float()) tensor.data.assign(array.floats().begin(), array.floats().end());
  else tensor.data.assign(array.integers().begin(), array.integers().end());
  return tensor;
}

void bind_inputs(Session& session, const std::vector<TensorInfo>& inputs, const Bindings& bindings) {
  for (const TensorInfo& input : inputs) session.bind(input.name, array_of(bindings.at(input.name)));
}

// In a file and back.
WeightStore saved_and_loaded(const WeightStore& weights) {
  std::string path = (std::filesystem::temp_directory_path() / "bnc-fuzz-weights.XXXXXX").string();
  const int file = ::mkstemp(path.data());
  BNC_CHECK(file >= 0, "no temporary file");
  ::close(file);
  weights.save(path);
  WeightStore loaded = WeightStore::load(path);
  std::filesystem::remove(path);
  return loaded;
}

void read_outputs(const Session& session, const Network& network, Tensors& results) {
  for (const TensorInfo& output : network.outputs()) results["output/" + output.name] = tensor_of(session.read(output.name));
}

}  // namespace

Array array_of(const Tensor& tensor) {
  if (tensor.dtype == DType::i32) return Array(tensor.dims, std::vector<int32_t>(tensor.data.begin(), tensor.data.end()));
  return Array(tensor.dims, std::vector<float>(tensor.data.begin(), tensor.data.end()));
}

Tensors run_step(const std::string& bn_text, const Weights& weights, const Bindings& bindings, int64_t batch, int threads,
                 Weights& afterwards) {
  const Network network = Network::from_text(bn_text, "net.bn");
  CompileOptions options{
      .mode = Mode::train, .batch = batch, .threads = threads, .keep_gradients = true, .run_steps = 1000, .steps_an_epoch = 10};
  const WeightStore store = make_store(weights);
  Session session = network.compile(options, store);
  NamedArrays hidden = session.hidden_state();
  for (auto& [name, array] : hidden) array = array_of(bindings.at(name));
  session.restore(store, hidden);
  bind_inputs(session, network.inputs(), bindings);
  bind_inputs(session, network.targets(), bindings);
  session.run();

  Tensors results;
  read_outputs(session, network, results);
  for (const std::string& name : session.readable())
    if (name == "loss" || name.starts_with("grad/")) results[name] = tensor_of(session.read(name));
  for (const auto& [name, array] : session.hidden_state()) results[name] = tensor_of(array);
  afterwards = saved_and_loaded(session.weights()).data().weights;
  for (const auto& [name, weight] : afterwards.entries()) results[name] = weight.to_tensor();
  return results;
}

Tensors run_prediction(const std::string& bn_text, const Weights& weights, const Bindings& bindings, int64_t batch,
                       const Variant& variant) {
  const Network network = Network::from_text(bn_text, "net.bn");
  CompileOptions options{.cpu = variant.cpu, .threads = 2};
  if (variant.fixed_batch) options.batch = batch;
  Session session = network.compile(options, make_store(weights));
  bind_inputs(session, network.inputs(), bindings);
  session.run();
  Tensors results;
  read_outputs(session, network, results);
  return results;
}

}  // namespace bnc::fuzz
