#include "runtime/layer_matching.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "runtime/layer_names.h"

namespace bnc {

namespace {

using Numbers = std::vector<size_t>;

std::vector<NameTokens> tokens_of_layers(const std::vector<Layer>& layers) {
  std::vector<NameTokens> tokens;
  for (const Layer& layer : layers) tokens.push_back(tokens_of(layer.path));
  return tokens;
}

// How many names begin with one part that all of them share (`module.`, `model.`), and so on: so many characters say nothing.
size_t shared_prefix(const std::vector<Layer>& layers) {
  if (layers.size() < 2) return 0;
  std::string_view shared = layers[0].path;
  for (const Layer& layer : layers) {
    const auto end = std::mismatch(shared.begin(), shared.end(), layer.path.begin(), layer.path.end()).first;
    shared = shared.substr(0, static_cast<size_t>(end - shared.begin()));
  }
  const size_t point = shared.find_last_of("./");
  return point == std::string_view::npos ? 0 : point + 1;
}

class LayerMatcher {
 public:
  LayerMatcher(const std::vector<Layer>& network, const std::vector<Layer>& saved, bool in_order)
      : network_(network), saved_(saved), network_tokens_(tokens_of_layers(network)), saved_tokens_(tokens_of_layers(saved)),
        in_order_(in_order), saved_is_matched_(saved.size()) {
    matching_.layers.resize(network.size());
    const auto same = [](const Layer& a, const Layer& b) { return a.signature == b.signature; };
    is_sequence_ = in_order && std::equal(network.begin(), network.end(), saved.begin(), saved.end(), same);
  }

  Matching match() {
    match_by_name();
    std::map<std::string, std::pair<Numbers, Numbers>> classes;
    for (size_t k = 0; k < network_.size(); ++k)
      if (!matching_.layers[k].saved) classes[network_[k].signature].first.push_back(k);
    for (size_t k = 0; k < saved_.size(); ++k)
      if (!saved_is_matched_[k]) classes[saved_[k].signature].second.push_back(k);
    for (const auto& [signature, layers] : classes)
      if (layers.first.size() == layers.second.size()) match_class(layers.first, layers.second);
    std::sort(matching_.doubts.begin(), matching_.doubts.end(), [](const Doubt& a, const Doubt& b) { return a.network < b.network; });
    return std::move(matching_);
  }

 private:
  const std::vector<Layer>&network_, &saved_;
  const std::vector<NameTokens> network_tokens_, saved_tokens_;
  const bool in_order_;
  bool is_sequence_;   // both sides list the same kinds and shapes from first to last
  std::vector<bool> saved_is_matched_;
  Matching matching_;

  void set(size_t network, size_t saved, MatchRule rule) {
    matching_.layers[network] = {saved, rule};
    saved_is_matched_[saved] = true;
  }

  void match_by_name() {
    const size_t prefix = shared_prefix(saved_);
    std::map<std::string, size_t> by_name;
    for (size_t k = 0; k < saved_.size(); ++k) {
      std::string path = saved_[k].path;
      std::replace(path.begin(), path.end(), '/', '.');
      by_name.emplace(path.substr(prefix), k);
      by_name.emplace(path, k);
    }
    // All layers of a signature or none: Keras's `dense_1` is the second one, bnc's the first.
    std::map<std::string, std::map<size_t, size_t>> exact;   // of each signature, which layers of the network have which names
    std::map<std::string, size_t> counts;
    for (size_t k = 0; k < network_.size(); ++k) {
      const std::string& signature = network_[k].signature;
      const auto found = by_name.find(network_[k].path);
      ++counts[signature];
      if (found == by_name.end() || saved_[found->second].signature != signature || saved_is_matched_[found->second]) continue;
      exact[signature][k] = found->second;
      saved_is_matched_[found->second] = true;
    }
    saved_is_matched_.assign(saved_.size(), false);
    for (const auto& [signature, layers] : exact)
      if (layers.size() == counts[signature])
        for (const auto& [ours, theirs] : layers) set(ours, theirs, MatchRule::name);
  }

