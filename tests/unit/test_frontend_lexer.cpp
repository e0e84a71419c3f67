#include <doctest/doctest.h>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "frontend/lexer.h"

namespace bnc {

namespace {

// KIND:TEXT@LINE:COLUMN of every token, `|` in front of the first one of a line.
std::string tokens_in(const std::string& text) {
  Reporter reporter;
  std::string shown;
  auto source = make_source(text);
  for (const Token& token : lex(source, reporter))
    shown += fmt::format("{}{}:{}@{}:{} ", token.first_on_line ? "|" : "", "nifpce"[static_cast<int>(token.kind)], token.text,
                         token.range.line, token.range.column);
  reporter.finish();
  return shown.substr(0, shown.rfind(" |e:") == std::string::npos ? shown.rfind(" e:") : shown.rfind(" |e:"));
}

}  // namespace

TEST_CASE("tokens carry kind, text and place") {
  CHECK(tokens_in("h = relu(x)\n") == "|n:h@1:1 p:=@1:3 n:relu@1:5 p:(@1:9 n:x@1:10 p:)@1:11");
  CHECK(tokens_in("a\r\n\tb") == "|n:a@1:1 |n:b@2:2");
  CHECK(tokens_in("\xef\xbb\xbf" "a") == "|n:a@1:1");
}

TEST_CASE("numbers, ranges and dots are told apart") {
  CHECK(tokens_in("1 1.5 1e-3 2E+4 0..3 a.b") ==
        "|i:1@1:1 f:1.5@1:3 f:1e-3@1:7 f:2E+4@1:12 i:0@1:17 p:..@1:18 i:3@1:20 n:a@1:22 p:.@1:23 n:b@1:24");
  CHECK(tokens_in("a==b a<=b a=b") == "|n:a@1:1 p:==@1:2 n:b@1:4 n:a@1:6 p:<=@1:7 n:b@1:9 n:a@1:11 p:=@1:12 n:b@1:13");
  CHECK_THROWS_AS(tokens_in("2N"), CompileError);
  CHECK_THROWS_AS(tokens_in("1e"), CompileError);
}

TEST_CASE("comments are tokens, may hold any UTF-8 text, and end with their line") {
  CHECK(tokens_in("a # größer  \nb") == "|n:a@1:1 c:# größer@1:3 |n:b@2:1");
}

TEST_CASE("text that is not UTF-8 is refused at its place") {
  for (const std::string bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xf0\x80\x80\x80"}) {
    CAPTURE(bytes.size());
    try {
      tokens_in("a\n# " + bytes);
      FAIL("accepted");
    } catch (const CompileError& error) {
      CHECK(error.diagnostics()[0].range.line == 2);
      CHECK(error.diagnostics()[0].range.column == 3);
    }
  }
  CHECK_NOTHROW(tokens_in("# \xf0\x9f\x98\x80 \xe2\x82\xac"));
  CHECK_THROWS_AS(tokens_in(std::string("a\0b", 3)), CompileError);
}

}  // namespace bnc
