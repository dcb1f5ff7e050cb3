// SPDX-License-Identifier: MIT
// Helpers of division and of argument reduction. The manual's pseudo code of the division helpers is wrong as printed
// (results missing, factors halved); what is here makes the compiler's sequence
//   div_scale, div_scale, rcp, fma ..., div_fmas, div_fixup
// round correctly for every pair of operands:
//   div_scale  returns its first source, scaled by a power of two where the steps between would leave the range of
//              normal numbers, and sets the mask of lanes whose quotient div_fmas must scale back;
//   div_fmas   scales back in the direction that the size of the quotient so far (its third source) tells, rounding
//   once; div_fixup  gives signs and the special cases.
// Ordinary operands (all lanes far from every limit) are done as vectors, others one lane at a time.
// Facts: CDNA 2 ISA chapter 12.9; tests run on hardware by others (RDNA 3) for the direction of div_fmas.
#include <cmath>
#include <cstring>
#include <limits>

#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

template <typename T>
struct Type;
template <>
struct Type<float> {
  using Bits = std::uint32_t;
  static constexpr int kMantissa = 23;
  static constexpr int kMaxExponent = 0xff;
  static constexpr int kBias = 127;
  static constexpr int kScale = 64;
  static constexpr int kHugeQuotient = 96;  // difference of exponents from which the quotient nears the maximum
  static constexpr int kTiny = 23;          // biased exponent of numerators too small for residuals
  static constexpr int kUnderflow = -150;
};
template <>
struct Type<double> {
  using Bits = std::uint64_t;
  static constexpr int kMantissa = 52;
  static constexpr int kMaxExponent = 0x7ff;
  static constexpr int kBias = 1023;
  static constexpr int kScale = 128;
  static constexpr int kHugeQuotient = 768;
  static constexpr int kTiny = 53;
  static constexpr int kUnderflow = -1075;
};

