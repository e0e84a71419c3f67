// Numbers as a report shows them.
#pragma once

#include <string>

namespace bnc {

std::string percent(double share);        // "97.31 %" on one line, "none" for NaN
std::string loss_text(double loss);       // "0.4253", "9.653e+08", "none" for NaN
std::string figure_text(double number);   // "23.5", "1.2346e+06", "none" for NaN
std::string magnitude(double number);     // "185 thousand" on one line
std::string bytes_text(double bytes);     // "2.24 kB" on one line
std::string duration(double seconds);     // "5.28 us" (with a Greek letter), "95.2 ms", "31.6 s", "12 min 5 s", "3 h 25 min"

}  // namespace bnc
