// How far predicted numbers are from the true ones, from sums in one pass.
#pragma once

#include <cmath>

namespace bnc {

class ErrorSums {
 public:
  void add(double truth, double prediction) {
    const double error = prediction - truth, from_mean = truth - mean_;   // of truths, by Welford's updates
    ++count_;
    absolute_ += std::abs(error);
    squares_ += error * error;
    mean_ += from_mean / count_;
    spread_ += from_mean * (truth - mean_);
  }
  // NaN where nothing was added.
  double mean_absolute_error() const { return absolute_ / count_; }
  double root_mean_squared_error() const { return std::sqrt(squares_ / count_); }
  // 1 - (mean square error) / (variance of the truths); NaN where that is 0.
  double r_squared() const { return spread_ > 0 ? 1 - squares_ / spread_ : std::nan(""); }

 private:
  double count_ = 0, absolute_ = 0, squares_ = 0, mean_ = 0, spread_ = 0;
};

}  // namespace bnc
