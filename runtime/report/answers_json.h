// Answers in report.json.
#pragma once

#include <nlohmann/json.hpp>

#include "runtime/report/answers.h"

namespace bnc {

nlohmann::ordered_json json_of(const OutputAnswers& answers);
nlohmann::ordered_json json_of(const Histogram& histogram);
// Json::exception where something is damaged.
OutputAnswers answers_of(const nlohmann::ordered_json& json);
Histogram histogram_from(const nlohmann::ordered_json& json);

}  // namespace bnc
