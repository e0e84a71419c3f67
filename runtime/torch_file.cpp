#include "runtime/torch_file.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "runtime/error.h"
#include "runtime/pickle.h"
#include "runtime/zip.h"

namespace bnc {

namespace {

using PickleKind = PickleValue::Kind;

constexpr const char* how_to_save = "save the state dict: `torch.save(model.state_dict(), \"W.pt\")`";
constexpr int64_t most_dims = 64;

bool begins_with(Bytes bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::equal(text.begin(), text.end(), bytes.begin(), [](char a, uint8_t b) {
           return static_cast<uint8_t>(a) == b;
         });
}

// As PyTorch wrote before 0.1.10.
bool is_tar(Bytes bytes) { return bytes.size() > 262 && begins_with(bytes.subspan(257), "ustar"); }

// The magic number of the format before 1.6, as a pickle of any protocol. Its first byte alone may also begin the length of a header.
bool is_old_torch_file(Bytes bytes) {
  constexpr std::string_view magic = "\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19";
  return (begins_with(bytes, "\x80") && bytes.size() > 2 && begins_with(bytes.subspan(2), magic)) || is_tar(bytes);
}

class TorchReader {
 public:
  TorchReader(const std::shared_ptr<const FileBytes>& file, const std::string& path)
      : file_(file), path_(path), archive_(file->bytes(), path), folder_(find_folder()), data_(archive_.read(folder_ + "data.pkl", true)) {
    check_byte_order();
    pickle_ = parse_pickle(data_.bytes, path);
  }

  TorchFile read() {
    TorchFile result;
    std::set<std::string_view> names;
    for (const auto& [key, value] : *find_state_dict(result.part)) {
      if (!value.is(PickleKind::tensor)) continue;   // the extra state of a module
      if (!names.insert(key.text).second) fail("{}: tensor `{}` stands in the state dict twice", path_, key.text);
      result.tensors.push_back(tensor(std::string(key.text), pickle_.tensors[value.object]));
    }
    return result;
  }

 private:
  struct Record {
    Bytes bytes;
    std::shared_ptr<const void> owner;
  };

  std::shared_ptr<const FileBytes> file_;
  const std::string& path_;
  ZipArchive archive_;
  std::string folder_;   // of all entries, with its slash
  ZipData data_;
  Pickle pickle_;
  std::map<std::string, Record> records_;

  std::string find_folder() const {
    for (const std::string& name : archive_.names()) {
      const size_t slash = name.rfind('/');
      if (slash == std::string::npos || name.substr(slash + 1) != "data.pkl") continue;
      const std::string folder = name.substr(0, slash + 1);
      if (archive_.has(folder + "constants.pkl"))
        fail("{}: it is a TorchScript archive, a program beside its weights\nhelp: {} of the module, or `torch.jit.load(...).state_dict()`",
             path_, how_to_save);
      return folder;
    }
    fail("{}: it is a zip archive, but none of PyTorch's: it holds no data.pkl\nhelp: {}", path_, how_to_save);
  }

  void check_byte_order() const {
    if (!archive_.has(folder_ + "byteorder")) return;   // before PyTorch 2.1
    const ZipData order = archive_.read(folder_ + "byteorder", true);
    if (!begins_with(order.bytes, "little"))
      fail("{}: its numbers are big-endian, and bnc reads little-endian ones\nhelp: load and save it on a little-endian machine", path_);
  }

  const Pickle::Entries* dict(const PickleValue& value) const { return value.is(PickleKind::dict) ? &pickle_.dicts[value.object] : nullptr; }

  bool is_state_dict(const Pickle::Entries& entries) const {
    return std::any_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.second.is(PickleKind::tensor); }) &&
           std::all_of(entries.begin(), entries.end(), [](const auto& entry) { return entry.first.is(PickleKind::text); });
  }

