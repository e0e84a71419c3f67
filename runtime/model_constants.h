// What a C header tells of a model beside its function: classes, columns, and how data become its input.
#pragma once

#include <string>

#include "runtime/metadata.h"

namespace bnc {

// Declarations in C and C++; empty where nothing is known. Their names begin with `prefix` and end in one of `_CLASSES`, `_class_names`,
// `_COLUMNS`, `_FEATURES`, `_column`, `_columns`, `_categories_K` and `_BYTE_DIVISOR`, none of which is the end of another one. `output` is
// the one that the classes are of.
std::string model_constants(const std::string& prefix, const ModelMetadata& model, const std::string& output);

}  // namespace bnc
