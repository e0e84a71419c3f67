// The parts of a report's page. Each is without body where the run has nothing to show there.
#pragma once

#include <vector>

#include "runtime/report/html.h"
#include "runtime/report/record.h"

namespace bnc {

Section render_normalization(const RunRecord& run);
std::vector<Section> render_answers(const RunRecord& run);       // those of each output
std::vector<Section> render_classes(const RunRecord& run, const ClassAnswers& answers);
Section render_numbers(const RunRecord& run, const OutputAnswers& answers);
std::vector<Section> render_compilation(const RunRecord& run);   // the graph before and after the passes, and what was folded
std::string render_state(const RunRecord& run);                  // whether it goes on, and how it ended
Section render_settings(const RunRecord& run);

}  // namespace bnc
