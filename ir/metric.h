// Figures of predictions beside the loss, which a train section's `metrics` ask for.
#pragma once

#include <string>
#include <vector>

#include "ir/formula.h"
#include "ir/type.h"

namespace bnc {

struct MetricDefinition {
  std::string name, summary;
  bool of_classes = false;         // of class numbers; else of numbers
  bool more_is_better = false;
  bool has_k = false;              // takes an integer `k`
};

// What `metrics` may name beside the loss ops.
const std::vector<MetricDefinition>& all_metrics();
const MetricDefinition* find_metric(const std::string& name);

// A metric of a train section: one of all_metrics() of an output and a target, or a formula that gives one number.
struct Metric {
  std::string name;   // of its column in the history
  Formula formula;

  const MetricDefinition* definition() const { return formula.kind == Formula::Kind::call ? find_metric(formula.name) : nullptr; }
  bool more_is_better() const { return definition() && definition()->more_is_better; }
  bool operator==(const Metric&) const = default;
};

}  // namespace bnc
