// report.html: one file that tells how a training run went, and pages that hold several runs against one another.
#pragma once

#include <span>
#include <string>

#include "runtime/report/record.h"

namespace bnc {

std::string render_report(const RunRecord& run);
std::string render_comparison(std::span<const RunRecord> runs);

}  // namespace bnc
