# SPDX-License-Identifier: MIT
"""Floating point vector instructions: CDNA 2 ISA manual, sections 12.7 to 12.12; 4.7 for MODE.

Rounding and denormals follow MODE: bits 1:0 and 5:4 for f32, 3:2 and 7:6 for f64 and f16.
"""
import math
import struct

from .cases import File, FULL, HIP_MODE, LANES, PARTIAL, Random, exec_in, masked
from .fp import DOWN, F16, F32, F64, NAN, NEAREST, UP, ZERO
from .values import TYPES, s16, s32, signed
from .vector import DST, SOURCES, Valu, finish, inputs

FORMATS = {'f16': F16, 'f32': F32, 'f64': F64}


def rounding(f, mode):
    return mode & 3 if f is F32 else mode >> 2 & 3


def denormals(f, mode):
    return mode >> 4 & 3 if f is F32 else mode >> 6 & 3


def moded(f, fn):
    """fn(*sources, rounding) with what MODE does to denormals around it."""
    def run(*sources, mode):
        keep = denormals(f, mode)
        if not keep & 1:
            sources = [f.flush(s) for s in sources]
        result = fn(*sources, rounding(f, mode))
        return result if keep & 2 or isinstance(result, str) else f.flush(result)
    return run


def mode_cases(v):
    """Other rounding modes, and denormals flushed."""
    f = v.dst.fmt
    shift = 0 if f is F32 else 2
    for name, bits in (('up', UP), ('down', DOWN), ('zero', ZERO)):
        v.add('round_' + name, 'e32' if v.short else 'e64', inputs(v.types, v.rnd, 'edges'), mode=HIP_MODE | bits << shift)
    if f is not F16:
        both = 0x30 if f is F32 else 0xc0
        columns = [[denormal_or_one(t.fmt, v.rnd) for _ in range(LANES)] for t in v.types]
        v.add('flush', 'e32' if v.short else 'e64', columns, mode=HIP_MODE & ~both)


def denormal_or_one(f, rnd):
    sign = f.sign if rnd.below(2) else 0
    return sign | (rnd.bits(f.fbits) if rnd.below(2) else f.one + rnd.bits(f.fbits))


def neg(f, a):
    return a ^ f.sign


def basic(name, text, n, fn, **options):
    """fn(format, sources..., rounding) for one format, told by the name's end."""
    f = FORMATS[name[-3:]]
    Valu(name, text, f.name, [f.name] * n, moded(f, lambda *a: fn(f, *a)), uses_mode=True, extra=[mode_cases], **options)


def add_sub_mul():
    for t in ('f16', 'f32'):
        basic('v_add_' + t, 'D = S0 + S1', 2, lambda f, a, b, r: f.add(a, b, r))
        basic('v_sub_' + t, 'D = S0 - S1', 2, lambda f, a, b, r: f.add(a, neg(f, b), r))
        basic('v_subrev_' + t, 'D = S1 - S0', 2, lambda f, a, b, r: f.add(b, neg(f, a), r))
        basic('v_mul_' + t, 'D = S0 * S1', 2, lambda f, a, b, r: f.mul(a, b, r))
    basic('v_add_f64', 'D = S0 + S1', 2, lambda f, a, b, r: f.add(a, b, r))
    basic('v_mul_f64', 'D = S0 * S1', 2, lambda f, a, b, r: f.mul(a, b, r))

    def legacy(a, b, r):
        return 0 if F32.is_zero(a) or F32.is_zero(b) else F32.mul(a, b, r)
    Valu('v_mul_legacy_f32', 'D = S0 * S1, 0 if either is 0', 'f32', ['f32'] * 2, moded(F32, legacy), uses_mode=True)


