# SPDX-License-Identifier: MIT
"""Integer vector instructions: CDNA 2 ISA manual, sections 12.7 to 12.12."""
from .cases import File, FULL, LANES, PARTIAL, ROWS, Random, exec_in, lane_mask, masked, sreg, vreg
from .values import TYPES, s16, s32, s64, signed
from .vector import DST, SOURCES, Valu, inputs

M32 = 0xffffffff
M64 = (1 << 64) - 1


def reverse(v, bits=32):
    return int(format(v, '0%db' % bits)[::-1], 2)


def ffbh(v, bits=32):
    return bits - v.bit_length() if v else M32


def ffbl(v):
    return (v & -v).bit_length() - 1 if v else M32


def ffbh_signed(v, bits=32):
    flipped = v ^ ((1 << bits) - 1) if v >> (bits - 1) else v
    return ffbh(flipped, bits)


def u24(v):
    return v & 0xffffff


def i24(v):
    return signed(v, 24)


def bfe_u(v, offset, width):
    return v >> (offset & 31) & ((1 << (width & 31)) - 1)


def bfe_i(v, offset, width):
    width &= 31
    return signed(s32(v) >> (offset & 31), width) & M32 if width else 0


def bytes_of(v, n=4):
    return [v >> (8 * i) & 0xff for i in range(n)]


def sad(a, b):
    return sum(abs(x - y) for x, y in zip(bytes_of(a), bytes_of(b)))


def msad(a, b):
    return sum(abs(x - y) for x, y in zip(bytes_of(a), bytes_of(b)) if y)


def lerp(a, b, c):
    return sum((x + y + (z & 1)) >> 1 << (8 * i) for i, (x, y, z) in enumerate(zip(bytes_of(a), bytes_of(b), bytes_of(c))))


def perm(a, b, select):
    data = bytes_of(a << 32 | b, 8)
    out = 0
    for i, s in enumerate(bytes_of(select)):
        if s >= 13:
            byte = 0xff
        elif s == 12:
            byte = 0
        elif s >= 8:
            byte = 0xff if data[(1, 3, 5, 7)[s - 8]] & 0x80 else 0
        else:
            byte = data[s]
        out |= byte << (8 * i)
    return out


def med3(key):
    return lambda a, b, c: sorted((a, b, c), key=key)[1]


def same(v):
    return v


def one(name, text, fn, dst='b32', src='b32'):
    Valu(name, text, dst, [src], fn)


def two(name, text, fn, t='b32', extra=()):
    Valu(name, text, t, [t, t], fn, extra=extra)


def three(name, text, fn, t='b32', **options):
    Valu(name, text, t, [t, t, t], fn, **options)


def saturating(fn, low, high):
    """Case of the clamp bit of integer additions."""
    def make(v):
        columns = inputs(v.types, v.rnd, 'edges')

        def values(c, olds):
            return [max(low, min(high, fn(*args))) & ((1 << v.dst.bits) - 1) for args in zip(*c)]
        v.add('clamp', 'e64', columns, tail=' clamp', values=values)
        v.add('clamp_random', 'e64', inputs(v.types, v.rnd, 'random'), PARTIAL, tail=' clamp', values=values)
    return make


