#include "runtime/report/html.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

#include "runtime/report/page_parts.h"

namespace bnc {

namespace {

constexpr size_t fewest_links = 3;   // fewer sections need no links
constexpr int reload_seconds = 10;

std::string escaped(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    default: return std::string(1, c);
  }
}

// "Batch norms" -> "batch-norms"
std::string anchor(std::string heading) {
  for (char& c : heading) c = c == ' ' ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return heading;
}

std::string render_section(const Section& section) {
  const std::string note = section.note.empty() ? "" : fmt::format("<p>{}</p>\n", section.note);
  return fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n{}{}</section>\n", anchor(section.heading), section.heading, note, section.body);
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string html;
  for (const char c : text) html += escaped(c);
  return html;
}

std::string breakable(const std::string& text) {
  std::string html;
  for (size_t k = 0; k < text.size(); ++k) {
    const auto is_one_of = [](char c, std::string_view signs) { return signs.find(c) != std::string_view::npos; };
    const bool letter = std::isalpha(static_cast<unsigned char>(text[k])), digit = std::isdigit(static_cast<unsigned char>(text[k]));
    if (k > 0 && ((letter && is_one_of(text[k - 1], "./_=(")) || (digit && is_one_of(text[k - 1], "=(")))) html += "<wbr>";
    html += escaped(text[k]);
  }
  return html;
}

std::string with_code(const std::string& text) {
  std::string html;
  bool code = false;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('`', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    html += code ? "<code>" + breakable(part) + "</code>" : escape_html(part);
    code = !code;
    begin = end + 1;
  }
  return html;
}

std::string render_page(const std::string& title, const std::string& first, const std::vector<Section>& sections, bool reload) {
  std::string links, body;
  size_t count = 0;
  for (const Section& section : sections) {
    if (section.body.empty()) continue;
    links += fmt::format("<a href=\"#{}\">{}</a>\n", anchor(section.heading), section.heading);
    body += render_section(section);
    ++count;
  }
  if (count >= fewest_links) links = fmt::format("<nav aria-label=\"sections\">\n{}</nav>\n", links);
  else links.clear();
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" "
      "href=\"data:,\">\n{}<title>{}</title>\n<style>{}</style>\n</head>\n<body{}>\n<main>\n{}{}{}</main>\n<div id=\"tip\" role=\"status\" "
      "hidden></div>\n<script>{}</script>\n</body>\n</html>\n",
      reload ? fmt::format("<noscript><meta http-equiv=\"refresh\" content=\"{}\"></noscript>\n", reload_seconds) : "", escape_html(title),
      page_style, reload ? fmt::format(" data-reload=\"{}\"", reload_seconds) : "", first, links, body, page_script);
}

std::string render_table(const HtmlTable& table) {
  std::string text = fmt::format("<div class=\"scroll\"><table class=\"{}\">\n<caption>{}</caption>\n", table.style, table.caption);
  if (!table.head.empty()) {
    text += "<thead><tr>";
    for (const std::string& cell : table.head) text += fmt::format("<th scope=\"col\">{}</th>", breakable(cell));
    text += "</tr></thead>\n";
  }
  const bool titles = table.style.find("stack") != std::string::npos;
  text += "<tbody>\n";
  for (size_t k = 0; k < table.rows.size(); ++k) {
    text += table.row_styles.empty() ? "<tr>" : fmt::format("<tr class=\"{}\">", table.row_styles[k]);
    for (size_t column = 0; column < table.rows[k].size(); ++column) {
      const std::string& cell = table.rows[k][column];
      const std::string title = titles && column < table.head.size() ? fmt::format(" data-title=\"{}\"", escape_html(table.head[column]))
                                                                     : "";
      text += column == 0 ? fmt::format("<th scope=\"row\">{}</th>", cell) : fmt::format("<td{}>{}</td>", title, cell);
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table></div>\n";
}

}  // namespace bnc
