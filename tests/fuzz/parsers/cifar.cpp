// CIFAR-10 batches: an input is one file of records.
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "tests/fuzz/parsers/target.h"

BNC_FUZZ_TARGET(cifar)(const uint8_t* data, size_t size) {
  static const bnc::fuzz::Folder folder;
  folder.write("data_batch_1.bin", {data, size});
  try {
    bnc::Dataset::open(folder.path(), "train");
  } catch (const bnc::Error& error) {
    bnc::fuzz::expect_error(error.what(), folder.path());
  }
  return 0;
}
