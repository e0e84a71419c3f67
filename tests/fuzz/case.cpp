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

std::string to_text(const Case& tried) { return fmt::format("# bnc-fuzz: batch={} values={}\n{}", tried.batch, tried.values, print(tried.module)); }

Case parse_case(const std::string& text, const std::string& path) {
  Case result;
  std::smatch settings;
  if (std::regex_search(text, settings, std::regex("# bnc-fuzz: batch=([0-9]+) values=([0-9]+)"))) {
    result.batch = std::stoll(settings[1]);
    result.values = std::stoull(settings[2]);
  }
  result.module = parse_module(make_source(text, path));
  return result;
}

}  // namespace bnc::fuzz
