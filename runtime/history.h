// The course of a training run: rows of history.csv, curves of report.html.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bnc {

struct HistoryRow {
  int64_t step = 0, epoch = 0;                   // both counted from 1
  double loss = 0, accuracy = 0;                 // an example, of the training batches since the row before
  bool tested = false;
  double test_loss = 0, test_accuracy = 0;       // of the validation or test examples
  double rate = 0;                               // the learning rate of this step
  double seconds = 0;                            // since the run began, pauses left out
  std::vector<std::pair<std::string, double>> metrics = {};   // of the test, those of the train section
};
using History = std::vector<HistoryRow>;

// A header line and a line a row; empty fields where there is no number. Metrics are columns `test_NAME` behind all others. Numbers read
// back to the same bits.
std::string to_csv(const History& history);
// Throws Error, naming `path`, when the text is not what to_csv() writes.
History parse_csv(std::string_view text, const std::string& path);

}  // namespace bnc