def fused():
    for t in ('f32', 'f64'):
        basic('v_fma_' + t, 'D = S0 * S1 + S2, rounded once', 3, lambda f, a, b, c, r: f.fma(a, b, c, r))
        basic('v_fmac_' + t, 'D = S0 * S1 + D, rounded once', 2, lambda f, a, b, d, r: f.fma(a, b, d, r), accumulate=True)
    basic('v_fma_f16', 'D = S0 * S1 + S2, rounded once; the high half stays', 3, lambda f, a, b, c, r: f.fma(a, b, c, r),
          keep_high=True)
    Valu('v_fma_legacy_f16', 'D = S0 * S1 + S2, rounded once; the high half becomes 0', 'f16', ['f16'] * 3,
         moded(F16, lambda a, b, c, r: F16.fma(a, b, c, r)), uses_mode=True)


def mad(f, a, b, c, r):
    """Rounded twice. Of f32, denormals are always flushed."""
    product = f.mul(a, b, r)
    return product if product == NAN else f.add(product, c, r)


def mad32(a, b, c, mode):
    a, b, c = F32.flush(a), F32.flush(b), F32.flush(c)
    product = F32.mul(a, b, rounding(F32, mode))
    if product == NAN:
        return NAN
    result = F32.add(F32.flush(product), c, rounding(F32, mode))
    return result if result == NAN else F32.flush(result)


def legacy32(a, b, c, mode):
    zero = F32.is_zero(F32.flush(a)) or F32.is_zero(F32.flush(b))
    return mad32(0 if zero else a, 0 if zero else b, c, mode)


def unfused():
    f32x3 = ['f32'] * 3
    Valu('v_mad_f32', 'D = S0 * S1 + S2, rounded twice, no denormals', 'f32', f32x3, mad32, uses_mode=True)
    Valu('v_mac_f32', 'D = S0 * S1 + D, rounded twice, no denormals', 'f32', f32x3[:2], mad32, uses_mode=True,
         accumulate=True)
    Valu('v_mad_legacy_f32', 'as v_mad_f32, the product is 0 if a factor is', 'f32', f32x3, legacy32, uses_mode=True)
    run16 = moded(F16, lambda a, b, c, r: mad(F16, a, b, c, r))
    Valu('v_mad_f16', 'D = S0 * S1 + S2, rounded twice; the high half stays', 'f16', ['f16'] * 3, run16, uses_mode=True,
         keep_high=True)
    Valu('v_mad_legacy_f16', 'D = S0 * S1 + S2, rounded twice; the high half becomes 0', 'f16', ['f16'] * 3, run16,
         uses_mode=True)
    Valu('v_mac_f16', 'D = S0 * S1 + D, rounded twice; the high half stays', 'f16', ['f16'] * 2, run16, uses_mode=True,
         accumulate=True, keep_high=True)
    literal('v_madmk_f32', 'D = S0 * K + S1', F32, mad32, False)
    literal('v_madak_f32', 'D = S0 * S1 + K', F32, mad32, True)
    literal('v_madmk_f16', 'D = S0 * K + S1; the high half stays', F16, run16, False)
    literal('v_madak_f16', 'D = S0 * S1 + K; the high half stays', F16, run16, True)


def literal(name, text, f, run, last):
    file = File(name, text)
    rnd = Random(name)
    t = TYPES[f.name]
    for which, mask in (('edges', FULL), ('random', PARTIAL)):
        k = rnd.bits(f.width - 2)
        a, b = inputs([t, t], rnd, which)
        values = [run(x, y, k, mode=HIP_MODE) if last else run(x, k, y, mode=HIP_MODE) for x, y in zip(a, b)]
        olds = [0 if v == NAN or f.is_nan(v) else rnd.bits(32) for v in values]
        if f is F16:
            values = [v if v == NAN else v | o & 0xffff0000 for v, o in zip(values, olds)]
        operands = 'v2, v6, 0x%x' % k if last else 'v2, 0x%x, v6' % k
        file.case(which, '%s v20, %s' % (name, operands), exec_in(mask) + [('v2', a), ('v6', b), ('v20', olds)],
                  [('v20', masked([finish(v, f.width, f) for v in values], mask))])


def quieted(f, result):
    return NAN if result == NAN or f.is_nan(result) else result


