// Data sets as folders of images: one folder a class, or images without labels.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <exception>
#include <filesystem>
#include <limits>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/dataset.h"
#include "runtime/error.h"
#include "runtime/image.h"
#include "runtime/thread_pool.h"
#include "ir/utf8.h"

namespace bnc {

namespace {

namespace fs = std::filesystem;

// What systems leave in folders, beside files whose names begin with a dot.
bool is_left_by_system(const std::string& name) {
  return name.starts_with('.') || name == "Thumbs.db" || name == "desktop.ini" || name == "__MACOSX";
}

// What stands in a folder, each kind in alphabetical order.
struct FolderContents {
  std::vector<std::string> folders, images, others;
};

FolderContents contents_of(const fs::path& folder) {
  FolderContents found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (is_left_by_system(name)) continue;
    if (entry->is_directory(ignored)) found.folders.push_back(name);
    else (has_image_name(name) ? found.images : found.others).push_back(name);
  }
  if (error) fail("cannot read {}: {}", folder.string(), error.message());
  for (std::vector<std::string>* names : {&found.folders, &found.images, &found.others}) std::sort(names->begin(), names->end());
  return found;
}

bool holds_folders(const fs::path& folder) {
  std::error_code ignored;
  return fs::is_directory(folder, ignored) && !contents_of(folder).folders.empty();
}

// Whether DIR/train and DIR/test hold the classes, and are none themselves.
bool has_own_splits(const fs::path& folder) { return holds_folders(folder / "train") || holds_folders(folder / "test"); }

std::string size_text(int64_t height, int64_t width) { return fmt::format("{}x{}", height, width); }

// Calls `body` with 0 to count - 1, on several threads; of several errors the one of the least number is thrown.
template <class Body>
void for_each_number(size_t count, int threads, const Body& body) {
  std::atomic<size_t> next{0}, failed{std::numeric_limits<size_t>::max()};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    for (size_t k = next++; k < count && k < failed; k = next++) {
      try {
        body(k);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (k < failed) failed = k, error = std::current_exception();
      }
    }
  };
  const size_t most = std::min<size_t>(static_cast<size_t>(threads > 0 ? threads : usable_cores()), count);
  std::vector<std::thread> others;
  try {
    for (size_t thread = 1; thread < most; ++thread) others.emplace_back(work);
  } catch (const std::system_error&) {   // there are no more threads: those that are there do it
  }
  work();
  for (std::thread& thread : others) thread.join();
  if (error) std::rethrow_exception(error);
}

class ImageFolderReader {
 public:
  ImageFolderReader(const std::string& source, const ReadOptions& options, Dataset::Data& data)
      : source_(source), options_(options), data_(data) {}

  // Finds the images of the part of the source that is asked for; false where it holds none.
  bool find(const std::string& split) {
    fs::path part;
    if (has_own_splits(source_)) part = split, data_.has_own_splits = true;
    std::error_code ignored;
    if (!fs::is_directory(source_ / part, ignored)) refuse_split(split);
    note_unused(part);
    const FolderContents found = contents_of(source_ / part);
    for (const std::string& name : found.folders) add_folder(part, name);
    if (!files_.empty()) {
      add_others(found.images, part, "images beside the folders of the classes");
    } else if (!found.images.empty()) {
      for (const std::string& name : found.images) files_.push_back((part / name).string());
      labels_.clear();
    }
    add_others(found.others, part, "files that are no PNG or JPEG images");
    for (const auto& [what, names] : others_) note_left_out(what, names);
    if (files_.empty() && data_.has_own_splits) fail("{} holds no images", (source_ / part).string());
    return !files_.empty();
  }

  void read() {
    if (labels_.empty() && options_.targets) {
      fail("{} holds images, but no folders of images: the name of an image's folder is its label\nhelp: put the images of each class into "
           "a folder of its own", source_.string());
    }
    data_.kind = "images";
    data_.files = {source_.string()};
    data_.labels_file = source_.string();
    data_.count = static_cast<int64_t>(files_.size());
    data_.id_name = "file";
    if (!labels_.empty()) number_classes();
    read_pixels();
    data_.ids = std::move(files_);
  }

