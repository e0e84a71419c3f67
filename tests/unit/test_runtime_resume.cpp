#include <regex>

#include <fmt/format.h>

#include "runtime/checkpoint.h"
#include "support/training.h"

using namespace bnc;
using namespace bnc::test;

namespace {

// A file of a run's folder without the seconds it took: the last column of the history, a line of the progress.
std::string timeless(const TemporaryFolder& folder, const std::string& name) {
  const std::string bytes = read_bytes(folder.path(name));
  if (name.ends_with(".json")) return std::regex_replace(bytes, std::regex("\"seconds\": .*"), "");
  return name.ends_with("history.csv") ? std::regex_replace(bytes, std::regex(",[^,\n]*\n"), "\n") : bytes;
}

}  // namespace

TEST_CASE("a run stopped anywhere, also while it tests, and resumed ends at the same bits as one that was not") {
  const TemporaryFolder folder;
  TrainOptions whole_options = options_for(write_data(folder), folder.path("whole"));
  whole_options.validate = 0.2;
  const TrainResult whole = train(network(), whole_options);
  CHECK(whole.steps == 4 * 5);
  CHECK(whole.validation.count == 10);
  CHECK(whole.train.count == 40);
  REQUIRE(whole.best);
  // A poll a step and a poll a test, of which there are as many: at steps 2, 4, 6, ...; then those of the last test.
  for (const int64_t stop_at : {0, 1, 3, 5, 14, 30, 31}) {
    CAPTURE(stop_at);
    TrainOptions options = whole_options;
    options.out = folder.path("part");
    int64_t polls = 0;
    options.stop = [&] { return polls++ == stop_at; };
    const TrainResult stopped = train(network(), options);
    REQUIRE(stopped.stopped);
    CHECK(polls == stop_at + 1);
    TrainOptions rest;
    rest.data = rest.test = options.data;
    rest.resume = folder.path("part");
    const TrainResult resumed = train(network(), rest);
    CHECK(resumed.steps == whole.steps);
    CHECK(resumed.best->step == whole.best->step);
    CHECK(resumed.validation.loss == whole.validation.loss);
    CHECK(resumed.test.loss == whole.test.loss);
    for (const char* file :
         {"weights.safetensors", "weights.best.safetensors", "history.csv", "distributions.csv", "checkpoint/distributions.csv",
          "checkpoint/state.npz", "checkpoint/progress.json", "checkpoint/best.safetensors"}) {
      CAPTURE(file);
      CHECK(timeless(folder, std::string("part/") + file) == timeless(folder, std::string("whole/") + file));
    }
    std::filesystem::remove_all(folder.path("part"));
  }
}

TEST_CASE("every optimizer with its schedule goes on from a checkpoint to the same bits") {
  for (const char* optimizer : {"rmsprop(rate=step(start=0.01, every=2, factor=0.5, in_epochs), momentum=0.5)",
                                "adam(rate=0.01, weight_decay=0.1)", "adamw(rate=cosine(start=0.02, warmup=5), clip_norm=0.5)",
                                "amsgrad(rate=one_cycle(peak=0.05), clip_value=0.1)", "lamb(rate=0.02)"}) {
    CAPTURE(optimizer);
    const TemporaryFolder folder;
    const Network net = with_optimizer(optimizer);
    TrainOptions options = options_for(write_data(folder), folder.path("whole"));
    train(net, options);
    options.out = folder.path("part");
    int64_t polls = 0;
    options.stop = [&] { return polls++ == 11; };
    REQUIRE(train(net, options).stopped);
    TrainOptions rest;
    rest.data = rest.test = options.data;
    rest.resume = options.out;
    train(net, rest);
    for (const char* file : {"weights.safetensors", "history.csv", "checkpoint/state.npz"}) {
      CAPTURE(file);
      CHECK(timeless(folder, std::string("part/") + file) == timeless(folder, std::string("whole/") + file));
    }
  }
}

TEST_CASE("a run goes on with the optimizer it began with, at any rate where that is allowed") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.steps = 5;
  train(with_optimizer("adam(rate=0.01)"), options);
  TrainOptions rest;
  rest.data = options.data;
  rest.resume = options.out;
  rest.steps = 7;
  rest.allow_changes = true;
  const auto error = [&](const char* optimizer) { return message_of<Error>([&] { train(with_optimizer(optimizer), rest); }); };
  CHECK(contains(error("amsgrad(rate=0.01)"), "the state to restore lacks `optimizer.dense_1.weight.greatest_square`"));
  CHECK(contains(error("sgd(rate=0.01)"), "the state to restore has `optimizer.dense_1.weight."));
  CHECK(contains(error("sgd(rate=0.01)"), "help: go on with the network and the optimizer"));
  CHECK(train(with_optimizer("adam(rate=0.001)"), rest).steps == 7);
}