def extremes():
    for t in ('f16', 'f32', 'f64'):
        basic('v_min_' + t, 'minimum; a quiet NaN loses, a signalling one wins', 2,
              lambda f, a, b, r: quieted(f, f.minmax(a, b, False)))
        basic('v_max_' + t, 'maximum; a quiet NaN loses, a signalling one wins', 2,
              lambda f, a, b, r: quieted(f, f.minmax(a, b, True)))
    for t in ('f16', 'f32'):
        f, high = FORMATS[t], t == 'f16'
        for name, maximum in (('v_min3_', False), ('v_max3_', True)):
            fn = numbers_only(f, lambda a, b, c, f=f, m=maximum: f.minmax(f.minmax(a, b, m), c, m))
            Valu(name + t, 'of three', t, [t] * 3, fn, keep_high=high)
        fn = numbers_only(f, lambda a, b, c, f=f: sorted((a, b, c), key=lambda v: order_key(f, v))[1])
        Valu('v_med3_' + t, 'median', t, [t] * 3, fn, keep_high=high)


def order_key(f, v):
    return (-(v & (f.sign - 1)), 0) if f.negative(v) else (v & (f.sign - 1), 1)


def numbers_only(f, fn):
    """Three-source extremes: NaNs and equal zeros of both signs are left out ('?')."""
    def run(*sources):
        if any(f.is_nan(s) for s in sources):
            return '?'
        result = fn(*sources)
        return '?' if f.is_zero(result) else result
    return run


def rounding_to_integers():
    for t in ('f16', 'f32', 'f64'):
        f = FORMATS[t]
        for name, how in (('trunc', ZERO), ('ceil', UP), ('rndne', NEAREST), ('floor', DOWN)):
            Valu('v_%s_%s' % (name, t), 'to an integer', t, [t], lambda a, f=f, how=how: f.round_to_integral(a, how))

        def fract(a, f=f):
            if f.is_nan(a) or f.is_inf(a):
                return NAN
            below = f.one - 1  # the largest number below 1
            floor = f.round_to_integral(a, DOWN)
            result = f.add(a, floor ^ f.sign)
            if f.is_zero(result):
                return 0 if not f.is_zero(a) else '?'
            return below if f.compare(result, below) > 0 else result
        Valu('v_fract_' + t, 'D = S0 - floor(S0), below 1', t, [t], fract)


def parts():
    for t, bits in (('f16', 16), ('f32', 32), ('f64', 64)):
        f = FORMATS[t]

        def mantissa(a, f=f):
            if f.is_nan(a):
                return NAN
            if f.is_inf(a) or f.is_zero(a):
                return a
            return f.scale(a, -f.exponent(a))

        def exponent(a, f=f):
            return 0 if f.is_nan(a) or f.is_inf(a) or f.is_zero(a) else f.exponent(a)
        Valu('v_frexp_mant_' + t, 'fraction of S0, from 0.5 to 1', t, [t], mantissa)
        if t == 'f16':
            Valu('v_frexp_exp_i16_f16', 'exponent of S0 for that fraction', 'i16', [t], lambda a: exponent16(a))
        else:
            Valu('v_frexp_exp_i32_' + t, 'exponent of S0 for that fraction', 'i32', [t],
                 lambda a, e=exponent: e(a) & 0xffffffff)
    for f in (F32, F64):
        Valu('v_ldexp_' + f.name, 'D = S0 * 2**S1', f.name, [f.name, 'i32'],
             lambda a, n, mode, f=f: moded(f, lambda x, r: f.scale(x, s32(n), r))(a, mode=mode), uses_mode=True)
    Valu('v_ldexp_f16', 'D = S0 * 2**S1', 'f16', ['f16', 'i16'], lambda a, n: F16.scale(a, s16(n)))


def exponent16(a):
    if F16.is_nan(a) or F16.is_inf(a) or F16.is_zero(a):
        return 0
    return F16.exponent(a) & 0xffff


# Functions the hardware approximates: correctly rounded here, and so many units of the last place allowed -----------
def as_float(f, a):
    if f is F64:
        return struct.unpack('<d', struct.pack('<Q', a))[0]
    return struct.unpack('<d', struct.pack('<Q', f.convert(a, F64)))[0]


