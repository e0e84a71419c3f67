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

// Parses and elaborates. Throws one CompileError holding every diagnostic found.
Module parse_module(const std::shared_ptr<const SourceFile>& source);
// The same, and the use of a block that each node in it was written by: `stage2.block1`.
using BlockPaths = std::unordered_map<const Node*, std::string>;
Module parse_module(const std::shared_ptr<const SourceFile>& source, BlockPaths* blocks);

// The syntax tree as an indented text, for `--emit ast`.
std::string dump_ast(const std::shared_ptr<const SourceFile>& source);

// The file in canonical layout, comments kept; formatting twice changes nothing.
std::string format_source(const std::shared_ptr<const SourceFile>& source);

}  // namespace bnc
