// bnc-fuzz: random networks against the reference evaluator.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <thread>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "tests/fuzz/children.h"
#include "tests/fuzz/draw.h"
#include "tests/fuzz/shrink.h"

namespace po = boost::program_options;
using namespace bnc;
using namespace bnc::fuzz;

namespace {

constexpr const char* purpose =
    "Usage: bnc-fuzz [--seed S] [--seconds S] [--count N]\n"
    "       bnc-fuzz --replay FILE.bn ...\n\n"
    "Draws random networks from the definitions of the ops, and holds each against the reference evaluator in float64: frozen and as a\n"
    "training step, every graph pass alone and in a random order, compiled for every CPU level that runs here, in this process and as an\n"
    "object file, with one, two and three threads. The network of a seed is the same on every machine. A network that fails is shrunk and\n"
    "printed as a file for --replay.\n\n"
    "Exit codes: 0 no network failed, 1 one did, 2 wrong usage.\n\n";

struct Settings {
  uint64_t seed = 1;
  double seconds = 0, limit = 30;
  int64_t count = 0;
  int jobs = 1, failures = 30;
  bool sampled = false, verbose = false;
  std::vector<std::string> replay;
};

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Outcome check_seed(uint64_t seed) {
  // Checked as it is printed and read back, so that a failure is a file.
  const std::string text = to_text(draw_case(seed));
  tell_phase("reading what was printed");
  return check(parse_case(text, fmt::format("seed {}", seed)), Extent::sampled);
}

// What became of all networks.
class Summary {
 public:
  explicit Summary(const Settings& settings) : settings_(settings) {}

  bool add(const Report& report) {
    ++networks_;
    if (report.failed()) {
      failures_.push_back(report);
      fmt::print("seed {} fails: {}\n  {}\n", report.seed, report.kind, report.phase);
      std::fflush(stdout);
      return failures_.size() < static_cast<size_t>(settings_.failures);
    }
    const Outcome& outcome = report.outcome;
    inferred_ += outcome.inferred ? 1 : 0;
    trained_ += outcome.trained ? 1 : 0;
    exported_ += outcome.exported ? 1 : 0;
    same_ += outcome.same ? 1 : 0;
    trusted_ += outcome.trusted;
    untrusted_ += outcome.untrusted;
    passed_ += outcome.trusted > 0 ? 1 : 0;
    if (!outcome.refused.empty()) ++refused_[outcome.refused];
    if (outcome.worst > worst_) std::tie(worst_, worst_seed_) = std::pair(outcome.worst, report.seed);
    return true;
  }

  void print(double seconds) const {
    fmt::print("{} networks in {:.1f} s: {} passed, {} untrusted, {} failed\n", networks_, seconds, passed_,
               networks_ - passed_ - static_cast<int64_t>(failures_.size()), failures_.size());
    fmt::print("  {} frozen and {} training steps; of the tensors compared {} trusted, {} untrusted ({:.1f} %)\n", inferred_, trained_,
               trusted_, untrusted_,
               100.0 * static_cast<double>(untrusted_) / static_cast<double>(std::max<int64_t>(1, trusted_ + untrusted_)));
    int64_t refused = 0;
    for (const auto& [text, count] : refused_) refused += count;
    fmt::print("  {} not trained, being refused with a reason; the largest error is {:.2f} of what is allowed (seed {})\n", refused, worst_,
               worst_seed_);
    fmt::print("  {} go to ONNX and back as the same graph, {} of them by their nodes alone\n", exported_, same_);
    if (!settings_.verbose) return;
    for (const auto& [text, count] : refused_) fmt::print("    {} x {}\n", count, text);
  }

  const std::vector<Report>& failures() const { return failures_; }