  // The dict of tensors itself, or the one that a checkpoint holds beside optimizer and epoch.
  const Pickle::Entries* find_state_dict(std::string& part) const {
    const Pickle::Entries* root = dict(pickle_.root);
    if (!root) fail("{}: it holds no dict of tensors\nhelp: {}", path_, how_to_save);
    if (is_state_dict(*root)) return root;
    std::map<std::string, const Pickle::Entries*> found;
    for (const auto& [key, value] : *root)
      if (key.is(PickleKind::text) && dict(value) && is_state_dict(*dict(value))) found.emplace(key.text, dict(value));
    if (found.size() == 1) {
      part = found.begin()->first;
      return found.begin()->second;
    }
    for (const char* usual : {"state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params"})
      if (found.contains(usual)) return found.at(part = usual);
    if (found.empty()) fail("{}: it holds no dict of tensors\nhelp: {}", path_, how_to_save);
    std::vector<std::string> names;
    for (const auto& [name, entries] : found) names.push_back(fmt::format("`{}`", name));
    fail("{}: it holds several state dicts, under {}\nhelp: save one of them alone: "
         "`torch.save(torch.load(\"{}\")[\"{}\"], \"W.pt\")`", path_, fmt::join(names, ", "), path_, found.begin()->first);
  }

  const Record& record(const PickleStorage& storage) {
    const std::string name = folder_ + "data/" + std::string(storage.key);
    if (const auto known = records_.find(name); known != records_.end()) return known->second;
    if (!archive_.has(name)) fail("{}: it lacks the record `{}`", path_, name);
    const ZipData data = archive_.read(name, true);
    std::shared_ptr<const void> owner = file_;
    if (data.inflated) owner = data.inflated;
    return records_[name] = {data.bytes, owner};
  }

  StoredTensor tensor(std::string name, const PickleTensor& view) {
    const PickleStorage& storage = pickle_.storages[view.storage];
    const uint64_t width = storage.dtype == "C64" ? 8 : storage.dtype == "C128" ? 16 : bytes_of_type(storage.dtype);
    const Record& bytes = record(storage);
    if (storage.elements < 0 || static_cast<uint64_t>(storage.elements) > bytes.bytes.size() / width)
      fail("{}: the storage of tensor `{}` is to hold {} elements, but has {} bytes", path_, name, storage.elements, bytes.bytes.size());
    check_view(name, view, storage.elements);
    const Bytes data = bytes.bytes.subspan(static_cast<uint64_t>(view.offset) * width);
    return {std::move(name), storage.dtype, view.dims, view.strides, data, bytes.owner};
  }

  // Every element lies in the storage, and there are no more of them than it holds.
  void check_view(const std::string& name, const PickleTensor& view, int64_t elements) const {
    const auto refuse = [&] { fail("{}: tensor `{}` reaches beyond its storage of {} elements", path_, name, elements); };
    if (view.dims.size() != view.strides.size() || view.dims.size() > most_dims)
      fail("{}: the shape of tensor `{}` is damaged", path_, name);
    if (view.offset < 0 || view.offset > elements) refuse();
    int64_t count = 1, last = view.offset;
    bool overflow = false;
    for (size_t k = 0; k < view.dims.size(); ++k) {
      int64_t reach = 0;
      if (view.dims[k] < 0 || view.strides[k] < 0) fail("{}: the shape of tensor `{}` is damaged", path_, name);
      overflow |= __builtin_mul_overflow(count, view.dims[k], &count);
      overflow |= __builtin_mul_overflow(view.dims[k] - 1, view.strides[k], &reach) || __builtin_add_overflow(last, reach, &last);
    }
    if (overflow) refuse();
    if (count == 0) return;
    if (last >= elements) refuse();
    if (count > elements)
      fail("{}: the elements of tensor `{}` overlap: {} of them lie in a storage of {}\nhelp: save a copy of it, `.clone()`", path_, name,
           count, elements);
  }
};

}  // namespace

bool is_torch_file(Bytes bytes) { return begins_with(bytes, "PK\3\4") || is_old_torch_file(bytes); }

TorchFile parse_torch_file(const std::shared_ptr<const FileBytes>& file, const std::string& path) {
  if (is_old_torch_file(file->bytes()))
    fail("{}: it is in PyTorch's format before 1.6, which bnc does not read\nhelp: load and save it again: "
         "`torch.save(torch.load(\"{}\", map_location=\"cpu\"), \"W.pt\")`", path, path);
  return TorchReader(file, path).read();
}

}  // namespace bnc