def simple():
    one('v_mov_b32', 'D = S0', lambda a: a)
    one('v_not_b32', 'D = ~S0', lambda a: ~a & M32)
    one('v_bfrev_b32', 'bits of S0 in reverse', reverse)
    one('v_ffbh_u32', 'leading zeros, -1 if there is no one', ffbh)
    one('v_ffbl_b32', 'trailing zeros, -1 if there is no one', ffbl)
    one('v_ffbh_i32', 'leading bits equal to the sign, -1 if all are', ffbh_signed)
    two('v_and_b32', 'D = S0 & S1', lambda a, b: a & b)
    two('v_or_b32', 'D = S0 | S1', lambda a, b: a | b)
    two('v_xor_b32', 'D = S0 ^ S1', lambda a, b: a ^ b)
    two('v_xnor_b32', 'D = ~(S0 ^ S1)', lambda a, b: ~(a ^ b) & M32)
    two('v_lshlrev_b32', 'D = S1 << S0[4:0]', lambda a, b: b << (a & 31) & M32)
    two('v_lshrrev_b32', 'D = S1 >> S0[4:0]', lambda a, b: b >> (a & 31))
    two('v_ashrrev_i32', 'D = signed S1 >> S0[4:0]', lambda a, b: s32(b) >> (a & 31) & M32)
    for name, key, what in (('i32', s32, 'signed'), ('u32', same, 'unsigned')):
        two('v_min_' + name, what + ' minimum', lambda a, b, key=key: min(a, b, key=key))
        two('v_max_' + name, what + ' maximum', lambda a, b, key=key: max(a, b, key=key))
        three('v_min3_' + name, what + ' minimum of three', lambda a, b, c, key=key: min(a, b, c, key=key))
        three('v_max3_' + name, what + ' maximum of three', lambda a, b, c, key=key: max(a, b, c, key=key))
        three('v_med3_' + name, what + ' median', med3(key))
    two('v_bcnt_u32_b32', 'D = ones of S0, plus S1', lambda a, b: bin(a).count('1') + b & M32)
    two('v_bfm_b32', 'D = (1 << S0[4:0]) - 1 << S1[4:0]', lambda a, b: ((1 << (a & 31)) - 1) << (b & 31) & M32)


def arithmetic():
    two('v_add_u32', 'D = S0 + S1', lambda a, b: a + b & M32, extra=[saturating(lambda a, b: a + b, 0, M32)])
    two('v_sub_u32', 'D = S0 - S1', lambda a, b: a - b & M32, extra=[saturating(lambda a, b: a - b, 0, M32)])
    two('v_subrev_u32', 'D = S1 - S0', lambda a, b: b - a & M32, extra=[saturating(lambda a, b: b - a, 0, M32)])
    low, high = -(1 << 31), (1 << 31) - 1
    two('v_add_i32', 'D = S0 + S1', lambda a, b: a + b & M32,
        extra=[saturating(lambda a, b: s32(a) + s32(b), low, high)])
    two('v_sub_i32', 'D = S0 - S1', lambda a, b: a - b & M32,
        extra=[saturating(lambda a, b: s32(a) - s32(b), low, high)])
    two('v_mul_lo_u32', 'D = S0 * S1', lambda a, b: a * b & M32)
    two('v_mul_hi_u32', 'D = S0 * S1 >> 32', lambda a, b: a * b >> 32)
    two('v_mul_hi_i32', 'D = S0 * S1 >> 32, signed', lambda a, b: s32(a) * s32(b) >> 32 & M32)
    two('v_mul_i32_i24', 'D = S0[23:0] * S1[23:0], signed', lambda a, b: i24(a) * i24(b) & M32)
    two('v_mul_hi_i32_i24', 'bits 47:32 of the signed product', lambda a, b: i24(a) * i24(b) >> 32 & M32)
    two('v_mul_u32_u24', 'D = S0[23:0] * S1[23:0]', lambda a, b: u24(a) * u24(b) & M32)
    two('v_mul_hi_u32_u24', 'bits 47:32 of the product', lambda a, b: u24(a) * u24(b) >> 32)
    three('v_mad_i32_i24', 'D = S0[23:0] * S1[23:0] + S2, signed', lambda a, b, c: i24(a) * i24(b) + c & M32)
    three('v_mad_u32_u24', 'D = S0[23:0] * S1[23:0] + S2', lambda a, b, c: u24(a) * u24(b) + c & M32)
    three('v_add3_u32', 'D = S0 + S1 + S2', lambda a, b, c: a + b + c & M32)
    three('v_lshl_add_u32', 'D = (S0 << S1[4:0]) + S2', lambda a, b, c: (a << (b & 31)) + c & M32)
    three('v_add_lshl_u32', 'D = (S0 + S1) << S2[4:0]', lambda a, b, c: (a + b) << (c & 31) & M32)
    three('v_xad_u32', 'D = (S0 ^ S1) + S2', lambda a, b, c: (a ^ b) + c & M32)
    three('v_lshl_or_b32', 'D = S0 << S1[4:0] | S2', lambda a, b, c: a << (b & 31) & M32 | c)
    three('v_and_or_b32', 'D = S0 & S1 | S2', lambda a, b, c: a & b | c)
    three('v_or3_b32', 'D = S0 | S1 | S2', lambda a, b, c: a | b | c)


