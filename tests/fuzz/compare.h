// Whether a result in f32 is the one that float64 has, within what f32 allows.
#pragma once

#include <optional>
#include <string>

#include "tests/fuzz/values.h"

namespace bnc::fuzz {

// An element that is farther off than allowed.
struct Mismatch {
  std::string tensor;
  int64_t element = 0;
  double got = 0, expected = 0, allowed = 0;
  std::string describe() const;
};

// How far apart two forms of one computation may be.
struct Tolerance {
  double spreads = 0;    // times the spread of the reference
  double relative = 0;   // of the tensor's largest element
  double rounding = 0;   // of the largest number that went into it
  double noise = 0;      // of each number: what its type rounds away
};
// Of results in f32 against float64, and of two computations in float64. The spread is the one of f32.
inline constexpr Tolerance of_f32 = {24, 1.5e-6, 2.5e-7, 0x1p-23}, of_f64 = {1e-6, 1e-10, 1e-14, 0x1p-52};

// A tensor says nothing about the code where a small error moves it a lot, where it is not finite, or nearly all of it is one number.
bool is_trusted(const Tensor& tensor, double spread);

// Of the tensors that both have, the element that is off by the most of what is allowed, if by more than that; the share of it goes to
// `worst`.
std::optional<Mismatch> compare(const Tensors& got, const Reference& reference, const Tolerance& tolerance, double* worst = nullptr);
// The same for every tensor of the reference, all of which must be there.
std::optional<Mismatch> compare_all(const Tensors& got, const Reference& reference, const Tolerance& tolerance, double* worst = nullptr);

// The first bit in which two runs of the same code differ.
std::optional<Mismatch> compare_bits(const Tensors& first, const Tensors& second);

}  // namespace bnc::fuzz
