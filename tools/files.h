// The files that a command reads and writes, so that no output destroys an input or another output.
//
// An option whose value is a path is declared with one of these values. What stands here is checked before a command begins.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <boost/program_options.hpp>

namespace bnc::tools {

class Arguments;
struct Command;

enum class FileUse { input, data, output };

// The value of an option, which remembers what the path is for.
class FileValue : public boost::program_options::typed_value<std::string> {
 public:
  FileValue(FileUse use, const char* placeholder, std::vector<std::string> extensions = {})
      : typed_value(nullptr), use(use), extensions(std::move(extensions)) {
    value_name(placeholder);
  }
  const FileUse use;
  const std::vector<std::string> extensions;   // of an output, where it has always the same format
};

boost::program_options::value_semantic* input_file(const char* placeholder);    // it is read
boost::program_options::value_semantic* input_data(const char* placeholder);    // a data specification, whose files are read
// It is written; `-` is stdout. `extensions` are those of the format that is written, in small letters: what has one of another format is
// refused.
boost::program_options::value_semantic* output_file(const char* placeholder, std::vector<std::string> extensions = {});
// For outputs whose format depends on other options. UsageError where the extension of `path` means another format than `extensions`.
void check_extension(const std::string& option, const std::string& path, const std::vector<std::string>& extensions);

// A file that a command writes though no option names it, and what it is, for errors.
struct ImpliedOutput {
  std::string what, path;
};

// Throws Error where an output is a file that the command reads or writes already, is a folder, or lies in none; UsageError where it has no
// name, or is stdout beside `--json`.
void check_files(const Command& command, const Arguments& arguments);

}  // namespace bnc::tools
