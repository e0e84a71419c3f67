// The C header of a compiled object.
#include <fmt/format.h>

#include <cctype>
#include <set>

#include "codegen/arguments.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

namespace {

// The name of a C parameter for a buffer: letters, digits and underscores, no keyword, used once; of an output without `output/`.
class ParameterNames {
 public:
  std::string unique(const std::string& buffer) {
    const std::string prefix = "output/";
    std::string name;
    for (char c : buffer.starts_with(prefix) ? buffer.substr(prefix.size()) : buffer) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) name = "_" + name;
    while (reserved(name) || !used_.insert(name).second) name += "_";
    return name;
  }

 private:
  static bool reserved(const std::string& name) {
    static const std::set<std::string> words{
        "n",      "workspace", "auto",   "break",  "case",    "char",   "class",    "const",  "continue", "default", "delete", "do",     "double",
        "else",   "enum",      "extern", "false",  "float",   "for",    "friend",   "goto",   "if",       "inline",  "int",    "long",   "namespace",
        "new",    "operator",  "or",     "and",    "not",     "private", "public",  "register", "restrict", "return", "short", "signed", "sizeof",
        "static", "struct",    "switch", "template", "this",  "throw",  "true",     "try",    "typedef",  "typename", "union", "unsigned", "using",
        "virtual", "void",     "volatile", "while"};
    return words.contains(name);
  }
  std::set<std::string> used_;
};

const char* c_type(loops::Scalar scalar) {
  switch (scalar) {
    case loops::Scalar::boolean: return "uint8_t";
    case loops::Scalar::i32: return "int32_t";
    case loops::Scalar::i64: return "int64_t";
    case loops::Scalar::f32: return "float";
    case loops::Scalar::f64: return "double";
  }
  return "void";
}

std::string elements_text(const Dim& elements) {
  if (!elements.batch) return fmt::format("{}", elements.factor);
  return elements.factor == 1 ? "n" : fmt::format("n * {}", elements.factor);
}

// A comment may be given in several lines and must not end early.
std::string comment_lines(const std::string& comment) {
  std::string text = " * ";
  for (size_t i = 0; i < comment.size(); ++i) {
    if (comment[i] == '*' && i + 1 < comment.size() && comment[i + 1] == '/') text += "* ";
    else text += comment[i] == '\n' ? std::string("\n * ") : std::string(1, comment[i]);
  }
  return text + "\n";
}

}  // namespace

std::string emit_header(const loops::Program& program, const ObjectOptions& object, const std::string& comment) {
  std::vector<const loops::Buffer*> arguments = object_arguments(program, object);
  ParameterNames names;
  std::string parameters, description;
  for (size_t i = 0; i < arguments.size(); ++i) {
    bool input = i < object.inputs.size();
    std::string name = names.unique(arguments[i]->name);
    parameters += fmt::format("{}{} *{}, ", input ? "const " : "", c_type(arguments[i]->scalar), name);
    description += fmt::format(" *   {:<12} {}, {} elements, row after row\n", name, input ? "read" : "written", elements_text(arguments[i]->elements));
  }
  const std::string& name = object.function_name;
  std::string guard;
  for (char c : name) guard += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  std::string batch = program.batch ? fmt::format("must be {}: the object was compiled for this batch size", *program.batch) : "the number of examples, at least 1";
  std::string workspace = needs_workspace(program) ? fmt::format("{}_workspace_bytes(n) bytes of memory, aligned as you like; contents do not matter", name)
                                                   : "unused, may be null";
  return fmt::format(
      R"(/*
{0} */
#ifndef {1}_H
#define {1}_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

/* What {2}_infer returns. */
enum {{
  {1}_OK = 0,
  {1}_BAD_BATCH = {3}, /* n is not a batch size this object can compute */
  {1}_NULL = {4}       /* a pointer is null */
}};

/* How many bytes of workspace a batch of n examples needs; {1}_BAD_BATCH where n is refused. */
int64_t {2}_workspace_bytes(int64_t n);

/* Computes a batch.
 *   n            {5}
{6} *   workspace    {7}
 * Written arrays overlap no other array. Allocates nothing; safe to call from several threads, each with a workspace of its own. */
int {2}_infer(int64_t n, {8}void *workspace);

#ifdef __cplusplus
}}
#endif

#endif
)",
      comment_lines(comment), guard, name, error_batch, error_null, batch, description, workspace, parameters);
}

}  // namespace bnc::codegen
