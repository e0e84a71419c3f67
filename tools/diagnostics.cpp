#include "tools/diagnostics.h"

#include <algorithm>
#include <optional>
#include <regex>
#include <vector>

#include "tools/terminal.h"

namespace bnc::tools {

namespace {

using Json = nlohmann::ordered_json;

struct Line {
  enum class Kind { head, text, source, caret };
  Kind kind = Kind::text;
  std::string all;                       // the line as it is
  std::string file, severity, text;      // of a head
  int line = 0, column = 0;
};

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Takes `PATH:LINE:COL: ` off the front of `text`; of a sentence only where the path has no spaces.
void take_place(Line& line, std::string& text, bool sentence) {
  static const std::regex any(R"(^([^:]+):(\d{1,9})(?::(\d{1,9}))?: )"), word(R"(^([^:\s]+):(\d{1,9})(?::(\d{1,9}))?: )");
  constexpr size_t longest = 4096;   // of a path
  std::smatch match;
  const std::string front = text.substr(0, longest);
  if (!std::regex_search(front, match, sentence ? word : any)) return;
  line.file = match[1];
  line.line = std::stoi(match[2]);
  line.column = match[3].matched ? std::stoi(match[3]) : 0;
  text.erase(0, static_cast<size_t>(match.length(0)));
}

// A line `FILE:LINE:COL: error: TEXT`, where the place may be missing or stand behind the severity.
std::optional<Line> head_of(const std::string& all) {
  size_t begin = std::string::npos;
  Line line{.kind = Line::Kind::head, .all = all};
  for (const char* severity : {"internal error", "error", "warning", "note", "help"}) {
    const std::string mark = std::string(severity) + ": ";
    const size_t found = all.starts_with(mark) ? 0 : all.find(": " + mark);
    if (found == std::string::npos || found >= begin) continue;
    begin = found;
    line.severity = severity;
    line.text = all.substr(found + (found == 0 ? 0 : 2) + mark.size());
  }
  if (begin == std::string::npos) return std::nullopt;
  if (begin > 0) {
    std::string place = all.substr(0, begin) + ": ";
    take_place(line, place, false);
    if (line.file.empty() && begin > 0 && all.find(' ') < begin) return std::nullopt;   // a colon within a sentence
    if (line.file.empty()) line.file = all.substr(0, begin);
  } else {
    take_place(line, line.text, true);
  }
  return line;
}

bool is_caret(const std::string& line) {
  const size_t caret = line.find_first_not_of(" \t");
  return caret != std::string::npos && line[caret] == '^' && line.find_first_not_of('~', caret + 1) == std::string::npos;
}

std::vector<Line> take_apart(std::string_view text) {
  std::vector<Line> lines;
  const std::vector<std::string> all = split_lines(text);
  for (size_t k = 0; k < all.size(); ++k) {
    if (k > 0 && is_caret(all[k])) lines.push_back({.kind = Line::Kind::caret, .all = all[k]});
    else if (k > 0 && k + 1 < all.size() && is_caret(all[k + 1])) lines.push_back({.kind = Line::Kind::source, .all = all[k]});
    else if (auto head = head_of(all[k])) lines.push_back(std::move(*head));
    else lines.push_back({.kind = Line::Kind::text, .all = all[k]});
  }
  return lines;
}

Style style_of(const std::string& severity) {
  if (severity == "warning") return Style::warning;
  if (severity == "note") return Style::note;
  return severity == "help" ? Style::help : Style::error;
}

std::string painted_head(const Line& line, std::FILE* stream) {
  const std::string mark = line.severity + ":";
  const size_t begin = line.all.starts_with(mark) ? 0 : line.all.find(" " + mark) + 1;
  const bool main = line.severity != "note" && line.severity != "help";
  const std::string place = line.all.substr(0, begin), rest = line.all.substr(begin + mark.size());
  return (place.empty() ? "" : styled(Style::bold, place, stream)) + styled(style_of(line.severity), mark, stream) +
         (main ? styled(Style::bold, rest, stream) : rest);
}

Json with_place(const Line& head) {
  Json object = {{"text", head.text}};
  if (!head.file.empty()) object["file"] = head.file;
  if (head.line > 0) object["line"] = head.line;
  if (head.column > 0) object["column"] = head.column;
  return object;
}

Json new_object(const std::string& severity, const Json& text) {
  Json object = {{"severity", severity}};
  object.update(text);
  object["notes"] = Json::array();
  object["help"] = Json::array();
  return object;
}

}  // namespace

std::string painted(std::string_view text, std::FILE* stream) {
  if (!takes_color(stream)) return std::string(text);
  std::string result;
  for (const Line& line : take_apart(text)) {
    if (line.kind == Line::Kind::head) result += painted_head(line, stream);
    else result += line.kind == Line::Kind::caret ? styled(Style::caret, line.all, stream) : line.all;
    result += '\n';
  }
  if (!text.ends_with('\n') && !result.empty()) result.pop_back();
  return result;
}

std::string diagnostics_as_json(std::string_view text) {
  std::vector<Json> objects;
  Json* current = nullptr;   // what a further line of text belongs to
  for (const Line& line : take_apart(text)) {
    const bool attached = !objects.empty() && (line.severity == "note" || line.severity == "help");
    if (line.kind == Line::Kind::head && attached) {
      Json& list = objects.back()[line.severity == "note" ? "notes" : "help"];
      list.push_back(with_place(line));
      current = &list.back();
    } else if (line.kind == Line::Kind::head) {
      current = &objects.emplace_back(new_object(line.severity, with_place(line)));
    } else if (line.kind == Line::Kind::source) {
      if (current) (*current)["source"] = line.all;
    } else if (line.kind == Line::Kind::text) {
      if (current) (*current)["text"] = (*current)["text"].get<std::string>() + "\n" + line.all;
      else current = &objects.emplace_back(new_object("info", {{"text", line.all}}));
    }
  }
  std::string result;
  for (const Json& object : objects) result += object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return result;
}

}  // namespace bnc::tools
