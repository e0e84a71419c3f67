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
  if (name == "x" || name == "y")
    fail("{}: a data set needs arrays `x` and `y`, but there is no `{}` (it holds: {})", path, name, fmt::join(names, ", "));
  fail("{}: the network takes `{}`, but the file holds no array of that name (it holds: {})", path, name, fmt::join(names, ", "));
}

// Bytes as numbers in [0, 1].
void as_pixels(FurtherArray& array) {
  array.floats.reserve(array.integers.size());
  for (const int32_t byte : array.integers) array.floats.push_back(pixel_value(static_cast<uint8_t>(byte)));
  array.integers.clear();
}

}  // namespace

void read_npz_dataset(const std::string& path, const ReadOptions& options, Dataset::Data& data) {
  const std::vector<StoredArray> arrays = read_npz(path);
  const auto first = [&](const std::vector<std::string>& names, const char* usual, bool needed) {
    const bool named = !names.empty() && find(arrays, names.front(), false, path);
    return find(arrays, named ? names.front() : usual, needed, path);
  };
  const StoredArray& x = *first(options.input_names, "x", true);
  const StoredArray* y = first(options.target_names, "y", options.targets);
  data.files = {path};
  data.labels_file = path;
  data.count = x.array.dims()[0];
  const auto check_rows = [&](const StoredArray& other) {
    if (other.array.dims()[0] != data.count)
      fail("{}: `{}` holds {} examples, but `{}` {}", path, x.name, data.count, other.name, other.array.dims()[0]);
  };
  data.example_dims.assign(x.array.dims().begin() + 1, x.array.dims().end());
  if (x.dtype == "u1") data.pixels.assign(x.array.integers().begin(), x.array.integers().end());
  else if (x.array.is_float()) data.values.assign(x.array.floats().begin(), x.array.floats().end());
  else data.values.assign(x.array.integers().begin(), x.array.integers().end());
  if (y) {
    check_rows(*y);
    set_targets(y->array, data);
  }
  for (const auto& [names, needed] : {std::pair(&options.input_names, true), std::pair(&options.target_names, options.targets)}) {
    for (size_t k = 1; k < names->size(); ++k) {
      const StoredArray* other = find(arrays, (*names)[k], needed, path);
      if (!other) continue;
      check_rows(*other);
      data.others.push_back(further_array(other->name, other->array));
      if (other->dtype == "u1" && names == &options.input_names) as_pixels(data.others.back());
    }
  }
}

FurtherArray further_array(const std::string& name, const Array& array) {
  FurtherArray further{name, {array.dims().begin() + 1, array.dims().end()}, 1, {}, {}};
  for (const int64_t dim : further.dims) further.size *= dim;
  if (array.is_float()) further.floats.assign(array.floats().begin(), array.floats().end());
  else further.integers.assign(array.integers().begin(), array.integers().end());
  return further;
}

void set_targets(const Array& array, Dataset::Data& data) {
  FurtherArray found = further_array("", array);
  data.target_dims = std::move(found.dims);
  data.target_size = found.size;
  data.targets = std::move(found.floats);
  data.labels = std::move(found.integers);
}

}  // namespace bnc
