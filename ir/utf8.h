// Whether a text is UTF-8, as metadata and JSON are.
#pragma once

#include <optional>
#include <string_view>

namespace bnc {

// Where a text holds a byte that is no UTF-8; nothing where it holds none.
inline std::optional<size_t> first_not_utf8(std::string_view text) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  for (size_t k = 0; k < text.size();) {
    const unsigned first = byte(k);
    const size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || length > text.size() - k) return k;
    for (size_t next = 1; next < length; ++next)
      if ((byte(k + next) & 0xc0) != 0x80) return k;
    // Longer than need be, a half of a pair of UTF-16, or beyond the last character.
    const unsigned second = length > 1 ? byte(k + 1) : 0;
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
      return k;
    k += length;
  }
  return std::nullopt;
}

}  // namespace bnc
