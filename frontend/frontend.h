// .bn text -> syntax tree -> graphs. The grammar and its meaning are written down in docs/language.md.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "ir/graph.h"

namespace bnc {

// Reads a file; CompileError when it cannot be read.
std::shared_ptr<const SourceFile> read_source(const std::string& path);
std::shared_ptr<const SourceFile> make_source(std::string text, std::string path = "<text>");

using BlockPaths = std::unordered_map<const Node*, std::string>;   // the use of a block that wrote a node: `stage2.block1`
// Parses and elaborates; fills `blocks` where it is given. Throws one CompileError holding every diagnostic found.
bnc::Module parse_module(const std::shared_ptr<const SourceFile>& source, BlockPaths* blocks = nullptr);

// The syntax tree as an indented text, for `--emit ast`.
std::string dump_ast(const std::shared_ptr<const SourceFile>& source);

// The file in canonical layout, comments kept; formatting twice changes nothing.
std::string format_source(const std::shared_ptr<const SourceFile>& source);

}  // namespace bnc
