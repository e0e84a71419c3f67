#include "runtime/class_weights.h"

#include <numeric>

#include "runtime/error.h"
#include "runtime/network.h"

namespace bnc {

std::optional<Network> with_balanced_classes(const Network& network, const std::function<std::vector<double>()>& counts) {
  if (!network.trainable()) return std::nullopt;
  Formula loss = network.data().train()->loss;
  if (balanced_losses(loss).empty()) return std::nullopt;
  const std::vector<double> found = counts();
  const double all = std::accumulate(found.begin(), found.end(), 0.0), classes = static_cast<double>(found.size());
  NumberList weights;
  for (const double count : found) weights.push_back(count > 0 ? all / (classes * count) : 0);
  for (Formula* each : balanced_losses(loss)) {
    if (each->operands.size() < 2 || found.empty())
      throw CompileError(Diagnostic{Severity::error, each->range, "`class_weights=balanced` needs labels to count", {}});
    each->attributes[class_weights] = weights;
  }
  const SourceFile& source = *network.data().source;
  Network balanced = Network::from_text(source.text, source.path);
  balanced.data().module.train->loss = std::move(loss);
  return balanced;
}

}  // namespace bnc
