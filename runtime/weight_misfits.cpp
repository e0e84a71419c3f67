#include "runtime/weight_misfits.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "runtime/error.h"
#include "runtime/network.h"

namespace bnc {

Misfits::Misfits(const std::vector<TensorInfo>& parameters, const WeightStore::Data& file) {
  std::unordered_map<std::string, const StoredTensor*> others;
  for (const StoredTensor& other : file.others) others.emplace(other.name, &other);
  for (const TensorInfo& parameter : parameters) {
    known_.push_back(parameter.name);
    const auto other = others.find(parameter.name);
    look_at(parameter, file.weights.find(parameter.name), other == others.end() ? nullptr : other->second);
  }
  const std::unordered_set<std::string> is_known(known_.begin(), known_.end());
  for (const auto& [name, weight] : file.weights.entries())
    if (!is_known.contains(name)) unknown_.emplace_back(name, fmt::format("`{}` {}", name, show(weight.dims)));
}

void Misfits::look_at(const TensorInfo& parameter, const Weight* weight, const StoredTensor* other) {
  if (!weight && other) other_types_.push_back(fmt::format("`{}` is {}; bnc reads F32 only", parameter.name, other->dtype));
  else if (!weight) missing_.push_back(parameter);
  if (!weight || weight->dims == parameter.dims) return;
  const std::vector<int64_t>&dims = weight->dims, &wanted = parameter.dims;
  misshapen_.push_back(fmt::format("`{}` is {}, but the network has {}", parameter.name, show(dims), parameter.type));
  reversed_ += dims.size() == 2 && std::equal(dims.begin(), dims.end(), wanted.rbegin(), wanted.rend());
  windows_ += dims.size() == 4 && wanted == std::vector<int64_t>{dims[2], dims[3], dims[1], dims[0]};
}

std::string Misfits::summary() const {
  std::vector<std::string> parts;
  const auto count = [&](size_t number, const char* one, const char* several) {
    if (number == 0) return;
    const char* noun = !parts.empty() ? "" : number == 1 ? " tensor" : " tensors";
    parts.push_back(fmt::format("{}{} {}", number, noun, number == 1 ? one : several));
  };
  count(missing_.size(), "is missing", "are missing");
  count(misshapen_.size(), "has another shape", "have another shape");
  count(other_types_.size(), "is not F32", "are not F32");
  count(unknown_.size(), "is unknown", "are unknown");
  return fmt::format("{}", fmt::join(parts, ", "));
}

bool Misfits::list(std::string& text, bool whole) const {
  constexpr size_t shown = 4, few = 14;
  const bool shorten = !whole && missing_.size() + misshapen_.size() + other_types_.size() + unknown_.size() > few;
  bool shortened = false;
  const auto lines = [&](const char* kind, size_t count, const auto& line) {
    const size_t most = shorten && count > shown + 1 ? shown : count;
    for (size_t k = 0; k < most; ++k) text += fmt::format("\n  {}{}", kind, line(k));
    if (most < count) text += fmt::format("\n  {}{} more", kind, count - most), shortened = true;
  };
  lines("missing: ", missing_.size(), [&](size_t k) { return fmt::format("`{}` {}", missing_[k].name, missing_[k].type); });
  lines("misshapen: ", misshapen_.size(), [&](size_t k) { return misshapen_[k]; });
  lines("", other_types_.size(), [&](size_t k) { return other_types_[k]; });
  lines("unknown: ", unknown_.size(), [&](size_t k) { return unknown_[k].second + suggestion(k); });
  return shortened;
}

std::string Misfits::cause() const {
  if (const std::string prefixed = missing_behind_prefix(); !prefixed.empty()) return prefixed;
  const auto is_of_pytorch = [](const auto& tensor) {
    const std::string& name = tensor.first;
    return name.ends_with(".running_mean") || name.ends_with(".running_var") || name.ends_with(".num_batches_tracked");
  };
  if (std::any_of(unknown_.begin(), unknown_.end(), is_of_pytorch))
    return "names such as `running_mean` are PyTorch's: `bnc import` makes weights of this network of them";
  if (windows_ > 0) {
    return fmt::format("{} of the shapes are PyTorch's, where convolution weights are [out, in/groups, kh, kw]: `w.permute(2, 3, 1, 0)` "
                       "makes them [kh, kw, in/groups, out]",
                       windows_);
  }
  if (reversed_ > 0)
    return fmt::format("{} of the shapes are only turned round: PyTorch's dense weights are [out, in], here they are [in, out]", reversed_);
  return "";
}

// A prefix behind which at least half of the missing names stand among the unknown ones.
std::string Misfits::missing_behind_prefix() const {
  std::map<std::string, size_t> prefixes;
  std::unordered_set<std::string> missing;
  for (const TensorInfo& info : missing_) missing.insert(info.name);
  for (const auto& [name, text] : unknown_)
    for (size_t point = name.find('.'); point != std::string::npos; point = name.find('.', point + 1))
      if (missing.contains(name.substr(point + 1))) ++prefixes[name.substr(0, point + 1)];
  for (const auto& [prefix, count] : prefixes)
    if (2 * count >= missing_.size())
      return fmt::format("{} of the unknown names are missing ones behind `{}`: take it off", count, prefix);
  return "";
}

// Perhaps what is missing, by another name.
std::string Misfits::suggestion(size_t k) const {
  constexpr size_t most_suggestions = 100;   // each compares a name with all others
  const std::string near = k < most_suggestions ? nearest_name(unknown_[k].first, known_) : "";
  return near.empty() ? "" : fmt::format("; did you mean `{}`?", near);
}

}  // namespace bnc
