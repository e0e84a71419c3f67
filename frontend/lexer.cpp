#include "frontend/lexer.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/hints.h"

namespace bnc {

bool is_keyword(std::string_view text) {
  return std::find(keywords.begin(), keywords.end(), text) != keywords.end();
}

namespace {

constexpr size_t longest_name = 255;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool begins_name(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool continues_name(char c) { return begins_name(c) || is_digit(c); }

// The length of the UTF-8 sequence at `text[at]`, or 0 where there is none (RFC 3629: no overlong forms, no surrogates).
size_t utf8_length(std::string_view text, size_t at) {
  auto byte = [&](size_t k) { return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u; };
  unsigned first = byte(at);
  if (first < 0x80) return 1;
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  for (size_t k = 1; k < length; ++k)
    if ((byte(at + k) & 0xc0) != 0x80) return 0;
  unsigned second = byte(at + 1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return length;
}

class Lexer {
 public:
  Lexer(const std::shared_ptr<const SourceFile>& source, Reporter& reporter) : source_(source), text_(source->text), reporter_(reporter) {}

  std::vector<Token> run() {
    check_encoding();
    if (text_.starts_with("\xef\xbb\xbf")) at_ = line_start_ = 3;  // byte order mark
    while (skip_space()) next_token();
    emit(Token::Kind::end, 0);
    return std::move(tokens_);
  }

 private:
  SourceRange range(size_t begin, size_t length) const {
    return {source_, line_, static_cast<int>(begin - line_start_) + 1, static_cast<int>(std::max<size_t>(length, 1))};
  }

  void check_encoding() {
    for (size_t k = 0; k < text_.size();) {
      size_t length = utf8_length(text_, k);
      if (length == 0 || text_[k] == '\0') {
        fail_at(range(k, 1), fmt::format("byte 0x{:02x} does not belong in a text file", static_cast<unsigned char>(text_[k])),
                text_[k] == '\0' ? "this looks like a binary file, not .bn source" : "save the file as UTF-8");
      }
      if (text_[k] == '\n') ++line_, line_start_ = k + 1;
      k += length;
    }
    line_ = 1, line_start_ = 0;
  }

  // False at the end of the text.
  bool skip_space() {
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == '\n') {
        ++line_, line_start_ = at_ + 1, first_on_line_ = true;
      } else if (c != ' ' && c != '\t' && c != '\r') {
        return true;
      }
    }
    return false;
  }

  void emit(Token::Kind kind, size_t length) {
    tokens_.push_back({kind, text_.substr(at_, length), range(at_, length), first_on_line_});
    first_on_line_ = false;
    at_ += length;
  }

  void next_token() {
    char c = text_[at_];
    if (c == '#') return comment();
    if (begins_name(c)) {
      size_t end = at_;
      while (end < text_.size() && continues_name(text_[end])) ++end;
      if (end - at_ > longest_name)
        report(range(at_, end - at_), fmt::format("a name has at most {} characters, not {}", longest_name, end - at_), "");
      return emit(Token::Kind::name, end - at_);
    }
    if (is_digit(c)) return number();
    std::string_view rest = text_.substr(at_);
    if (foreign_sign(rest)) return;
    for (std::string_view two : {"==", "!=", "<=", ">=", ".."})
      if (rest.starts_with(two)) return emit(Token::Kind::punctuation, 2);
    if (std::string_view("(){}[],:=+-*/%<>.").find(c) != std::string_view::npos) return emit(Token::Kind::punctuation, 1);
    unexpected();
  }

  // Comments, strings and operators of other languages; true where there was one, which is reported and skipped.
  bool foreign_sign(std::string_view rest) {
    for (std::string_view begin : {"//", "/*", "\"\"\"", "'''"}) {
      if (!rest.starts_with(begin)) continue;
      report(range(at_, begin.size()), fmt::format("unexpected `{}`", begin), hint(Hint::Place::sign, begin));
      const size_t end = begin == "//" && !first_on_line_ ? begin.size() : end_of_foreign_comment(rest, begin);
      for (size_t k = 0; k < end; ++k)
        if (rest[k] == '\n') ++line_, line_start_ = at_ + k + 1, first_on_line_ = true;
      at_ += end;
      return true;
    }
    for (std::string_view sign : {"**", "@", "+=", "-=", "*=", "/=", "->", "^", "&&", "||"}) {
      if (!rest.starts_with(sign)) continue;
      report(range(at_, sign.size()), fmt::format("unexpected `{}`", sign), hint(Hint::Place::sign, sign));
      at_ += sign.size();
      return true;
    }
    return (rest[0] == '"' || rest[0] == '\'') && string(rest);
  }

  static size_t end_of_foreign_comment(std::string_view rest, std::string_view begin) {
    if (begin == "//") return std::min(rest.find('\n'), rest.size());
    const std::string_view close = begin == "/*" ? "*/" : begin;
    const size_t end = rest.find(close, begin.size());
    return end == std::string_view::npos ? rest.size() : end + close.size();
  }

  // A string on one line; what stands in it counts as if it had no quotes.
  bool string(std::string_view rest) {
    const size_t end = rest.find_first_of(std::string{rest[0], '\n'}, 1);
    if (end == std::string_view::npos || rest[end] == '\n' || end < 2) return false;
    const std::string_view inside = rest.substr(1, end - 1);
    const bool is_name = begins_name(inside[0]) && std::all_of(inside.begin(), inside.end(), continues_name);
    report(range(at_, end + 1), fmt::format("unexpected string {}", rest.substr(0, end + 1)),
           is_name ? fmt::format("write `{}` without quotes: there are no strings", inside) : "there are no strings");
    ++at_;
    if (is_name) emit(Token::Kind::name, inside.size());
    else at_ += inside.size();
    ++at_;
    return true;
  }

  void comment() {
    size_t end = std::min(text_.find('\n', at_), text_.size());
    while (end > at_ && (text_[end - 1] == '\r' || text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
    emit(Token::Kind::comment, end - at_);
  }

  void number() {
    size_t end = at_;
    auto digits = [&] { while (end < text_.size() && is_digit(text_[end])) ++end; };
    auto digit_at = [&](size_t k) { return k < text_.size() && is_digit(text_[k]); };
    auto char_at = [&](size_t k) { return k < text_.size() ? text_[k] : '\0'; };
    Token::Kind kind = Token::Kind::integer;
    digits();
    if (char_at(end) == '.' && digit_at(end + 1)) kind = Token::Kind::number, ++end, digits();
    if (char_at(end) == 'e' || char_at(end) == 'E') {
      size_t exponent = end + 1 + (char_at(end + 1) == '-' || char_at(end + 1) == '+' ? 1 : 0);
      if (digit_at(exponent)) kind = Token::Kind::number, end = exponent, digits();
    }
    size_t word = end;
    while (word < text_.size() && continues_name(text_[word])) ++word;
    if (word > end) {
      std::string_view head = text_.substr(at_, end - at_), tail = text_.substr(end, word - end);
      report(range(at_, word - at_), fmt::format("`{}{}` is neither a number nor a name", head, tail),
             fmt::format("a product is written with `*`: {}*{}", head, tail));
      end = word;
    }
    emit(kind, end - at_);
  }

  void unexpected() {
    char c = text_[at_];
    size_t length = utf8_length(text_, at_);
    std::string help;
    if (c == '!') help = hint(Hint::Place::sign, "!");
    else if (c == ';') help = "a statement ends where its line ends; no `;` is needed";
    else if (c == '"' || c == '\'') help = "there are no strings; names such as `same` stand without quotes";
    else if (static_cast<unsigned char>(c) >= 0x80) help = "names are made of the letters a to z and A to Z, digits and `_`";
    bool printable = static_cast<unsigned char>(c) >= 0x80 || (c >= 0x20 && c < 0x7f);
    std::string shown = printable ? std::string(text_.substr(at_, length)) : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    report(range(at_, length), fmt::format("unexpected character `{}`", shown), help);
    at_ += length;
  }

  void report(const SourceRange& range, const std::string& text, const std::string& help) {
    Diagnostic diagnostic{Severity::error, range, text, {}};
    if (!help.empty()) diagnostic.help(help);
    reporter_.add(CompileError(std::move(diagnostic)));
  }

  const std::shared_ptr<const SourceFile>& source_;
  std::string_view text_;
  Reporter& reporter_;
  std::vector<Token> tokens_;
  size_t at_ = 0, line_start_ = 0;
  int line_ = 1;
  bool first_on_line_ = true;
};

}  // namespace

std::vector<Token> lex(const std::shared_ptr<const SourceFile>& source, Reporter& reporter) { return Lexer(source, reporter).run(); }

}  // namespace bnc
