// Network sources: what parses prints and formats, and both parse to the same again.
#include "frontend/frontend.h"
#include "ir/diagnostic.h"
#include "ir/print.h"
#include "tests/fuzz/parsers/target.h"

namespace {

using namespace bnc;

// The text of a source that is right; what it says must not depend on its layout.
void check_format(const std::shared_ptr<const SourceFile>& source, const std::string& printed) {
  const std::string formatted = format_source(source);
  const auto again = make_source(formatted, "formatted.bn");
  fuzz::expect(format_source(again) == formatted, "formatting twice changes nothing");
  fuzz::expect(print(parse_module(again)) == printed, "formatting does not change what a file says");
}

void check_diagnostics(const CompileError& error) {
  fuzz::expect(!error.diagnostics().empty(), "an error has a diagnostic");
  for (const Diagnostic& diagnostic : error.diagnostics()) {
    fuzz::expect(diagnostic.range.known(), "an error has a place: " + diagnostic.text);
    fuzz::expect_error(render(diagnostic), "fuzz.bn:");
  }
}

}  // namespace

BNC_FUZZ_TARGET(bn)(const uint8_t* data, size_t size) {
  const auto source = make_source(std::string(data, data + size), "fuzz.bn");
  Module module;
  try {
    module = parse_module(source);
  } catch (const CompileError& error) {
    check_diagnostics(error);
    return 0;
  }
  dump_ast(source);
  const std::string printed = print(module);
  fuzz::expect(print(parse_module(make_source(printed, "printed.bn"))) == printed, "what is printed parses to the same graph");
  check_format(source, printed);
  return 0;
}
