// Event files as TensorBoard reads them: scalars over steps.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace bnc {

// A file of TFRecords: length, its checksum, a protocol buffer `Event`, its checksum. Appended to, and flushed after each event,
// so that a run can be watched.
class EventFile {
 public:
  // Makes FOLDER/events.out.tfevents.TIME.HOST.PID. Where `first_step` is above 0 the file carries on a run: what earlier files in
  // the folder say of that step and later ones is void. Error when it cannot be written.
  EventFile(const std::string& folder, int64_t first_step);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  // One event with a value for each tag; NaN where there is none is left to the viewer.
  void add(int64_t step, const std::vector<std::pair<std::string, double>>& scalars);

 private:
  void write(const std::string& event);

  std::string path_;
  int descriptor_ = -1;
};

// CRC-32C (Castagnoli) of `bytes`, as TFRecord masks it: rotated by 15 bits plus a constant.
uint32_t masked_crc32c(const std::string& bytes);

}  // namespace bnc
