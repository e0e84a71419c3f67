// Which names may be written, and which a person would write.
#pragma once

#include <string>

namespace bnc::source {

// Words that already mean something where a value is expected: ops, symbols, functions, keywords.
bool is_reserved(const std::string& name);
// Whether a symbol of some attribute is called so: a call of it as an argument might be taken for that symbol.
bool is_symbol(const std::string& name);
// The name with what the grammar does not allow replaced; `stem` where nothing is left. A path may have dots.
std::string legal_name(const std::string& name, const std::string& stem);
std::string legal_path(const std::string& name, const std::string& stem);
// The name without a number behind it, where it looks like a person's; else empty.
std::string human_name(const std::string& name);

}  // namespace bnc::source
