// Tokens -> syntax tree, by recursive descent. A syntax error ends its statement; parsing goes on with the next one.
#pragma once

#include <memory>

#include "frontend/ast.h"
#include "frontend/lexer.h"

namespace bnc {

// Throws one CompileError with every syntax error found.
ast::Module parse_syntax(const std::shared_ptr<const SourceFile>& source);

}  // namespace bnc
