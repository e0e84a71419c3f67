// The parts of a report's page. Each is without body where the run has nothing to show there.
#pragma once

#include <vector>

#include "runtime/report/html.h"
#include "runtime/report/record.h"

namespace bnc {

Section render_normalization(const RunRecord& run);
Section render_predictions(const RunRecord& run);
Section render_confusion(const RunRecord& run);
std::vector<Section> render_compilation(const RunRecord& run);   // the graph before and after the passes, and what was folded

}  // namespace bnc