def from_float(f, x):
    bits = struct.unpack('<Q', struct.pack('<d', x))[0]
    return bits if f is F64 else F64.convert(bits, f)


def flushed(f, fn):
    """f32 denormals of these functions may be flushed: such lanes are left out."""
    def run(a):
        if f is F32 and F32.is_denormal(a):
            return '?'
        result = fn(a)
        if result not in (NAN, '?') and f is F32 and F32.is_denormal(result):
            return '?'
        return result
    return run


def approximate(name, text, f, fn, ulp, **options):
    Valu(name, text, f.name, [f.name], flushed(f, fn), ulp=ulp, modifiers=False, **options)


def rsqrt(f, a):
    if f.is_nan(a) or f.negative(a) and not f.is_zero(a):
        return NAN
    if f.is_zero(a):
        return f.inf | a & f.sign
    if f.is_inf(a):
        return 0
    wide = FORMATS['f64'] if f is not F64 else None
    if wide is None:
        x = as_float(f, a)
        return from_float(f, 1 / math.sqrt(x)) if x > 2.0 ** -1000 else '?'
    return F64.convert(F64.div(F64.one, F64.sqrt(f.convert(a, F64))), f)


def exp2(f, a):
    if f.is_nan(a):
        return NAN
    if f.is_inf(a):
        return 0 if f.negative(a) else f.inf
    x = as_float(f, a)
    if x > 200:
        return f.inf
    return 0 if x < -200 else from_float(f, 2.0 ** x)


def log2(f, a):
    if f.is_nan(a) or (f.negative(a) and not f.is_zero(a)):
        return NAN
    if f.is_zero(a):
        return f.inf | f.sign
    return f.inf if f.is_inf(a) else from_float(f, math.log2(as_float(f, a)))


def turn(f, function):
    def run(a):
        if f.is_nan(a) or f.is_inf(a):
            return NAN
        x = as_float(f, a)
        if abs(x) > 256:
            return '?'
        if abs(x) < 1e-3:
            return '?'
        result = function(math.fmod(x, 1.0) * 2 * math.pi)
        return '?' if abs(result) < 1e-3 else from_float(f, result)
    return run


def functions():
    for f in (F16, F32, F64):
        ulp = 1 if f is not F64 else 1 << 29  # f64 estimates have about 2**-24 relative error
        approximate('v_rcp_' + f.name, 'about 1 / S0', f, lambda a, f=f: f.div(f.one, a), ulp)
        approximate('v_rsq_' + f.name, 'about 1 / sqrt(S0)', f, lambda a, f=f: rsqrt(f, a), ulp)
        approximate('v_sqrt_' + f.name, 'about sqrt(S0)', f, lambda a, f=f: f.sqrt(a), ulp)
    approximate('v_rcp_iflag_f32', 'about 1 / S0', F32, lambda a: F32.div(F32.one, a), 1)
    for f in (F16, F32):
        approximate('v_exp_' + f.name, 'about 2**S0', f, lambda a, f=f: exp2(f, a), 2)
        approximate('v_log_' + f.name, 'about log2(S0)', f, lambda a, f=f: near_one(f, a, log2), 2)
        loose = 16 if f is F32 else 2
        approximate('v_sin_' + f.name, 'about sin(2 pi S0)', f, turn(f, math.sin), loose)
        approximate('v_cos_' + f.name, 'about cos(2 pi S0)', f, turn(f, math.cos), loose)
    approximate('v_exp_legacy_f32', 'about 2**S0', F32, lambda a: exp2(F32, a), 2)
    approximate('v_log_legacy_f32', 'about log2(S0)', F32, lambda a: near_one(F32, a, log2), 2)


def near_one(f, a, fn):
    """Relative error says nothing where the result is about 0."""
    result = fn(f, a)
    if result != NAN and not f.is_inf(result) and abs(as_float(f, result)) < 1 / 64:
        return '?'
    return result


