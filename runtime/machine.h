// The machine at hand and the hour, as a record of a run names them.
#pragma once

#include <string>

namespace bnc {

std::string machine_name();   // "AMD EPYC 7B13, 4 processors"
std::string utc_time();       // of now: "2026-11-29 07:45 UTC"

}  // namespace bnc
