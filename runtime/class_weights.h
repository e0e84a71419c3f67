// Class weights that follow from how often each class occurs.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "bnc/bnc.h"

namespace bnc {

// The network with numbers in place of `class_weights=balanced`: examples / (classes * examples of the class), so that every class counts
// as much as another (King and Zeng, "Logistic regression in rare events data", 2001), and 0 where it has no example. Nothing where no loss
// asks for it; `counts` are asked for only then.
std::optional<Network> with_balanced_classes(const Network& network, const std::function<std::vector<double>()>& counts);

}  // namespace bnc
