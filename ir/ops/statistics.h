// bn-one: what normalizes by statistics of its own takes each of them over more than one element, unless the node says otherwise.
#pragma once

#include <optional>
#include <string>

#include "ir/op.h"

namespace bnc::ops {

// The attribute that permits one element, and the constraint; they mark an op that normalizes by statistics of its own.
AttributeSpec allow_single_attribute();
std::string single_element_constraint();

// How many elements each statistic is taken over; nothing where a node of this op, with these attributes, has none of its own.
std::optional<Dim> elements_a_statistic(const OpDefinition& op, const Shape& x, const AttributeMap& attributes);

// Fails where that is one element, whatever the batch size.
void refuse_single_element(const InferContext& cx, int constraint);

}  // namespace bnc::ops
