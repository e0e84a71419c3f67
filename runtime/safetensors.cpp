#include "runtime/safetensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "runtime/error.h"

namespace bnc {

namespace {

using Json = nlohmann::json;   // finds a key in logarithmic time, as the ordered one does not

constexpr uint64_t longest_header = 100'000'000;

struct TensorEntry {
  std::string name, dtype;
  std::vector<int64_t> dims;
  uint64_t begin = 0, end = 0;
};

// Collects the keys of the outermost object, in their order.
struct Keys : nlohmann::json_sax<Json> {
  std::vector<std::string> names;
  int depth = 0;

  bool key(std::string& name) override {
    if (depth == 1) names.push_back(name);
    return true;
  }
  bool start_object(size_t) override { return ++depth; }
  bool end_object() override { return depth--; }
  bool start_array(size_t) override { return ++depth; }
  bool end_array() override { return depth--; }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }
};

struct Header {
  Json object;
  std::vector<std::string> names;   // as they stand in the file
};

Header parse_header(Bytes text, const std::string& path) {
  Header header;
  try {
    header.object = Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& error) {
    fail("{}: not a safetensors file: its header is no valid JSON at byte {}", path, error.byte);
  } catch (const Json::exception&) {
    fail("{}: not a safetensors file: its header is no valid JSON: a number in it is too large", path);
  }
  if (!header.object.is_object()) fail("{}: not a safetensors file: its header is no JSON object", path);
  Keys keys;
  Json::sax_parse(text.begin(), text.end(), &keys);
  std::unordered_set<std::string> seen;
  for (const std::string& name : keys.names)
    if (!seen.insert(name).second) fail("{}: tensor `{}` stands in the header twice", path, name);
  header.names = std::move(keys.names);
  return header;
}

// A list of unsigned integers below 2^62, as shapes and offsets are.
std::optional<std::vector<int64_t>> integers(const Json& entry, const char* key) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) return std::nullopt;
  std::vector<int64_t> list;
  for (const Json& item : *found) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() >= (uint64_t{1} << 62)) return std::nullopt;
    list.push_back(static_cast<int64_t>(item.get<uint64_t>()));
  }
  return list;
}

TensorEntry parse_entry(const std::string& name, const Json& json, const std::string& path) {
  if (!json.is_object()) fail("{}: the header entry of tensor `{}` is no JSON object", path, name);
  const auto dtype = json.find("dtype");
  if (dtype == json.end() || !dtype->is_string()) fail("{}: tensor `{}` has no dtype", path, name);
  const std::string type = dtype->get<std::string>();
  const uint64_t element_bytes = bytes_of_type(type);
  if (element_bytes == 0) fail("{}: tensor `{}` is of the unknown type {}", path, name, type);
  const auto dims = integers(json, "shape");
  if (!dims) fail("{}: tensor `{}` has no valid shape", path, name);
  const auto offsets = integers(json, "data_offsets");
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) fail("{}: tensor `{}` has no valid data_offsets", path, name);
  uint64_t bytes = element_bytes;
  for (const int64_t dim : *dims) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes)) fail("{}: the shape of tensor `{}` is too large", path, name);
  }
  const uint64_t begin = static_cast<uint64_t>((*offsets)[0]), end = static_cast<uint64_t>((*offsets)[1]);
  if (end - begin != bytes) {
    fail("{}: tensor `{}` of shape [{}] takes {} bytes, but its data_offsets span {}", path, name, fmt::join(*dims, ", "), bytes,
         end - begin);
  }
  return {name, type, *dims, begin, end};
}

// Every byte of the data belongs to exactly one tensor.
void check_layout(const std::vector<TensorEntry>& entries, uint64_t data_bytes, const std::string& path) {
  uint64_t position = 0;
  const TensorEntry* previous = nullptr;
  for (const TensorEntry& entry : entries) {
    if (entry.begin < position) fail("{}: the data of tensors `{}` and `{}` overlap", path, previous->name, entry.name);
    if (entry.begin > position) fail("{}: {} bytes before tensor `{}` belong to no tensor", path, entry.begin - position, entry.name);
    position = entry.end;
    previous = &entry;
  }
  if (position > data_bytes)
    fail("{}: truncated: its header describes {} bytes of data, but the file holds {}", path, position, data_bytes);
  if (position < data_bytes) fail("{}: oversized: {} bytes behind the last tensor belong to none", path, data_bytes - position);
}

