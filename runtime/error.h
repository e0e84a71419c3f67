// Throwing bnc::Error, and keeping exceptions of the layers below from crossing the public API.
#pragma once

#include <new>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "bnc/bnc.h"
#include "ir/diagnostic.h"

namespace bnc {

// Throws Error with the formatted text behind `error: `, as the command prints it.
template <class... Arguments>
[[noreturn]] void fail(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
  throw Error("error: " + fmt::format(text, std::forward<Arguments>(arguments)...));
}

// Runs `body`; a CompileError and a failed allocation leave it as Error. InternalError passes: it is a bug.
template <class Body>
decltype(auto) at_boundary(Body&& body) {
  try {
    return body();
  } catch (const CompileError& error) {
    throw Error(error.what());
  } catch (const std::bad_alloc&) {
    throw Error("error: out of memory");
  }
}

}  // namespace bnc
