// The IDX format of MNIST: two zero bytes, a type, a rank, that many big-endian dimensions, the data.
#include "runtime/dataset.h"
#include "runtime/error.h"

namespace bnc {

namespace {

struct Idx {
  std::vector<int64_t> dims;
  std::vector<uint8_t> values;
};

std::string type_name(uint8_t type) {
  switch (type) {
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "32-bit floats";
    case 0x0e: return "64-bit floats";
    default: return fmt::format("elements of unknown type 0x{:02x}", type);
  }
}

Idx read_file(const std::string& path) {
  const std::vector<uint8_t> bytes = read_maybe_gzipped(path);
  if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0) fail("{}: not an IDX file", path);
  if (bytes[2] != 0x08) fail("{}: holds {}; bnc reads unsigned bytes", path, type_name(bytes[2]));
  const size_t rank = bytes[3], header = 4 + 4 * rank;
  if (bytes.size() < header) fail("{}: truncated: its header takes {} bytes, but the file holds {}", path, header, bytes.size());
  Idx idx;
  uint64_t size = 1;
  for (size_t axis = 0; axis < rank; ++axis) {
    const uint8_t* field = &bytes[4 + 4 * axis];
    const int64_t dim = int64_t{field[0]} << 24 | field[1] << 16 | field[2] << 8 | field[3];
    idx.dims.push_back(dim);
    if (__builtin_mul_overflow(size, static_cast<uint64_t>(dim), &size))
      fail("{}: its shape [{}] is too large", path, fmt::join(idx.dims, ", "));
  }
  const uint64_t data = bytes.size() - header;
  if (data < size) fail("{}: truncated: shape [{}] takes {} bytes, but {} are there", path, fmt::join(idx.dims, ", "), size, data);
  if (data > size) fail("{}: oversized: shape [{}] takes {} bytes, but {} are there", path, fmt::join(idx.dims, ", "), size, data);
  idx.values.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  return idx;
}

}  // namespace

void read_idx(const std::string& images_path, const std::string& labels_path, Dataset::Data& data) {
  Idx images = read_file(images_path);
  const Idx labels = read_file(labels_path);
  if (images.dims.size() != 3 && images.dims.size() != 4)
    fail("{}: images have 3 or 4 dimensions, these have {}", images_path, images.dims.size());
  if (labels.dims.size() != 1) fail("{}: labels have 1 dimension, these have {}", labels_path, labels.dims.size());
  if (images.dims[0] != labels.dims[0]) {
    fail("{} holds {} images, but {} holds {} labels", images_path, images.dims[0], labels_path, labels.dims[0]);
  }
  data.files = {images_path, labels_path};
  data.labels_file = labels_path;
  data.count = images.dims[0];
  data.example_dims.assign(images.dims.begin() + 1, images.dims.end());
  if (data.example_dims.size() == 2) data.example_dims.push_back(1);
  data.pixels = std::move(images.values);
  data.labels.assign(labels.values.begin(), labels.values.end());
}

}  // namespace bnc