def bits():
    three('v_bfe_u32', 'D = S2[4:0] bits of S0 from S1[4:0]', bfe_u)
    three('v_bfe_i32', 'D = S2[4:0] bits of S0 from S1[4:0], sign-extended', bfe_i)
    three('v_bfi_b32', 'D = S0 & S1 | ~S0 & S2', lambda a, b, c: a & b | ~a & c & M32)
    three('v_alignbit_b32', 'D = {S0, S1} >> S2[4:0]', lambda a, b, c: (a << 32 | b) >> (c & 31) & M32)
    three('v_alignbyte_b32', 'D = {S0, S1} >> 8 * S2[1:0]', lambda a, b, c: (a << 32 | b) >> 8 * (c & 3) & M32)
    three('v_perm_b32', 'bytes of {S0, S1} picked by S2', perm)
    three('v_lerp_u8', 'bytes: (S0 + S1 + S2[0]) / 2', lerp)
    three('v_sad_u8', 'D = S2 + sum of |S0 - S1| of the bytes', lambda a, b, c: sad(a, b) + c & M32)
    three('v_sad_hi_u8', 'D = S2 + (sum of |S0 - S1| of the bytes) << 16', lambda a, b, c: (sad(a, b) << 16) + c & M32)
    three('v_sad_u16', 'D = S2 + sum of |S0 - S1| of the words',
          lambda a, b, c: abs((a & 0xffff) - (b & 0xffff)) + abs((a >> 16) - (b >> 16)) + c & M32)
    three('v_sad_u32', 'D = S2 + |S0 - S1|', lambda a, b, c: abs(a - b) + c & M32)
    three('v_msad_u8', 'D = S2 + sum of |S0 - S1| where S1 is not 0', lambda a, b, c: msad(a, b) + c & M32)


def quad_sad(fn):
    """S1 against the four bytes of S0 from byte 0, 1, 2 and 3 on."""
    return lambda a, b: [fn(a >> 8 * i & M32, b) for i in range(4)]


