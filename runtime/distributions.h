// How what batch norms normalize is distributed in the course of a training run: rows of distributions.csv, bands of report.html.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bnc {

// The outer and inner band around the median; 15 and 85 are those of the figure in Ioffe and Szegedy (2015).
inline constexpr std::array<int, 5> distribution_percentiles = {5, 15, 50, 85, 95};

struct DistributionRow {
  int64_t step = 0;                    // steps done before; 0: fresh weights
  std::string batch_norm;              // its path: "stage1.batch_norm_1"
  std::array<double, 5> values = {};   // at the percentiles, over all channels; NaN where no value is finite
};
using Distributions = std::vector<DistributionRow>;

// Equally wide bins over all but the outermost thousandth of the values on either side.
struct Histogram {
  double low = 0, high = 0;
  std::vector<int64_t> counts;         // empty where no value is finite
};

// One batch norm with the weights that a run ended with.
struct NormalizationHistograms {
  std::string batch_norm;
  Histogram before, after;             // `after`: its result, scaled and shifted
};

// Reorders `values`, which are finite. The value at each percentile, without interpolation.
std::array<double, 5> percentiles_of(std::vector<float>& values);
Histogram histogram_of(std::vector<float>& values);

// A header line and a line a row. Numbers read back to the same bits.
std::string to_csv(const Distributions& distributions);
// Throws Error, naming `path`, when the text is not what to_csv() writes.
Distributions parse_distributions(std::string_view text, const std::string& path);

}  // namespace bnc
