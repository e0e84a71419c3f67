// Numbers in JSON files, which may be damaged. What is none raises Json::exception, as at() and get() do.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace bnc {

// JSON has no NaN: it is written as null.
template <class Json>
double number(const Json& json) {
  return json.is_null() ? std::nan("") : json.template get<double>();
}

// A whole number that T can hold; get<T>() would convert any other in a way that C++ leaves undefined.
template <class T, class Json>
T whole_number(const Json& json) {
  if (json.is_number_unsigned()) {
    if (const auto value = json.template get<uint64_t>(); std::in_range<T>(value)) return static_cast<T>(value);
  } else if (json.is_number_integer()) {
    if (const auto value = json.template get<int64_t>(); std::in_range<T>(value)) return static_cast<T>(value);
  }
  throw Json::other_error::create(501, "not a whole number in range", &json);
}

template <class Json>
std::vector<int64_t> whole_numbers(const Json& json) {
  std::vector<int64_t> numbers;
  for (const Json& each : json.template get<std::vector<Json>>()) numbers.push_back(whole_number<int64_t>(each));
  return numbers;
}

}  // namespace bnc