  // As many layers of one signature on either side. Those that belong to others are told apart by these.
  void match_class(const Numbers& network, const Numbers& saved) {
    const auto by_partner = [](const std::vector<Layer>& layers, const Numbers& numbers) {
      std::map<std::string, Numbers> groups;
      for (const size_t k : numbers) {
        const int partner = layers[k].partner;
        groups[partner < 0 ? "" : layers[static_cast<size_t>(partner)].signature].push_back(k);
      }
      return groups;
    };
    const std::map<std::string, Numbers> ours = by_partner(network_, network), theirs = by_partner(saved_, saved);
    const bool agree = std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(), [](const auto& a, const auto& b) {
      return a.first == b.first && a.second.size() == b.second.size();
    });
    if (!agree) return match_by_words(network, saved, network.size() == 1 ? MatchRule::shape : MatchRule::order);
    for (const auto& [partner, numbers] : ours)
      match_by_words(numbers, theirs.at(partner), numbers.size() == 1 ? MatchRule::shape : MatchRule::order);
  }

  static Numbers with_word(const std::vector<NameTokens>& tokens, const Numbers& numbers, const std::string& word) {
    Numbers result;
    for (const size_t k : numbers)
      if (telling_words(tokens[k]).contains(word)) result.push_back(k);
    return result;
  }

  // A word that stands in as many names of some layers on either side divides them.
  void match_by_words(const Numbers& network, const Numbers& saved, MatchRule rule) {
    if (network.size() > 1) {
      std::set<std::string> words;
      for (const size_t k : network) words.merge(telling_words(network_tokens_[k]));
      for (const std::string& word : words) {
        const Numbers ours = with_word(network_tokens_, network, word), theirs = with_word(saved_tokens_, saved, word);
        if (ours.empty() || ours.size() == network.size() || ours.size() != theirs.size()) continue;
        match_by_words(ours, theirs, MatchRule::alike);
        return match_by_words(without(network, ours), without(saved, theirs), MatchRule::alike);
      }
    }
    match_by_order(network, saved, network.size() == 1 ? rule : MatchRule::order);
  }

  static Numbers without(const Numbers& all, const Numbers& some) {
    Numbers rest;
    std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(rest));
    return rest;
  }

  void match_by_order(const Numbers& network, const Numbers& saved, MatchRule rule) {
    for (size_t k = 0; k < network.size(); ++k) set(network[k], saved[k], rule);
    std::string reason = doubt(saved_, saved_tokens_, saved);
    if (reason.empty()) reason = doubt(network_, network_tokens_, network);
    if (!reason.empty()) matching_.doubts.push_back({network, reason});
  }

  // Why the order of layers may not be that of the other side: their numbers fall, or words tell them apart that the other side does not
  // have. Where both sides list the same kinds and shapes from first to last, such words do not matter.
  std::string doubt(const std::vector<Layer>& layers, const std::vector<NameTokens>& tokens, const Numbers& numbers) const {
    for (size_t k = 1; k < numbers.size(); ++k) {
      const size_t first = numbers[k - 1], second = numbers[k];
      const NameOrder order = order_of(tokens[first], tokens[second]);
      if (order == NameOrder::grows || (order == NameOrder::words && is_sequence_)) continue;
      return fmt::format("`{}` stands before `{}`, {}", layers[first].path, layers[second].path,
                         order == NameOrder::words ? "and neither names nor the layers around them tell which is which on the other side"
                                                   : "against the numbers in their names");
    }
    return "";
  }
};

}  // namespace

Matching match_layers(const std::vector<Layer>& network, const std::vector<Layer>& saved, bool in_order) {
  return LayerMatcher(network, saved, in_order).match();
}

}  // namespace bnc
