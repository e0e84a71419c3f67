// How errors look, and which names they suggest.
#include <doctest/doctest.h>

#include "ir/diagnostic.h"

using namespace bnc;

namespace {

SourceRange place(const std::string& text, int line, int column, int length) {
  return {std::make_shared<SourceFile>(SourceFile{"net.bn", text}), line, column, length};
}

}  // namespace

TEST_CASE("a diagnostic shows place, line, caret, and what is attached in the same form") {
  Diagnostic error{Severity::error, place("a\n  h = rellu(x)\nb", 2, 7, 5), "unknown op `rellu`", {}};
  error.note("x is f32[N, 5]", place("network f(x: f32[N, 5]) {", 1, 11, 1)).help("not reached");
  error.help("did you mean `relu`?");
  CHECK(render(error) ==
        "net.bn:2:7: error: unknown op `rellu`\n"
        "  h = rellu(x)\n"
        "      ^~~~~\n"
        "net.bn:1:11: note: x is f32[N, 5]\n"
        "network f(x: f32[N, 5]) {\n"
        "          ^\n"
        "help: not reached\n"
        "help: did you mean `relu`?\n");
}

TEST_CASE("carets keep tabs, and count a multi-byte character once") {
  CHECK(render({Severity::error, place("\th = f(x)", 1, 6, 1), "e", {}}) == "net.bn:1:6: error: e\n\th = f(x)\n\t    ^\n");
  CHECK(render({Severity::error, place("# \xC3\xA9 x", 1, 6, 1), "e", {}}) == "net.bn:1:6: error: e\n# \xC3\xA9 x\n    ^\n");
}

TEST_CASE("a place behind the end of the text, and no place at all") {
  CHECK(render({Severity::error, place("ab", 1, 3, 1), "expected `}`", {}}) == "net.bn:1:3: error: expected `}`\nab\n  ^\n");
  CHECK(render({Severity::error, place("ab", 5, 1, 1), "e", {}}) == "net.bn:5:1: error: e\n\n^\n");
  CHECK(render({Severity::warning, {}, "w", {}}) == "warning: w\n");
}

TEST_CASE("line ends of either kind") {
  const SourceFile file{"f", "one\r\ntwo\n\nfour"};
  CHECK(file.line(1) == "one");
  CHECK(file.line(2) == "two");
  CHECK(file.line(3) == "");
  CHECK(file.line(4) == "four");
  CHECK(file.line(5) == "");
}

TEST_CASE("a CompileError renders every diagnostic") {
  const CompileError error(std::vector<Diagnostic>{{Severity::error, {}, "first", {}}, {Severity::error, {}, "second", {}}});
  CHECK(std::string(error.what()) == "error: first\nerror: second\n");
  CHECK(error.diagnostics().size() == 2);
}

TEST_CASE("names are suggested when near enough") {
  const std::vector<std::string> ops = {"relu", "sigmoid", "batch_norm", "tanh"};
  CHECK(nearest_name("rellu", ops) == "relu");
  CHECK(nearest_name("ReLU", ops) == "relu");
  CHECK(nearest_name("batchnorm", ops) == "batch_norm");
  CHECK(nearest_name("simgoid", ops) == "sigmoid");
  CHECK(nearest_name("conv2d", ops) == "");
  CHECK(nearest_name("x", {"y"}) == "");
  CHECK(did_you_mean("tahn", ops) == "did you mean `tanh`?");
  CHECK(did_you_mean("conv2d", {"a", "b"}) == "there are a, b");
  CHECK(did_you_mean("adam", {"sgd"}) == "there is sgd");
}

TEST_CASE("names of any length are compared in bounded time") {
  const std::string endless(10'000'000, 'a');
  CHECK(nearest_name(endless, {endless + "b"}).empty());
  CHECK(nearest_name("relu", {endless, "rleu"}) == "rleu");
}

TEST_CASE("internal checks name their place") {
  const auto broken = [] { BNC_CHECK(1 == 2, "detail"); };
  CHECK_THROWS_WITH_AS(broken(), doctest::Contains("test_diagnostic.cpp"), InternalError);
  CHECK_THROWS_WITH_AS(broken(), doctest::Contains("1 == 2: detail"), InternalError);
}
