# SPDX-License-Identifier: MIT
"""Packed and mixed arithmetic and dot products: CDNA 2 ISA manual, section 12.11 and 4.8."""
from .cases import File, FULL, LANES, PARTIAL, ROWS, Random, exec_in, masked, vreg
from .fp import F16, F32, NAN
from .values import TYPES, s16, s32, signed

M32 = 0xffffffff
M16 = 0xffff


def halves(v):
    return v & M16, v >> 16


def join(low, high):
    return '?' if isinstance(low, str) or isinstance(high, str) else low & M16 | (high & M16) << 16


def packed_values(fmt, rnd):
    t = TYPES['f16' if fmt else 'b16']
    return [t.random(rnd) | t.random(rnd) << 16 for _ in range(LANES)]


class Packed16:
    """fn(one half of each source) -> one half. `old`: the destination is the last source."""

    def __init__(self, name, text, n, fn, fmt=None, old=False, clamp=None):
        self.n, self.fn, self.fmt, self.old, self.name = n, fn, fmt, old, name
        self.rnd = Random(name)
        self.file = File(name, text)
        count = n - 1 if old else n
        self.case('plain', FULL, '')
        self.case('partial', PARTIAL, '')
        if ('Vop3p', name) in ROWS:
            self.case('swapped', PARTIAL, ' op_sel:[%s] op_sel_hi:[%s]' % (','.join('1' * n), ','.join('0' * n)),
                      lambda h, i: 1 - h)
            self.case('low', FULL, ' op_sel_hi:[%s]' % ','.join('0' * n), lambda h, i: 0)
            self.case('mixed', FULL, ' op_sel:[1%s] op_sel_hi:[0%s]' % (',0' * (n - 1), ',1' * (n - 1)),
                      lambda h, i: 1 - h if i == 0 else h)
            if fmt:
                self.case('neg', FULL, ' neg_lo:[1%s] neg_hi:[0%s]' % (',0' * (n - 1), ',1' * (n - 1)),
                          neg=lambda h, i: (i == 0) == (h == 0))
            if clamp:
                self.case('clamp', FULL, ' clamp', after=clamp)
        self.scalar(count)

    def compute(self, registers, pick, neg=None, after=None):
        out = []
        for sources in zip(*registers):
            parts = []
            for h in (0, 1):
                args = []
                for i, v in enumerate(sources):
                    x = halves(v)[pick(h, i)]
                    args.append(x ^ 0x8000 if neg and neg(h, i) else x)
                r = self.fn(*args) if after is None else after(*args)
                if r == NAN or self.fmt and not isinstance(r, str) and self.fmt.is_nan(r):
                    r = '?'
                parts.append(r)
            out.append(join(*parts))
        return out

    def operands(self):
        return ['v2', 'v6', 'v10'][:self.n - 1 if self.old else self.n]

    def case(self, which, mask, tail, pick=lambda h, i: h, neg=None, after=None):
        registers = [packed_values(self.fmt, self.rnd) for _ in range(self.n)]
        names = self.operands() + (['v20'] if self.old else [])
        values = self.compute(registers, pick, neg, after)
        self.file.case(which, '%s %s%s' % (self.name, ', '.join(['v20'] + self.operands()), tail),
                       exec_in(mask) + list(zip(names, registers)), [('v20', masked(values, mask))])

    def scalar(self, count):
        registers = [packed_values(self.fmt, self.rnd) for _ in range(self.n)]
        registers[0] = [registers[0][0]] * LANES
        names = ['s4'] + (self.operands() + (['v20'] if self.old else []))[1:]
        ins = [(n, r[0] if n == 's4' else r) for n, r in zip(names, registers)]
        self.file.case('sgpr', '%s %s' % (self.name, ', '.join(['v20', 's4'] + self.operands()[1:])), ins,
                       [('v20', self.compute(registers, lambda h, i: h))])


def saturate(fn, low, high, key=lambda v: v):
    return lambda *a: max(low, min(high, fn(*map(key, a)))) & M16


def integers():
    for name, fn in (('add', lambda a, b: a + b), ('sub', lambda a, b: a - b)):
        Packed16('v_pk_%s_u16' % name, 'both halves', 2, lambda a, b, fn=fn: fn(a, b) & M16, clamp=saturate(fn, 0, M16))
        Packed16('v_pk_%s_i16' % name, 'both halves', 2, lambda a, b, fn=fn: fn(a, b) & M16,
                 clamp=saturate(fn, -32768, 32767, s16))
    Packed16('v_pk_mul_lo_u16', 'both halves', 2, lambda a, b: a * b & M16)
    for t in ('u16', 'i16'):
        key = s16 if t == 'i16' else lambda v: v
        Packed16('v_pk_mad_' + t, 'both halves', 3, lambda a, b, c: a * b + c & M16)
        Packed16('v_pk_min_' + t, 'both halves', 2, lambda a, b, key=key: min(a, b, key=key))
        Packed16('v_pk_max_' + t, 'both halves', 2, lambda a, b, key=key: max(a, b, key=key))
    Packed16('v_pk_lshlrev_b16', 'D = S1 << S0[3:0]', 2, lambda a, b: b << (a & 15) & M16)
    Packed16('v_pk_lshrrev_b16', 'D = S1 >> S0[3:0]', 2, lambda a, b: b >> (a & 15))
    Packed16('v_pk_ashrrev_i16', 'D = signed S1 >> S0[3:0]', 2, lambda a, b: s16(b) >> (a & 15) & M16)


