// Data sets as NumPy archives with `x` and `y`.
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/npz.h"

namespace bnc {

namespace {

// The array of that name, a row an example; null where it need not be there and is not.
const StoredArray* find(const std::vector<StoredArray>& arrays, const std::string& name, bool needed, const std::string& path) {
  std::vector<std::string> names;
  for (const StoredArray& stored : arrays) {
    names.push_back(stored.name);
    if (stored.name != name) continue;
    if (stored.array.dims().empty()) fail("{}: array `{}` is a single number, not one row an example", path, name);
    return &stored;
  }
  if (!needed) return nullptr;
  fail("{}: a data set needs arrays `x` and `y`, but there is no `{}` (it holds: {})", path, name, fmt::join(names, ", "));
}

}  // namespace

void read_npz_dataset(const std::string& path, const ReadOptions& options, Dataset::Data& data) {
  const std::vector<StoredArray> arrays = read_npz(path);
  const StoredArray& x = *find(arrays, "x", true, path);
  const StoredArray* y = find(arrays, "y", options.targets, path);
  if (y && x.array.dims()[0] != y->array.dims()[0])
    fail("{}: `x` holds {} examples, but `y` {}", path, x.array.dims()[0], y->array.dims()[0]);

  data.files = {path};
  data.labels_file = path;
  data.count = x.array.dims()[0];
  data.example_dims.assign(x.array.dims().begin() + 1, x.array.dims().end());
  if (x.dtype == "u1") data.pixels.assign(x.array.integers().begin(), x.array.integers().end());
  else if (x.array.is_float()) data.values.assign(x.array.floats().begin(), x.array.floats().end());
  else data.values.assign(x.array.integers().begin(), x.array.integers().end());

  if (y) set_targets(y->array, data);
}

void set_targets(const Array& array, Dataset::Data& data) {
  data.target_dims.assign(array.dims().begin() + 1, array.dims().end());
  data.target_size = 1;
  for (const int64_t dim : data.target_dims) data.target_size *= dim;
  if (array.is_float()) data.targets.assign(array.floats().begin(), array.floats().end());
  else if (data.target_size == 1) data.labels.assign(array.integers().begin(), array.integers().end());
  else data.targets.assign(array.integers().begin(), array.integers().end());
}

}  // namespace bnc
