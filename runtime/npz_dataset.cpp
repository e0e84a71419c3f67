// Data sets as NumPy archives with `x` and `y`.
#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/npz.h"

namespace bnc {

void read_npz_dataset(const std::string& path, Dataset::Data& data) {
  const std::vector<StoredArray> arrays = read_npz(path);
  const auto find = [&](const std::string& name) -> const StoredArray& {
    std::vector<std::string> names;
    for (const StoredArray& stored : arrays) {
      if (stored.name == name) return stored;
      names.push_back(stored.name);
    }
    fail("{}: a data set needs arrays `x` and `y`, but there is no `{}` (it holds: {})", path, name, fmt::join(names, ", "));
  };
  const StoredArray &x = find("x"), &y = find("y");
  for (const StoredArray* stored : {&x, &y}) {
    if (stored->array.dims().empty()) fail("{}: array `{}` is a single number, not one row an example", path, stored->name);
  }
  if (x.array.dims()[0] != y.array.dims()[0]) fail("{}: `x` holds {} examples, but `y` {}", path, x.array.dims()[0], y.array.dims()[0]);

  data.files = {path};
  data.labels_file = path;
  data.count = x.array.dims()[0];
  data.example_dims.assign(x.array.dims().begin() + 1, x.array.dims().end());
  if (x.dtype == "u1") data.pixels.assign(x.array.integers().begin(), x.array.integers().end());
  else if (x.array.is_float()) data.values.assign(x.array.floats().begin(), x.array.floats().end());
  else data.values.assign(x.array.integers().begin(), x.array.integers().end());

  set_targets(y.array, data);
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