def floats():
    Packed16('v_pk_add_f16', 'both halves', 2, F16.add, F16)
    Packed16('v_pk_mul_f16', 'both halves', 2, F16.mul, F16)
    Packed16('v_pk_fma_f16', 'both halves', 3, F16.fma, F16)
    Packed16('v_pk_min_f16', 'both halves', 2, lambda a, b: F16.minmax(a, b, False), F16)
    Packed16('v_pk_max_f16', 'both halves', 2, lambda a, b: F16.minmax(a, b, True), F16)
    Packed16('v_pk_fmac_f16', 'D = S0 * S1 + D, both halves', 3, F16.fma, F16, old=True)
    for name, n, fn in (('add', 2, F32.add), ('mul', 2, F32.mul), ('fma', 3, F32.fma)):
        packed32('v_pk_%s_f32' % name, n, fn)
    packed32('v_pk_mov_b32', 2, None)


def packed32(name, n, fn):
    """Two dwords; op_sel picks the dword the low result is made of, op_sel_hi that of the high one."""
    file = File(name, 'both dwords')
    rnd = Random(name)
    names = ['v[2:3]', 'v[6:7]', 'v[10:11]'][:n]
    for which, mask, low, high, neg in (('plain', FULL, 0, 1, False), ('partial', PARTIAL, 0, 1, False),
                                        ('swapped', PARTIAL, 1, 0, False), ('low', FULL, 0, 0, False),
                                        ('neg', FULL, 0, 1, True)):
        if neg and fn is None:
            continue
        registers = [[[TYPES['f32'].random(rnd) for _ in range(2)] for _ in range(LANES)] for _ in range(n)]
        results = []
        for lane in range(LANES):
            pair = []
            for h, pick in ((0, low), (1, high)):
                args = [registers[i][lane][pick] for i in range(n)]
                if fn is None:  # v_pk_mov_b32: the low dword comes from S0, the high one from S1, both by op_sel
                    pair.append(registers[h][lane][low])
                    continue
                if neg:
                    args = [a ^ F32.sign if (i == 0) == (h == 0) else a for i, a in enumerate(args)]
                pair.append(fn(*args))
            results.append(pair)
        tail = '' if (low, high) == (0, 1) else ' op_sel:[%s] op_sel_hi:[%s]' % (
            ','.join([str(low)] * n), ','.join([str(high)] * n))
        if neg:
            tail += ' neg_lo:[1%s] neg_hi:[0%s]' % (',0' * (n - 1), ',1' * (n - 1))
        ins = [(place, [v[0] | v[1] << 32 for v in column]) for place, column in zip(names, registers)]
        out = [('v%d' % (20 + h), masked([r[h] for r in results], mask)) for h in (0, 1)]
        file.case(which, '%s v[20:21], %s%s' % (name, ', '.join(names), tail), exec_in(mask) + ins, out)


# Dot products -------------------------------------------------------------------------------------------------------
def parts(v, bits, is_signed):
    out = [v >> i & ((1 << bits) - 1) for i in range(0, 32, bits)]
    return [signed(x, bits) for x in out] if is_signed else out


def dot(name, bits, is_signed, accumulate=False):
    file = File(name, 'D = sum of products of parts, plus %s' % ('D' if accumulate else 'S2'))
    rnd = Random(name)
    low, high = (-(1 << 31), (1 << 31) - 1) if is_signed else (0, M32)
    for which, mask, clamp in (('plain', FULL, False), ('partial', PARTIAL, False), ('clamp', FULL, True)):
        if clamp and accumulate:
            continue
        a, b, c = [[rnd.bits(32) if rnd.below(5) else rnd.pick(TYPES['b32'].edges) for _ in range(LANES)] for _ in range(3)]
        values = []
        for x, y, z in zip(a, b, c):
            total = sum(p * q for p, q in zip(parts(x, bits, is_signed), parts(y, bits, is_signed)))
            total += s32(z) if is_signed else z
            values.append((max(low, min(high, total)) if clamp else total) & M32)
        third = 'v20' if accumulate else 'v10'
        operands = 'v20, v2, v6' + ('' if accumulate else ', v10')
        file.case(which, '%s %s%s' % (name, operands, ' clamp' if clamp else ''),
                  exec_in(mask) + [('v2', a), ('v6', b), (third, c)], [('v20', masked(values, mask))])
    if bits == 16 and not accumulate:
        a, b, c = [[rnd.bits(32) for _ in range(LANES)] for _ in range(3)]
        values = []
        for x, y, z in zip(a, b, c):
            (_, xh), (yl, yh) = parts(x, 16, is_signed), parts(y, 16, is_signed)
            values.append(xh * yl + parts(x, 16, is_signed)[0] * yh + z & M32)
        file.case('selected', '%s v20, v2, v6, v10 op_sel:[1,0,0] op_sel_hi:[0,1,1]' % name,
                  exec_in(PARTIAL) + [('v2', a), ('v6', b), ('v10', c)], [('v20', masked(values, PARTIAL))])


