// A state dict into a network: the map first, then whole layers; what is left over on either side is an error.
#include <algorithm>
#include <unordered_map>

#include "frontend/frontend.h"
#include "runtime/error.h"
#include "runtime/import_draft.h"
#include "runtime/layer_matching.h"
#include "runtime/layer_names.h"
#include "runtime/model_identity.h"
#include "runtime/network.h"
#include "runtime/state_dict.h"
#include "runtime/tensor_map.h"
#include "runtime/weight_store.h"

namespace bnc {

namespace {

const char* name_of(Dialect dialect) {
  return dialect == Dialect::pytorch ? "PyTorch" : dialect == Dialect::keras ? "Keras" : "bnc";
}

// Tensors that count batches or steps, which no network has.
bool is_counter(const StoredTensor& tensor) {
  return last_part(tensor.name) == "num_batches_tracked" || (tensor.is_integer() && element_count(tensor.dims) == 1);
}

class WeightImporter {
 public:
  WeightImporter(const Network& network, const StateDict::Data& saved)
      : network_(network), graph_(network.data().graph()), saved_(saved), ours_(network_layers(graph_, {})) {
    dialect_ = is_of_bnc() ? Dialect::bnc : saved.dialect;
    sources_.resize(ours_.tensors.size());
    for (size_t k = 0; k < ours_.tensors.size(); ++k) by_name_.emplace(ours_.tensors[k].name, k);
    for (size_t k = 0; k < saved.tensors.size(); ++k) saved_by_name_.emplace(saved.tensors[k].name, k);
  }

  ImportedWeights run(const std::string& map) {
    report_.dialect = name_of(dialect_);
    if (!map.empty()) read_map(map);
    for (size_t k = 0; k < saved_.tensors.size(); ++k)
      if (is_counter(saved_.tensors[k]) && used_.insert(k).second) report_.ignored.push_back(saved_.tensors[k].name);
    match();
    return {weights(), std::move(report_)};
  }

 private:
  struct Source {
    std::optional<size_t> tensor;     // none yet
    bool by_map = false, filled = false;
    MatchRule rule = MatchRule::name;
  };

  const Network& network_;
  const Graph& graph_;
  const StateDict::Data& saved_;
  NetworkLayers ours_;
  Dialect dialect_;
  std::vector<Source> sources_;       // of each tensor of the network
  std::set<size_t> used_;             // tensors of the state dict that are spoken for
  std::set<std::string> decided_;     // tensors of the network that the map speaks of
  std::unordered_map<std::string, size_t> by_name_, saved_by_name_;
  ImportReport report_;

  // Every tensor of the network is there under its own name, in its own shape.
  bool is_of_bnc() const {
    if (saved_.is_of_bnc) return true;
    std::unordered_map<std::string, const StoredTensor*> tensors;
    for (const StoredTensor& tensor : saved_.tensors) tensors.emplace(tensor.name, &tensor);
    return saved_.dialect == Dialect::pytorch && !saved_.from_torch &&
           std::all_of(ours_.tensors.begin(), ours_.tensors.end(), [&](const NetworkTensor& tensor) {
             const auto found = tensors.find(tensor.name);
             return found != tensors.end() && found->second->dims == tensor.dims;
           });
  }

  void read_map(const std::string& path) {
    std::vector<Diagnostic> errors;
    const auto refuse = [&](const SourceRange& range, std::string text, std::string help) {
      errors.push_back({Severity::error, range, std::move(text), {}});
      if (!help.empty()) errors.back().help(std::move(help));
    };
    for (const TensorMapLine& line : parse_tensor_map(read_source(path))) {
      const auto tensor = saved_by_name_.find(line.tensor);
      if (tensor == saved_by_name_.end()) {
        refuse(line.tensor_range, fmt::format("{} has no tensor `{}`", saved_.path, line.tensor), near(line.tensor, saved_by_name_));
        continue;
      }
      const StoredTensor& from = saved_.tensors[tensor->second];
      if (line.parameter.empty()) {
        if (used_.insert(tensor->second).second) report_.ignored.push_back(from.name);
        continue;
      }
      const auto parameter = by_name_.find(line.parameter);
      if (parameter == by_name_.end()) {
        refuse(line.parameter_range, fmt::format("network `{}` has no parameter `{}`", network_.name(), line.parameter),
               near(line.parameter, by_name_));
      } else if (!decided_.insert(line.parameter).second) {
        refuse(line.parameter_range, fmt::format("`{}` stands in the map twice", line.parameter), "");
      } else if (!conversion(ours_.tensors[parameter->second], from, dialect_, true)) {
        refuse(line.tensor_range, misfit(ours_.tensors[parameter->second], from), "");
      } else {
        sources_[parameter->second] = {tensor->second, true, false, MatchRule::name};
        used_.insert(tensor->second);
      }
    }
    if (!errors.empty()) throw CompileError(std::move(errors));
  }

  static std::string misfit(const NetworkTensor& to, const StoredTensor& from) {
    return fmt::format("`{}` is {}, which cannot become `{}`, {}", from.name, show(from.dims, from.dtype.c_str()), to.name, show(to.dims));
  }

  static std::string near(const std::string& name, const std::unordered_map<std::string, size_t>& known) {
    std::vector<std::string> names;
    for (const auto& [each, number] : known) names.push_back(each);
    std::sort(names.begin(), names.end());
    const std::string nearest = nearest_name(name, names);
    return nearest.empty() ? "" : fmt::format("did you mean `{}`?", nearest);
  }

