# SPDX-License-Identifier: MIT
"""Matrix instructions: CDNA 2 ISA manual, chapter 7 and section 12.11; where elements are by AMD's matrix instruction
calculator. Small integers, so that every sum is exact in whatever order it is made."""
import re

from .cases import File, FULL, LANES, PARTIAL, Random, exec_in, vreg
from .fp import BF16, F16, F32, F64

NAMES = ['f32_32x32x1f32', 'f32_16x16x1f32', 'f32_4x4x1f32', 'f32_32x32x2f32', 'f32_16x16x4f32',
         'f32_32x32x4f16', 'f32_16x16x4f16', 'f32_4x4x4f16', 'f32_32x32x8f16', 'f32_16x16x16f16',
         'f32_32x32x2bf16', 'f32_16x16x2bf16', 'f32_4x4x2bf16', 'f32_32x32x4bf16', 'f32_16x16x8bf16',
         'f32_32x32x4bf16_1k', 'f32_16x16x4bf16_1k', 'f32_4x4x4bf16_1k', 'f32_32x32x8bf16_1k', 'f32_16x16x16bf16_1k',
         'i32_32x32x4i8', 'i32_16x16x4i8', 'i32_4x4x4i8', 'i32_32x32x8i8', 'i32_16x16x16i8',
         'f64_16x16x4f64', 'f64_4x4x4f64']


def float_bits(fmt, value):
    return fmt.from_int(value)


class Matrix:
    def __init__(self, name):
        self.name = 'v_mfma_' + name
        kind, m, _, k, source = re.match(r'(\w\d+)_(\d+)x(\d+)x(\d+)(\w+)$', name).groups()
        self.m, self.k = int(m), int(k)
        self.double = kind == 'f64'
        self.integer = kind == 'i32'
        # numbers of one lane's register, and their bits
        self.per_lane, self.bits = {'f32': (1, 32), 'f64': (1, 64), 'f16': (4, 16), 'bf16': (2, 16), 'bf16_1k': (4, 16),
                                    'i8': (4, 8)}[source]
        self.fmt = {'f32': F32, 'f64': F64, 'f16': F16, 'bf16': BF16, 'bf16_1k': BF16, 'i8': None}[source]
        groups = LANES // self.m
        self.blocks = groups * self.per_lane // self.k if not (self.double and self.m == 4) else 4
        self.rnd = Random(name)
        self.file = File(self.name, 'D = A * B + C, %d block%s of %dx%dx%d' %
                         (self.blocks, '' if self.blocks == 1 else 's', self.m, self.m, self.k))
        self.case('vector', FULL, 'v', 'v', 'v')
        self.case('accumulator', PARTIAL, 'a', 'a', 'v')
        self.case('constant', FULL, 'v', 'v', 'v', constant=True)
        if self.blocks > 1 and not self.double:
            self.case('broadcast', FULL, 'v', 'v', 'v', cbsz=1, abid=1)
        if not self.double:
            for blgp in (1, 2, 3, 5):
                self.case('blgp%d' % blgp, FULL, 'v', 'v', 'v', blgp=blgp)
        else:
            self.case('neg', FULL, 'v', 'v', 'v', blgp=5)

    # Where things are -----------------------------------------------------------------------------------------
    def a_place(self, block, i, k):
        """Lane and position in it; the same for B's column."""
        if self.double and self.m == 4:
            return 4 * block + i + 16 * k, 0
        return i + self.m * (k // self.per_lane + self.k // self.per_lane * block), k % self.per_lane

    def d_place(self, block, i, j):
        """Lane and number of the element in it."""
        if self.double:
            return (j + 4 * block + 16 * i, 0) if self.m == 4 else (j + 16 * (i % 4), i // 4)
        if self.m == 32:
            return j + 32 * (i // 4 % 2), 16 * block + 4 * (i // 8) + i % 4
        if self.m == 16:
            return j + 16 * (i // 4), 4 * block + i % 4
        return j + 4 * block, i

    def pack(self, numbers):
        value = 0
        for position, n in enumerate(numbers):
            bits = self.fmt.from_int(n) if self.fmt else n & 0xff
            value |= bits << self.bits * position
        return value

    @staticmethod
    def b_lane(lane, blgp):
        """The lane B is really read from."""
        if blgp == 1:
            return lane & 31
        if blgp == 2:
            return lane & 31 | 32
        if blgp == 3:
            return (lane + 16) & 63
        return lane & 15 | (blgp - 4) << 4 if blgp >= 4 else lane

    def case(self, which, mask, acc, a_file, b_file, constant=False, cbsz=0, abid=0, blgp=0):
        rnd = self.rnd
        a, b = [[[rnd.below(17) - 8 for _ in range(self.per_lane)] for _ in range(LANES)] for _ in range(2)]
        per_lane = self.m * self.m * self.blocks // LANES
        c = [[4 if constant else rnd.below(201) - 100 for _ in range(per_lane)] for _ in range(LANES)]
        d = [[0] * per_lane for _ in range(LANES)]
        for block in range(self.blocks):
            a_block = block >> cbsz << cbsz | abid if cbsz else block
            for i in range(self.m):
                for j in range(self.m):
                    lane, n = self.d_place(block, i, j)
                    d[lane][n] = self.signs(blgp)[2] * c[lane][n] + self.product(a, b, a_block, block, i, j, blgp)
        self.write(which, mask, acc, a_file, b_file, a, b, c, d, constant, cbsz, abid, blgp)

    def signs(self, blgp):
        """For f64 the field negates A, B and C."""
        return [-1 if self.double and blgp >> i & 1 else 1 for i in range(3)]

    def product(self, a, b, a_block, block, i, j, blgp):
        total = 0
        sign = self.signs(blgp)
        for k in range(self.k):
            la, pa = self.a_place(a_block, i, k)
            lb, pb = self.a_place(block, j, k)
            if not self.double:
                lb = self.b_lane(lb, blgp)
            total += sign[0] * a[la][pa] * sign[1] * b[lb][pb]
        return total

    def write(self, which, mask, acc, a_file, b_file, a, b, c, d, constant, cbsz, abid, blgp):
        dwords = max(1, self.per_lane * self.bits // 32)
        unit = 2 if self.double else 1
        count = len(d[0])
        element = lambda v: F64.from_int(v) if self.double else v & 0xffffffff if self.integer else F32.from_int(v)
        c_first, d_first = 64, 128
        ins = exec_in(mask) + [(vreg(2, dwords, a_file), [self.pack(x) for x in a]),
                               (vreg(6, dwords, b_file), [self.pack(x) for x in b])]
        if not constant:
            ins += [(vreg(c_first + unit * n, unit, acc), [element(c[lane][n]) for lane in range(LANES)])
                    for n in range(count)]
        out = [(vreg(d_first + unit * n, unit, acc), [element(d[lane][n]) for lane in range(LANES)])
               for n in range(count)]
        c_text = ('4' if self.integer else '4.0') if constant else vreg(c_first, unit * count, acc)
        tail = ''.join(' %s:%d' % (n, v) for n, v in (('cbsz', cbsz), ('abid', abid), ('blgp', blgp)) if v)
        self.file.case(which, '%s %s, %s, %s, %s%s' % (self.name, vreg(d_first, unit * count, acc),
                                                       vreg(2, dwords, a_file), vreg(6, dwords, b_file), c_text, tail),
                       ins, out)


def make():
    for name in NAMES:
        Matrix(name)
