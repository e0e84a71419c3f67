// Pieces of HTML and SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace bnc {

// Text with the characters that HTML gives a meaning replaced.
std::string escape_html(const std::string& text);

// The same, and a line may end within a long name or path: before a letter that follows one of `. / _ = (`, a digit that follows `=` or
// `(`.
std::string breakable(const std::string& text);
// The same, with what stands between backticks as code.
std::string with_code(const std::string& text);

// A part of a page. One without body is left out; `note` may be empty.
struct Section {
  std::string heading, note, body;
};

// A whole page: a first part, links to the sections, and these; style and script inside, nothing from elsewhere. With `reload` it reloads
// itself every few seconds.
std::string render_page(const std::string& title, const std::string& first, const std::vector<Section>& sections, bool reload = false);

// A table whose rows are HTML cells; the first cell of a row is its heading. Classes of the style sheet: `wide` as the page, `number` of
// numbers, `stack`: on a phone, cells stand below one another, each behind the title of its column.
struct HtmlTable {
  std::string caption, style;
  std::vector<std::string> head;                  // text
  std::vector<std::vector<std::string>> rows;     // of HTML
  std::vector<std::string> row_styles = {};       // as many as rows, or none
};
std::string render_table(const HtmlTable& table);

}  // namespace bnc
