// Where the channels of one axis lie: shared by the passes that move per-channel vectors from one tensor to another.
#pragma once

#include <optional>
#include <string>

#include "ir/builder.h"

namespace bnc {

// A channel axis that a reshape carries into one axis of its result. Along that axis the elements run over `block`
// (row-major, no batch dimension), of which dimension `position` is the channel: the other ones repeat each channel.
struct ChannelBlock {
  int axis = 0;
  Shape block;
  int position = 0;

  // One element of the axis is one channel.
  bool one_to_one() const;
};

// Follows axis `axis` of shape `from` through a reshape to `to`; empty when its channels are split over several axes or
// merged with the batch. For the way back, give the two shapes the other way round.
std::optional<ChannelBlock> follow_channels(const Shape& from, const Shape& to, int axis);

// The vector [channels] spread over the block: one number for each element of the block's axis.
Value repeat_channels(GraphBuilder& builder, Value vector, const ChannelBlock& block);

// The one number per channel that `operand` holds when it is broadcast to `type`: [channels] along `axis`. Absent when
// the operand differs along another axis.
Value channel_vector(GraphBuilder& builder, Value operand, const TensorType& type, int axis);
bool is_channel_vector(const TensorType& operand, const TensorType& type, int axis);

// As an attribute, where the last axis is the default -1.
Attribute axis_attribute(int axis, int rank);

// Axis i of the result of a transpose is axis permutation[i] of its operand.
IntList permutation_of(const Node& transpose);
// Where axis `axis` of the result of a transpose comes from, and where axis `axis` of its operand goes.
int transpose_source(const Node& transpose, int axis);
int transpose_target(const Node& transpose, int axis);

// Where axis `axis` of the operand of a reduction stands in its result; -1 when it is reduced.
int reduced_axis(const Node& reduction, int axis);
// Where axis `axis` of the result of a reduction stands in its operand; -1 when it is one of those reduced, kept with size 1.
int unreduced_axis(const Node& reduction, int axis);

// matmul `h` (line 12): how remarks name a node; one without a name of its own by its layer, convolution `stem.conv_1` (line 5).
std::string describe(const Node& node);

}  // namespace bnc
