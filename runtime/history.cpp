#include "runtime/history.h"

#include <cmath>

#include "runtime/csv_fields.h"

namespace bnc {

namespace {

constexpr std::string_view header = "step,epoch,loss,accuracy,test_loss,test_accuracy,rate,seconds";

}  // namespace

std::string to_csv(const History& history) {
  std::string text = fmt::format("{}\n", header);
  for (const HistoryRow& row : history) {
    text += fmt::format("{},{},{},{},{},{},{},{:.3f}\n", row.step, row.epoch, csv_field(row.loss), csv_field(row.accuracy),
                        row.tested ? csv_field(row.test_loss) : "", row.tested ? csv_field(row.test_accuracy) : "", csv_field(row.rate),
                        row.seconds);
  }
  return text;
}

History parse_csv(std::string_view text, const std::string& path) {
  History history;
  read_rows(text, header, "history", path, [&](std::string_view line) {
    HistoryRow row;
    row.step = csv_number<int64_t>(take_field(line, ','), 0, path);
    row.epoch = csv_number<int64_t>(take_field(line, ','), 0, path);
    row.loss = csv_number<double>(take_field(line, ','), NAN, path);
    row.accuracy = csv_number<double>(take_field(line, ','), NAN, path);
    row.tested = !line.starts_with(',');
    row.test_loss = csv_number<double>(take_field(line, ','), NAN, path);
    row.test_accuracy = csv_number<double>(take_field(line, ','), NAN, path);
    row.rate = csv_number<double>(take_field(line, ','), NAN, path);
    row.seconds = csv_number<double>(line, NAN, path);
    history.push_back(row);
  });
  return history;
}

}  // namespace bnc
