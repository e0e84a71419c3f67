// Writing whole files so that a failure leaves what was there.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "bnc/bnc.h"

namespace bnc {

namespace {

[[noreturn]] void fail_writing(const std::string& path, int error) {
  throw Error(fmt::format("error: cannot write {}: {}", path, std::strerror(error)));
}

// Returns 0 or the errno of the first failure; always closes.
int write_and_close(int descriptor, std::string_view bytes, bool synchronize) {
  int error = 0;
  while (!bytes.empty() && error == 0) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written >= 0) bytes.remove_prefix(static_cast<size_t>(written));
    else if (errno != EINTR) error = errno;
  }
  if (error == 0 && synchronize && ::fsync(descriptor) != 0) error = errno;
  if (::close(descriptor) != 0 && error == 0) error = errno;
  return error;
}

}  // namespace

void write_file(const std::string& path, std::string_view bytes) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail_writing(path, EISDIR);
  if (exists && !S_ISREG(status.st_mode)) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) fail_writing(path, errno);
    if (const int error = write_and_close(descriptor, bytes, false)) fail_writing(path, error);
    return;
  }
  // A file that may not be written is not to be replaced either, though its folder would allow it.
  if (exists && ::access(path.c_str(), W_OK) != 0) fail_writing(path, errno);
  std::string temporary = path + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) fail_writing(path, errno);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor, exists ? status.st_mode & 07777 : 0666 & ~mask);
  int error = write_and_close(descriptor, bytes, true);
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail_writing(path, error);
  }
}

}  // namespace bnc
