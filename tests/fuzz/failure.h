// What is wrong with a network, as thrown by what found it.
#pragma once

#include <stdexcept>
#include <string>

namespace bnc::fuzz {

// `kind` stays the same while a network is shrunk; what() tells the rest.
class Failure : public std::runtime_error {
 public:
  Failure(std::string kind, const std::string& text) : std::runtime_error(text), kind(std::move(kind)) {}
  std::string kind;
};

}  // namespace bnc::fuzz
