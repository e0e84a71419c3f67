// bnc::report: from folders of runs to a page.
#include "bnc/bnc.h"
#include "runtime/error.h"
#include "runtime/report/report.h"

namespace bnc {

std::string report(const std::vector<std::string>& runs) {
  return at_boundary([&] {
    std::vector<RunRecord> records;
    for (const std::string& folder : runs) records.push_back(read_record(folder));
    if (records.empty()) fail("a report needs the folder of a training run");
    return records.size() == 1 ? render_report(records.front()) : render_comparison(records);
  });
}

}  // namespace bnc
