#include "runtime/import_draft.h"

#include <algorithm>

#include "runtime/error.h"
#include "runtime/network.h"

namespace bnc {

namespace {

std::string number_of(size_t count, const char* one, const char* several) {
  return fmt::format("{} {}", count, count == 1 ? one : several);
}

// Lines of an error, of many only the first.
template <class Item, class Line>
void list_some(std::string& text, const std::vector<Item>& items, const Line& line) {
  constexpr size_t shown = 8;
  for (size_t k = 0; k < std::min(items.size(), shown); ++k) text += "\n  " + line(items[k]);
  if (items.size() > shown) text += fmt::format("\n  and {} more", items.size() - shown);
}

// The bias that only one side has: of layers that are alike but for it.
std::string advice_on_bias(const ImportGap& gap) {
  const std::string with_bias = " with bias";
  const auto has = [](const std::vector<const Layer*>& layers, const std::string& signature) {
    return std::any_of(layers.begin(), layers.end(), [&](const Layer* layer) { return layer->signature == signature; });
  };
  for (const Layer* layer : gap.missing_layers) {
    const std::string& signature = layer->signature;
    if (signature.ends_with(with_bias) && has(gap.extra_layers, signature.substr(0, signature.size() - with_bias.size())))
      return fmt::format("`{}` has a bias in the network and none in the file: `bias=false` leaves it out", layer->path);
    if (has(gap.extra_layers, signature + with_bias))
      return fmt::format("`{}` has a bias in the file and none in the network: take `bias=false` out of the call", layer->path);
  }
  return "";
}

std::string tensors_like(const ImportGap& gap, const NetworkTensor& tensor) {
  constexpr size_t most = 4;
  std::vector<std::string> names;
  for (const size_t k : gap.extra) {
    const StoredTensor& saved = gap.saved.tensors[k];
    if (names.size() < most && element_count(saved.dims) == element_count(tensor.dims)) names.push_back(saved.name);
  }
  return names.empty() ? "no tensor is of this size" : fmt::format("of this size: {}", fmt::join(names, ", "));
}

}  // namespace

std::string describe(const ImportGap& gap) {
  std::vector<std::string> parts;
  if (!gap.missing.empty()) parts.push_back(number_of(gap.missing.size(), "parameter finds no tensor", "parameters find no tensor"));
  if (!gap.extra.empty()) parts.push_back(number_of(gap.extra.size(), "tensor is left over", "tensors are left over"));
  size_t layers = 0;
  for (const auto& doubt : gap.doubts) layers += doubt.layers.size();
  if (layers > 0) parts.push_back(fmt::format("{} layers could be exchanged", layers));
  std::string text = fmt::format("error: {} does not fit network `{}` as it is: {}", gap.saved.path, gap.network, fmt::join(parts, ", "));
  list_some(text, gap.missing, [&](size_t k) {
    return fmt::format("no tensor for `{}` {}", gap.tensors[k].name, show(gap.tensors[k].dims));
  });
  list_some(text, gap.extra, [&](size_t k) {
    const StoredTensor& tensor = gap.saved.tensors[k];
    return fmt::format("left over: `{}` {}", tensor.name, show(tensor.dims, tensor.dtype.c_str()));
  });
  list_some(text, gap.doubts, [&](const ImportGap::Exchangeable& doubt) {
    return fmt::format("uncertain: which of {} layers is which (`{}`, `{}` ...; {}): {}", doubt.layers.size(), doubt.layers[0]->path,
                       doubt.layers[1]->path, doubt.layers[0]->signature, doubt.reason);
  });
  if (const std::string bias = advice_on_bias(gap); !bias.empty()) text += "\nhelp: " + bias;
  return text;
}

std::string draft(const ImportGap& gap) {
  std::string text = fmt::format(
      "# Which tensor of {} becomes which parameter of network `{}`: lines `parameter = tensor`, or `ignore = tensor`.\n"
      "# Lines that begin with `?` are uncertain: correct them, or see that they are right, and take off the `?`.\n",
      gap.saved.path, gap.network);
  std::vector<const std::string*> proposal(gap.tensors.size());
  for (const auto& [tensor, saved] : gap.proposed) proposal[tensor] = &gap.saved.tensors[saved].name;
  for (const auto& doubt : gap.doubts) {
    text += fmt::format("\n# {}; here they are in the order of the file: {}.\n", doubt.layers[0]->signature, doubt.reason);
    for (const Layer* layer : doubt.layers) {
      for (const auto& [role, tensor] : layer->parts)
        if (const std::string* name = std::exchange(proposal[tensor], nullptr))
          text += fmt::format("? {} = {}\n", gap.tensors[tensor].name, *name);
    }
  }
  if (!gap.missing.empty()) text += "\n# No tensor was found for these.\n";
  for (const size_t k : gap.missing)
    text += fmt::format("# {}; {}\n? {} =\n", show(gap.tensors[k].dims), tensors_like(gap, gap.tensors[k]), gap.tensors[k].name);
  if (!gap.extra.empty()) text += "\n# These tensors are left over.\n";
  for (const size_t k : gap.extra) text += fmt::format("? ignore = {}\n", gap.saved.tensors[k].name);
  text += "\n# The rest.\n";
  for (size_t k = 0; k < proposal.size(); ++k)
    if (proposal[k]) text += fmt::format("{} = {}\n", gap.tensors[k].name, *proposal[k]);
  return text;
}

}  // namespace bnc
