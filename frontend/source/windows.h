// Runs of neighbouring pieces that are alike but for their settings.
#pragma once

#include <cstdint>
#include <vector>

#include "frontend/source/program.h"

namespace bnc::source {

// The pieces of a function or of a loop's body.
struct Sequence {
  int function;
  std::vector<Piece>* pieces;
};

struct Window {
  int sequence;
  size_t begin, length;
};

// All sequences of a program, those of loops before what holds the loops.
std::vector<Sequence> sequences_of(Program& program);

// Windows of ops, wiring and structure alike, in the order in which they stand; groups in the order of their first ones.
std::vector<std::vector<Window>> alike_windows(const std::vector<Sequence>& sequences);

// The values that a window reads from outside, in the order in which it reads them.
std::vector<ValueId> externals_of(const Piece* begin, const Piece* end);

// Whether of what the window computes only the first result of its last piece is read elsewhere.
bool gives_one_value(const Piece* begin, const Piece* end, const std::vector<int>& uses);

// How often the window reads a value.
int uses_within(const Piece* begin, const Piece* end, ValueId value);

// What writing the pieces costs, in calls.
double cost_of(const Program& program, const Piece* begin, const Piece* end);

// The settings of a window but for those that name variables of its own loops.
std::vector<Slot> open_slots(const Program& program, Piece* begin, Piece* end);

}  // namespace bnc::source
