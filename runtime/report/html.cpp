#include "runtime/report/html.h"

#include <fmt/format.h>

#include "runtime/report/page_parts.h"

namespace bnc {

std::string escape_html(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') escaped += "&amp;";
    else if (c == '<') escaped += "&lt;";
    else if (c == '>') escaped += "&gt;";
    else if (c == '"') escaped += "&quot;";
    else escaped.push_back(c);
  }
  return escaped;
}

std::string render_page(const std::string& title, const std::string& body) {
  return fmt::format("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n"
                     "<body>\n<main>\n{}</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n<script>{}</script>\n</body>\n</html>\n",
                     escape_html(title), page_style, body, page_script);
}

std::string render_section(const std::string& heading, const std::string& note, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format("<section>\n<h2>{}</h2>\n{}{}</section>\n", heading, note.empty() ? "" : fmt::format("<p>{}</p>\n", note), body);
}

std::string render_table(const HtmlTable& table) {
  std::string text = fmt::format("<div class=\"scroll\"><table{} class=\"{}\">\n<caption>{}</caption>\n", table.id.empty() ? "" : fmt::format(" id=\"{}\"", table.id), table.style,
                                 table.caption);
  if (!table.head.empty()) {
    text += "<thead><tr>";
    for (const std::string& cell : table.head) text += fmt::format("<th scope=\"col\">{}</th>", cell);
    text += "</tr></thead>\n";
  }
  text += "<tbody>\n";
  for (size_t k = 0; k < table.rows.size(); ++k) {
    text += table.row_styles.empty() ? "<tr>" : fmt::format("<tr class=\"{}\">", table.row_styles[k]);
    for (size_t column = 0; column < table.rows[k].size(); ++column) {
      text += (column == 0 ? "<th scope=\"row\">" : "<td>") + table.rows[k][column] + (column == 0 ? "</th>" : "</td>");
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

}  // namespace bnc
