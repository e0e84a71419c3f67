// Where the tests find what is not compiled into them.
#pragma once

#include <string>

namespace bnc::test {

// The root of bnc's source.
std::string source_folder();

// The Python that has numpy.
std::string python();

}  // namespace bnc::test
