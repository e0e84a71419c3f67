// Pieces of HTML and SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace bnc {

// Text with the characters that HTML gives a meaning replaced.
std::string escape_html(const std::string& text);

// A whole page: style and script inside, nothing from elsewhere.
std::string render_page(const std::string& title, const std::string& body);

// A section with a heading and, where it is not empty, a sentence below it; empty for an empty body.
std::string render_section(const std::string& heading, const std::string& note, const std::string& body);

// A table whose rows are HTML cells; the first cell of a row is its heading.
struct HtmlTable {
  std::string caption, style;                     // style: CSS classes
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;     // of HTML
  std::vector<std::string> row_styles = {};       // as many as rows, or none
  std::string id = {};
};
std::string render_table(const HtmlTable& table);

}  // namespace bnc