ModelMetadata parse_metadata(const Json& header, const std::string& path) {
  std::map<std::string, std::string> entries;
  const auto found = header.find("__metadata__");
  if (found == header.end()) return {};
  if (!found->is_object()) fail("{}: its metadata are no JSON object", path);
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) fail("{}: its metadata hold no string under `{}`", path, key);
    entries[key] = value.get<std::string>();
  }
  return ModelMetadata::parse(std::move(entries), path);
}

}  // namespace

WeightStore::Data parse_safetensors(const std::shared_ptr<const FileBytes>& file, const std::string& path) {
  const Bytes bytes = file->bytes();
  if (bytes.size() < 8) fail("{}: not a safetensors file: {} bytes are too short for the header's length", path, bytes.size());
  if (std::equal(bytes.begin(), bytes.begin() + 4, "PK\3\4"))
    fail("{}: not a safetensors file, but a zip archive, as PyTorch's files are\nhelp: `bnc import` makes weights of such a file", path);
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), 8);
  if (header_bytes > longest_header) fail("{}: not a safetensors file: it claims a header of {} bytes", path, header_bytes);
  if (header_bytes > bytes.size() - 8)
    fail("{}: truncated: its header takes {} bytes, but {} follow", path, header_bytes, bytes.size() - 8);

  const Header header = parse_header(bytes.subspan(8, header_bytes), path);
  std::vector<TensorEntry> entries;
  for (const std::string& name : header.names) {
    if (name != "__metadata__") entries.push_back(parse_entry(name, header.object.at(name), path));
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const TensorEntry& a, const TensorEntry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  const Bytes data = bytes.subspan(8 + header_bytes);
  check_layout(entries, data.size(), path);

  WeightStore::Data result{.weights = {}, .metadata = parse_metadata(header.object, path), .others = {}, .path = path};
  for (const TensorEntry& entry : entries) {
    if (entry.dtype != "F32") {
      result.others.push_back({entry.name, entry.dtype, entry.dims, {}, data.subspan(entry.begin, entry.end - entry.begin), file});
      continue;
    }
    const uint8_t* begin = data.data() + entry.begin;
    const size_t count = (entry.end - entry.begin) / sizeof(float);
    if (reinterpret_cast<uintptr_t>(begin) % alignof(float) == 0) {
      result.weights.set(entry.name, Weight{entry.dims, {reinterpret_cast<const float*>(begin), count}, file});
    } else {
      std::vector<float> copy(count);
      if (count > 0) std::memcpy(copy.data(), begin, count * sizeof(float));
      result.weights.set(entry.name, Weight::owned(entry.dims, std::move(copy)));
    }
  }
  return result;
}

namespace {

// The header of a file, then data by data.
class SafetensorsText {
 public:
  void add(const std::string& name, const std::string& value) {
    text_ += fmt::format("{}{}:{}", text_.size() > 1 ? "," : "", Json(name).dump(), value);
  }
  void add_tensor(const std::string& name, const char* dtype, const std::vector<int64_t>& dims, std::span<const char> data) {
    const uint64_t end = position_ + data.size();
    add(name, fmt::format(R"({{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", dtype, fmt::join(dims, ","), position_, end));
    position_ = end;
    data_.push_back(data);
  }
  void add_tensors(const Weights& weights) {
    for (const auto& [name, weight] : weights.entries())
      add_tensor(name, "F32", weight.dims, {reinterpret_cast<const char*>(weight.data.data()), weight.data.size_bytes()});
  }
  std::string bytes() {
    text_ += "}";
    text_.append((8 - text_.size() % 8) % 8, ' ');
    const uint64_t header_bytes = text_.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &header_bytes, 8);
    bytes.reserve(8 + text_.size() + position_);
    bytes += text_;
    for (const std::span<const char> data : data_) bytes.append(data.data(), data.size());
    return bytes;
  }

 private:
  std::string text_ = "{";
  uint64_t position_ = 0;
  std::vector<std::span<const char>> data_;
};

}  // namespace

std::string write_safetensors(const Weights& weights, const ModelMetadata& metadata) {
  SafetensorsText text;
  if (const auto entries = metadata.entries(); !entries.empty()) text.add("__metadata__", Json(entries).dump());
  text.add_tensors(weights);
  return text.bytes();
}

std::string write_state_dict(const PyTorchState& dict) {
  SafetensorsText text;
  text.add("__metadata__", R"({"format":"pt"})");
  for (const auto& [name, count] : dict.counters) text.add_tensor(name, "I64", {}, {reinterpret_cast<const char*>(&count), sizeof(count)});
  text.add_tensors(dict.tensors);
  return text.bytes();
}

}  // namespace bnc