# Division helpers ---------------------------------------------------------------------------------------------------
def div_fixup(f, quotient, denominator, numerator):
    """S0 quotient, S1 denominator, S2 numerator."""
    sign = (denominator ^ numerator) & f.sign
    if f.is_nan(numerator) or f.is_nan(denominator):
        return NAN
    if f.is_zero(denominator) and f.is_zero(numerator) or f.is_inf(denominator) and f.is_inf(numerator):
        return NAN
    if f.is_zero(denominator) or f.is_inf(numerator):
        return f.inf | sign
    if f.is_inf(denominator) or f.is_zero(numerator):
        return sign
    if f is not F16:
        difference = (numerator & f.inf) - (denominator & f.inf)
        limit = 150 if f is F32 else 1075
        if difference >> f.fbits < -limit:
            return '?'  # deep underflow
        if (denominator & f.inf) >> f.fbits == (1 << f.ebits) - 2:
            return '?'
    if quotient == NAN or f.is_nan(quotient):
        return '?'
    return quotient & (f.sign - 1) | sign


def division():
    for f in (F32, F64):
        t = f.name
        Valu('v_div_fixup_' + t, 'special cases of S2 / S1; else S0 with the sign of the quotient', t, [t] * 3,
             lambda q, d, n, f=f: div_fixup(f, q, d, n), modifiers=False)
    Valu('v_div_fixup_f16', 'special cases of S2 / S1; the high half stays', 'f16', ['f16'] * 3,
         lambda q, d, n: div_fixup(F16, q, d, n), keep_high=True, modifiers=False)
    Valu('v_div_fixup_legacy_f16', 'special cases of S2 / S1; the high half becomes 0', 'f16', ['f16'] * 3,
         lambda q, d, n: div_fixup(F16, q, d, n), modifiers=False)
    for f, n in ((F32, 64), (F64, 128)):
        div_fmas(f, n)
        whole_division(f)


def div_fmas(f, scale):
    """Where VCC is set, times 2**scale, or 2**-scale if S2 is below 2 (the manual names one scale only, with which the
    division would be wrong)."""
    name = 'v_div_fmas_' + f.name
    file = File(name, 'D = S0 * S1 + S2, times 2**%d or 2**-%d where VCC is set' % (scale, scale))
    rnd = Random(name)
    t = TYPES[f.name]
    for which, mask in (('near', FULL), ('partial', PARTIAL)):
        columns = [[f.bias - 20 + rnd.below(40) << f.fbits | rnd.bits(f.fbits) | (f.sign if rnd.below(2) else 0)
                    for _ in range(LANES)] for _ in range(3)]
        vcc = rnd.bits(64)
        values = []
        for lane, (a, b, c) in enumerate(zip(*columns)):
            result = f.fma(a, b, c)
            down = (c & f.inf) >> f.fbits <= f.bias
            values.append(f.scale(result, -scale if down else scale) if vcc >> lane & 1 else result)
        d = t.dwords
        names = ['v%d' % r if d == 1 else 'v[%d:%d]' % (r, r + 1) for r in (DST,) + SOURCES]
        file.case(which, '%s %s' % (name, ', '.join(names)),
                  exec_in(mask) + [('vcc', vcc)] + list(zip(names[1:], columns)), [(names[0], masked(values, mask))])


