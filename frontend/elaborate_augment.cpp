// `augment` of the train section: how images are changed at random before a step sees them.
#include <algorithm>

#include <fmt/format.h>

#include "frontend/elaborator.h"

namespace bnc {

using namespace ast;

namespace {

struct Augmentation {
  std::string name;
  std::optional<int64_t> pixels;  // the default, where it takes a number of pixels
};

const std::vector<Augmentation> augmentations = {{"pad_and_crop", 4}, {"flip", {}}, {"shift", 2}};

}  // namespace

std::vector<Symbol> Elaborator::augment(const Expression& value) {
  std::vector<Symbol> steps;
  if (value.kind != Expression::Kind::list) return {augment_step(value)};
  for (const ExpressionPtr& child : value.children) steps.push_back(augment_step(*child));
  return steps;
}

// NAME, NAME(4) or NAME(pixels=4).
Symbol Elaborator::augment_step(const Expression& value) {
  Strings names;
  for (const Augmentation& each : augmentations) names.push_back(each.name);
  if (value.kind != Expression::Kind::name && value.kind != Expression::Kind::call)
    fail_at(value.range, "expected a change to images, as in `[pad_and_crop(4), flip]`",
            fmt::format("there are {}", fmt::join(names, ", ")));
  const auto found = std::find_if(augmentations.begin(), augmentations.end(),
                                  [&](const Augmentation& each) { return each.name == value.text; });
  if (found == augmentations.end()) {
    SourceRange name = value.range;
    name.length = static_cast<int>(value.text.size());
    fail_at(name, fmt::format("unknown change to images `{}`", value.text), suggestion_or_list(value.text, names, "there are"));
  }
  if (!found->pixels) {
    if (!value.arguments.empty()) fail_at(value.arguments.front().value->range, fmt::format("`{}` takes no arguments", value.text));
    return {value.text, {}};
  }
  std::optional<int64_t> pixels;
  for (const Argument& argument : value.arguments) {
    if (!argument.name.empty() && argument.name != "pixels")
      fail_at(argument.name_range, fmt::format("`{}` has no argument `{}`", value.text, argument.name), "it has `pixels`");
    if (pixels) fail_at(argument.value->range, fmt::format("`{}` takes one number of pixels", value.text));
    const Term term = evaluate(*argument.value);
    const int64_t* number = term.get_if<int64_t>();
    if (!number || *number < 1)
      fail_at(argument.value->range,
              fmt::format("`pixels` is an integer of at least 1, but this is {}", describe(term, graph_.batch_symbol)));
    pixels = *number;
  }
  return {value.text, {{"pixels", pixels.value_or(*found->pixels)}}};
}

}  // namespace bnc
