// Fields of the tables that a training run writes.
#pragma once

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

#include "runtime/error.h"

namespace bnc {

// A number that reads back to the same bits; nothing for NaN.
inline std::string csv_field(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

// Takes the text up to the next `end` off the front.
inline std::string_view take_field(std::string_view& text, char end) {
  const size_t length = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return taken;
}

// Calls `row` with each line behind the header. Error, naming `path`, where another one stands there: it is not `what` of a training run.
template <class Row>
void read_rows(std::string_view text, std::string_view header, const char* what, const std::string& path, const Row& row) {
  if (take_field(text, '\n') != header) fail("{}: not the {} of a training run", path, what);
  while (!text.empty()) row(take_field(text, '\n'));
}

// Error, naming `path`, for what is no number; `empty` for nothing.
template <class T>
T csv_number(std::string_view text, T empty, const std::string& path) {
  if (text.empty()) return empty;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) fail("{}: `{}` is no number", path, text);
  return value;
}

}  // namespace bnc