  std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const std::string& file : files_) paths.push_back(path_of(file));
    return paths;
  }

 private:
  std::string path_of(const std::string& file) const { return (source_ / file).string(); }

  [[noreturn]] void refuse_split(const std::string& split) const {
    const bool test = split == "test";
    fail("{} holds no folder `{}` beside `{}`\nhelp: {}", source_.string(), split, test ? "train" : "test",
         test ? fmt::format("`{}:train` names the other one; `--validate 0.1` holds a tenth of the training images out", source_.string())
              : fmt::format("`{}:test` names the other one", source_.string()));
  }

  void note_unused(const fs::path& part) {
    if (part.empty()) return;
    FolderContents whole = contents_of(source_);
    std::erase_if(whole.folders, [](const std::string& name) { return name == "train" || name == "test"; });
    add_others(whole.folders, "", "folders beside `train` and `test`");
    add_others(whole.images, "", "images beside `train` and `test`");
    add_others(whole.others, "", "files that are no PNG or JPEG images");
  }

  void note_left_out(const std::string& what, const std::vector<std::string>& names) {
    constexpr size_t most_named = 3;
    const size_t named = std::min(names.size(), most_named);
    data_.notes.push_back(fmt::format("{}: {} are left out: {}{}", source_.string(), what,
                                      fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(named), ", "),
                                      named < names.size() ? fmt::format(" and {} more", names.size() - named) : ""));
  }

  void add_others(const std::vector<std::string>& names, const fs::path& folder, const char* what) {
    if (names.empty()) return;
    for (const std::string& name : names) others_[what].push_back((folder / name).string());
  }

  void add_folder(const fs::path& part, const std::string& name) {
    if (first_not_utf8(name)) fail("the name of the folder {} is no UTF-8, which names of classes are", (source_ / part / name).string());
    const FolderContents found = contents_of(source_ / part / name);
    for (const std::string& image : found.images) files_.push_back((part / name / image).string()), labels_.push_back(name);
    add_others(found.others, part / name, "files that are no PNG or JPEG images");
    add_others(found.folders, part / name, "folders in the folders of classes");
    if (found.images.empty()) add_others({name}, part, "folders without images");
  }

  // By the names that the model has, or, where it knows its classes by their numbers, by those; else in alphabetical order.
  void number_classes() {
    const bool has_model = options_.model != nullptr;
    if (has_model && options_.model->classes.empty() && options_.model->targets) return read_numbers();
    if (has_model) data_.class_names = options_.model->classes;
    if (data_.class_names.empty()) {
      data_.class_names = labels_;   // in order
      data_.class_names.erase(std::unique(data_.class_names.begin(), data_.class_names.end()), data_.class_names.end());
    }
    std::map<std::string, int32_t> numbers;
    for (size_t k = 0; k < data_.class_names.size(); ++k) numbers.emplace(data_.class_names[k], static_cast<int32_t>(k));
    for (size_t k = 0; k < labels_.size(); ++k) {
      const auto found = numbers.find(labels_[k]);
      if (found == numbers.end()) refuse_class(k);
      data_.labels.push_back(found->second);
    }
    data_.text_labels = true;
  }

  void read_numbers() {
    for (size_t k = 0; k < labels_.size(); ++k) {
      const std::string& name = labels_[k];
      int32_t number = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
      if (error != std::errc() || end != name.data() + name.size()) {
        fail("{}: the folder `{}` is a class of that name, but the network was trained on classes that have numbers\nhelp: call the "
             "folders by the numbers of their classes", path_of(files_[k]), name);
      }
      data_.labels.push_back(number);
    }
  }

  [[noreturn]] void refuse_class(size_t k) const {
    const std::string folder = fs::path(path_of(files_[k])).parent_path().string(),
                      near = nearest_name(labels_[k], data_.class_names);
    fail("{}: the folder `{}` is no class that the network was trained on{}\nnote: these are {}{}", folder, labels_[k],
         near.empty() ? "" : fmt::format("; is it `{}`?", near), fmt::join(data_.class_names, ", "),
         options_.targets ? "" : fmt::format("\nhelp: for images without labels give their folder itself, {}", folder));
  }

  void read_pixels() {
    std::vector<ImageHeader> headers(files_.size());
    const int threads = options_.choices.threads;
    for_each_number(files_.size(), threads, [&](size_t k) {
      const std::string path = path_of(files_[k]);
      headers[k] = read_image_header(open_file(path)->bytes(), path);
    });
    const ImageRule rule = rule_of(headers);
    const size_t bytes = static_cast<size_t>(rule.height * rule.width * rule.channels);
    check_memory(bytes * files_.size(), source_.string());
    data_.pixels.resize(bytes * files_.size());
    for_each_number(files_.size(), threads, [&](size_t k) { read_image(k, rule, data_.pixels.data() + k * bytes); });
    if (planes_) data_.example_dims = {rule.channels, rule.height, rule.width};
    else data_.example_dims = {rule.height, rule.width, rule.channels};
    data_.images = rule;
  }

  void read_image(size_t k, const ImageRule& rule, uint8_t* to) const {
    const std::string path = path_of(files_[k]);
    Image image = with_channels(decode_image(open_file(path)->bytes(), path), rule.channels);
    if (image.height != rule.height || image.width != rule.width) image = resized(image, rule.height, rule.width);
    const auto channels = static_cast<size_t>(rule.channels), plane = image.pixels.size() / channels;
    if (!planes_) return void(std::copy(image.pixels.begin(), image.pixels.end(), to));
    for (size_t pixel = 0; pixel < image.pixels.size(); ++pixel) to[pixel % channels * plane + pixel / channels] = image.pixels[pixel];
  }

  // The size that is asked for, that of the model, or that of the images; grey or colour as the network takes it.
  ImageRule rule_of(const std::vector<ImageHeader>& headers) {
    ImageRule rule;
    const ImageHeader& first = headers.front();
    if (options_.choices.resize) rule = {options_.choices.resize->height, options_.choices.resize->width, 0, true};
    else if (options_.model && options_.model->images && options_.model->images->resized) rule = *options_.model->images;
    else rule = {first.height, first.width, 0, false};
    const auto other = std::find_if(headers.begin(), headers.end(), [&](const ImageHeader& header) {
      return header.height != first.height || header.width != first.width;
    });
    const bool alike = other == headers.end() || rule.resized;
    if (!alike) refuse_size(headers, static_cast<size_t>(other - headers.begin()));
    const bool colour = std::any_of(headers.begin(), headers.end(), [](const ImageHeader& header) { return header.channels == 3; });
    rule.channels = channels_by_network(rule).value_or(colour ? 3 : 1);
    return rule;
  }

  [[noreturn]] void refuse_size(const std::vector<ImageHeader>& headers, size_t other) const {
    const auto size = [&](size_t k) { return size_text(headers[k].height, headers[k].width); };
    const std::optional<ImageSize> wanted = network_size();
    fail("{}: images differ in height and width: {} is {}, {} is {}\nhelp: `--resize {}` makes them alike", source_.string(),
         files_.front(), size(0), files_[other], size(other), wanted ? size_text(wanted->height, wanted->width) : size(0));
  }

  // Height and width as the network's input has them; nothing where it does not tell.
  std::optional<ImageSize> network_size() const {
    if (!options_.input) return std::nullopt;
    const std::vector<int64_t>& dims = options_.input->dims;
    if (dims.size() == 2) return ImageSize{dims[0], dims[1]};
    if (dims.size() != 3) return std::nullopt;
    return options_.input->channels_first ? ImageSize{dims[1], dims[2]} : ImageSize{dims[0], dims[1]};
  }

  std::optional<int64_t> channels_by_network(const ImageRule& rule) {
    if (!options_.input) return std::nullopt;
    const std::vector<int64_t>& dims = options_.input->dims;
    if (const auto size = network_size(); size && (size->height != rule.height || size->width != rule.width)) {
      fail("{}: the images are {}, but the network takes {}\nhelp: `--resize {}` resizes them", source_.string(),
           size_text(rule.height, rule.width), size_text(size->height, size->width), size_text(size->height, size->width));
    }
    int64_t channels = 1;
    planes_ = dims.size() == 3 && options_.input->channels_first;
    if (dims.size() == 3) channels = planes_ ? dims[0] : dims[2];
    if (dims.size() == 1) channels = dims[0] / (rule.height * rule.width);
    return channels == 1 || channels == 3 ? std::optional(channels) : std::nullopt;
  }

  const fs::path source_;
  const ReadOptions& options_;
  Dataset::Data& data_;
  std::vector<std::string> files_, labels_;   // below the source; the name of each one's class
  std::map<std::string, std::vector<std::string>> others_;
  bool planes_ = false;   // channels stand first
};

}  // namespace

bool read_image_folder(const std::string& folder, const std::string& split, const ReadOptions& options, Dataset::Data& data) {
  ImageFolderReader reader(folder, options, data);
  if (!reader.find(split)) return false;
  reader.read();
  return true;
}

std::vector<std::string> image_files(const std::string& folder) {
  std::vector<std::string> files;
  Dataset::Data unused;
  const ReadOptions options;
  const std::vector<std::string> splits = has_own_splits(folder) ? std::vector<std::string>{"train", "test"} : std::vector<std::string>{""};
  for (const std::string& split : splits) {
    std::error_code ignored;
    if (!fs::is_directory(fs::path(folder) / split, ignored)) continue;
    ImageFolderReader reader(folder, options, unused);
    if (!reader.find(split)) continue;
    const std::vector<std::string> paths = reader.paths();
    files.insert(files.end(), paths.begin(), paths.end());
  }
  return files;
}

}  // namespace bnc
