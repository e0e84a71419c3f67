#include "support/places.h"

namespace bnc::test {

std::string source_folder() { return BNC_SOURCE_DIR; }

std::string python() { return BNC_PYTHON; }

}  // namespace bnc::test
