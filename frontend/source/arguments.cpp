#include "frontend/source/arguments.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace bnc::source {

namespace {

using Form = Setting::Form;

std::string parameter_name(const std::string& attribute) { return attribute == "filters" ? "channels" : attribute; }

bool counts_channels(const std::string& name) {
  static constexpr std::array<std::string_view, 5> names = {"channels", "channels_2", "units", "groups", "filters"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

class Finder {
 public:
  Finder(const std::vector<std::vector<Slot>>& windows, bool in_place) : windows_(windows), in_place_(in_place) {}

  std::optional<Arguments> run(size_t most) {
    for (size_t slot = 0; slot < windows_[0].size(); ++slot) {
      found_.uses.push_back(use(slot));
      if (found_.parameters.size() > most) return std::nullopt;
    }
    return std::move(found_);
  }

 private:
  const Setting& at(size_t window, size_t slot) const { return *windows_[window][slot].setting; }

  bool stays(size_t slot) const {
    const Setting& first = at(0, slot);
    if (!in_place_ && !first.is_literal()) return false;
    for (size_t k = 1; k < windows_.size(); ++k)
      if (!(at(k, slot) == first)) return false;
    return true;
  }

  bool follows(size_t slot, size_t parameter, Form form, int64_t factor) const {
    for (size_t k = 0; k < windows_.size(); ++k) {
      const std::optional<Setting> value = changed(found_.values[parameter][k], form, factor);
      if (!value || !(*value == at(k, slot))) return false;
    }
    return true;
  }

  // How one integer comes of another in all windows, as far as it makes sense for what they are.
  std::optional<Arguments::Use> derived(size_t slot, size_t parameter) const {
    const std::string &name = windows_[0][slot].name, &from = found_.parameters[parameter].name;
    const int place = static_cast<int>(parameter);
    if (follows(slot, parameter, Form::same, 1)) return Arguments::Use{place, Form::same, 1};
    if (name == "padding" && from == "kernel" && follows(slot, parameter, Form::half, 1)) return Arguments::Use{place, Form::half, 1};
    if (!counts_channels(name) || !counts_channels(from)) return std::nullopt;
    const Setting &base = found_.values[parameter][0], &value = at(0, slot);
    const int64_t *a = base.literal.get_if<int64_t>(), *b = value.literal.get_if<int64_t>();
    if (!base.is_literal() || !value.is_literal() || !a || !b || *a < 1 || *b < 1) return std::nullopt;
    if (*b % *a == 0 && follows(slot, parameter, Form::times, *b / *a)) return Arguments::Use{place, Form::times, *b / *a};
    if (*a % *b == 0 && follows(slot, parameter, Form::over, *a / *b)) return Arguments::Use{place, Form::over, *a / *b};
    return std::nullopt;
  }

  Arguments::Use use(size_t slot) {
    if (stays(slot)) return {};
    // Two settings that differ in kind are never one parameter by chance: a stride that equals a number of channels.
    for (size_t k = 0; k < found_.parameters.size(); ++k) {
      const bool alike = found_.parameters[k].name.starts_with(parameter_name(windows_[0][slot].name)) ||
                         (counts_channels(windows_[0][slot].name) && counts_channels(found_.parameters[k].name)) ||
                         windows_[0][slot].name == "padding";
      if (!alike) continue;
      if (const std::optional<Arguments::Use> use = derived(slot, k)) return *use;
    }
    return add(slot);
  }

  Arguments::Use add(size_t slot) {
    Parameter parameter{parameter_name(windows_[0][slot].name), {}};
    std::vector<Setting> values;
    for (size_t k = 0; k < windows_.size(); ++k) {
      values.push_back(at(k, slot));
      const std::optional<Attribute>& fallback = windows_[k][slot].fallback;
      if (fallback && values.back().is_literal() && values.back().literal == *fallback) parameter.fallback = fallback;
    }
    found_.parameters.push_back(std::move(parameter));
    found_.values.push_back(std::move(values));
    return {static_cast<int>(found_.parameters.size()) - 1, Form::same, 1};
  }

  const std::vector<std::vector<Slot>>& windows_;
  bool in_place_;
  Arguments found_;
};

}  // namespace

std::optional<Arguments> arguments_for(const std::vector<std::vector<Slot>>& windows, bool in_place, size_t most) {
  return Finder(windows, in_place).run(most);
}

}  // namespace bnc::source
