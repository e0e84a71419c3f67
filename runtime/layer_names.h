// The names of layers, taken apart to be compared.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace bnc {

// A stretch of letters, in small ones and without what only repeats the kind of a layer's dimensions ("conv2d" is "conv"), or a number.
struct NameToken {
  std::string word;      // empty: a number
  int64_t number = 0;
  bool operator==(const NameToken&) const = default;
};
using NameTokens = std::vector<NameToken>;

NameTokens tokens_of(std::string_view path);

// How one name stands to that behind it: they differ first in a number, which grows or falls, or in a word.
enum class NameOrder { same, grows, falls, words };
NameOrder order_of(const NameTokens& first, const NameTokens& second);
// Numbers by size, words by letters; a name before those that it begins.
bool comes_before(const NameTokens& first, const NameTokens& second);

// The words that tell layers of one kind apart: one word for those that mean the same (`downsample`, `shortcut`), none for kinds of layers.
std::set<std::string> telling_words(const NameTokens& tokens);

// The last part of a path, and what stands before it.
std::string_view last_part(std::string_view path);
std::string_view parent_of(std::string_view path);

}  // namespace bnc
