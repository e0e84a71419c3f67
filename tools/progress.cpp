#include "tools/progress.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "tools/command.h"

namespace bnc::tools {

namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(100);
constexpr auto line_interval = std::chrono::seconds(10);
constexpr size_t widest_bar = 24, narrowest_bar = 6;

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::clamp(std::ceil(seconds), 0.0, 1e9));
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

double fraction(const Progress& progress) {
  return progress.steps > 0 ? std::clamp(static_cast<double>(progress.step) / static_cast<double>(progress.steps), 0.0, 1.0) : 0;
}

std::string bar(const Progress& progress, size_t width) {
  const auto filled = static_cast<size_t>(fraction(progress) * static_cast<double>(width));
  return fmt::format("[{}{}]", std::string(filled, '='), std::string(width - filled, ' '));
}

std::string loss_text(double loss) { return std::abs(loss) < 1e4 ? fmt::format("{:.4f}", loss) : fmt::format("{:.3g}", loss); }

// Float targets have no accuracy.
std::string figures(double loss, double accuracy) {
  return fmt::format("loss {}", loss_text(loss)) + (std::isnan(accuracy) ? std::string() : fmt::format(" accuracy {:.4f}", accuracy));
}

std::string speed(double examples) {
  return examples < 1e5 ? fmt::format("{:.0f} examples/s", examples) : fmt::format("{:.0f}k examples/s", examples / 1e3);
}

// What the line says, left to right; where it is too long, what has the highest rank is left out first.
struct Part {
  std::string text;
  int rank;
};
constexpr int bar_rank = 5;

std::vector<Part> parts_of(const std::string& title, const Progress& progress, bool with_figures, const std::string& time) {
  std::vector<Part> parts = {
      {title, 7}, {bar(progress, narrowest_bar), bar_rank}, {fmt::format("{:3.0f}%", std::floor(fraction(progress) * 100)), 0}};
  if (progress.epochs > 1) parts.push_back({fmt::format("epoch {}/{}", progress.epoch, progress.epochs), 6});
  parts.push_back({fmt::format("step {}/{}", progress.step, progress.steps), 8});
  if (!progress.activity.empty())
    parts.push_back({fmt::format("{} {:.0f}%", progress.activity, std::floor(progress.activity_share * 100)), 0});
  if (with_figures) parts.push_back({fmt::format("loss {}", loss_text(progress.loss)), 1});
  if (with_figures && !std::isnan(progress.accuracy)) parts.push_back({fmt::format("accuracy {:.4f}", progress.accuracy), 3});
  if (progress.examples_per_second > 0) parts.push_back({speed(progress.examples_per_second), 4});
  if (!time.empty()) parts.push_back({time, 2});
  return parts;
}

size_t width_of(const std::vector<Part>& parts) {
  size_t width = 0;
  for (const Part& part : parts) width += part.text.size() + 1;
  return width - 1;
}

// The bar takes what room is left.
std::string line_of(const std::string& title, const Progress& progress, bool with_figures, const std::string& time, size_t room) {
  std::vector<Part> parts = parts_of(title, progress, with_figures, time);
  const auto rank = [](const Part& a, const Part& b) { return a.rank < b.rank; };
  while (parts.size() > 1 && width_of(parts) > room) parts.erase(std::max_element(parts.begin(), parts.end(), rank));
  const size_t spare = room - std::min(room, width_of(parts));
  std::string line;
  for (const Part& part : parts)
    line += (part.rank == bar_rank ? bar(progress, std::min(narrowest_bar + spare, widest_bar)) : part.text) + " ";
  line.pop_back();
  return line.substr(0, room);
}

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

ProgressDisplay::ProgressDisplay(std::string title, bool figures)
    : title_(std::move(title)), figures_(figures), terminal_(::isatty(STDERR_FILENO)), start_(Clock::now()), last_(start_) {}

void ProgressDisplay::update(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  if (!progress.activity.empty()) {   // nothing to log: the result will be
    const bool begins = progress.activity != latest_.activity;
    if (!terminal_ || (!begins && now - last_ < redraw_interval)) return;
    last_ = now;
    return draw(progress);
  }
  if (!begun_) tested_step_ = progress.tested_step == progress.step ? 0 : progress.tested_step;  // tests before this call were shown then
  begun_ = true;
  const bool tested = progress.tested_step != tested_step_, last_step = progress.step == progress.steps;
  const bool new_epoch = progress.epoch != epoch_ && progress.epochs > 0;
  const bool due = now - last_ >= (terminal_ ? redraw_interval : std::chrono::duration_cast<std::chrono::milliseconds>(line_interval));
  if (!due && !last_step && !new_epoch && !tested) return;
  last_ = now;
  epoch_ = progress.epoch;
  const std::string place = (progress.epochs > 0 ? fmt::format("epoch {}/{} ", progress.epoch, progress.epochs) : "") +
                            fmt::format("step {}/{}", progress.step, progress.steps);
  std::string text = fmt::format("{} {}", title_, place);
  if (figures_) text += " " + figures(progress.loss, progress.accuracy);
  const char* set = progress.validation ? "validation" : "test";
  if (tested) text += fmt::format(", {} {}", set, figures(progress.test.loss, progress.test.accuracy));
  tested_step_ = progress.tested_step;
  if (!terminal_) {
    message(text + (progress.examples_per_second > 0 ? " " + speed(progress.examples_per_second) : ""));
    return;
  }
  if (tested) {
    std::fputs("\r\x1b[K", stderr);
    message(text);
  }
  draw(progress);
}

// What is left; behind the last step what it took.
std::string ProgressDisplay::time_of(const Progress& progress) const {
  if (progress.step < progress.steps) return progress.seconds_left > 0 ? duration(progress.seconds_left) + " left" : "";
  return progress.activity.empty() ? "took " + duration(std::chrono::duration<double>(Clock::now() - start_).count()) : "";
}

void ProgressDisplay::draw(const Progress& progress) {
  std::fputs(("\r\x1b[K" + line_of(title_, progress, figures_, time_of(progress), terminal_width() - 1)).c_str(), stderr);
  latest_ = progress;
  drawn_ = true;
}

void ProgressDisplay::finish() {
  if (drawn_ && !latest_.activity.empty()) {
    latest_.activity.clear();
    draw(latest_);
  }
  if (drawn_) std::fputs("\n", stderr);
  drawn_ = false;
}

}  // namespace bnc::tools
