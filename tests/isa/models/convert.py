# SPDX-License-Identifier: MIT
"""Conversions: CDNA 2 ISA manual, sections 12.8 and 12.10."""
from .fp import DOWN, F16, F32, F64, NAN, NEAREST, ZERO
from .floating import rounding, mode_cases
from .values import s16, s32
from .vector import Valu

I32, U32 = (-(1 << 31), (1 << 31) - 1), (0, (1 << 32) - 1)
I16, U16 = (-32768, 32767), (0, 65535)
M32 = 0xffffffff


def one(name, text, dst, src, fn, **options):
    Valu(name, text, dst, [src], fn, **options)


def to_integer(f, limits, bits, how=ZERO):
    return lambda a: f.to_int(a, *limits, how) & ((1 << bits) - 1)


def moded_convert(f, to):
    """Follows the rounding mode of the result's format."""
    return lambda a, mode: f.convert(a, to, rounding(to, mode))


def integers():
    for t, f in (('f32', F32), ('f64', F64)):
        one('v_cvt_u32_' + t, 'truncated, saturated; NaN is 0', 'b32', t, to_integer(f, U32, 32))
        one('v_cvt_i32_' + t, 'truncated, saturated; NaN is 0', 'b32', t, to_integer(f, I32, 32))
    one('v_cvt_u16_f16', 'truncated, saturated; NaN is 0', 'u16', 'f16', to_integer(F16, U16, 16))
    one('v_cvt_i16_f16', 'truncated, saturated; NaN is 0', 'u16', 'f16', to_integer(F16, I16, 16))
    one('v_cvt_flr_i32_f32', 'floor, saturated', 'b32', 'f32', to_integer(F32, I32, 32, DOWN))
    one('v_cvt_rpi_i32_f32', 'floor(S0 + 0.5), saturated', 'b32', 'f32', rpi)
    one('v_cvt_f32_u32', 'number', 'f32', 'u32', lambda a, mode: F32.from_int(a, rounding(F32, mode)), uses_mode=True,
        extra=[mode_cases_of_integers])
    one('v_cvt_f32_i32', 'number', 'f32', 'i32', lambda a, mode: F32.from_int(s32(a), rounding(F32, mode)),
        uses_mode=True, extra=[mode_cases_of_integers])
    one('v_cvt_f64_u32', 'number', 'f64', 'u32', F64.from_int)
    one('v_cvt_f64_i32', 'number', 'f64', 'i32', lambda a: F64.from_int(s32(a)))
    one('v_cvt_f16_u16', 'number', 'f16', 'u16', F16.from_int)
    one('v_cvt_f16_i16', 'number', 'f16', 'i16', lambda a: F16.from_int(s16(a)))
    for i in range(4):
        one('v_cvt_f32_ubyte%d' % i, 'byte %d' % i, 'f32', 'u32', lambda a, i=i: F32.from_int(a >> (8 * i) & 0xff))
    one('v_cvt_off_f32_i4', '-0.5 to 0.4375 by a table of 16', 'f32', 'u32',
        lambda a: F32.scale(F32.from_int((a & 15) - (16 if a & 8 else 0)), -4))


def mode_cases_of_integers(v):
    from .cases import HIP_MODE
    from .vector import inputs
    for name, bits in (('up', 1), ('down', 2), ('zero', 3)):
        v.add('round_' + name, 'e32', inputs(v.types, v.rnd, 'random'), mode=HIP_MODE | bits)


def rpi(a):
    if F32.is_nan(a):
        return 0
    if F32.is_inf(a):
        return (I32[0] if F32.negative(a) else I32[1]) & M32
    if 2 ** 22 < abs(F32.to_int(a, -1 << 31, 1 << 31)) < 2 ** 24:
        return '?'  # whether the sum is rounded first
    negative, m, e = F32.split(a)
    value = -m if negative else m
    e = max(e, -400)
    whole = (value << e) if e >= 0 else (2 * value + (1 << -e)) >> (1 - e)
    return max(I32[0], min(I32[1], whole)) & M32


def formats():
    one('v_cvt_f16_f32', 'rounded', 'f16', 'f32', moded_convert(F32, F16), uses_mode=True, extra=[mode_cases])
    one('v_cvt_f32_f16', 'exact', 'f32', 'f16', lambda a: F16.convert(a, F32))
    one('v_cvt_f32_f64', 'rounded', 'f32', 'f64', moded_convert(F64, F32), uses_mode=True)
    one('v_cvt_f64_f32', 'exact', 'f64', 'f32', lambda a: F32.convert(a, F64))


def pack(low, high):
    return low & 0xffff | (high & 0xffff) << 16


def half_towards_zero(a):
    return F32.convert(a, F16, ZERO)


def nans_out(fn):
    """Packed results are compared as a whole: pairs with a NaN in them are left out."""
    def run(a, b):
        return '?' if F32.is_nan(a) or F32.is_nan(b) else fn(a, b)
    return run


def normalised(f, low, high, scale):
    def run(a):
        if f.is_nan(a):
            return 0
        if f.compare(a, f.one) > 0:
            return high
        least = f.one | f.sign if low else 0
        if f.compare(a, least) < 0:
            return low
        wide = F64.mul(f.convert(a, F64), F64.from_int(scale))
        return F64.to_int(wide, low, high, NEAREST)
    return run


def packed():
    Valu('v_cvt_pkrtz_f16_f32', 'two halves rounded towards 0', 'b32', ['f32', 'f32'],
         nans_out(lambda a, b: pack(half_towards_zero(a), half_towards_zero(b))))
    snorm, unorm = normalised(F32, -32767, 32767, 32767), normalised(F32, 0, 65535, 65535)
    Valu('v_cvt_pknorm_i16_f32', '-1 to 1 as -32767 to 32767', 'b32', ['f32', 'f32'], lambda a, b: pack(snorm(a), snorm(b)))
    Valu('v_cvt_pknorm_u16_f32', '0 to 1 as 0 to 65535', 'b32', ['f32', 'f32'], lambda a, b: pack(unorm(a), unorm(b)))
    snorm16, unorm16 = normalised(F16, -32767, 32767, 32767), normalised(F16, 0, 65535, 65535)
    Valu('v_cvt_pknorm_i16_f16', '-1 to 1 as -32767 to 32767', 'b32', ['f16', 'f16'],
         lambda a, b: pack(snorm16(a), snorm16(b)))
    Valu('v_cvt_pknorm_u16_f16', '0 to 1 as 0 to 65535', 'b32', ['f16', 'f16'], lambda a, b: pack(unorm16(a), unorm16(b)))
    one('v_cvt_norm_i16_f16', '-1 to 1 as -32767 to 32767', 'u16', 'f16', lambda a: snorm16(a) & 0xffff)
    one('v_cvt_norm_u16_f16', '0 to 1 as 0 to 65535', 'u16', 'f16', unorm16)
    Valu('v_cvt_pk_u8_f32', 'byte S1[1:0] of S2 replaced by S0 rounded and saturated', 'b32', ['f32', 'b32', 'b32'], pk_u8)
    Valu('v_pack_b32_f16', 'S0 low, S1 high', 'b32', ['b16', 'b16'], pack, modifiers=False)


def pk_u8(a, index, old):
    shift = 8 * (index & 3)
    return old & ~(0xff << shift) & M32 | F32.to_int(a, 0, 255, ZERO) << shift


def make():
    integers()
    formats()
    packed()