def dot_float(name, accumulate):
    """Positive numbers, so that only roundings differ."""
    file = File(name, 'D = sum of two products of halves, plus %s' % ('D' if accumulate else 'S2'))
    rnd = Random(name)
    half = lambda: F16.bias - 3 + rnd.below(6) << 10 | rnd.bits(10)
    for which, mask in (('plain', FULL), ('partial', PARTIAL)):
        a, b = [[half() | half() << 16 for _ in range(LANES)] for _ in range(2)]
        c = [F32.bias - 3 + rnd.below(6) << 23 | rnd.bits(23) for _ in range(LANES)]
        values = []
        for x, y, z in zip(a, b, c):
            wide = [[F16.convert(h, F32) for h in halves(v)] for v in (x, y)]
            values.append(F32.fma(wide[0][0], wide[1][0], F32.fma(wide[0][1], wide[1][1], z)))
        third = 'v20' if accumulate else 'v10'
        operands = 'v20, v2, v6' + ('' if accumulate else ', v10')
        file.case(which, '%s %s' % (name, operands), exec_in(mask) + [('v2', a), ('v6', b), (third, c)],
                  [('v20', masked(values, mask))], ulp=2)
        if not accumulate:
            file.case(which + '_negative', '%s %s neg_lo:[1,0,1] neg_hi:[0,1,0]' % (name, operands),
                      exec_in(mask) + [('v2', a), ('v6', b), (third, c)],
                      [('v20', masked([v | F32.sign for v in values], mask))], ulp=2)


def dots():
    dot('v_dot2_i32_i16', 16, True)
    dot('v_dot2_u32_u16', 16, False)
    dot('v_dot4_i32_i8', 8, True)
    dot('v_dot4_u32_u8', 8, False)
    dot('v_dot8_i32_i4', 4, True)
    dot('v_dot8_u32_u4', 4, False)
    dot('v_dot2c_i32_i16', 16, True, True)
    dot('v_dot4c_i32_i8', 8, True, True)
    dot('v_dot8c_i32_i4', 4, True, True)
    dot_float('v_dot2_f32_f16', False)
    dot_float('v_dot2c_f32_f16', True)


# v_fma_mix ----------------------------------------------------------------------------------------------------------
def mix(name, half):
    """Sources are f32, or a half where op_sel_hi says so; op_sel picks which. half: None, 0 or 1 of D."""
    file = File(name, 'fused, sources of both widths' + ('' if half is None else '; one half of D, the other stays'))
    rnd = Random(name)
    for index, (wide, pick, neg, absolute) in enumerate([((0, 0, 0), (0, 0, 0), 0, 0), ((1, 1, 1), (0, 1, 0), 0, 0),
                                                         ((1, 0, 1), (1, 0, 1), 1, 4), ((0, 1, 0), (0, 0, 0), 6, 1)]):
        mask = PARTIAL if index % 2 else FULL
        registers, values = [], []
        for i in range(3):
            registers.append([TYPES['f16'].random(rnd) | TYPES['f16'].random(rnd) << 16 if wide[i] else
                              F32.bias - 4 + rnd.below(8) << 23 | rnd.bits(23) | rnd.bits(1) << 31 for _ in range(LANES)])
        olds = [rnd.bits(32) for _ in range(LANES)]
        for lane in range(LANES):
            args = []
            for i in range(3):
                v = registers[i][lane]
                v = F16.convert(halves(v)[pick[i]], F32) if wide[i] else v
                if v == NAN:
                    v = F32.inf | F32.quiet
                v = v & ~F32.sign if absolute >> i & 1 else v
                args.append(v ^ F32.sign if neg >> i & 1 else v)
            result = F32.fma(*args)
            if half is not None:
                if result != NAN:
                    result = F32.convert(result, F16)
                result = '?' if result == NAN else olds[lane] & M16 << 16 * (1 - half) | result << 16 * half
            values.append(result)
        names = ['v2', 'v6', 'v10']
        texts = []
        for i, n in enumerate(names):
            n = '|%s|' % n if absolute >> i & 1 else n
            texts.append('-' + n if neg >> i & 1 else n)
        tail = ' op_sel:[%d,%d,%d] op_sel_hi:[%d,%d,%d]' % (pick + wide)
        file.case('c%d' % index, '%s v20, %s%s' % (name, ', '.join(texts), tail),
                  exec_in(mask) + list(zip(names, registers)) + [('v20', olds)], [('v20', masked(values, mask))])


def make():
    integers()
    floats()
    dots()
    mix('v_fma_mix_f32', None)
    mix('v_fma_mixlo_f16', 0)
    mix('v_fma_mixhi_f16', 1)