def quads():
    """128 bits are not one of the types: these have cases of their own."""
    for name, fn, bits in (('v_qsad_pk_u16_u8', sad, 16), ('v_mqsad_pk_u16_u8', msad, 16), ('v_mqsad_u32_u8', msad, 32)):
        file = File(name, 'four sums of differences of bytes, plus S2')
        rnd = Random(name)
        for which, mask in (('full', FULL), ('partial', PARTIAL)):
            a, b = [rnd.bits(64) for _ in range(LANES)], [rnd.bits(32) & rnd.pick([M32, 0xff00ffff]) for _ in range(LANES)]
            c = [[rnd.bits(12) for _ in range(4)] for _ in range(LANES)]
            values = [sum((s + z) << bits * i for i, (s, z) in enumerate(zip(quad_sad(fn)(x, y), old)))
                      for x, y, old in zip(a, b, c)]
            third, dst = vreg(10, 4 * bits // 32), vreg(20, 4 * bits // 32)
            sums = [sum(z << bits * i for i, z in enumerate(old)) for old in c]
            file.case(which, '%s %s, v[2:3], v6, %s' % (name, dst, third),
                      exec_in(mask) + [('v[2:3]', a), ('v6', b), (third, sums)],
                      [(dst, masked(values, mask))])


def wide():
    Valu('v_lshlrev_b64', 'D = S1 << S0[5:0]', 'b64', ['b32', 'b64'], lambda a, b: b << (a & 63) & M64)
    Valu('v_lshrrev_b64', 'D = S1 >> S0[5:0]', 'b64', ['b32', 'b64'], lambda a, b: b >> (a & 63))
    Valu('v_ashrrev_i64', 'D = signed S1 >> S0[5:0]', 'b64', ['b32', 'b64'], lambda a, b: s64(b) >> (a & 63) & M64)


def half():
    m = 0xffff
    two('v_add_u16', 'D = S0 + S1', lambda a, b: a + b & m, 'u16', [saturating(lambda a, b: a + b, 0, m)])
    two('v_sub_u16', 'D = S0 - S1', lambda a, b: a - b & m, 'u16', [saturating(lambda a, b: a - b, 0, m)])
    two('v_subrev_u16', 'D = S1 - S0', lambda a, b: b - a & m, 'u16', [saturating(lambda a, b: b - a, 0, m)])
    two('v_mul_lo_u16', 'D = S0 * S1', lambda a, b: a * b & m, 'u16')
    two('v_lshlrev_b16', 'D = S1 << S0[3:0]', lambda a, b: b << (a & 15) & m, 'b16')
    two('v_lshrrev_b16', 'D = S1 >> S0[3:0]', lambda a, b: b >> (a & 15), 'b16')
    two('v_ashrrev_i16', 'D = signed S1 >> S0[3:0]', lambda a, b: s16(b) >> (a & 15) & m, 'b16')
    for name, key in (('i16', s16), ('u16', same)):
        two('v_min_' + name, 'minimum', lambda a, b, key=key: min(a, b, key=key), name)
        two('v_max_' + name, 'maximum', lambda a, b, key=key: max(a, b, key=key), name)
        three('v_min3_' + name, 'minimum of three', lambda a, b, c, key=key: min(a, b, c, key=key), name, keep_high=True)
        three('v_max3_' + name, 'maximum of three', lambda a, b, c, key=key: max(a, b, c, key=key), name, keep_high=True)
        three('v_med3_' + name, 'median', med3(key), name, keep_high=True)
    for name in ('u16', 'i16'):
        three('v_mad_' + name, 'D = S0 * S1 + S2; the high half stays', lambda a, b, c: a * b + c & m, name,
              keep_high=True)
        three('v_mad_legacy_' + name, 'D = S0 * S1 + S2; the high half becomes 0', lambda a, b, c: a * b + c & m, name)
    Valu('v_add_i16', 'D = S0 + S1; the high half stays', 'i16', ['i16', 'i16'], lambda a, b: a + b & m, keep_high=True)
    Valu('v_sub_i16', 'D = S0 - S1; the high half stays', 'i16', ['i16', 'i16'], lambda a, b: a - b & m, keep_high=True)
    Valu('v_mad_u32_u16', 'D = S0 * S1 + S2', 'b32', ['u16', 'u16', 'b32'], lambda a, b, c: a * b + c & M32)
    Valu('v_mad_i32_i16', 'D = S0 * S1 + S2, signed', 'b32', ['i16', 'i16', 'b32'],
         lambda a, b, c: s16(a) * s16(b) + c & M32)
    Valu('v_sat_pk_u8_i16', 'two signed words saturated to bytes', 'b32', ['b32'],
         lambda a: max(0, min(255, s16(a & m))) | max(0, min(255, s16(a >> 16))) << 8)
    Valu('v_cvt_pk_u16_u32', 'two numbers saturated to words', 'b32', ['b32', 'b32'],
         lambda a, b: min(a, m) | min(b, m) << 16)
    Valu('v_cvt_pk_i16_i32', 'two numbers saturated to words', 'b32', ['b32', 'b32'],
         lambda a, b: max(-32768, min(32767, s32(a))) & m | (max(-32768, min(32767, s32(b))) & m) << 16)


def pair(name, text, fn, carry_in=False):
    """Additions that write a mask: fn(a, b, carry) is the exact result; the carry out is whether it does not fit."""
    file = File(name, text)
    rnd = Random(name)
    t = TYPES['b32']
    for which, mask, long_form in (('edges', FULL, False), ('random', PARTIAL, False), ('e64', PARTIAL, True)):
        columns = inputs([t, t], rnd, 'random' if which == 'e64' else which)
        carries = rnd.bits(64)
        exact = [fn(a, b, carries >> lane & 1) for lane, (a, b) in enumerate(zip(*columns))]
        ins = exec_in(mask) + [('v2', columns[0]), ('v6', columns[1])]
        out = [(vreg(DST, 1), masked([v & M32 for v in exact], mask))]
        carry_out = lane_mask([not 0 <= v <= M32 for v in exact], mask)
        if long_form:
            ins += [('s[30:31]', carries)] if carry_in else []
            tail = ', s[30:31]' if carry_in else ''
            file.case(which, '%s_e64 v20, s[40:41], v2, v6%s' % (name, tail), ins, out + [('s[40:41]', carry_out)])
        else:
            ins += [('vcc', carries)] if carry_in else []
            file.case(which, '%s_e32 v20, vcc, v2, v6%s' % (name, ', vcc' if carry_in else ''), ins,
                      out + [('vcc', carry_out)])


def carries():
    pair('v_add_co_u32', 'D = S0 + S1, carry out', lambda a, b, c: a + b)
    pair('v_sub_co_u32', 'D = S0 - S1, borrow out', lambda a, b, c: a - b)
    pair('v_subrev_co_u32', 'D = S1 - S0, borrow out', lambda a, b, c: b - a)
    pair('v_addc_co_u32', 'D = S0 + S1 + carry', lambda a, b, c: a + b + c, True)
    pair('v_subb_co_u32', 'D = S0 - S1 - borrow', lambda a, b, c: a - b - c, True)
    pair('v_subbrev_co_u32', 'D = S1 - S0 - borrow', lambda a, b, c: b - a - c, True)


def mad64(name, text, key):
    """What the mask of a signed one says, the manual leaves open."""
    file = File(name, text)
    rnd = Random(name)
    low, high = (-(1 << 63), (1 << 63) - 1) if key is s32 else (0, M64)
    wide_key = s64 if key is s32 else same
    for which, mask in (('edges', FULL), ('random', PARTIAL)):
        columns = inputs([TYPES['b32'], TYPES['b32'], TYPES['b64']], rnd, which)
        exact = [key(a) * key(b) + wide_key(c) for a, b, c in zip(*columns)]
        ins = exec_in(mask) + [('v2', columns[0]), ('v6', columns[1]), ('v[10:11]', columns[2])]
        out = [('v[20:21]', masked([v & M64 for v in exact], mask)),
               ('s[40:41]', lane_mask([not low <= v <= high for v in exact], mask) if key is same else '?')]
        file.case(which, name + ' v[20:21], s[40:41], v2, v6, v[10:11]', ins, out)


def select():
    file = File('v_cndmask_b32', 'D = mask ? S1 : S0')
    rnd = Random('v_cndmask_b32')
    for which, mask in (('edges', FULL), ('random', PARTIAL)):
        a, b = inputs([TYPES['f32']] * 2, rnd, which)
        bits_ = rnd.bits(64)
        values = [y if bits_ >> lane & 1 else x for lane, (x, y) in enumerate(zip(a, b))]
        ins = exec_in(mask) + [('v2', a), ('v6', b)]
        file.case(which, 'v_cndmask_b32_e32 v20, v2, v6, vcc', ins + [('vcc', bits_)], [('v20', masked(values, mask))])
        file.case(which + '_e64', 'v_cndmask_b32_e64 v20, v2, v6, s[30:31]', ins + [('s[30:31]', bits_)],
                  [('v20', masked(values, mask))])
        changed = [(y & 0x7fffffff) if bits_ >> lane & 1 else x ^ 0x80000000 for lane, (x, y) in enumerate(zip(a, b))]
        file.case(which + '_mods', 'v_cndmask_b32_e64 v20, -v2, |v6|, s[30:31]', ins + [('s[30:31]', bits_)],
                  [('v20', masked(changed, mask))])
    values = [rnd.bits(32) for _ in range(LANES)]
    file.case('constants', 'v_cndmask_b32_e64 v20, 0, 1, exec', exec_in(PARTIAL),
              [('v20', masked([1] * LANES, PARTIAL))])


def make():
    simple()
    arithmetic()
    bits()
    wide()
    quads()
    half()
    carries()
    mad64('v_mad_u64_u32', 'D = S0 * S1 + S2', same)
    mad64('v_mad_i64_i32', 'D = S0 * S1 + S2, signed', s32)
    select()
