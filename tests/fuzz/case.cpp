#include "tests/fuzz/case.h"

#include <regex>

#include <fmt/format.h>

#include "frontend/frontend.h"
#include "ir/print.h"

namespace bnc::fuzz {

Case clone(const Case& original) {
  Case copy;
  for (const Graph& network : original.module.networks) copy.module.networks.push_back(network.clone());
  copy.module.train = original.module.train;
  copy.batch = original.batch;
  copy.values = original.values;
  return copy;
}

static std::string settings_of(const Case& tried) { return fmt::format("# bnc-fuzz: batch={} values={}\n", tried.batch, tried.values); }

std::string to_text(const Case& tried) { return settings_of(tried) + print(tried.module); }

std::string to_short_text(const Case& tried) {
  std::string text = print(tried.module);
  for (const auto& [from, to] :
       {std::pair("\n  batch +=[^\n]*", ""), {"\n  steps +=[^\n]*", ""}, {"\\{\n *", "{ "}, {"\n\\}", " }"}, {" +=", " ="}, {"\n\n", "\n"}})
    text = std::regex_replace(text, std::regex(from), to);
  // What is returned alone and read nowhere else needs no line of its own.
  std::smatch last;
  if (std::regex_search(text, last, std::regex("\n +([A-Za-z0-9_.]+): [^\n=]* = ([^\n]*)\n +return ([A-Za-z0-9_.]+) \\}")) &&
      last[1] == last[3])
    text = fmt::format("{}\n  return {} = {} }}{}", last.prefix().str(), last[1].str(), last[2].str(), last.suffix().str());
  return settings_of(tried) + text;
}

Case parse_case(const std::string& text, const std::string& path) {
  Case result;
  std::smatch settings;
  if (std::regex_search(text, settings, std::regex("# bnc-fuzz: batch=([0-9]+) values=([0-9]+)"))) {
    result.batch = std::stoll(settings[1]);
    result.values = std::stoull(settings[2]);
  }
  result.module = parse_module(make_source(text, path));
  if (!result.module.train) return result;
  if (settings.empty()) result.batch = result.module.train->batch;
  result.module.train->batch = result.batch;
  return result;
}

}  // namespace bnc::fuzz
