// Throwing bnc::Error, and keeping exceptions of the layers below from crossing the public API.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
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

// Runs `body`; a CompileError and what the system refused, memory among it, leave it as Error. InternalError passes: it is a bug.
template <class Body>
decltype(auto) at_boundary(Body&& body) {
  try {
    return body();
  } catch (const CompileError& error) {
    throw Error(error.what());
  } catch (const std::bad_alloc&) {
    throw Error("error: out of memory");
  } catch (const std::length_error&) {  // more than memory has addresses
    throw Error("error: out of memory");
  } catch (const std::system_error& error) {
    throw Error(fmt::format("error: {}", error.what()));
  }
}

}  // namespace bnc
