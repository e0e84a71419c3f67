#include "tests/fuzz/shrink.h"

#include <chrono>
#include <set>

#include <fmt/format.h>

#include "tests/fuzz/simplify.h"

namespace bnc::fuzz {

namespace {

constexpr double most_seconds = 90;

class Shrinker {
 public:
  Shrinker(const std::string& text, const Report& failure, int jobs, double limit) : smallest_{text, failure}, jobs_(jobs), limit_(limit) {}

  Shrunk run() {
    while (improve() && !is_late()) {
    }
    const std::string shorter = to_short_text(parse_case(smallest_.text, "net.bn"));
    const Report report = run_child(limit_, [&](uint64_t) { return check(parse_case(shorter, "net.bn"), Extent::sampled, focus()); });
    if (report.kind == smallest_.report.kind) smallest_ = {shorter, report};
    return smallest_;
  }

 private:
  bool is_late() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count() > most_seconds; }

  // Takes the first simpler form that still fails in the same way.
  bool improve() {
    std::vector<std::string> texts;
    for (const Sketch& candidate : simpler(sketch_of(parse_case(smallest_.text, "net.bn")))) {
      const std::optional<Case> built = build(candidate);
      std::string text = built ? to_text(*built) : "";
      if (!text.empty() && tried_.insert(text).second) texts.push_back(std::move(text));
    }
    std::optional<size_t> found;
    Report report;
    size_t next = 0;
    run_children(
        jobs_, limit_,
        [&]() -> std::optional<uint64_t> {
          return next < texts.size() && !found && !is_late() ? std::optional<uint64_t>(next++) : std::nullopt;
        },
        [&](uint64_t k) { return check(parse_case(texts[k], "net.bn"), Extent::sampled, focus()); },
        [&](const Report& each) {
          if (each.kind == smallest_.report.kind && (!found || each.seed < *found))
            std::tie(found, report) = std::tuple(static_cast<size_t>(each.seed), each);
          return true;
        });
    if (!found) return false;
    smallest_ = {texts[*found], report};
    return true;
  }

  // A network that needs no training to fail is smaller.
  Focus focus() const { return smallest_.report.phase.starts_with("frozen") ? Focus::frozen : Focus::both; }

  Shrunk smallest_;
  int jobs_;
  double limit_;
  std::set<std::string> tried_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

Shrunk shrink(const std::string& text, const Report& failure, int jobs, double limit_seconds) {
  return Shrinker(text, failure, jobs, std::min(limit_seconds, 10.0)).run();
}

}  // namespace bnc::fuzz
