// Layout after PKWARE's APPNOTE.TXT 6.3: local headers with data, the central directory, its end record.
#include "runtime/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/error.h"

namespace bnc {

// Little-endian fields at checked positions.
class ZipReader {
 public:
  ZipReader(Bytes bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  Bytes slice(uint64_t position, uint64_t count) const {
    if (position > bytes_.size() || count > bytes_.size() - position) fail("{}: the zip archive is truncated or damaged", path_);
    return bytes_.subspan(position, count);
  }
  uint64_t read(uint64_t position, int width) const {
    const Bytes field = slice(position, static_cast<uint64_t>(width));
    uint64_t value = 0;
    for (int k = width - 1; k >= 0; --k) value = value << 8 | field[static_cast<size_t>(k)];
    return value;
  }
  uint64_t size() const { return bytes_.size(); }

 private:
  Bytes bytes_;
  const std::string& path_;
};

namespace {

constexpr uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50, end_signature = 0x06054b50;
constexpr uint32_t end64_signature = 0x06064b50, locator64_signature = 0x07064b50;
constexpr size_t local_bytes = 30, central_bytes = 46, end_bytes = 22, end64_bytes = 56, locator64_bytes = 20;

struct Directory {
  uint64_t position = 0, bytes = 0, entries = 0;
};

Directory find_directory(const ZipReader& reader, const std::string& path) {
  const uint64_t size = reader.size();
  const uint64_t lowest = size > end_bytes + 65535 ? size - end_bytes - 65535 : 0;
  for (uint64_t at = size >= end_bytes ? size - end_bytes + 1 : 0; at-- > lowest;) {
    if (reader.read(at, 4) != end_signature || at + end_bytes + reader.read(at + 20, 2) != size) continue;
    Directory directory{reader.read(at + 16, 4), reader.read(at + 12, 4), reader.read(at + 10, 2)};
    if (at >= locator64_bytes && reader.read(at - locator64_bytes, 4) == locator64_signature) {
      const uint64_t end64 = reader.read(at - locator64_bytes + 8, 8);
      reader.slice(end64, end64_bytes);
      if (reader.read(end64, 4) != end64_signature) fail("{}: the zip archive's ZIP64 record is damaged", path);
      directory = {reader.read(end64 + 48, 8), reader.read(end64 + 40, 8), reader.read(end64 + 32, 8)};
    }
    return directory;
  }
  fail("{}: not a zip archive, or cut short", path);
}

// Replaces the sizes and offset that do not fit in 32 bits by those of the ZIP64 extra field.
template <class Entry>
void read_zip64_extra(const ZipReader& reader, uint64_t position, uint64_t length, Entry& entry) {
  const uint64_t end = position + length;
  while (position + 4 <= end) {
    const uint64_t id = reader.read(position, 2), bytes = reader.read(position + 2, 2);
    position += 4;
    if (id == 1) {
      uint64_t at = position;
      for (uint64_t* field : {&entry.size, &entry.compressed, &entry.local}) {
        if (*field != 0xffffffff || at + 8 > position + bytes) continue;
        *field = reader.read(at, 8);
        at += 8;
      }
    }
    position += bytes;
  }
}

std::vector<uint8_t> inflate_raw(Bytes input, uint64_t size, const std::string& path, const std::string& name) {
  // Deflate shrinks at most 1032 times: a larger claim is damage, and not worth the memory.
  if (size / 1032 > input.size()) fail("{}: `{}` is damaged", path, name);
  if (std::max<uint64_t>(size, input.size()) > std::numeric_limits<uInt>::max()) fail("{}: `{}` is deflated and above 4 GiB", path, name);
  std::vector<uint8_t> output(size);
  uint8_t nothing = 0;
  z_stream stream{};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) fail("cannot read {}: zlib cannot start", path);
  stream.next_in = const_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = size > 0 ? output.data() : &nothing;
  stream.avail_out = static_cast<uInt>(size);
  const int status = inflate(&stream, Z_FINISH);
  const bool whole = status == Z_STREAM_END && stream.total_out == size;
  inflateEnd(&stream);
  if (!whole) fail("{}: the deflated data of `{}` is damaged", path, name);
  return output;
}

class Writer {
 public:
  std::string bytes;
  Writer& field(uint64_t value, int width) {
    for (int k = 0; k < width; ++k) bytes.push_back(static_cast<char>(value >> (8 * k) & 0xff));
    return *this;
  }
  // The fields that local headers and directory entries share.
  void common(uint32_t crc, uint64_t size, uint64_t name) {
    field(20, 2).field(0x800, 2).field(0, 2).field(0, 2).field(0x21, 2);  // version 2.0, UTF-8 name, stored, 1980-01-01
    field(crc, 4).field(size, 4).field(size, 4).field(name, 2).field(0, 2);
  }
};

}  // namespace

// Fills an archive from its directory.
class ZipDirectory {
 public:
  explicit ZipDirectory(ZipArchive& archive) : archive_(archive), reader_(archive.archive_, archive.path_) {}

  void read() {
    const std::string& path = archive_.path_;
    const Directory directory = find_directory(reader_, path);
    reader_.slice(directory.position, directory.bytes);
    uint64_t at = directory.position;
    const uint64_t end = directory.position + directory.bytes;
    while (at < end) at += read_entry(at);
    if (at != end || archive_.names_.size() != directory.entries) fail("{}: the zip archive's directory is damaged", path);
    check_sizes(directory.position);
  }

