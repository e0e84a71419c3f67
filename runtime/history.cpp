#include "runtime/history.h"

#include <charconv>
#include <cmath>

#include "runtime/error.h"

namespace bnc {

namespace {

constexpr std::string_view header = "step,epoch,loss,accuracy,test_loss,test_accuracy,rate,seconds";

std::string field(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

// Takes the text up to the next `end` off the front.
std::string_view take(std::string_view& text, char end) {
  const size_t length = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return taken;
}

template <class T>
T number(std::string_view text, T empty, const std::string& path) {
  if (text.empty()) return empty;
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) fail("{}: `{}` is no number", path, text);
  return value;
}

}  // namespace

std::string to_csv(const History& history) {
  std::string text = fmt::format("{}\n", header);
  for (const HistoryRow& row : history) {
    text += fmt::format("{},{},{},{},{},{},{},{:.3f}\n", row.step, row.epoch, field(row.loss), field(row.accuracy), row.tested ? field(row.test_loss) : "",
                        row.tested ? field(row.test_accuracy) : "", field(row.rate), row.seconds);
  }
  return text;
}

History parse_csv(std::string_view text, const std::string& path) {
  if (take(text, '\n') != header) fail("{}: not the history of a training run", path);
  History history;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    HistoryRow row;
    row.step = number<int64_t>(take(line, ','), 0, path);
    row.epoch = number<int64_t>(take(line, ','), 0, path);
    row.loss = number<double>(take(line, ','), NAN, path);
    row.accuracy = number<double>(take(line, ','), NAN, path);
    row.tested = !line.starts_with(',');
    row.test_loss = number<double>(take(line, ','), NAN, path);
    row.test_accuracy = number<double>(take(line, ','), NAN, path);
    row.rate = number<double>(take(line, ','), NAN, path);
    row.seconds = number<double>(line, NAN, path);
    history.push_back(row);
  }
  return history;
}

}  // namespace bnc
