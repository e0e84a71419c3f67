#include "runtime/targets.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "ir/op.h"
#include "runtime/dataset.h"
#include "runtime/error.h"

namespace bnc {

namespace {

constexpr int32_t most_classes = 100'000;   // that labels suggest

std::string help_on_shape(const Dataset::Data& data, const TargetRule& rule) {
  if (rule.class_numbers && rule.width == 1)
    return data.target_size == rule.classes ? "of rows with a one for the class, give the number of the class: np.argmax(y, axis=1)"
                                            : "for numbers to be predicted there is `mean_squared_error(targets)`";
  return rule.class_numbers ? "" : fmt::format("give the last layer as many units as there are targets: {}", data.target_size);
}

[[noreturn]] void refuse_shape(const Dataset::Data& data, const TargetRule& rule) {
  const std::string have = data.target_size == 1         ? "one target an example"
                           : data.target_dims.size() > 1 ? fmt::format("targets [{}] an example", fmt::join(data.target_dims, ", "))
                                                         : fmt::format("{} targets an example", data.target_size);
  const std::string takes = rule.width == 1 ? (rule.class_numbers ? "the number of a class" : "one number")
                                            : fmt::format("{} {}", rule.width, rule.class_numbers ? "numbers of classes" : "numbers");
  Diagnostic diagnostic{Severity::error, rule.place,
                        fmt::format("{} holds {}, but the loss {} of network `{}` takes {} for each ({})", data.labels_file, have,
                                    rule.loss, rule.network, takes, rule.type), {}};
  if (rule.spread && data.target_size == 1) diagnostic.attached = {*rule.spread};
  else if (const std::string help = help_on_shape(data, rule); !help.empty()) diagnostic.help(help);
  std::string text = render(diagnostic);
  text.pop_back();   // the newline
  throw Error(text);
}

// Every label in [0, classes).
void check_labels(const Dataset::Data& data, int64_t classes, const TargetRule& rule) {
  if (data.text_labels && static_cast<int64_t>(data.class_names.size()) != classes) {
    if (data.images) {
      fail("{}: network `{}` tells {} classes apart, but there are {}: {}\nhelp: every class needs a folder of images",
           data.labels_file, rule.network, classes, data.class_names.size(), fmt::join(data.class_names, ", "));
    }
    const size_t labels = data.class_names.size();
    fail("{}: network `{}` tells {} classes apart, but there are {} different labels\nhelp: {}", data.labels_file, rule.network, classes,
         labels,
         static_cast<int64_t>(labels) > classes
             ? fmt::format("give the last layer as many units: {}", labels)
             : "labels that are text are numbered in alphabetical order, so all must occur; write numbers from 0 on instead");
  }
  const auto is_ignored = [&](int32_t label) { return std::find(rule.ignore.begin(), rule.ignore.end(), label) != rule.ignore.end(); };
  const auto found = std::find_if(data.labels.begin(), data.labels.end(),
                                  [&](int32_t label) { return (label < 0 || label >= classes) && !is_ignored(label); });
  if (found == data.labels.end()) return;
  const auto k = static_cast<size_t>((found - data.labels.begin()) / data.target_size);
  std::vector<int32_t> counted;   // what is ignored need not be a class
  std::copy_if(data.labels.begin(), data.labels.end(), std::back_inserter(counted), [&](int32_t label) { return !is_ignored(label); });
  const auto [least, most] = std::minmax_element(counted.begin(), counted.end());
  const std::string help = *least == 1 && *most == classes ? "labels count from 0: subtract 1 from all"
                           : *least >= 0 && *most < most_classes
                               ? fmt::format("for labels from 0 to {} the last layer has {} units", *most, *most + 1)
                               : "labels count from 0, one for each class";
  fail("{}: label {} of example {} is out of range: network `{}` tells {} classes apart, 0 to {}\nhelp: {}", data.place(k), *found,
       data.number_in_file(k), rule.network, classes, classes - 1, help);
}

// Labels of floats that are whole numbers.
void to_labels(Dataset::Data& data, const TargetRule& rule) {
  if (!data.labels.empty()) return;
  std::vector<int32_t> labels(data.targets.size());
  for (size_t k = 0; k < labels.size(); ++k) {
    const float target = data.targets[k];
    if (target != std::trunc(target) || std::abs(target) >= 0x1p31F) {
      fail(
          "{}: target {} of example {} is no class: the loss {} of network `{}` takes whole numbers from 0 to {}\nhelp: a network that "
          "predicts numbers has a loss such as mean_squared_error",
          data.place(k / static_cast<size_t>(data.target_size)), target, data.number_in_file(k / static_cast<size_t>(data.target_size)),
          rule.loss, rule.network, rule.classes - 1);
    }
    labels[k] = static_cast<int32_t>(target);
  }
  data.labels = std::move(labels);
  data.targets.clear();
}

void to_floats(Dataset::Data& data, const TargetRule& rule) {
  if (data.text_labels) {
    fail(
        "{}: the targets are text, such as `{}`, but the loss {} of network `{}` takes numbers\nhelp: a network that tells classes apart "
        "has a loss such as softmax_cross_entropy",
        data.labels_file, data.class_names.front(), rule.loss, rule.network);
  }
  if (!data.labels.empty()) data.targets.assign(data.labels.begin(), data.labels.end());
  data.labels.clear();
  if (!rule.shares) return;
  const auto found = std::find_if(data.targets.begin(), data.targets.end(), [](float target) { return target < 0 || target > 1; });
  if (found == data.targets.end()) return;
  const auto k = static_cast<size_t>((found - data.targets.begin()) / data.target_size);
  fail(
      "{}: target {} of example {} is out of range: the loss {} of network `{}` takes numbers from 0 to 1\nhelp: 0 and 1 stand for the two "
      "classes",
      data.place(k), *found, data.number_in_file(k), rule.loss, rule.network);
}

bool all_0_or_1(const Dataset::Data& data) {
  const auto is_bit = [](auto value) { return value == 0 || value == 1; };
  return std::all_of(data.labels.begin(), data.labels.end(), is_bit) && std::all_of(data.targets.begin(), data.targets.end(), is_bit);
}

}  // namespace

void convert_targets(Dataset::Data& data, const TargetRule& rule, const std::optional<TargetMeaning>& meaning) {
  const bool class_for_a_row = !rule.class_numbers && rule.width > 1 && rule.width == rule.classes && data.target_size == 1;
  if (data.target_size != rule.width && !class_for_a_row) refuse_shape(data, rule);
  const bool one_of_two = rule.width == 1 &&
                          ((data.text_labels && data.class_names.size() == 2) || (all_0_or_1(data) && meaning != TargetMeaning::numbers));
  if (!rule.class_numbers && !class_for_a_row && !one_of_two) return to_floats(data, rule);
  to_labels(data, rule);
  check_labels(data, rule.class_numbers || class_for_a_row ? rule.classes : 2, rule);
}

std::optional<Diagnostic> note_on_rows(Value prediction, const std::string& batch_symbol) {
  if (prediction.type().rank() <= 2) return std::nullopt;
  const Node* node = prediction.node;
  while (node->operands.size() == 1 && node->operands[0].type().shape == prediction.type().shape) node = node->operands[0].node;
  const TensorType& type = prediction.type();
  Diagnostic note{Severity::note, node->range,
                  fmt::format("{} gives {}: a row of {} for each place of an example", node->op->name, to_string(type, batch_symbol),
                              type.shape.back().factor), {}};
  note.help(node->is("dense") ? "for one row an example write `flatten(...)` or `global_average_pool(...)` around what this layer is given"
                              : "for one row an example end with `dense(flatten(h), units)`, or with `global_average_pool(h)`");
  return note;
}

TargetKind kind_of(const Dataset::Data& data, const TargetRule& rule) {
  if (rule.class_numbers) return TargetKind::labels;
  if (data.labels.empty()) return TargetKind::floats;
  return rule.classes == 1 ? TargetKind::number : TargetKind::one_hot;
}

}  // namespace bnc
