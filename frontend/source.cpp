#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "frontend/frontend.h"

namespace bnc {

std::shared_ptr<const SourceFile> read_source(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw CompileError(fmt::format("cannot read `{}`: it is a folder", path));
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw CompileError(fmt::format("cannot read `{}`: {}", path, std::strerror(errno ? errno : EIO)));
  try {
    return make_source(std::string((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>()), path);
  } catch (const std::ios_base::failure& failure) {
    throw CompileError(fmt::format("cannot read `{}`: {}", path, failure.code().message()));
  }
}

std::shared_ptr<const SourceFile> make_source(std::string text, std::string path) {
  return std::make_shared<const SourceFile>(SourceFile{std::move(path), std::move(text)});
}

}  // namespace bnc
