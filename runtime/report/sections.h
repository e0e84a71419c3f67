// The parts of a report's page. Each is empty where the run has nothing to show there.
#pragma once

#include <string>

#include "runtime/report/record.h"

namespace bnc {

std::string percent(double share);   // "97.31 %", "none" for NaN

std::string render_figures(const RunRecord& run);
std::string render_course(const RunRecord& run);
std::string render_normalization(const RunRecord& run);
std::string render_predictions(const RunRecord& run);
std::string render_confusion(const RunRecord& run);
std::string render_compilation(const RunRecord& run);   // the graph before and after the passes, and what was folded

}  // namespace bnc
