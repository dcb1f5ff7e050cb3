// SPDX-License-Identifier: MIT
// Operations on 16-bit elements that the plain and the packed instructions share. Sources are the low halves of lanes,
// whatever is above; results have zeros above.
#pragma once

#include "device/engine/f16.h"
#include "device/engine/float_ops.h"
#include "device/engine/valu.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {

KFDLAB_INLINE U32 low16(U32 v) { return v & 0xffffu; }
KFDLAB_INLINE I32 sign16(U32 v) { return (I32)(v << 16) >> 16; }

// f32 result of f32 sources with AMD's NaN, as f16.
KFDLAB_INLINE U32 half_result(F32 r, F32 a, F32 b) {
  return float_to_half((F32)fix_nan<2>((U32)r, (U32)a, (U32)b, U32{}));
}

struct HalfAdd : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) {
    const F32 x = half_to_float(a);
    const F32 y = half_to_float(b);
    return half_result(x + y, x, y);
  }
};
struct HalfSub : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return HalfAdd::f(a, b ^ 0x8000u); }
};
struct HalfSubrev : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return HalfAdd::f(a ^ 0x8000u, b); }
};
struct HalfMul : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) {
    const F32 x = half_to_float(a);
    const F32 y = half_to_float(b);
    return half_result(x * y, x, y);
  }
};
// Rounded once: the product is exact in f32, the sum is rounded to odd there, and f32 has enough bits for that.
struct HalfFma : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, U32 c) {
    const F32 x = half_to_float(a);
    const F32 y = half_to_float(b);
    const F32 z = half_to_float(c);
    const F32 product = x * y;
    const F32 sum = product + z;
    const F32 part = sum - product;
    const F32 lost = (product - (sum - part)) + (z - part);
    const U32 bits = (U32)sum;
    const U32 outward = (U32)((lost > F32{}) ^ (sum < F32{}));
    const U32 inexact = (U32)((lost > F32{}) | (lost < F32{})) & (U32)(I32)((bits & 1u) == 0);
    const U32 odd = blend(outward, bits + 1, bits - 1);
    const U32 result = blend(inexact, odd, bits);
    return float_to_half((F32)fix_nan<3>(result, (U32)x, (U32)y, (U32)z));
  }
};
// Product and sum are rounded to f16 each.
struct HalfMad : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, U32 c) { return HalfAdd::f(HalfMul::f(a, b), c); }
};
template <bool kMax, bool kIeee>
struct HalfExtreme : Float16 {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) {
    // A conversion makes signaling NaNs quiet, so they are looked for before.
    const U32 x = low16(a);
    const U32 y = low16(b);
    const U32 chosen = float_to_half(extreme<F32, kMax, false>(half_to_float(x), half_to_float(y)));
    const auto signals = [](U32 v) { return (U32)(I32)((v & 0x7fffu) > 0x7c00u) & (U32)(I32)((v & 0x200u) == 0); };
    U32 result = chosen;
    if (kIeee) {
      result = blend(signals(y), y | 0x200u, result);
      result = blend(signals(x), x | 0x200u, result);
    }
    return result;
  }
};

struct AddU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16(a + b); }
};
struct AddClampU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return vmin(low16(a) + low16(b), U32{} + 0xffffu); }
};
struct SubU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16(a - b); }
};
struct SubClampU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return (low16(a) - low16(b)) & (U32)(I32)(low16(a) >= low16(b)); }
};
KFDLAB_INLINE U32 clamp_i16(I32 v) { return low16((U32)vmin(vmax(v, I32{} - 32768), I32{} + 32767)); }
struct AddClampI16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return clamp_i16(sign16(a) + sign16(b)); }
};
struct SubClampI16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return clamp_i16(sign16(a) - sign16(b)); }
};
struct MulLoU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16(a * b); }
};
struct MadU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, U32 c) { return low16(a * b + c); }
};
struct MadClampU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, U32 c) {
    const U32 product = low16(a) * low16(b);
    const U32 sum = vmin(product, U32{} + 0x10000u) + low16(c);
    return vmin(sum, U32{} + 0xffffu);
  }
};
struct MadClampI16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b, U32 c) { return clamp_i16(sign16(a) * sign16(b) + sign16(c)); }
};
struct LshlRevB16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16(b << (a & 15u)); }
};
struct LshrRevB16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16(b) >> (a & 15u); }
};
struct AshrRevI16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16((U32)(sign16(b) >> (I32)(a & 15u))); }
};
struct MaxU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return vmax(low16(a), low16(b)); }
};
struct MinU16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return vmin(low16(a), low16(b)); }
};
struct MaxI16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16((U32)vmax(sign16(a), sign16(b))); }
};
struct MinI16 : Integer {
  KFDLAB_INLINE static U32 f(U32 a, U32 b) { return low16((U32)vmin(sign16(a), sign16(b))); }
};

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
