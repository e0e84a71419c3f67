#include "runtime/tensor_map.h"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "ir/utf8.h"

namespace bnc {

namespace {

constexpr std::string_view blank = " \t\r";

// The part of a line without the blanks around it; `at` becomes its column, from 0.
std::string_view trimmed(std::string_view part, size_t& at) {
  const size_t begin = std::min(part.find_first_not_of(blank), part.size());
  at += begin;
  part.remove_prefix(begin);
  return part.substr(0, part.find_last_not_of(blank) + 1);
}

class TensorMapParser {
 public:
  explicit TensorMapParser(const std::shared_ptr<const SourceFile>& source) : source_(source) {}

  std::vector<TensorMapLine> parse() {
    std::string_view rest = source_->text;
    for (int number = 1; !rest.empty(); ++number) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      line(rest.substr(0, end), number);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    refuse_uncertain();
    if (!errors_.empty()) throw CompileError(std::move(errors_));
    return std::move(lines_);
  }

 private:
  const std::shared_ptr<const SourceFile>& source_;
  std::vector<TensorMapLine> lines_;
  std::vector<Diagnostic> errors_;
  SourceRange first_uncertain_;
  int uncertain_ = 0;

  void refuse_uncertain() {
    if (uncertain_ == 0) return;
    const std::string text = uncertain_ == 1   ? "this line is uncertain"
                             : uncertain_ == 2 ? "this line and another one are uncertain"
                                               : fmt::format("this line and {} others are uncertain", uncertain_ - 1);
    errors_.push_back({Severity::error, first_uncertain_, text, {}});
    errors_.back().help("correct it, or see that it is right, and take off the `?`");
  }

  void line(std::string_view text, int number) {
    size_t at = 0;
    const std::string_view whole = trimmed(text, at);
    if (whole.empty() || whole[0] == '#') return;
    const auto refuse = [&](std::string message, std::string help) {
      constexpr size_t most_errors = 20;
      if (errors_.size() >= most_errors) return;
      errors_.push_back({Severity::error, place(number, at, whole), std::move(message), {}});
      errors_.back().help(std::move(help));
    };
    if (first_not_utf8(whole)) return refuse("this line is not UTF-8", "write names as the file of the tensors has them");
    if (whole[0] == '?') {
      if (++uncertain_ == 1) first_uncertain_ = place(number, at, whole);
      return;
    }
    const size_t sign = whole.find('=');
    size_t left = at, right = at + sign + 1;
    const std::string_view parameter = trimmed(whole.substr(0, std::min(sign, whole.size())), left);
    const std::string_view tensor = sign == std::string_view::npos ? "" : trimmed(whole.substr(sign + 1), right);
    if (parameter.empty() || tensor.empty())
      return refuse("a line of a map is `parameter = tensor`", "`ignore = tensor` leaves a tensor out; comments begin with `#`");
    lines_.push_back({parameter == "ignore" ? "" : std::string(parameter), std::string(tensor), place(number, left, parameter),
                      place(number, right, tensor)});
  }

  SourceRange place(int line, size_t column, std::string_view text) const {
    return {source_, line, static_cast<int>(column) + 1, static_cast<int>(text.size())};
  }
};

}  // namespace

std::vector<TensorMapLine> parse_tensor_map(const std::shared_ptr<const SourceFile>& source) { return TensorMapParser(source).parse(); }

}  // namespace bnc
