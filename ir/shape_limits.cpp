#include "ir/shape_limits.h"

#include <algorithm>
#include <fmt/format.h>

namespace bnc {

std::string why_impossible(const Shape& shape, const std::string& batch_symbol) {
  if (shape.size() > max_rank) return fmt::format("a tensor has at most {} dimensions, not {}", max_rank, shape.size());
  const std::string text = to_string(shape, batch_symbol);
  if (std::count_if(shape.begin(), shape.end(), [](const Dim& dim) { return dim.batch; }) > 1)
    return fmt::format("the batch size stands twice in the shape {}", text);
  for (const Dim& dim : shape)
    if (dim.factor < 1) return fmt::format("a dimension of the shape {} is below 1", text);
  if (!element_count(shape)) return fmt::format("a tensor of shape {} has more than 2^62 elements", text);
  return "";
}

}  // namespace bnc
