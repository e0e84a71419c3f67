// What the page says of a network's answers.
#include <fmt/format.h>

#include "runtime/report/sections.h"

namespace bnc {

std::vector<Section> render_answers(const RunRecord& run) {
  std::vector<Section> sections;
  for (const OutputAnswers& answers : run.answers) {
    std::vector<Section> parts = answers.classes ? render_classes(run, *answers.classes) : std::vector{render_numbers(run, answers)};
    for (Section& part : parts) {
      if (run.answers.size() > 1) part.heading += " of " + answers.output;
      sections.push_back(std::move(part));
    }
  }
  return sections;
}

}  // namespace bnc
