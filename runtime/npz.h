// NumPy arrays as they stand in a .npz file, with the element type they were stored in.
#pragma once

#include <string>
#include <vector>

#include "bnc/bnc.h"

namespace bnc {

struct StoredArray {
  std::string name;
  std::string dtype;  // NumPy's, without byte order: f4, u1, b1 ...
  Array array;
};

std::vector<StoredArray> read_npz(const std::string& path);

}  // namespace bnc
