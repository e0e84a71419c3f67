// IDX data sets: an input holds the file of labels, then that of images.
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "tests/fuzz/parsers/target.h"

BNC_FUZZ_TARGET(idx)(const uint8_t* data, size_t size) {
  static const bnc::fuzz::Folder folder;
  std::span<const uint8_t> input(data, size);
  folder.write("train-labels-idx1-ubyte", bnc::fuzz::take_part(input));
  folder.write("train-images-idx3-ubyte", input);
  try {
    bnc::Dataset::open(folder.path(), "train");
  } catch (const bnc::Error& error) {
    bnc::fuzz::expect_error(error.what(), folder.path());
  }
  return 0;
}
