#include "runtime/shuffle.h"

#include <numeric>

#include "ir/random.h"

namespace bnc {

std::vector<int64_t> shuffled_indices(int64_t count, uint64_t seed, std::string_view purpose) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  RandomStream random(seed, purpose);
  for (size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[random.below(k)]);
  return order;
}

}  // namespace bnc