TEST_CASE("a run does not go on with a file that has changed since") {
  const TemporaryFolder folder;
  TrainOptions options = options_for(write_data(folder), folder.path("run"));
  options.stop = [] { return true; };
  train(network(), options);
  TrainOptions rest;
  rest.data = options.data;
  rest.resume = options.out;
  rest.steps = 3;
  const auto changed = [](const char* what, const char* with) {
    const std::string text = training_source, copy = std::regex_replace(text, std::regex(what), with);
    REQUIRE(copy != text);
    return Network::from_text(copy, "net.bn");
  };
  const auto error = [&](const char* what, const char* with) { return message_of<Error>([&] { train(changed(what, with), rest); }); };
  const std::string rate = error("rate=0.05", "rate=0.5");
  CHECK(contains(rate, "net.bn:9:15: error: `optimizer` has changed since the run in " + rest.resume + " began\n"));
  CHECK(contains(rate, "note: it was sgd(rate=0.05, momentum=0.9), and is sgd(rate=0.5, momentum=0.9)\n"));
  CHECK(contains(rate, "`--allow-changes`"));
  CHECK(contains(error("0.05", "step(start=0.05, every=7)"), "net.bn:9:15: error: `optimizer` has changed"));
  CHECK(contains(error("labels\\)", "labels, smoothing=0.1)"), "net.bn:8:15: error: `loss` has changed"));
  CHECK(contains(error("epochs ", "augment = flip\n  epochs "), "net.bn:11:13: error: `augment` has changed"));
  CHECK(contains(error("epochs ", "augment = flip\n  epochs "), "note: it was [], and is [flip]\n"));
  for (const auto& [setting, what, with] : {std::tuple("batch", "= 8", "= 7"), std::tuple("seed", "epochs ", "seed = 1\n  epochs ")}) {
    for (const bool allow : {false, true}) {
      rest.allow_changes = allow;
      const std::string fixed = error(what, with);
      CHECK(contains(fixed, fmt::format("net.bn:7:7: error: `{}` has changed", setting)));
      CHECK_FALSE(contains(fixed, "--allow-changes"));
    }
  }
  rest.allow_changes = false;
  const std::string ghost = error("corrected\\)", "corrected), ghost=4");
  CHECK(contains(ghost, "error: network `net` has changed since the run in "));
  CHECK(
      std::regex_search(ghost, std::regex("note: it had `t2: [^\n]* = batch_norm\\(t1, [^\n]*, corrected\\)\\)`\n")));  // in the flat form
  CHECK(std::regex_search(ghost, std::regex("note: it has `t2: [^\n]* = batch_norm\\(t1, [^\n]*, corrected\\), ghost=4\\)`\n")));
  CHECK(contains(error("relu\\(batch_norm", "sigmoid(batch_norm"), "= sigmoid("));
  CHECK(contains(error("rate=0.2", "rate=0.3"), "rate=0.3"));

  train(changed("net\\(x", "net(  x"), rest);
  rest.steps = 4;
  train(changed("epochs    = 4", "steps = 4  # patience = 4"), rest);
  rest.allow_changes = true;
  rest.steps = 5;
  const Network slower = changed("rate=0.05", "rate=0.01");
  train(slower, rest);
  rest.allow_changes = false;
  rest.steps = 6;
  CHECK(train(slower, rest).steps == 6);   // what was allowed holds from then on
  CHECK(contains(error("rate=0.05", "rate=0.050001"), "it was sgd(rate=0.01"));
  rest.steps = 7;
  CHECK(train(changed("rate=0.05(.*)\n", "rate=0.01$1\n  seed = 9\n"), rest).steps == 7);   // which the run has from its options

  // A checkpoint of before settings were kept.
  const std::string path = folder.path("run/checkpoint/progress.json");
  const std::string progress = read_bytes(path);
  folder.write("run/checkpoint/progress.json", progress.substr(0, progress.find(",\n  \"settings\"")) + "\n}\n");
  rest.steps = 8;
  CHECK(train(network(), rest).steps == 8);
}
