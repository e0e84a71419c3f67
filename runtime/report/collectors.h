// The collectors of answers, of either kind.
#pragma once

#include "runtime/report/predictions.h"

namespace bnc {

std::unique_ptr<AnswerCollector> collect_classes(const AnswerKind& kind);
std::unique_ptr<AnswerCollector> collect_numbers(const AnswerKind& kind);

}  // namespace bnc
