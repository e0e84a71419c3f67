#include "ir/metric.h"

#include <algorithm>

namespace bnc {

const std::vector<MetricDefinition>& all_metrics() {
  static const std::vector<MetricDefinition> metrics = {
      {"accuracy", "the share of examples whose largest score is the label's, or whose number lies on the label's side", true, true},
      {"top_accuracy", "the share whose label is among the `k` largest scores (5 by default)", true, true, true},
      {"precision", "the mean over all classes of the share of its predictions that are right", true, true},
      {"recall", "the mean over all classes of the share of its examples that are found", true, true},
      {"f1_score", "the mean over all classes of 2*precision*recall / (precision + recall)", true, true},
      {"intersection_over_union", "the mean over all classes of right / (right + wrongly predicted + missed), for segmentation", true,
       true},
      {"root_mean_squared_error", "the root of the mean of (prediction - target)^2"},
      {"r_squared", "1 - sum of (prediction - target)^2 / sum of (target - mean of the targets)^2", false, true},
  };
  return metrics;
}

const MetricDefinition* find_metric(const std::string& name) {
  const auto& metrics = all_metrics();
  const auto found = std::find_if(metrics.begin(), metrics.end(), [&](const MetricDefinition& each) { return each.name == name; });
  return found == metrics.end() ? nullptr : &*found;
}

}  // namespace bnc
