// The C header of a compiled object.
#include <fmt/format.h>

#include <cctype>
#include <set>

#include "codegen/arguments.h"
#include "ir/diagnostic.h"

namespace bnc::codegen {

namespace {

// Names of C parameters: `in_x` or `out_y`, letters, digits and underscores, each used once. No keyword and no macro of C or C++ has
// that form, whatever the network calls its values.
class ParameterNames {
 public:
  std::string unique(const char* direction, const std::string& buffer) {
    const std::string prefix = "output/";
    std::string name = direction;
    for (char c : buffer.starts_with(prefix) ? buffer.substr(prefix.size()) : buffer)
      name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
    while (!used_.insert(name).second) name += "_";
    return name;
  }

 private:
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

// A comment may be given in several lines, must not end early, and must not seem to begin another one.
std::string comment_lines(const std::string& comment) {
  std::string text = " * ";
  for (const char c : comment) {
    const bool is_bracket = (c == '/' && text.back() == '*') || (c == '*' && text.back() == '/');
    if (c == '\n') text += "\n * ";
    else text += (is_bracket ? " " : "") + std::string(1, c);
  }
  return text + "\n";
}

// The constant for callers that fix their memory at compile time.
std::string workspace_macro(const loops::Program& program, const std::string& name) {
  if (!program.batch) return "";
  return fmt::format("/* {0}_workspace_bytes({1}) as a constant. */\n#define {0}_WORKSPACE_BYTES {2}\n\n", name, *program.batch,
                     workspace_bytes(program, *program.batch));
}

}  // namespace

// Everything that the header defines begins with the network's name as it is written and ends in one of `_infer`, `_workspace_bytes`,
// `_WORKSPACE_BYTES`, `_infer_HEADER`, `_infer_OK`, `_infer_BAD_BATCH` and `_infer_NULL`, or in what `constants` have. As none of these is
// the end of another one, headers of networks with different names have no name in common.
std::string emit_header(const loops::Program& program, const ObjectOptions& object, const std::string& comment,
                        const std::string& constants) {
  std::vector<const loops::Buffer*> arguments = object_arguments(program, object);
  ParameterNames names;
  std::string parameters, description;
  for (size_t i = 0; i < arguments.size(); ++i) {
    bool input = i < object.inputs.size();
    std::string name = names.unique(input ? "in_" : "out_", arguments[i]->name);
    parameters += fmt::format("{}{} *{}, ", input ? "const " : "", c_type(arguments[i]->scalar), name);
    description += fmt::format(" *   {:<12} {}, {} elements, row after row\n", name, input ? "read" : "written",
                               elements_text(arguments[i]->elements));
  }
  const std::string& name = object.function_name;
  std::string batch = program.batch ? fmt::format("must be {}: the object was compiled for this batch size", *program.batch)
                                    : "the number of examples, at least 1";
  std::string workspace = needs_workspace(program)
                              ? fmt::format("{}_workspace_bytes(n) bytes of memory, aligned as you like; contents do not matter", name)
                              : "unused, may be null";
  return fmt::format(
      R"(/*
{0} */
#ifndef {1}_infer_HEADER
#define {1}_infer_HEADER

#include <stdint.h>

{9}#ifdef __cplusplus
extern "C" {{
#endif

/* What {1}_infer returns. */
enum {{
  {1}_infer_OK = 0,
  {1}_infer_BAD_BATCH = {2}, /* n is not a batch size this object can compute */
  {1}_infer_NULL = {3}       /* a pointer is null */
}};

/* How many bytes of workspace a batch of n examples needs; {1}_infer_BAD_BATCH where n is refused. */
int64_t {1}_workspace_bytes(int64_t n);

{8}/* Computes a batch.
 *   n            {4}
{5} *   workspace    {6}
 * Written arrays overlap no other array. Allocates nothing; safe to call from several threads, each with a workspace of its own. */
int {1}_infer(int64_t n, {7}void *workspace);

#ifdef __cplusplus
}}
#endif

#endif
)",
      comment_lines(comment), name, error_batch, error_null, batch, description, workspace, parameters, workspace_macro(program, name),
      constants);
}

}  // namespace bnc::codegen
