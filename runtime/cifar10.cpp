// CIFAR-10's binary batches.
#include "runtime/dataset.h"
#include "runtime/error.h"

namespace bnc {

void read_cifar10(const std::vector<std::string>& files, Dataset::Data& data) {
  constexpr int64_t side = 32, channels = 3, plane = side * side, record = 1 + channels * plane;
  data.files = files;
  data.labels_file = files.front();
  data.example_dims = {side, side, channels};
  data.class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  for (const std::string& path : files) {
    const std::vector<uint8_t> bytes = read_maybe_gzipped(path);
    const int64_t count = static_cast<int64_t>(bytes.size()) / record;
    if (bytes.empty() || bytes.size() % record != 0) {
      fail("{}: not whole CIFAR-10 records: {} bytes are {} records of {} and {} bytes more", path, bytes.size(), count, record,
           bytes.size() % record);
    }
    for (int64_t k = 0; k < count; ++k) {
      const uint8_t* example = &bytes[static_cast<size_t>(k * record)];
      if (example[0] > 9) fail("{}: label {} of record {} is out of range: CIFAR-10 has labels 0 to 9", path, example[0], k);
      data.labels.push_back(example[0]);
      for (int64_t pixel = 0; pixel < plane; ++pixel) {
        for (int64_t channel = 0; channel < channels; ++channel) data.pixels.push_back(example[1 + channel * plane + pixel]);
      }
    }
    data.count += count;
  }
}

}  // namespace bnc
