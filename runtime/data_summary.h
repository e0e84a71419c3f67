// What `bnc data` tells of a data set.
#pragma once

#include <string>

#include "bnc/bnc.h"

namespace bnc {

// Beyond so many different whole numbers targets are no classes.
inline constexpr size_t most_number_classes = 256;
// Whole numbers from 0 on are taken for classes where each one comes again.
inline bool may_be_classes(double lowest, size_t different, int64_t count) {
  return lowest >= 0 && different <= most_number_classes && static_cast<int64_t>(different) * 2 <= count;
}

// The columns of a table, what looks wrong about them, and its classes.
void summarize_table(const std::string& path, const DataOptions& options, DataSummary& summary);

}  // namespace bnc