 private:
  // The bytes that the entry takes in the directory.
  uint64_t read_entry(uint64_t at) {
    if (reader_.read(at, 4) != central_signature) fail("{}: the zip archive's directory is damaged", archive_.path_);
    const uint64_t length = reader_.read(at + 28, 2), extra = reader_.read(at + 30, 2), comment = reader_.read(at + 32, 2);
    const Bytes text = reader_.slice(at + central_bytes, length);
    const std::string name(text.begin(), text.end());
    ZipArchive::Entry entry{reader_.read(at + 8, 2),  reader_.read(at + 10, 2), reader_.read(at + 16, 4),
                            reader_.read(at + 20, 4), reader_.read(at + 24, 4), reader_.read(at + 42, 4)};
    read_zip64_extra(reader_, at + central_bytes + length, extra, entry);
    if (!archive_.entries_.emplace(name, entry).second) fail("{}: `{}` stands in the zip archive twice", archive_.path_, name);
    archive_.names_.push_back(name);
    return central_bytes + length + extra + comment;
  }

  // The entries lie in the bytes before the directory, each by itself: entries that share data would let a small file claim any amount of
  // memory.
  void check_sizes(uint64_t bytes) const {
    uint64_t rest = bytes, inflated = 0;
    for (const auto& [name, entry] : archive_.entries_) {
      const uint64_t header = local_bytes + name.size();
      if (entry.compressed > rest || rest - entry.compressed < header) fail("{}: the entries of the zip archive overlap", archive_.path_);
      rest -= entry.compressed + header;
      if (entry.method != 0 && __builtin_add_overflow(inflated, entry.size, &inflated)) inflated = std::numeric_limits<uint64_t>::max();
    }
    check_memory(inflated, archive_.path_);
  }

  ZipArchive& archive_;
  ZipReader reader_;
};

ZipArchive::ZipArchive(Bytes archive, std::string path) : archive_(archive), path_(std::move(path)) { ZipDirectory(*this).read(); }

ZipData ZipArchive::read(const std::string& name, bool may_lack_checksum) const {
  const ZipReader reader(archive_, path_);
  const Entry& entry = entries_.at(name);
  if (entry.flags & 1) fail("{}: `{}` is encrypted", path_, name);
  reader.slice(entry.local, local_bytes);
  if (reader.read(entry.local, 4) != local_signature) fail("{}: the zip entry of `{}` is damaged", path_, name);
  const uint64_t begin = entry.local + local_bytes + reader.read(entry.local + 26, 2) + reader.read(entry.local + 28, 2);
  ZipData data{reader.slice(begin, entry.compressed)};
  if (entry.method == 0) {
    if (entry.compressed != entry.size) fail("{}: the sizes of `{}` disagree", path_, name);
  } else if (entry.method == 8) {
    data.inflated = std::make_shared<const std::vector<uint8_t>>(inflate_raw(data.bytes, entry.size, path_, name));
    data.bytes = *data.inflated;
  } else {
    fail("{}: `{}` is compressed by method {}; bnc reads stored and deflated entries", path_, name, entry.method);
  }
  const bool unchecked = may_lack_checksum && entry.crc == 0;
  if (!unchecked && crc32_z(0, data.bytes.data(), data.bytes.size()) != entry.crc)
    fail("{}: `{}` is damaged: its checksum is wrong", path_, name);
  return data;
}

std::vector<ZipEntry> read_zip(Bytes bytes, const std::string& path) {
  const ZipArchive archive(bytes, path);
  uint64_t size = 0;
  for (const std::string& name : archive.names())
    if (__builtin_add_overflow(size, archive.size(name), &size)) size = std::numeric_limits<uint64_t>::max();
  check_memory(size, path);
  std::vector<ZipEntry> entries;
  for (const std::string& name : archive.names()) {
    const ZipData data = archive.read(name);
    entries.push_back({name, {data.bytes.begin(), data.bytes.end()}});
  }
  return entries;
}

std::string write_zip(const std::vector<std::pair<std::string, std::string>>& entries) {
  Writer file, directory;
  for (const auto& [name, data] : entries) {
    const uint32_t crc = static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size()));
    const uint64_t local = file.bytes.size();
    if (local + data.size() > 0xfffffffe) fail("an archive above 4 GiB cannot be written");
    file.field(local_signature, 4).common(crc, data.size(), name.size());
    file.bytes += name;
    file.bytes += data;
    directory.field(central_signature, 4).field(20, 2).common(crc, data.size(), name.size());
    directory.field(0, 2).field(0, 2).field(0, 2).field(0, 4).field(local, 4);  // no comment, disk 0, no attributes
    directory.bytes += name;
  }
  if (entries.size() > 0xfffe || file.bytes.size() > 0xfffffffe)
    fail("an archive above 4 GiB or of more than 65534 arrays cannot be written");
  const uint64_t position = file.bytes.size(), length = directory.bytes.size();
  file.bytes += directory.bytes;
  file.field(end_signature, 4)
      .field(0, 2)
      .field(0, 2)
      .field(entries.size(), 2)
      .field(entries.size(), 2)
      .field(length, 4)
      .field(position, 4)
      .field(0, 2);
  return std::move(file.bytes);
}

}  // namespace bnc
