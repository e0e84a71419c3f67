// What a loss takes for targets, and the one place where those of a data set become that.
#pragma once

#include <optional>
#include <string>

#include "ir/attribute.h"
#include "ir/graph.h"
#include "runtime/batch_loader.h"
#include "runtime/metadata.h"

namespace bnc {

// The target of a network's loss.
struct TargetRule {
  std::string network, loss;    // their names, for errors
  std::string target;           // what the loss calls it
  std::string type;             // as it is shown
  bool class_numbers = false;   // i32: numbers of classes
  bool shares = false;          // numbers from 0 to 1
  int64_t width = 1;            // numbers an example
  int64_t classes = 1;          // that the prediction tells apart; 1 where it is one number
  bool is_weight = false;       // weights of examples, not targets
  IntList ignore = {};          // labels that count for nothing
  SourceRange place = {};       // of the loss
  std::optional<Diagnostic> spread = {};   // where the prediction has several rows an example: a note at the layer that gives them
};

// The note of TargetRule::spread; nothing where the prediction has one row an example.
std::optional<Diagnostic> note_on_rows(Value prediction, const std::string& batch_symbol);

// Makes labels or floats of the targets, as the loss takes them:
// - class numbers: labels, one or several an example, also from floats that are whole numbers;
// - several numbers an example, of which the data have one: labels, which count as rows of zeros and a one;
// - one number an example that is 0 or 1 for all, or one of two texts: labels, so that there is an accuracy;
// - else floats, also from integers.
// `meaning` is what the targets that the network was trained on were: then 0 and 1 may be numbers like others.
// Error with file, line and advice where a target is none for this loss.
void convert_targets(Dataset::Data& data, const TargetRule& rule, const std::optional<TargetMeaning>& meaning);

// How converted targets go into the network.
TargetKind kind_of(const Dataset::Data& data, const TargetRule& rule);

}  // namespace bnc
