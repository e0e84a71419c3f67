#include "ir/random.h"

#include <cmath>

namespace bnc {

std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char byte : name) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
  return hash;
}

RandomStream::RandomStream(uint64_t seed, std::string_view name)
    : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}, purpose_(hash_name(name)) {}

uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    block_ = philox({static_cast<uint32_t>(counter_), static_cast<uint32_t>(counter_ >> 32), static_cast<uint32_t>(purpose_),
                     static_cast<uint32_t>(purpose_ >> 32)},
                    key_);
    ++counter_;
    used_ = 0;
  }
  return block_[used_++];
}

static uint64_t next_u64(RandomStream& stream) {
  const uint64_t high = stream.next_u32();
  return high << 32 | stream.next_u32();
}

uint64_t RandomStream::below(uint64_t bound) {
  const uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound: below it a draw would favour small results
  uint64_t draw = next_u64(*this);
  while (draw < rejected) draw = next_u64(*this);
  return draw % bound;
}

double RandomStream::uniform() { return static_cast<double>(next_u64(*this) >> 11) * 0x1p-53; }

// log and cos by series of plain IEEE operations, so that the bits are the same whatever the C library.
// log(m * 2^e) = e log 2 + 2 atanh((m-1)/(m+1)), with m in [sqrt(1/2), sqrt(2)).
static double portable_log(double x) {
  int exponent;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < 0.70710678118654752) mantissa *= 2, --exponent;
  const double t = (mantissa - 1) / (mantissa + 1), square = t * t;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return exponent * 0.69314718055994531 + 2 * t * sum;
}

// cos(2 pi u) for u in [0, 1): folded to [0, 1/4], then the Taylor series.
static double portable_cos_turn(double u) {
  if (u > 0.5) u = 1 - u;
  const double sign = u > 0.25 ? -1 : 1;
  if (u > 0.25) u = 0.5 - u;
  const double angle = 6.2831853071795865 * u, square = angle * angle;
  double sum = 1;
  for (int k = 24; k >= 2; k -= 2) sum = 1 - sum * square / (k * (k - 1));
  return sign * sum;
}

double RandomStream::normal() {
  const double radius = std::sqrt(-2 * portable_log(1 - uniform()));
  return radius * portable_cos_turn(uniform());
}

}  // namespace bnc