template <typename T>
typename Type<T>::Bits bits_of(T value) {
  typename Type<T>::Bits bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
template <typename T>
T from_bits(typename Type<T>::Bits bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <typename T>
int exponent(T value) {
  return static_cast<int>(bits_of(value) >> Type<T>::kMantissa) & Type<T>::kMaxExponent;
}
template <typename T>
bool is_denormal(T value) {
  return value != 0 && exponent(value) == 0;
}
// x86 has no ldexp that rounds once and std::ldexp is slow; a product with an exact power of two is the same.
template <typename T>
T scaled(T value, int by) {
  return value * from_bits<T>(static_cast<typename Type<T>::Bits>(by + Type<T>::kBias) << Type<T>::kMantissa);
}

template <typename T>
T div_scale(T source, T denominator, T numerator, bool& post_scale) {
  constexpr int kScale = Type<T>::kScale;
  post_scale = false;
  const bool is_denominator = bits_of(source) == bits_of(denominator);
  const bool is_numerator = bits_of(source) == bits_of(numerator);
  if (denominator == 0 || numerator == 0) {
    return std::numeric_limits<T>::quiet_NaN();
  }
  if (exponent(numerator) - exponent(denominator) >= Type<T>::kHugeQuotient) {
    post_scale = true;
    return is_denominator ? scaled(source, kScale) : source;
  }
  if (is_denormal(denominator)) {
    return scaled(source, kScale);
  }
  const bool tiny_reciprocal = is_denormal(T{1} / denominator);
  const bool tiny_quotient = is_denormal(numerator / denominator);
  if (tiny_reciprocal && tiny_quotient) {
    post_scale = true;
    return is_denominator ? scaled(source, -kScale) : source;
  }
  if (tiny_reciprocal) {
    return scaled(source, -kScale);
  }
  if (tiny_quotient) {
    post_scale = true;
    return is_numerator ? scaled(source, kScale) : source;
  }
  return exponent(numerator) <= Type<T>::kTiny ? scaled(source, kScale) : source;
}

// a + b where |a| >= |b| or not, rounded to odd: no later rounding to fewer bits is wrong then.
double add_to_odd(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  const double lost = (a - (sum - part)) + (b - part);
  std::uint64_t bits = bits_of(sum);
  if ((lost > 0 || lost < 0) && (bits & 1) == 0) {
    bits = (lost > 0) == (sum > 0) ? bits + 1 : bits - 1;
  }
  return from_bits<double>(bits);
}

float div_fmas(float a, float b, float c, bool post_scale) {
  if (!post_scale) {
    return std::fma(a, b, c);
  }
  const double sum = add_to_odd(double{a} * double{b}, c);
  return static_cast<float>(scaled(sum, exponent(c) > Type<float>::kBias ? 64 : -64));
}
double div_fmas(double a, double b, double c, bool post_scale) {
  const double sum = std::fma(a, b, c);
  if (!post_scale) {
    return sum;
  }
  if (exponent(c) > Type<double>::kBias) {
    return scaled(sum, 128);
  }
  // The result may be denormal: keep what the fma rounded off as a sticky bit of a longer format.
  const double product = a * b;
  const double product_lost = std::fma(a, b, -product);
  const double part = product + c;
  const double tail = ((product - (part - (part - product))) + (c - (part - product))) + product_lost;
  const double lost = (part - sum) + tail;
  long double wide = static_cast<long double>(sum);
  if (lost > 0 || lost < 0) {
    const long double nudge = std::ldexp(std::fabs(wide), -60);
    wide += lost > 0 ? nudge : -nudge;
  }
  return static_cast<double>(std::ldexp(wide, -128));
}

template <typename T>
T quiet(T value) {
  using Bits = typename Type<T>::Bits;
  return from_bits<T>(bits_of(value) | Bits{1} << (Type<T>::kMantissa - 1));
}
template <typename T>
T div_fixup(T quotient, T denominator, T numerator) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  const bool negative = std::signbit(denominator) != std::signbit(numerator);
  const auto with_sign = [&](T magnitude) { return negative ? -magnitude : magnitude; };
  if (std::isnan(numerator)) {
    return quiet(numerator);
  }
  if (std::isnan(denominator)) {
    return quiet(denominator);
  }
  if ((denominator == 0 && numerator == 0) || (std::isinf(denominator) && std::isinf(numerator))) {
    return -std::numeric_limits<T>::quiet_NaN();
  }
  if (denominator == 0 || std::isinf(numerator)) {
    return with_sign(kInfinity);
  }
  if (std::isinf(denominator) || numerator == 0) {
    return with_sign(0);
  }
  if (exponent(numerator) - exponent(denominator) < Type<T>::kUnderflow) {
    return with_sign(0);
  }
  return std::isnan(quotient) ? with_sign(kInfinity) : with_sign(std::fabs(quotient));
}

// A source one lane at a time, with its modifiers.
template <typename T>
class LaneSource {
 public:
  LaneSource(const Wave& wave, const MicroOp& op, unsigned i)
      : vector_(op.kind[i] == Kind::Vector),
        low_(vector_ ? row_at(wave, op.src[i]) : scalar_source(wave, op, i)),
        negate_((op.neg >> i & 1u) != 0),
        absolute_((op.abs >> i & 1u) != 0) {}
  [[nodiscard]] T lane(unsigned lane) const {
    typename Type<T>::Bits bits = low_[vector_ ? lane : 0];
    if constexpr (sizeof(T) == 8) {
      bits |= static_cast<std::uint64_t>(low_[vector_ ? lane + kLanes : 1]) << 32;
    }
    constexpr auto kSign = typename Type<T>::Bits{1} << (sizeof(T) * 8 - 1);
    bits = absolute_ ? bits & ~kSign : bits;
    bits = negate_ ? bits ^ kSign : bits;
    return from_bits<T>(bits);
  }

 private:
  bool vector_;
  const std::uint32_t* low_;
  bool negate_;
  bool absolute_;
};

template <typename T>
void store_lane(const Wave& wave, const MicroOp& op, unsigned lane, T value) {
  std::uint32_t* out = row_at(wave, op.dst) + lane;
  const auto bits = bits_of(value);
  *out = static_cast<std::uint32_t>(bits);
  if constexpr (sizeof(T) == 8) {
    out[kLanes] = static_cast<std::uint32_t>(bits >> 32);
  }
}

template <typename Each>
void for_each_lane(std::uint64_t lanes, Each&& each) {
  for (; lanes != 0; lanes &= lanes - 1) {
    each(static_cast<unsigned>(__builtin_ctzll(lanes)));
  }
}

// A source of either width as vectors of bits, with its modifiers. f32 has one vector a chunk, f64 a pair.
template <typename T>
struct VectorSource;
template <>
struct VectorSource<float> {
  using Bits = U32;
  static constexpr unsigned kParts = 1;
  Source32 source;
  SignMasks masks;
  void init(const Wave& wave, const MicroOp& op, unsigned i) {
    source.init(wave, op, i);
    masks.init(op, i, 0x80000000u);
  }
  void load_chunk(unsigned c, U32* parts) const { parts[0] = masks.apply(source.chunk(c)); }
  static void store_chunk(std::uint32_t* out, const U32* parts, unsigned mask) { store_masked(out, parts[0], mask); }
  // Lanes of -1 and 0 as a mask.
  static unsigned lanes(const U32* parts) { return collect((I32)parts[0]); }
};
template <>
struct VectorSource<double> {
  using Bits = U64;
  static constexpr unsigned kParts = 2;
  Source64<true> source;
  U64 keep;
  U64 flip;
  void init(const Wave& wave, const MicroOp& op, unsigned i) {
    source.init(wave, op, i);
    keep = splat64((op.abs >> i & 1u) != 0 ? ~(1ull << 63) : ~0ull);
    flip = splat64((op.neg >> i & 1u) != 0 ? 1ull << 63 : 0);
  }
  void load_chunk(unsigned c, U64* parts) const {
    const Pair pair = source.chunk(c);
    parts[0] = (pair.a & keep) ^ flip;
    parts[1] = (pair.b & keep) ^ flip;
  }
  static void store_chunk(std::uint32_t* out, const U64* parts, unsigned mask) {
    store_pair(out, {parts[0], parts[1]}, mask, true);
  }
  static unsigned lanes(const U64* parts) { return collect((I32)low_half({parts[0], parts[1]})); }
};

template <typename T>
auto biased_exponent(typename VectorSource<T>::Bits bits) {
  return bits >> Type<T>::kMantissa & static_cast<typename Type<T>::Bits>(Type<T>::kMaxExponent);
}
// low <= v <= high, for small unsigned numbers.
template <typename Bits>
Bits within(Bits v, int low, int high) {
  return (Bits)(v - static_cast<unsigned>(low) <= Bits{} + static_cast<unsigned>(high - low));
}

// Whether all active lanes are such that scaling is not needed and every step of the sequence is exact enough.
template <typename T>
bool ordinary(const Wave& wave, const VectorSource<T>& denominator, const VectorSource<T>& numerator) {
  using Bits = typename VectorSource<T>::Bits;
  constexpr int kMax = Type<T>::kMaxExponent;
  unsigned others = 0;
  for (unsigned c = 0; c < kChunks; ++c) {
    Bits d[2];
    Bits n[2];
    Bits good[2];
    denominator.load_chunk(c, d);
    numerator.load_chunk(c, n);
    for (unsigned part = 0; part < VectorSource<T>::kParts; ++part) {
      const Bits de = biased_exponent<T>(d[part]);
      const Bits ne = biased_exponent<T>(n[part]);
      good[part] =
          within(de, 1, kMax - 3) & within(ne, Type<T>::kTiny + 1, kMax - 1) &
          within(ne - de + static_cast<unsigned>(kMax), kMax - Type<T>::kBias + 3, kMax + Type<T>::kHugeQuotient - 1);
    }
    others |= ~VectorSource<T>::lanes(good) & chunk_mask(wave.exec(), c);
  }
  return others == 0;
}

template <typename T>
const MicroOp* scale_handler(Wave& wave, const MicroOp& op) {
  VectorSource<T> sources[3];
  for (unsigned i = 0; i < 3; ++i) {
    sources[i].init(wave, op, i);
  }
  std::uint64_t mask = 0;
  if (ordinary<T>(wave, sources[1], sources[2])) [[likely]] {
    for (unsigned c = 0; c < kChunks; ++c) {
      typename VectorSource<T>::Bits parts[2];
      sources[0].load_chunk(c, parts);
      VectorSource<T>::store_chunk(row_at(wave, op.dst) + c * kN, parts, chunk_mask(wave.exec(), c));
    }
  } else {
    const LaneSource<T> source(wave, op, 0);
    const LaneSource<T> denominator(wave, op, 1);
    const LaneSource<T> numerator(wave, op, 2);
    for_each_lane(wave.exec(), [&](unsigned lane) {
      bool post_scale = false;
      const T result = div_scale(source.lane(lane), denominator.lane(lane), numerator.lane(lane), post_scale);
      store_lane(wave, op, lane, result);
      mask |= std::uint64_t{post_scale} << lane;
    });
  }
  std::memcpy(scalar_destination(wave, op.sdst), &mask, sizeof mask);
  return next(op);
}

struct PlainFma32 : Float32 {
  static F32 f(F32 a, F32 b, F32 c) { return fma(a, b, c); }
};
struct PlainFma64 : Integer {
  static constexpr unsigned kFloat = 64;
  static constexpr unsigned kFloatDst = 64;
  static constexpr bool kFixNan = true;
  static constexpr unsigned kWide = 7;
  static constexpr bool kWideDst = true;
  static F64 f(F64 a, F64 b, F64 c) { return fma(a, b, c); }
};
template <typename T>
const MicroOp* fmas_handler(Wave& wave, const MicroOp& op) {
  const std::uint64_t post_scale = wave.vcc();
  if ((post_scale & wave.exec()) == 0) [[likely]] {
    if constexpr (sizeof(T) == 4) {
      return narrow<PlainFma32, Form::Mods>(wave, op);
    } else {
      return wide<PlainFma64, Form::Mods>(wave, op);
    }
  }
  const LaneSource<T> a(wave, op, 0);
  const LaneSource<T> b(wave, op, 1);
  const LaneSource<T> c(wave, op, 2);
  for_each_lane(wave.exec(), [&](unsigned lane) {
    store_lane(wave, op, lane, div_fmas(a.lane(lane), b.lane(lane), c.lane(lane), (post_scale >> lane & 1) != 0));
  });
  return next(op);
}

template <typename T>
const MicroOp* fixup_handler(Wave& wave, const MicroOp& op) {
  VectorSource<T> sources[3];
  for (unsigned i = 0; i < 3; ++i) {
    sources[i].init(wave, op, i);
  }
  if (ordinary<T>(wave, sources[1], sources[2])) [[likely]] {
    using Bits = typename VectorSource<T>::Bits;
    constexpr auto kSign = typename Type<T>::Bits{1} << (sizeof(T) * 8 - 1);
    const Bits infinity = Bits{} + (static_cast<typename Type<T>::Bits>(Type<T>::kMaxExponent) << Type<T>::kMantissa);
    for (unsigned c = 0; c < kChunks; ++c) {
      Bits q[2];
      Bits d[2];
      Bits n[2];
      sources[0].load_chunk(c, q);
      sources[1].load_chunk(c, d);
      sources[2].load_chunk(c, n);
      for (unsigned part = 0; part < VectorSource<T>::kParts; ++part) {
        // A NaN is above infinity.
        q[part] = vmin<Bits>(q[part] & ~kSign, infinity) | ((d[part] ^ n[part]) & kSign);
      }
      VectorSource<T>::store_chunk(row_at(wave, op.dst) + c * kN, q, chunk_mask(wave.exec(), c));
    }
    return next(op);
  }
  const LaneSource<T> quotient(wave, op, 0);
  const LaneSource<T> denominator(wave, op, 1);
  const LaneSource<T> numerator(wave, op, 2);
  for_each_lane(wave.exec(), [&](unsigned lane) {
    store_lane(wave, op, lane, div_fixup(quotient.lane(lane), denominator.lane(lane), numerator.lane(lane)));
  });
  return next(op);
}

// The first 1,201 bits of 2/pi behind the point, top first.
constexpr std::uint64_t kTwoOverPi[] = {0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
                                        0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
                                        0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
                                        0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
                                        0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b0000};

// 53 bits of 2/pi, those that matter for the segment of an argument as large as `value`, as a number.
double trig_preop(double value, std::uint32_t segment) {
  int shift = static_cast<int>(segment & 31u) * 53;
  if (exponent(value) > 1077) {
    shift += exponent(value) - 1077;
  }
  const auto word = [](int i) { return i < static_cast<int>(std::size(kTwoOverPi)) ? kTwoOverPi[i] : 0; };
  const int first = shift / 64;
  const int offset = shift % 64;
  std::uint64_t window = word(first) << offset;
  if (offset != 0) {
    window |= word(first + 1) >> (64 - offset);
  }
  const int scale = -53 - shift + (exponent(value) >= 1968 ? 128 : 0);
  return std::ldexp(static_cast<double>(window >> 11), scale);
}
const MicroOp* trig_preop_handler(Wave& wave, const MicroOp& op) {
  const LaneSource<double> value(wave, op, 0);
  const bool vector = op.kind[1] == Kind::Vector;
  const std::uint32_t* segment = vector ? row_at(wave, op.src[1]) : scalar_source(wave, op, 1);
  for_each_lane(wave.exec(), [&](unsigned lane) {
    store_lane(wave, op, lane, trig_preop(value.lane(lane), segment[vector ? lane : 0]));
  });
  return next(op);
}

// omod and clamp of a result that is there already.
template <unsigned kBits>
const MicroOp* finish_result(Wave& wave, const MicroOp& op) {
  const std::uint64_t exec = wave.exec();
  std::uint32_t* out = row_at(wave, op.dst);
  for (unsigned c = 0; c < kChunks; ++c) {
    if constexpr (kBits == 32) {
      store_masked(out + c * kN, finish32(load(out + c * kN), op), chunk_mask(exec, c));
    } else {
      const Pair value = unpack(load(out + c * kN), load(out + kLanes + c * kN));
      store_pair(out + c * kN, {finish64(value.a, op), finish64(value.b, op)}, chunk_mask(exec, c), true);
    }
  }
  return next(op);
}

template <Handler kHandler, unsigned kBits, unsigned kSources>
bool lower_helper(Lowering& lowering) {
  return with_mxcsr(lowering, kBits, kBits, [&] {
    MicroOp& op = lowering.emit(kHandler);
    op.omod = 0;
    bool present = vector_result(op);
    for (unsigned i = 0; i < kSources; ++i) {
      present = present && op.kind[i] != Kind::None;
    }
    if (present && (lowering.inst().clamp || lowering.inst().omod != 0)) {
      static_cast<void>(set_modifiers(lowering, lowering.emit(finish_result<kBits>), 0, kBits));
    }
    return present;
  });
}

}  // namespace

void add_valu_divide(LowerTable& table) {
  table.set(Op::v_div_scale_f32, lower_helper<scale_handler<float>, 32, 3>);
  table.set(Op::v_div_scale_f64, lower_helper<scale_handler<double>, 64, 3>);
  table.set(Op::v_div_fmas_f32, lower_helper<fmas_handler<float>, 32, 3>);
  table.set(Op::v_div_fmas_f64, lower_helper<fmas_handler<double>, 64, 3>);
  table.set(Op::v_div_fixup_f32, lower_helper<fixup_handler<float>, 32, 3>);
  table.set(Op::v_div_fixup_f64, lower_helper<fixup_handler<double>, 64, 3>);
  table.set(Op::v_trig_preop_f64, lower_helper<trig_preop_handler, 64, 2>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
