// Writing whole files so that a failure leaves what was there.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "bnc/bnc.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_writing(const std::string& path, int error) {
  std::string text = fmt::format("error: cannot write {}: {}", path, std::strerror(error));
  const fs::path folder = fs::path(path).parent_path();
  std::error_code ignored;
  if (error == ENOENT && !folder.empty() && !fs::exists(folder, ignored))
    text += fmt::format("\nhelp: there is no folder {0}: `mkdir -p {0}` makes it", folder.string());
  throw Error(text);
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

// The open file that a path stands for; -1 where it stands for none. Opened anew, it would be written from its beginning.
int open_file_of(const std::string& path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) {
    int number = -1;
    if (!path.starts_with(folder)) continue;
    const auto [end, error] = std::from_chars(path.data() + folder.size(), path.data() + path.size(), number);
    if (error == std::errc() && end == path.data() + path.size()) return number;
  }
  return -1;
}

void write_directly(int descriptor, const std::string& path, std::string_view bytes) {
  if (descriptor < 0) fail_writing(path, errno);
  if (const int error = write_and_close(descriptor, bytes, false)) fail_writing(path, error);
}

// `status` of the file that is there, null where there is none.
void replace(const std::string& path, std::string_view bytes, const struct stat* status) {
  std::string temporary = path + ".XXXXXX";
  const int descriptor = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (descriptor < 0) fail_writing(path, errno);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(descriptor, status ? status->st_mode & 07777 : 0666 & ~mask);
  int error = write_and_close(descriptor, bytes, true);
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    fail_writing(path, error);
  }
}

}  // namespace

std::string written_file(const std::string& path) {
  constexpr int most_links = 40;   // as the system follows
  std::string target = path;
  for (int links = 0; links < most_links; ++links) {
    std::error_code is_none;
    if (open_file_of(target) >= 0) return target;
    const fs::path next = fs::read_symlink(target, is_none);
    if (is_none) return target;
    target = (fs::path(target).parent_path() / next).string();   // `next` alone where it is absolute
  }
  fail_writing(path, ELOOP);
}

void write_file(const std::string& path, std::string_view bytes) {
  const std::string target = written_file(path);
  if (const int open_file = open_file_of(target); open_file >= 0)
    return write_directly(::fcntl(open_file, F_DUPFD_CLOEXEC, 0), path, bytes);
  struct stat status {};
  const bool exists = ::stat(target.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail_writing(path, EISDIR);
  if (exists && !S_ISREG(status.st_mode)) return write_directly(::open(target.c_str(), O_WRONLY | O_CLOEXEC), path, bytes);
  // A file that may not be written is not to be replaced either, though its folder would allow it.
  if (exists && ::access(target.c_str(), W_OK) != 0) fail_writing(path, errno);
  replace(target, bytes, exists ? &status : nullptr);
}

}  // namespace bnc
