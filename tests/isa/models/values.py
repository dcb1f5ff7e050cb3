# SPDX-License-Identifier: MIT
"""Types of operands: width, edge values."""
from .fp import F16, F32, F64


def s32(v):
    return v - (1 << 32) if v >> 31 & 1 else v


def s64(v):
    return v - (1 << 64) if v >> 63 & 1 else v


def s16(v):
    return v - (1 << 16) if v >> 15 & 1 else v


def signed(v, bits):
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> (bits - 1) else v


def float_edges(f):
    quiet_nan = f.inf | f.quiet | 5
    signalling = f.inf | 1
    two = f.one + (1 << f.fbits)
    return [0, f.one, f.sign | (f.one + f.quiet), f.inf, quiet_nan, 1, f.max, f.sign,
            f.sign | f.inf, signalling, f.fmask, 1 << f.fbits, two, f.sign | f.max, f.one + 1, f.sign | f.fmask,
            f.one - 1, f.sign | f.one, f.one >> 1 << 1 | 3, (f.bias + f.fbits) << f.fbits | 1,
            f.sign | (1 << f.fbits), f.sign | two, f.one + (f.quiet | f.quiet >> 1), f.sign | 1]


def int_edges(bits):
    top = 1 << (bits - 1)
    return [0, 1, (1 << bits) - 1, top, top - 1, 2, 0x5a5a5a5a5a5a5a5a & ((1 << bits) - 1), bits - 1,
            (1 << bits) - 2, top + 1, 7, bits, 0x0123456789abcdef >> max(0, 60 - bits) & ((1 << bits) - 1), bits // 2,
            (1 << (bits // 2)) - 1, 1 << (bits // 2),
            3, 100, top - 2, (1 << bits) - 100, 0xfedcba9876543210 & ((1 << bits) - 1), bits + 1, 0x80, 0xff]


class Type:
    def __init__(self, name, bits, edges, fmt=None):
        self.name, self.bits, self.edges, self.fmt = name, bits, edges, fmt
        self.dwords = max(1, bits // 32)

    def random(self, rnd):
        if self.fmt is None:
            return rnd.bits(self.bits) if rnd.below(4) else rnd.pick(self.edges)
        f = self.fmt
        kind = rnd.below(8)
        if kind == 0:
            return rnd.pick(self.edges)
        if kind == 1:
            return rnd.bits(f.width)
        exponent = f.bias - 6 + rnd.below(13)  # near 1
        return (f.sign if rnd.below(2) else 0) | exponent << f.fbits | rnd.bits(f.fbits)


def int_type(name, bits):
    return Type(name, bits, int_edges(bits))


TYPES = {t.name: t for t in [
    int_type('b32', 32), int_type('u32', 32), int_type('i32', 32), int_type('b64', 64), int_type('u64', 64),
    int_type('i64', 64), int_type('b16', 16), int_type('u16', 16), int_type('i16', 16),
    Type('f16', 16, float_edges(F16), F16), Type('f32', 32, float_edges(F32), F32),
    Type('f64', 64, float_edges(F64), F64)]}
