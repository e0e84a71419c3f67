#include "tools/progress.h"

#include <algorithm>
#include <cstdio>
#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

namespace bnc::tools {

namespace {

constexpr auto redraw_interval = std::chrono::milliseconds(100);
constexpr auto line_interval = std::chrono::seconds(10);
constexpr int bar_width = 24;

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::max(0.0, seconds));
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60) : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string bar(const Progress& progress) {
  const double fraction = progress.steps > 0 ? std::clamp(static_cast<double>(progress.step) / static_cast<double>(progress.steps), 0.0, 1.0) : 0;
  const int filled = static_cast<int>(fraction * bar_width);
  return fmt::format("[{:=<{}}{: <{}}] {:3.0f}%", "", filled, "", bar_width - filled, fraction * 100);
}

std::string figures(const Progress& progress) {
  std::string text = progress.epochs > 0 ? fmt::format("epoch {}/{} ", progress.epoch, progress.epochs) : std::string();
  text += fmt::format("step {}/{} loss {:.4f} accuracy {:.4f}", progress.step, progress.steps, progress.loss, progress.accuracy);
  if (progress.examples_per_second > 0) text += fmt::format(" {:.0f} examples/s", progress.examples_per_second);
  return text;
}

size_t terminal_width() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

ProgressDisplay::ProgressDisplay(std::string title) : title_(std::move(title)), terminal_(::isatty(STDERR_FILENO)), last_(Clock::now()) {}

void ProgressDisplay::update(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  const bool last_step = progress.step == progress.steps;
  const bool new_epoch = progress.epoch != epoch_ && progress.epochs > 0;
  const bool due = now - last_ >= (terminal_ ? redraw_interval : std::chrono::duration_cast<std::chrono::milliseconds>(line_interval));
  if (!due && !last_step && !new_epoch) return;
  last_ = now;
  epoch_ = progress.epoch;
  if (terminal_) {
    std::string line = fmt::format("{} {} {} {} left", title_, bar(progress), figures(progress), duration(progress.seconds_left));
    line.resize(std::min(line.size(), terminal_width() - 1));
    fmt::print(stderr, "\r\x1b[K{}", line);
    std::fflush(stderr);
    drawn_ = true;
  } else {
    fmt::print(stderr, "{} {}\n", title_, figures(progress));
  }
}

void ProgressDisplay::finish() {
  if (drawn_) fmt::print(stderr, "\n");
  drawn_ = false;
}

}  // namespace bnc::tools
