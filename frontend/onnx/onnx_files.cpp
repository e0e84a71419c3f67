#include "frontend/onnx/onnx_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "frontend/onnx/onnx_check.h"
#include "ir/diagnostic.h"
#include "ir/file_bytes.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;

bool lies_inside(const fs::path& folder, const fs::path& path) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

constexpr const char* external_advice = "external data must lie in the folder of the model, or in folders below it: copy the file there";

}  // namespace

OnnxBytes read_onnx_bytes(const std::string& path) {
  try {
    const std::shared_ptr<const FileBytes> file = FileBytes::open(path);
    return {{reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}, file};
  } catch (const std::system_error& error) {
    throw CompileError(error.what());
  }
}

OnnxExternalData::OnnxExternalData(const OnnxFile& model) {
  const fs::path folder = fs::path(*model).parent_path();
  std::error_code error;
  folder_ = fs::canonical(folder.empty() ? "." : folder, error).string();
  if (error) throw CompileError(fmt::format("cannot read {}: {}", *model, error.message()));
}

std::string OnnxExternalData::resolve(const OnnxTensor& tensor, const std::string& location) const {
  const std::string what = "tensor " + onnx_quoted(tensor.name);
  if (folder_.empty())
    fail_onnx(tensor.file, fmt::format("{} lies in another file, {}", what, onnx_quoted(location)),
              "read the model from its file, not from memory");
  const fs::path relative(location);
  if (location.empty() || location.find('\0') != std::string::npos)
    fail_onnx(tensor.file, what + " does not say in which file it lies", "the model is damaged: export it again");
  std::error_code error;
  const fs::path path = relative.is_absolute() ? fs::path() : fs::canonical(fs::path(folder_) / relative, error);
  // A path that leaves the folder is refused whether there is a file or not.
  const fs::path written = (fs::path(folder_) / relative).lexically_normal();
  if (relative.is_absolute() || !lies_inside(folder_, written) || (!error && !lies_inside(folder_, path)))
    fail_onnx(tensor.file, fmt::format("{} lies in {}, outside of the model's folder", what, onnx_quoted(location)), external_advice);
  if (error)
    fail_onnx(tensor.file, fmt::format("{} lies in {}, which cannot be read: {}", what, onnx_quoted(location), error.message()),
              external_advice);
  if (!fs::is_regular_file(path, error))
    fail_onnx(tensor.file, fmt::format("{} lies in {}, which is no regular file", what, onnx_quoted(location)), external_advice);
  return path.string();
}

OnnxBytes OnnxExternalData::read(const OnnxTensor& tensor, const OnnxLocation& location, uint64_t count) {
  const std::string path = resolve(tensor, location.path);
  const std::string what = fmt::format("tensor {} of {} bytes", onnx_quoted(tensor.name), count);
  const std::string advice = "the model and its data are not of one export, or a copy was cut short";
  if (location.length.value_or(count) != count)
    fail_onnx(tensor.file, fmt::format("{} has {} bytes in {}", what, *location.length, onnx_quoted(location.path)), advice);
  auto found = files_.find(path);
  if (found == files_.end()) found = files_.emplace(path, read_onnx_bytes(path)).first;
  const OnnxBytes& file = found->second;
  if (location.offset > file.bytes.size() || count > file.bytes.size() - location.offset)
    fail_onnx(tensor.file, fmt::format("{} begins at byte {} of {}, which has {}", what, location.offset, onnx_quoted(location.path),
                                       file.bytes.size()), advice);
  return {file.bytes.substr(location.offset, count), file.owner};
}

}  // namespace bnc
