// Which values an index takes for certain: sums of multiples of counters that do not depend on one another.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "ir/loops.h"

namespace bnc::loops {

// `constant` and `factors` times the counters of those numbers. Each counter takes all values from 0 to its last one, whatever the
// others are, so that the least and the greatest sum are both taken.
struct Progression {
  int64_t constant = 0;
  std::map<int, int64_t> factors;

  bool is_constant() const { return factors.empty(); }
};

class Counters {
 public:
  // `begin`, and so many steps from there.
  Progression count(Progression begin, int64_t step, int64_t last);
  // The least and the greatest value; nothing where they do not fit 64 bits.
  std::optional<std::pair<int64_t, int64_t>> ends(const Progression& x) const;

 private:
  std::vector<int64_t> last_;   // of each counter
};

// The scalar index as a progression, where it is one; `find` tells what is known of a variable, null where nothing is.
std::optional<Progression> progression_of(const Expr& x, const std::function<const Progression*(const std::string&)>& find);
std::optional<Progression> difference(const std::optional<Progression>& a, const std::optional<Progression>& b);

}  // namespace bnc::loops
