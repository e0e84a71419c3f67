#include "runtime/history.h"

#include <algorithm>
#include <cmath>

#include "runtime/csv_fields.h"

namespace bnc {

namespace {

constexpr std::string_view history_columns = "step,epoch,loss,accuracy,test_loss,test_accuracy,rate,seconds", metric_prefix = "test_";

// The names of the metrics behind the usual columns of the header.
std::vector<std::string> metric_names(std::string_view first_line, const std::string& path) {
  std::vector<std::string> names;
  if (!first_line.starts_with(history_columns)) fail("{}: not the history of a training run", path);
  for (std::string_view rest = first_line.substr(std::min(history_columns.size() + 1, first_line.size())); !rest.empty();) {
    const std::string_view column = take_field(rest, ',');
    if (!column.starts_with(metric_prefix)) fail("{}: not the history of a training run", path);
    names.emplace_back(column.substr(metric_prefix.size()));
  }
  return names;
}

}  // namespace

std::string to_csv(const History& history) {
  const auto tested = std::find_if(history.begin(), history.end(), [](const HistoryRow& row) { return !row.metrics.empty(); });
  std::string text(history_columns);
  const size_t metrics = tested == history.end() ? 0 : tested->metrics.size();
  for (size_t k = 0; k < metrics; ++k) text += fmt::format(",{}{}", metric_prefix, tested->metrics[k].first);
  text += "\n";
  for (const HistoryRow& row : history) {
    text += fmt::format("{},{},{},{},{},{},{},{:.3f}", row.step, row.epoch, csv_field(row.loss), csv_field(row.accuracy),
                        row.tested ? csv_field(row.test_loss) : "", row.tested ? csv_field(row.test_accuracy) : "", csv_field(row.rate),
                        row.seconds);
    for (size_t k = 0; k < metrics; ++k) text += "," + (k < row.metrics.size() ? csv_field(row.metrics[k].second) : "");
    text += "\n";
  }
  return text;
}

History parse_csv(std::string_view text, const std::string& path) {
  History history;
  const std::string_view first_line = text.substr(0, text.find('\n'));
  const std::vector<std::string> metrics = metric_names(first_line, path);
  read_rows(text, first_line, "history", path, [&](std::string_view line) {
    HistoryRow row;
    row.step = csv_number<int64_t>(take_field(line, ','), 0, path);
    row.epoch = csv_number<int64_t>(take_field(line, ','), 0, path);
    row.loss = csv_number<double>(take_field(line, ','), NAN, path);
    row.accuracy = csv_number<double>(take_field(line, ','), NAN, path);
    row.tested = !line.starts_with(',');
    row.test_loss = csv_number<double>(take_field(line, ','), NAN, path);
    row.test_accuracy = csv_number<double>(take_field(line, ','), NAN, path);
    row.rate = csv_number<double>(take_field(line, ','), NAN, path);
    row.seconds = csv_number<double>(take_field(line, ','), NAN, path);
    for (const std::string& name : metrics) {
      const double value = csv_number<double>(take_field(line, ','), NAN, path);
      if (row.tested) row.metrics.emplace_back(name, value);
    }
    if (!line.empty()) fail("{}: `{}` is no number", path, line);
    history.push_back(row);
  });
  return history;
}

}  // namespace bnc