 private:
  const Settings& settings_;
  int64_t networks_ = 0, passed_ = 0, inferred_ = 0, trained_ = 0, trusted_ = 0, untrusted_ = 0, exported_ = 0, same_ = 0;
  std::map<std::string, int64_t> refused_;
  double worst_ = 0;
  uint64_t worst_seed_ = 0;
  std::vector<Report> failures_;
};

// The first failures of each kind, with their smallest form.
void print_failures(const std::vector<Report>& failures, const Settings& settings) {
  std::map<std::string, int> told;
  for (const Report& failure : failures) {
    if (++told[failure.kind] > 2) continue;
    fmt::print("\nseed {}: {}\n", failure.seed, failure.kind);
    if (failure.phase == "drawing") {
      fmt::print("{}\n", failure.text);
      continue;
    }
    const Shrunk shrunk = shrink(to_text(draw_case(failure.seed)), failure, settings.jobs, settings.limit);
    fmt::print("{}\n  {}\n{}", shrunk.report.text, shrunk.report.phase, shrunk.text);
    std::fflush(stdout);
  }
}

int fuzz_random(const Settings& settings) {
  const auto start = std::chrono::steady_clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  Summary summary(settings);
  int64_t begun = 0;
  const auto next = [&]() -> std::optional<uint64_t> {
    if (settings.count > 0 ? begun >= settings.count : elapsed() >= settings.seconds) return {};
    return settings.seed + static_cast<uint64_t>(begun++);
  };
  run_children(settings.jobs, settings.limit, next, check_seed, [&](const Report& report) { return summary.add(report); });
  summary.print(elapsed());
  print_failures(summary.failures(), settings);
  return summary.failures().empty() ? 0 : 1;
}

int replay(const Settings& settings) {
  int failed = 0;
  size_t begun = 0;
  const auto next = [&]() -> std::optional<uint64_t> {
    return begun < settings.replay.size() ? std::optional<uint64_t>(begun++) : std::nullopt;
  };
  const auto work = [&](uint64_t k) {
    return check(parse_case(read_file(settings.replay[k]), settings.replay[k]), settings.sampled ? Extent::sampled : Extent::everything);
  };
  run_children(settings.jobs, settings.limit, next, work, [&](const Report& report) {
    const std::string& path = settings.replay[report.seed];
    failed += report.failed() ? 1 : 0;
    if (report.failed()) fmt::print("{}: FAILS: {}\n  {}\n  {}\n", path, report.kind, report.text, report.phase);
    else
      fmt::print("{}: passed, {} of {} tensors trusted{}\n", path, report.outcome.trusted,
                 report.outcome.trusted + report.outcome.untrusted,
                 report.outcome.refused.empty() ? "" : "; not trained: " + report.outcome.refused);
    return true;
  });
  return failed > 0 ? 1 : 0;
}

int run(int argc, char** argv) {
  Settings settings;
  po::options_description options("Options");
  options.add_options()("seed", po::value(&settings.seed),
                        "the seed of the first network; the others follow it. 1 by default, and another one in each run with --seconds")(
      "seconds", po::value(&settings.seconds), "go on for so long; 60 by default")(
      "count", po::value(&settings.count), "try so many networks")("replay", po::value(&settings.replay)->multitoken(),
                                                                   "check these files instead, each in every way")(
      "jobs", po::value(&settings.jobs)->default_value(static_cast<int>(std::max(1u, std::thread::hardware_concurrency()))),
      "processes at a time")("limit", po::value(&settings.limit)->default_value(30), "the seconds after which a network counts as hanging")(
      "failures", po::value(&settings.failures)->default_value(30), "stop behind so many failures")(
      "sampled", "check files only in the ways that were drawn for the network they come from")(
      "print", "only print the network of --seed")("verbose", "tell why networks were refused")("help", "this text");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);
  } catch (const po::error& error) {
    fmt::print(stderr, "bnc-fuzz: {}\n", error.what());
    return 2;
  }
  if (given.count("help")) {
    std::ostringstream text;
    text << options;
    fmt::print("{}{}", purpose, text.str());
    return 0;
  }
  settings.sampled = given.count("sampled") > 0;
  settings.verbose = given.count("verbose") > 0;
  if (settings.jobs < 1 || settings.failures < 1 || settings.count < 0 || settings.seconds < 0) {
    fmt::print(stderr, "bnc-fuzz: numbers are positive\n");
    return 2;
  }
  if (!settings.replay.empty()) return replay(settings);
  if (!given.count("seconds")) settings.seconds = 60;
  if (given.count("seconds") && !given.count("seed")) settings.seed = std::random_device()() * uint64_t{1000000};
  if (given.count("print")) {
    fmt::print("{}", to_text(draw_case(settings.seed)));
    return 0;
  }
  fmt::print("bnc-fuzz --seed {}\n", settings.seed);
  std::fflush(stdout);
  return fuzz_random(settings);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bnc-fuzz: {}\n", error.what());
    return 1;
  }
}