  void match() {
    const std::vector<Layer> ours = decided_.empty() ? ours_.layers : network_layers(graph_, decided_).layers;
    std::set<std::string> wanted;
    for (const Layer& layer : ours) wanted.insert(layer.signature);
    const std::vector<Layer> theirs = saved_layers(saved_.tensors, dialect_, saved_.in_order, used_, wanted);
    const Matching matching = match_layers(ours, theirs, saved_.in_order);
    std::vector<bool> is_matched(theirs.size());
    ImportGap gap{ours_.tensors, saved_, network_.name(), {}, {}, {}, {}, {}, {}};
    for (size_t k = 0; k < ours.size(); ++k) {
      const auto saved = matching.layers[k].saved;
      if (saved) is_matched[*saved] = true;
      take(ours[k], saved ? &theirs[*saved] : nullptr, matching.layers[k].rule, gap);
    }
    for (size_t k = 0; k < theirs.size(); ++k) {
      if (!is_matched[k]) gap.extra_layers.push_back(&theirs[k]);
      for (const auto& [role, tensor] : theirs[k].parts)
        if (!used_.contains(tensor)) gap.extra.push_back(tensor);
    }
    for (const Doubt& doubt : matching.doubts) {
      gap.doubts.push_back({{}, doubt.reason});
      for (const size_t layer : doubt.network) gap.doubts.back().layers.push_back(&ours[layer]);
    }
    if (gap.missing.empty() && gap.extra.empty() && gap.doubts.empty()) return;
    throw UnmatchedTensors(describe(gap), draft(gap));
  }

  // The tensors of a layer from those of one of the state dict, or none.
  void take(const Layer& layer, const Layer* saved, MatchRule rule, ImportGap& gap) {
    const bool has_statistics = saved ? saved->part(TensorRole::mean) || saved->part(TensorRole::variance) : statistics_are_mapped(layer);
    for (const auto& [role, tensor] : layer.parts) {
      const auto part = saved ? saved->part(role) : std::nullopt;
      if (part) {
        sources_[tensor] = {*part, false, false, rule};
        used_.insert(*part);
        gap.proposed.emplace_back(tensor, *part);
      } else if (has_statistics && (role == TensorRole::scale || role == TensorRole::shift)) {
        sources_[tensor].filled = true;
      } else {
        gap.missing.push_back(tensor);
        if (gap.missing_layers.empty() || gap.missing_layers.back() != &layer) gap.missing_layers.push_back(&layer);
      }
    }
  }

  // Whether these are scale and shift of a batch norm whose statistics the map names: what it leaves out, the state dict has not.
  bool statistics_are_mapped(const Layer& rest) const {
    for (const Layer& whole : ours_.layers) {
      if (whole.path != rest.path) continue;
      for (const TensorRole role : {TensorRole::mean, TensorRole::variance})
        if (const auto part = whole.part(role); part && decided_.contains(ours_.tensors[*part].name)) return true;
    }
    return false;
  }

  void count(const Source& source) {
    size_t* const counts[] = {&report_.by_name, &report_.by_alike_names, &report_.by_shape, &report_.by_order};
    ++*(source.by_map ? &report_.by_map : counts[static_cast<size_t>(source.rule)]);
  }

  void count_layout(const NetworkTensor& to, const TensorConversion& how) {
    if (to.role == TensorRole::weight && !how.axes.empty()) {
      const std::string name = layout_name(how.axes.size());
      const auto known =
          std::find_if(report_.layouts.begin(), report_.layouts.end(), [&](const auto& entry) { return entry.first == name; });
      if (known == report_.layouts.end()) report_.layouts.emplace_back(name, 1);
      else ++known->second;
    }
    if (how.rows) report_.permuted.push_back(fmt::format("{}: rows, {}", to.name, how.rows->text));
    if (!how.columns) return;
    report_.permuted.push_back(fmt::format("{}: {}, {}", to.name, to.dims.size() > 1 ? "columns" : "elements", how.columns->text));
  }

  WeightStore weights() {
    Weights weights;
    for (size_t k = 0; k < sources_.size(); ++k) {
      const NetworkTensor& to = ours_.tensors[k];
      if (sources_[k].filled) {
        const float value = to.role == TensorRole::scale ? 1 : 0;
        report_.filled.push_back(fmt::format("{} = {}", to.name, value));
        weights.set(to.name, Weight::owned(to.dims, std::vector<float>(static_cast<size_t>(element_count(to.dims)), value)));
        continue;
      }
      BNC_CHECK(sources_[k].tensor.has_value());
      const StoredTensor& from = saved_.tensors[*sources_[k].tensor];
      const auto how = conversion(to, from, dialect_, sources_[k].by_map);
      if (!how) fail("{}: {}", saved_.path, misfit(to, from));   // a scale that has not as many elements as the statistics
      weights.set(to.name, convert(to, from, *how, saved_.path));
      count(sources_[k]);
      count_layout(to, *how);
    }
    note_epsilon();
    ModelMetadata metadata;
    sign(network_, metadata);
    return make_store(std::move(weights), std::move(metadata));
  }

  void note_epsilon() {
    if (dialect_ != Dialect::keras) return;
    const auto count = std::count_if(graph_.nodes().begin(), graph_.nodes().end(), [](const auto& node) {
      return node->is("batch_norm") && node->attribute("epsilon").number() != 1e-3;
    });
    if (count == 0) return;
    report_.notes.push_back(fmt::format("{} of the network's batch norms have another epsilon than Keras's 1e-3: "
                                        "`batch_norm(x, epsilon=1e-3)` where the model gave none", count));
  }
};

}  // namespace

ImportedWeights import_weights(const Network& network, const StateDict& saved, const std::string& map) {
  return at_boundary([&] { return WeightImporter(network, saved.data()).run(map); });
}

}  // namespace bnc
