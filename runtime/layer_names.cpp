#include "runtime/layer_names.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace bnc {

namespace {

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80; }
bool is_figure(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

// Behind the `2d` of `conv2d`, `BatchNorm1d`, where one begins there.
size_t skip_dimensions(std::string_view path, size_t at) {
  const bool fits = at > 0 && is_letter(path[at - 1]) && at + 1 < path.size() && path[at] >= '1' && path[at] <= '3' &&
                    (path[at + 1] == 'd' || path[at + 1] == 'D') && (at + 2 == path.size() || !is_letter(path[at + 2]));
  return fits ? at + 2 : at;
}

}  // namespace

NameTokens tokens_of(std::string_view path) {
  NameTokens tokens;
  for (size_t at = 0; at < path.size();) {
    at = skip_dimensions(path, at);
    const size_t begin = at;
    while (at < path.size() && is_letter(path[at])) ++at;
    if (at > begin) {
      std::string word(path.substr(begin, at - begin));
      std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      tokens.push_back({std::move(word), 0});
      continue;
    }
    constexpr int64_t most = 1'000'000'000'000;
    int64_t number = 0;
    while (at < path.size() && is_figure(path[at])) number = std::min(most, number * 10 + (path[at++] - '0'));
    if (at > begin) tokens.push_back({"", number});
    else if (at < path.size()) ++at;
  }
  return tokens;
}

NameOrder order_of(const NameTokens& first, const NameTokens& second) {
  const auto [a, b] = std::mismatch(first.begin(), first.end(), second.begin(), second.end());
  const bool first_ends = a == first.end(), second_ends = b == second.end();
  if (first_ends && second_ends) return NameOrder::same;
  // `dense`, `dense_1`: no number stands before all others.
  if (first_ends && b->word.empty()) return NameOrder::grows;
  if (second_ends && a->word.empty()) return NameOrder::falls;
  if (first_ends || second_ends || !a->word.empty() || !b->word.empty()) return NameOrder::words;
  return a->number < b->number ? NameOrder::grows : NameOrder::falls;
}

bool comes_before(const NameTokens& first, const NameTokens& second) {
  return std::lexicographical_compare(first.begin(), first.end(), second.begin(), second.end(), [](const NameToken& a, const NameToken& b) {
    if (a.word.empty() != b.word.empty()) return a.word.empty();
    return a.word.empty() ? a.number < b.number : a.word < b.word;
  });
}

std::set<std::string> telling_words(const NameTokens& tokens) {
  static const std::map<std::string, std::string> meanings = {
      {"downsample", "shortcut"}, {"short", "shortcut"}, {"skip", "shortcut"}, {"dw", "depthwise"}, {"pw", "pointwise"},
      {"expansion", "expand"},    {"projection", "project"}, {"proj", "project"}, {"enc", "encoder"}, {"dec", "decoder"}};
  static const std::set<std::string> kinds = {"conv",  "convolution", "bn",     "batch", "norm",  "normalization", "batchnorm", "dense",
                                              "linear", "fc",         "layer",  "layers", "net",  "model",         "module",    "features",
                                              "block", "blocks",      "sequential", "body"};
  std::set<std::string> words;
  for (const NameToken& token : tokens) {
    if (token.word.empty() || kinds.contains(token.word)) continue;
    const auto meaning = meanings.find(token.word);
    words.insert(meaning == meanings.end() ? token.word : meaning->second);
  }
  return words;
}

std::string_view last_part(std::string_view path) { return path.substr(path.find_last_of("./") + 1); }

std::string_view parent_of(std::string_view path) {
  const size_t point = path.find_last_of("./");
  return point == std::string_view::npos ? std::string_view() : path.substr(0, point);
}

}  // namespace bnc
