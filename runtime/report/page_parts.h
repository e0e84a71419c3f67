// The style sheet and the script of report pages.
#pragma once

namespace bnc {

extern const char* const page_style;
extern const char* const page_script;

}  // namespace bnc
