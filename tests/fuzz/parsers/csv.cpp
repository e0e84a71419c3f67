// Tables of comma-separated values as data sets.
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "tests/fuzz/parsers/target.h"

BNC_FUZZ_TARGET(csv)(const uint8_t* data, size_t size) {
  static const bnc::fuzz::Folder folder;
  const std::string path = folder.write("data.csv", {data, size});
  for (const std::string& spec : {path, path + ":test"}) {
    try {
      bnc::Dataset::open(spec, "train");
    } catch (const bnc::Error& error) {
      bnc::fuzz::expect_error(error.what(), path);
    }
  }
  return 0;
}
