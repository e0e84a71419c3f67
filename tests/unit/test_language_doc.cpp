// Compiles every snippet of docs/language.md and docs/coming-from-pytorch.md. "```bn" holds a whole file, "```bn body" the statements of
// a network over x: f32[N, 784], "```bn wrong" a file that must be refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "frontend/frontend.h"
#include "frontend/lexer.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "support/places.h"

namespace bnc {

namespace {

std::string indented(const std::string& body) {
  std::istringstream lines(body);
  std::string text;
  for (std::string line; std::getline(lines, line);) text += (line.empty() ? "" : "  ") + line + "\n";
  return text;
}

void check_whole(const std::string& text) {
  const auto source = make_source(text, "snippet.bn");
  Module module;
  REQUIRE_NOTHROW(module = parse_module(source));
  for (const Graph& graph : module.networks) {
    CHECK_NOTHROW(verify(graph));
    CHECK(print(parse_module(make_source(print(graph))).networks[0]) == print(graph));
  }
  CHECK(format_source(source) == text);  // the page shows canonical layout
}

// How many there are.
int check_page(const std::string& path) {
  std::istringstream page(read_source(path)->text);
  int snippets = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("```bn")) continue;
    std::string kind = line.substr(5), text;
    while (std::getline(page, line) && line != "```") text += line + "\n";
    CAPTURE(text);
    if (kind == " wrong") CHECK_THROWS_AS(parse_module(make_source(text)), CompileError);
    else if (kind == " body") check_whole("network snippet(x: f32[N, 784]) {\n" + indented(text) + "  return x\n}\n");
    else check_whole(text);
    ++snippets;
  }
  return snippets;
}

}  // namespace

TEST_CASE("every snippet of the documentation of the language compiles, round-trips and is laid out canonically") {
  CHECK(check_page(test::source_folder() + "/docs/language.md") >= 15);
  CHECK(check_page(test::source_folder() + "/docs/coming-from-pytorch.md") >= 1);
}

// What editors highlight is made from this line, too.
TEST_CASE("docs/language.md lists every keyword") {
  const std::string page = read_source(test::source_folder() + "/docs/language.md")->text;
  std::vector<std::string_view> sorted(keywords.begin(), keywords.end());
  std::sort(sorted.begin(), sorted.end());
  std::string line = "Keywords, which cannot name anything:";
  for (std::string_view keyword : sorted) line += " `" + std::string(keyword) + "`";
  CHECK(page.find(line + ".\n") != std::string::npos);
}

}  // namespace bnc
