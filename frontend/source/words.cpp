#include "frontend/source/words.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "frontend/lexer.h"
#include "ir/op.h"

namespace bnc::source {

namespace {

const std::set<std::string>& symbols() {
  static const std::set<std::string> names = [] {
    std::set<std::string> all;
    for (const OpDefinition& op : all_ops())
      for (const AttributeSpec& spec : op.attributes) all.insert(spec.choices.begin(), spec.choices.end());
    return all;
  }();
  return names;
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

}  // namespace

bool is_symbol(const std::string& name) { return symbols().contains(name); }

bool is_reserved(const std::string& name) {
  static const std::set<std::string> words = {"floor", "length", "max",   "min",     "inf",   "nan",   "name",      "parameter", "state",
                                              "train", "block",  "network", "gradient", "update", "objective", "layout", "labels"};
  return words.contains(name) || is_keyword(name) || is_symbol(name) || find_op(name);
}

std::string legal_name(const std::string& name, const std::string& stem) {
  std::string legal;
  for (const char c : name) {
    const bool fits = is_letter(c) || (is_digit(c) && !legal.empty());
    if (fits) legal += c;
    else if (!legal.empty() && legal.back() != '_') legal += '_';
  }
  while (!legal.empty() && legal.back() == '_' && name.back() != '_') legal.pop_back();
  if (legal.empty() || legal.size() > 200) legal = stem;
  return is_keyword(legal) ? legal + "_" : legal;
}

std::string legal_path(const std::string& name, const std::string& stem) {
  std::string path, part;
  for (size_t k = 0; k <= name.size(); ++k) {
    if (k < name.size() && name[k] != '.') {
      part += name[k];
      continue;
    }
    if (!part.empty() && is_digit(part[0])) part.insert(0, "_");
    if (!part.empty()) path += (path.empty() ? "" : ".") + legal_name(part, stem);
    part.clear();
  }
  return path.empty() ? stem : path;
}

std::string human_name(const std::string& name) {
  std::string stem = name;
  const size_t end = stem.find_last_not_of("0123456789");
  if (end != std::string::npos && end + 1 < stem.size() && stem[end] == '_') stem.resize(end);
  const auto fits = [](char c) { return std::islower(static_cast<unsigned char>(c)) || c == '_'; };
  const bool letters = std::all_of(stem.begin(), stem.end(), fits);
  return letters && stem.size() >= 3 && stem.size() <= 16 && stem[0] != '_' && !is_reserved(stem) ? stem : "";
}

}  // namespace bnc::source
