// SPDX-License-Identifier: MIT
// Functions that the hardware approximates to about one ulp with bit patterns nobody published. Here: the exact value
// rounded, as far as a calculation in double precision can tell. One lane at a time but for reciprocals and roots.
// Facts: CDNA 2 ISA chapter 12.8 (domains and special values).
#include <cmath>
#include <limits>

#include "device/engine/half_ops.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

using isa::Op;

struct Rcp : Float32 {
  static F32 f(F32 a) { return splatf(1.0f) / a; }
};
struct Sqrt : Float32 {
  static F32 f(F32 a) { return square_root(a); }
};

// Of a double per lane.
template <double (*kFunction)(double)>
struct ByLane32 : Float32 {
  static F32 f(F32 a) {
    F32 result;
    for (unsigned i = 0; i < kN; ++i) {
      result[i] = static_cast<float>(kFunction(static_cast<double>(a[i])));
    }
    return result;
  }
};
template <double (*kFunction)(double)>
struct ByLane16 : Float16 {
  static U32 f(U32 a) {
    const F32 value = half_to_float(a);
    const F32 result = ByLane32<kFunction>::f(value);
    return float_to_half((F32)fix_nan<1>((U32)result, (U32)value, U32{}, U32{}));
  }
};

struct Rsq : Float32 {
  static F32 f(F32 a) {
    F64 low;
    F64 high;
    to_doubles(a, low, high);
    return to_floats(splatd(1.0) / square_root(low), splatd(1.0) / square_root(high));
  }
};
double exp2_of(double v) { return std::exp2(v); }
double log2_of(double v) { return std::log2(v); }

constexpr double kTwoPi = 6.283185307179586476925286766559;

// Of a part of a turn in [0, 1/2].
double half_turn_sine(double part) {
  if (part > 0.25) {
    part = 0.5 - part;
  }
  return part <= 0.125 ? std::sin(kTwoPi * part) : std::cos(kTwoPi * (0.25 - part));
}
// The argument counts turns; beyond 256 of them the hardware gives up.
double sine(double v) {
  if (std::isnan(v) || std::isinf(v)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (std::fabs(v) > 256.0) {
    return 0.0;
  }
  const double part = std::fabs(v) - std::floor(std::fabs(v));
  const double magnitude = part <= 0.5 ? half_turn_sine(part) : -half_turn_sine(1.0 - part);
  return v < 0 || (v == 0 && std::signbit(v)) ? -magnitude : magnitude;
}
double cosine(double v) {
  if (std::isnan(v) || std::isinf(v)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (std::fabs(v) > 256.0) {
    return 1.0;
  }
  double part = std::fabs(v) - std::floor(std::fabs(v));
  part = part > 0.5 ? 1.0 - part : part;
  return part <= 0.25 ? half_turn_sine(0.25 - part) : -half_turn_sine(part - 0.25);
}

}  // namespace

void add_valu_transcendental(LowerTable& table) {
  table.set(Op::v_rcp_f32, lower_narrow<Rcp>);
  table.set(Op::v_rcp_iflag_f32, lower_narrow<Rcp>);
  table.set(Op::v_sqrt_f32, lower_narrow<Sqrt>);
  table.set(Op::v_rsq_f32, lower_narrow<Rsq>);
  table.set(Op::v_exp_f32, lower_narrow<ByLane32<exp2_of>>);
  table.set(Op::v_log_f32, lower_narrow<ByLane32<log2_of>>);
  table.set(Op::v_sin_f32, lower_narrow<ByLane32<sine>>);
  table.set(Op::v_cos_f32, lower_narrow<ByLane32<cosine>>);
  table.set(Op::v_exp_legacy_f32, lower_narrow<ByLane32<exp2_of>>);
  table.set(Op::v_log_legacy_f32, lower_narrow<ByLane32<log2_of>>);
  table.set(Op::v_exp_f16, lower_narrow<ByLane16<exp2_of>>);
  table.set(Op::v_log_f16, lower_narrow<ByLane16<log2_of>>);
  table.set(Op::v_sin_f16, lower_narrow<ByLane16<sine>>);
  table.set(Op::v_cos_f16, lower_narrow<ByLane16<cosine>>);
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