def whole_division(f):
    """v_div_scale: cases that need no scaling leave the operand alone and VCC clear; the sequence compilers emit must
    divide correctly whatever its steps hold."""
    name = 'v_div_scale_' + f.name
    file = File(name, 'prepares a division; with v_rcp, v_fma, v_div_fmas and v_div_fixup it is exact')
    rnd = Random(name)
    d = f.width // 32
    reg = lambda r: 'v%d' % r if d == 1 else 'v[%d:%d]' % (r, r + 1)
    num = [f.one - (3 << f.fbits) + rnd.bits(f.fbits + 2) for _ in range(LANES)]
    den = [f.one - (3 << f.fbits) + rnd.bits(f.fbits + 2) for _ in range(LANES)]
    for which, first, value in (('denominator', 6, den), ('numerator', 2, num)):
        file.case(which, '%s %s, s[40:41], %s, %s, %s' % (name, reg(20), reg(first), reg(6), reg(2)),
                  [(reg(2), num), (reg(6), den)], [(reg(20), value), ('s[40:41]', 0)])
    pools = {'edges': inputs([TYPES[f.name]] * 2, rnd, 'edges'), 'more': inputs([TYPES[f.name]] * 2, rnd, 'more'),
             'random': [[rnd.bits(f.width) for _ in range(LANES)] for _ in range(2)],
             'near': [num, den]}
    for which, (n, m) in pools.items():
        values = [f.div(a, b) for a, b in zip(n, m)]
        file.case('divide_' + which, division_code(f.name, reg), [(reg(2), n), (reg(6), m)],
                  [(reg(20), values)] + [(reg(r), ['?']) for r in (22, 24, 26, 28, 30)] +
                  [('vcc', '?'), ('s[40:41]', '?')])


def division_code(t, reg):
    n, m, out, den, num, r, q, e = (reg(x) for x in (2, 6, 20, 22, 24, 26, 28, 30))
    one = '1.0'
    code = ['v_div_scale_%s %s, s[40:41], %s, %s, %s' % (t, den, m, m, n),
            'v_div_scale_%s %s, vcc, %s, %s, %s' % (t, num, n, m, n),
            'v_rcp_%s %s, %s' % (t, r, den)]
    steps = 1 if t == 'f32' else 2
    for _ in range(steps):
        code += ['v_fma_%s %s, -%s, %s, %s' % (t, e, den, r, one), 'v_fma_%s %s, %s, %s, %s' % (t, r, e, r, r)]
    code += ['v_mul_%s %s, %s, %s' % (t, q, num, r)]
    if t == 'f32':
        code += ['v_fma_f32 %s, -%s, %s, %s' % (e, den, q, num), 'v_fma_f32 %s, %s, %s, %s' % (q, e, r, q)]
    return code + ['v_fma_%s %s, -%s, %s, %s' % (t, e, den, q, num),
                   'v_div_fmas_%s %s, %s, %s, %s' % (t, q, e, r, q),
                   'v_div_fixup_%s %s, %s, %s, %s' % (t, out, q, m, n)]


def two_over_pi(bits):
    """The first bits of 2 / pi, by Machin's formula."""
    one = 1 << (bits + 64)

    def arctan_inverse(n):
        total, term, k = 0, one // n, 1
        while term:
            total += term // k if k % 4 == 1 else -(term // k)
            term //= n * n
            k += 2
        return total
    pi = 4 * (4 * arctan_inverse(5) - arctan_inverse(239))
    return (2 * one << bits) // pi


def trig_preop():
    """53 bits of 2 / pi, those that matter for a number as big as S0; S1 says which of three parts."""
    name = 'v_trig_preop_f64'
    file = File(name, '53 bits of 2 / pi from 53 * S1[4:0], further on the bigger S0 is')
    total = 1201
    digits = two_over_pi(total)
    rnd = Random(name)
    numbers, segments, values = [], [], []
    for lane in range(LANES):
        exponent = [1023, 1077, 1078, 1100, 1500, 1967, 1968, 2040][lane % 8]
        segment = lane // 8 % 4
        shift = 53 * segment + max(0, exponent - 1077)
        result = (digits << shift & ((1 << total) - 1)) >> (total - 53)
        scale = -53 - shift + (128 if exponent >= 1968 else 0)
        numbers.append(exponent << 52 | rnd.bits(52))
        segments.append(segment)
        values.append(F64.round(False, result, scale))
    file.case('c0', name + ' v[20:21], v[2:3], v6', [('v[2:3]', numbers), ('v6', segments)], [('v[20:21]', values)])


def make():
    trig_preop()
    add_sub_mul()
    fused()
    unfused()
    extremes()
    rounding_to_integers()
    parts()
    functions()
    division()
