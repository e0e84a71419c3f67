// Canonical layout: line breaks stay where the author put them, everything between them is decided here. Works on
// tokens, so that no comment is ever lost; formatting twice changes nothing.
#include <algorithm>
#include <cctype>
#include <map>
#include <string>
#include <vector>

#include "frontend/frontend.h"
#include "frontend/lexer.h"
#include "frontend/parser.h"

namespace bnc {

namespace {

struct Line {
  std::string code, comment;
  int level = 0;
  bool blank_before = false;
  int train = -1;          // the train section whose setting this line is
  size_t key_length = 0;   // of that setting
};

bool is_any(const Token& token, std::initializer_list<std::string_view> texts) {
  return std::any_of(texts.begin(), texts.end(), [&](std::string_view text) { return token.is(text); });
}

bool is_operator(const Token& token) {
  return is_any(token, {"+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "and", "or"});
}

bool ends_value(const Token& token) {
  if (token.kind == Token::Kind::name) return !is_keyword(token.text) || is_any(token, {"true", "false"});
  return token.kind == Token::Kind::integer || token.kind == Token::Kind::number || is_any(token, {")", "]", "}"});
}

class Formatter {
 public:
  explicit Formatter(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  std::string run() {
    for (size_t begin = 0; tokens_[begin].kind != Token::Kind::end;) {
      size_t end = begin + 1;
      while (!tokens_[end].first_on_line && tokens_[end].kind != Token::Kind::end) ++end;
      lines_.push_back(line(begin, end));
      begin = end;
    }
    align_settings();
    align_comments();
    return text();
  }

 private:
  struct Bracket {
    char open;
    size_t line;
  };

  Line line(size_t begin, size_t end) {
    Line result;
    const Token& first = tokens_[begin];
    if (brackets_.empty() && first.kind != Token::Kind::comment) in_train_ = first.is("train"), ++trains_;
    result.blank_before = blank_before(begin);
    if (in_train_ && brackets_.size() == 1 && begin + 1 < end && tokens_[begin + 1].is("="))
      result.train = trains_, result.key_length = first.text.size();
    result.level = level(begin, end);
    for (size_t k = begin; k < end; ++k) {
      if (tokens_[k].kind == Token::Kind::comment) {
        result.comment = comment(tokens_[k].text);
        continue;
      }
      if (k > begin && space_between(k)) result.code += ' ';
      result.code += tokens_[k].text;
      track(tokens_[k]);
      if (is_any(tokens_[k], {"+", "-"})) binary_ = k > 0 && ends_value(tokens_[k - 1]);
    }
    return result;
  }

  // Lines that opened brackets still open here, and one more where a statement goes on outside of any.
  int level(size_t begin, size_t end) const {
    size_t open = brackets_.size();
    for (size_t k = begin; k < end && open > 0 && is_any(tokens_[k], {")", "]", "}"}); ++k) --open;
    int level = 0;
    for (size_t k = 0; k < open; ++k)
      if (k == 0 || brackets_[k].line != brackets_[k - 1].line) ++level;
    return level + (continues(begin) ? 1 : 0);
  }

  bool continues(size_t begin) const {
    if (!brackets_.empty() && brackets_.back().open != '{') return false;
    if (is_operator(tokens_[begin])) return true;
    size_t before = begin;
    while (before > 0 && tokens_[before - 1].kind == Token::Kind::comment) --before;
    return before > 0 && (is_operator(tokens_[before - 1]) || is_any(tokens_[before - 1], {"=", ",", "in", ".."}));
  }

  bool blank_before(size_t begin) const {
    if (begin == 0) return false;
    const Token &first = tokens_[begin], &previous = tokens_[begin - 1];
    if (first.is("}") || lines_.back().code.ends_with("{")) return false;
    bool after_declaration = brackets_.empty() && !lines_.back().code.empty() && lines_.back().code.ends_with("}");
    return after_declaration || first.range.line - previous.range.line > 1;
  }

  void track(const Token& token) {
    if (token.kind != Token::Kind::punctuation) return;
    if (is_any(token, {"(", "[", "{"})) brackets_.push_back({token.text[0], lines_.size()});
    if (is_any(token, {")", "]", "}"}) && !brackets_.empty()) brackets_.pop_back();
  }

  bool space_between(size_t k) const {
    const Token &left = tokens_[k - 1], &right = tokens_[k];
    char inside = brackets_.empty() ? '{' : brackets_.back().open;
    if (left.is("{") || right.is("{") || left.is("}")) return !is_any(right, {")", "]", ",", "["});
    if (right.is("}")) return true;
    if (is_any(left, {"(", "[", ".", ".."}) || is_any(right, {")", "]", ",", ":", ".", ".."})) return false;
    if (left.is("-") && !binary_) return false;
    if (inside == '(' && (left.is("=") || right.is("="))) return false;
    if ((right.is("=") && is_layout(k - 1)) || (left.is("=") && k >= 2 && is_layout(k - 2))) return false;
    if (is_any(right, {"(", "["})) return !ends_value(left);
    if (inside == '[' && (is_any(left, {"*", "/"}) || is_any(right, {"*", "/"}))) return false;
    return true;
  }

  // The word `layout` behind a value that is returned.
  bool is_layout(size_t k) const { return tokens_[k].is("layout") && !tokens_[k].first_on_line && k > 0 && ends_value(tokens_[k - 1]); }

  static std::string comment(std::string_view text) {
    size_t marks = std::min(text.find_first_not_of('#'), text.size());
    bool tight =
        marks < text.size() && static_cast<unsigned char>(text[marks]) > ' ' && std::isalnum(static_cast<unsigned char>(text[marks]));
    return std::string(text.substr(0, marks)) + (tight ? " " : "") + std::string(text.substr(marks));
  }

  void align_settings() {
    std::map<int, size_t> widths;
    for (const Line& line : lines_)
      if (line.train >= 0) widths[line.train] = std::max(widths[line.train], line.key_length);
    for (Line& line : lines_)
      if (line.train >= 0) line.code.insert(line.key_length, widths[line.train] - line.key_length, ' ');
  }

  // Comments behind the code of neighbouring lines stand in one column.
  void align_comments() {
    auto both = [&](size_t k) { return k < lines_.size() && !lines_[k].code.empty() && !lines_[k].comment.empty(); };
    auto width = [&](size_t k) { return 2 * lines_[k].level + lines_[k].code.size(); };
    for (size_t begin = 0; begin < lines_.size();) {
      size_t end = begin, widest = 0;
      for (; both(end) && (end == begin || !lines_[end].blank_before); ++end) widest = std::max(widest, width(end));
      for (size_t k = begin; k < end; ++k) lines_[k].code.append(widest - width(k) + 2, ' ');
      begin = std::max(end, begin + 1);
    }
  }

  std::string text() const {
    std::string text;
    for (const Line& line : lines_) {
      if (line.blank_before) text += '\n';
      text += std::string(2 * line.level, ' ') + line.code + line.comment + '\n';
    }
    return text;
  }

  std::vector<Token> tokens_;
  std::vector<Line> lines_;
  std::vector<Bracket> brackets_;
  int trains_ = 0;
  bool in_train_ = false;
  bool binary_ = false;  // the `-` or `+` seen last has a left operand
};

}  // namespace

std::string format_source(const std::shared_ptr<const SourceFile>& source) {
  parse_syntax(source);
  Reporter reporter;
  std::vector<Token> tokens = lex(source, reporter);
  return Formatter(std::move(tokens)).run();
}

}  // namespace bnc
