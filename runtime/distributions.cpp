#include "runtime/distributions.h"

#include <algorithm>
#include <cmath>

#include "runtime/csv_fields.h"

namespace bnc {

namespace {

constexpr std::string_view distribution_columns = "step,batch_norm,p5,p15,p50,p85,p95";
constexpr size_t bins = 40;

double value_at(std::vector<float>& values, double share) {
  const auto position = static_cast<ptrdiff_t>(std::llround(share * static_cast<double>(values.size() - 1)));
  std::nth_element(values.begin(), values.begin() + position, values.end());
  return values[static_cast<size_t>(position)];
}

}  // namespace

std::array<double, 5> percentiles_of(std::vector<float>& values) {
  std::array<double, 5> result;
  for (size_t k = 0; k < result.size(); ++k)
    result[k] = values.empty() ? std::nan("") : value_at(values, distribution_percentiles[k] / 100.0);
  return result;
}

Histogram histogram_of(std::vector<float>& values) {
  if (values.empty()) return {};
  Histogram histogram{value_at(values, 0.001), value_at(values, 0.999), std::vector<int64_t>(bins, 0)};
  const double width = (histogram.high - histogram.low) / static_cast<double>(bins);
  for (const float value : values) {
    if (value < histogram.low || value > histogram.high) continue;
    const size_t bin = width > 0 ? static_cast<size_t>((value - histogram.low) / width) : 0;
    ++histogram.counts[std::min(bin, bins - 1)];
  }
  return histogram;
}

std::string to_csv(const Distributions& distributions) {
  std::string text = fmt::format("{}\n", distribution_columns);
  for (const DistributionRow& row : distributions) {
    text += fmt::format("{},{}", row.step, row.batch_norm);
    for (const double value : row.values) text += "," + csv_field(value);
    text += "\n";
  }
  return text;
}

Distributions parse_distributions(std::string_view text, const std::string& path) {
  Distributions distributions;
  read_rows(text, distribution_columns, "distributions", path, [&](std::string_view line) {
    DistributionRow row;
    row.step = csv_number<int64_t>(take_field(line, ','), 0, path);
    row.batch_norm = take_field(line, ',');
    for (double& value : row.values) value = csv_number<double>(take_field(line, ','), NAN, path);
    distributions.push_back(std::move(row));
  });
  return distributions;
}

}  // namespace bnc
