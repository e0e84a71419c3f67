// What the page says of a network's answers.
#include <algorithm>

#include "runtime/report/sections.h"

namespace bnc {

namespace {

bool several_of(const RunRecord& run, const std::string& output) {
  const auto is_of = [&](const OutputAnswers& each) { return each.output == output; };
  return std::count_if(run.answers.begin(), run.answers.end(), is_of) > 1;
}

}  // namespace

std::vector<Section> render_answers(const RunRecord& run) {
  std::vector<Section> sections;
  for (const OutputAnswers& answers : run.answers) {
    std::vector<Section> parts = answers.classes ? render_classes(run, *answers.classes) : std::vector{render_numbers(run, answers)};
    for (Section& part : parts) {
      if (run.answers.size() > 1) part.heading += " of " + answers.output;
      if (several_of(run, answers.output)) part.heading += " against " + answers.target;
      sections.push_back(std::move(part));
    }
  }
  return sections;
}

}  // namespace bnc
