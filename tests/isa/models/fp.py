# SPDX-License-Identifier: MIT
"""Floating point by integers: exact results, rounded once. No host arithmetic is involved.

A number is its bits. Results are bits or NAN, which stands for any quiet NaN of the format.
"""
from math import isqrt

NAN = 'nan'
NEAREST, UP, DOWN, ZERO = range(4)  # MODE's numbers


class Format:
    def __init__(self, name, exponent_bits, fraction_bits):
        self.name = name
        self.ebits = exponent_bits
        self.fbits = fraction_bits
        self.width = 1 + exponent_bits + fraction_bits
        self.bias = (1 << (exponent_bits - 1)) - 1
        self.emin = 1 - self.bias
        self.sign = 1 << (self.width - 1)
        self.inf = ((1 << exponent_bits) - 1) << fraction_bits
        self.fmask = (1 << fraction_bits) - 1
        self.one = self.bias << fraction_bits
        self.max = self.inf - 1
        self.quiet = 1 << (fraction_bits - 1)

    def is_nan(self, b):
        return b == NAN or (b & (self.sign - 1)) > self.inf

    def is_snan(self, b):
        return b != NAN and self.is_nan(b) and not b & self.quiet

    def is_inf(self, b):
        return (b & (self.sign - 1)) == self.inf

    def is_zero(self, b):
        return (b & (self.sign - 1)) == 0

    def is_denormal(self, b):
        return (b & self.inf) == 0 and b & self.fmask != 0

    def negative(self, b):
        return bool(b & self.sign)

    def flush(self, b):
        return b & self.sign if b != NAN and self.is_denormal(b) else b

    def split(self, b):
        """Finite b as (sign, integer, exponent): value = integer * 2**exponent."""
        exponent = (b & self.inf) >> self.fbits
        fraction = b & self.fmask
        if exponent == 0:
            return self.negative(b), fraction, self.emin - self.fbits
        return self.negative(b), fraction | (1 << self.fbits), exponent - self.bias - self.fbits

    def round(self, negative, m, e, sticky=False, mode=NEAREST):
        """Bits of (-1)**negative * (m + a bit if sticky) * 2**e."""
        sign = self.sign if negative else 0
        if m == 0 and not sticky:
            return sign
        if sticky:  # one more bit below
            m, e = (m << 2) | 1, e - 2
        q = max(e + m.bit_length() - 1, self.emin) - self.fbits
        if e >= q:
            m <<= e - q
        else:
            shift = q - e
            rest = m & ((1 << shift) - 1)
            m >>= shift
            half = 1 << (shift - 1)
            if mode == NEAREST:
                up = rest > half or (rest == half and m & 1)
            elif mode == ZERO:
                up = False
            else:
                up = rest != 0 and (mode == DOWN) == negative
            m += up
        if m >> (self.fbits + 1):
            m >>= 1
            q += 1
        if m >> self.fbits and q + self.fbits > self.bias:
            away = mode == NEAREST or (mode == UP and not negative) or (mode == DOWN and negative)
            return sign | (self.inf if away else self.max)
        if not m >> self.fbits:
            return sign | m
        return sign | ((q + self.fbits + self.bias) << self.fbits) | (m & self.fmask)

    # Arithmetic ------------------------------------------------------------------------------------------------
    def add(self, a, b, mode=NEAREST):
        return self.fma(a, self.one, b, mode)

    def mul(self, a, b, mode=NEAREST):
        if self.is_nan(a) or self.is_nan(b):
            return NAN
        negative = self.negative(a) != self.negative(b)
        if self.is_inf(a) or self.is_inf(b):
            return NAN if self.is_zero(a) or self.is_zero(b) else self.inf | (self.sign if negative else 0)
        _, ma, ea = self.split(a)
        _, mb, eb = self.split(b)
        return self.round(negative, ma * mb, ea + eb, False, mode)

    def fma(self, a, b, c, mode=NEAREST):
        if self.is_nan(a) or self.is_nan(b) or self.is_nan(c):
            return NAN
        negative = self.negative(a) != self.negative(b)
        if self.is_inf(a) or self.is_inf(b):
            if self.is_zero(a) or self.is_zero(b):
                return NAN
            if self.is_inf(c) and self.negative(c) != negative:
                return NAN
            return self.inf | (self.sign if negative else 0)
        if self.is_inf(c):
            return c
        _, ma, ea = self.split(a)
        _, mb, eb = self.split(b)
        sc, mc, ec = self.split(c)
        e = min(ea + eb, ec)
        product = (ma * mb) << (ea + eb - e)
        total = (-product if negative else product) + ((-mc if sc else mc) << (ec - e))
        if total == 0:
            if product == 0 and mc == 0 and negative == sc:
                return self.sign if sc else 0
            return self.sign if mode == DOWN else 0
        return self.round(total < 0, abs(total), e, False, mode)

    def div(self, a, b, mode=NEAREST):
        if self.is_nan(a) or self.is_nan(b):
            return NAN
        negative = self.negative(a) != self.negative(b)
        sign = self.sign if negative else 0
        if self.is_inf(a):
            return NAN if self.is_inf(b) else self.inf | sign
        if self.is_inf(b):
            return sign
        if self.is_zero(b):
            return NAN if self.is_zero(a) else self.inf | sign
        _, ma, ea = self.split(a)
        _, mb, eb = self.split(b)
        shift = self.fbits + 4 + mb.bit_length()
        q, r = divmod(ma << shift, mb)
        return self.round(negative, q, ea - eb - shift, r != 0, mode)

    def sqrt(self, a, mode=NEAREST):
        if self.is_nan(a):
            return NAN
        if self.is_zero(a):
            return a
        if self.negative(a):
            return NAN
        if self.is_inf(a):
            return a
        _, m, e = self.split(a)
        shift = 2 * (self.fbits + 4)
        if (e - shift) & 1:
            shift += 1
        m <<= shift
        root = isqrt(m)
        return self.round(False, root, (e - shift) // 2, root * root != m, mode)

    def compare(self, a, b):
        """-1, 0, 1, or None if unordered."""
        if self.is_nan(a) or self.is_nan(b):
            return None
        ka = -(a & (self.sign - 1)) if self.negative(a) else a
        kb = -(b & (self.sign - 1)) if self.negative(b) else b
        return (ka > kb) - (ka < kb)

    # Integers --------------------------------------------------------------------------------------------------
    def from_int(self, value, mode=NEAREST):
        return self.round(value < 0, abs(value), 0, False, mode)

    def to_int(self, a, low, high, how=ZERO):
        """Saturating; NaN is 0. how: ZERO truncates, NEAREST is to even, DOWN is floor."""
        if self.is_nan(a):
            return 0
        if self.is_inf(a):
            return low if self.negative(a) else high
        return max(low, min(high, self.integral(a, how)))

    def integral(self, a, how):
        negative, m, e = self.split(a)
        if e >= 0:
            value, rest, half = m << e, 0, 1
        else:
            value, rest, half = m >> -e, m & ((1 << -e) - 1), 1 << (-e - 1)
        if how == NEAREST:
            value += rest > half or (rest == half and value & 1)
        elif rest and how == (DOWN if negative else UP):
            value += 1
        return -value if negative else value

    def round_to_integral(self, a, how):
        if self.is_nan(a):
            return NAN
        if self.is_inf(a) or self.is_zero(a):
            return a
        value = self.integral(a, how)
        return self.round(self.negative(a), abs(value), 0)

    def convert(self, a, to, mode=NEAREST):
        if self.is_nan(a):
            return NAN
        if self.is_inf(a):
            return to.inf | (to.sign if self.negative(a) else 0)
        negative, m, e = self.split(a)
        return to.round(negative, m, e, False, mode)

    # What min and max do with NaNs and zeros; IEEE mode.
    def minmax(self, a, b, maximum, ieee=True):
        if ieee and (self.is_snan(a) or self.is_snan(b)):
            return NAN
        if self.is_nan(a):
            return NAN if self.is_nan(b) else b
        if self.is_nan(b):
            return a
        order = self.compare(a, b)
        if order == 0:
            if maximum:
                return b if self.negative(a) else a
            return a if self.negative(a) else b
        return a if (order > 0) == maximum else b

    def exponent(self, a):
        """Of |a| as 0.5 <= fraction < 1; a finite, not 0."""
        _, m, e = self.split(a)
        return e + m.bit_length()

    def scale(self, a, n, mode=NEAREST):
        """a * 2**n, rounded once."""
        if self.is_nan(a):
            return NAN
        if self.is_inf(a) or self.is_zero(a):
            return a
        negative, m, e = self.split(a)
        return self.round(negative, m, e + max(-5000, min(5000, n)), False, mode)


F16 = Format('f16', 5, 10)
F32 = Format('f32', 8, 23)
F64 = Format('f64', 11, 52)
BF16 = Format('bf16', 8, 7)
