# SPDX-License-Identifier: MIT
"""Scalar instructions: CDNA 2 ISA manual, sections 12.1 to 12.5. They work whatever EXEC is."""
from .cases import File, PARTIAL, Random, sreg
from .integer import bfe_i, ffbh, ffbh_signed, ffbl, reverse
from .values import TYPES, s16, s32, s64, signed

M32, M64 = 0xffffffff, (1 << 64) - 1
KEEP = None  # SCC does not change
COUNT = 20


class Salu:
    """fn(*sources) -> (D, SCC), each None if not written. `carry`: SCC is the last argument."""

    def __init__(self, name, text, dst, sources, fn, carry=False, old=False):
        self.name, self.dst, self.sources, self.fn = name, dst, sources, fn
        self.carry, self.old = carry, old
        self.file = File(name, text)
        rnd = Random(name)
        for i in range(COUNT):
            self.case('c%d' % i, [self.value(w, rnd, i, k) for k, w in enumerate(sources)], rnd, i)

    def value(self, width, rnd, i, k):
        edges = TYPES['b%d' % width].edges
        return edges[(i * (k * 2 + 1) + 3 * k) % len(edges)] if i < 16 else rnd.bits(width)

    def case(self, which, values, rnd, i):
        scc = i & 1
        registers = [sreg(4 + 4 * k, w // 32) for k, w in enumerate(self.sources)]
        ins = list(zip(registers, values)) + [('scc', scc)]
        args = list(values) + ([scc] if self.carry else [])
        destination = sreg(20, self.dst // 32) if self.dst else None
        if self.old:
            before = rnd.bits(self.dst)
            ins.append((destination, before))
            args.append(before)
        if i % 5 == 4:
            ins.append(('exec', 0))
        result, flag = self.fn(*args)
        out = []
        if result is not None:
            out.append((destination, result))
        if flag is not None:
            out.append(('scc', int(flag)))
        operands = ([destination] if destination else []) + registers
        if i == 17 and self.sources[-1:] == [32] and not self.name.startswith('s_bitset'):
            operands, ins, out = self.constant(values, scc, destination, registers, ins, out)
        self.file.case(which, '%s %s' % (self.name, ', '.join(operands)), ins, out)

    def constant(self, values, scc, destination, registers, ins, out):
        """The last source as a literal."""
        literal = 0x12345678
        args = list(values[:-1]) + [literal] + ([scc] if self.carry else [])
        if self.old:
            args.append(dict(ins)[destination])
        result, flag = self.fn(*args)
        out = ([(destination, result)] if result is not None else []) + ([('scc', int(flag))] if flag is not None else [])
        ins = [x for x in ins if x[0] != registers[-1]]
        return ([destination] if destination else []) + registers[:-1] + ['0x%x' % literal], ins, out


def nonzero(value):
    return value, value != 0


def logic():
    table = {'and': lambda a, b: a & b, 'or': lambda a, b: a | b, 'xor': lambda a, b: a ^ b,
             'andn2': lambda a, b: a & ~b, 'orn2': lambda a, b: a | ~b, 'nand': lambda a, b: ~(a & b),
             'nor': lambda a, b: ~(a | b), 'xnor': lambda a, b: ~(a ^ b)}
    for bits in (32, 64):
        m = (1 << bits) - 1
        for name, fn in table.items():
            Salu('s_%s_b%d' % (name, bits), 'SCC: not 0', bits, [bits] * 2,
                 lambda a, b, fn=fn, m=m: nonzero(fn(a, b) & m))
        Salu('s_not_b%d' % bits, 'D = ~S0; SCC: not 0', bits, [bits], lambda a, m=m: nonzero(~a & m))
        Salu('s_mov_b%d' % bits, 'D = S0', bits, [bits], lambda a: (a, KEEP))
        Salu('s_cmov_b%d' % bits, 'D = S0 if SCC', bits, [bits], lambda a, scc: (a if scc else None, KEEP), carry=True)
        Salu('s_cselect_b%d' % bits, 'D = SCC ? S0 : S1', bits, [bits] * 2, lambda a, b, scc: (a if scc else b, KEEP),
             carry=True)
        Salu('s_brev_b%d' % bits, 'bits in reverse', bits, [bits], lambda a, bits=bits: (reverse(a, bits), KEEP))
        Salu('s_wqm_b%d' % bits, 'each four bits all ones if one is; SCC: not 0', bits, [bits],
             lambda a, bits=bits: nonzero(sum(0xf << i for i in range(0, bits, 4) if a >> i & 0xf)))
        Salu('s_quadmask_b%d' % bits, 'one bit for each four; SCC: not 0', bits, [bits],
             lambda a, bits=bits: nonzero(sum(1 << i // 4 for i in range(0, bits, 4) if a >> i & 0xf)))
        for name, flip in (('bcnt0', True), ('bcnt1', False)):
            Salu('s_%s_i32_b%d' % (name, bits), 'number of bits; SCC: not 0', 32, [bits],
                 lambda a, m=m, flip=flip: nonzero(bin(~a & m if flip else a).count('1')))
        Salu('s_ff0_i32_b%d' % bits, 'lowest 0, else -1', 32, [bits], lambda a, m=m: (ffbl(~a & m), KEEP))
        Salu('s_ff1_i32_b%d' % bits, 'lowest 1, else -1', 32, [bits], lambda a: (ffbl(a), KEEP))
        Salu('s_flbit_i32_b%d' % bits, 'leading zeros, else -1', 32, [bits], lambda a, bits=bits: (ffbh(a, bits), KEEP))
        Salu('s_bitset0_b%d' % bits, 'clears bit S0 of D', bits, [32],
             lambda a, d, bits=bits: (d & ~(1 << (a & (bits - 1))), KEEP), old=True)
        Salu('s_bitset1_b%d' % bits, 'sets bit S0 of D', bits, [32],
             lambda a, d, bits=bits: (d | 1 << (a & (bits - 1)), KEEP), old=True)
    Salu('s_flbit_i32', 'leading bits equal to the sign, else -1', 32, [32], lambda a: (ffbh_signed(a), KEEP))
    Salu('s_flbit_i32_i64', 'leading bits equal to the sign, else -1', 32, [64], lambda a: (ffbh_signed(a, 64), KEEP))
    Salu('s_bitreplicate_b64_b32', 'every bit twice', 64, [32],
         lambda a: (sum(3 << 2 * i for i in range(32) if a >> i & 1), KEEP))


def fits(v):
    return not -(1 << 31) <= v < (1 << 31)


def arithmetic():
    Salu('s_add_u32', 'SCC: carry', 32, [32, 32], lambda a, b: (a + b & M32, a + b > M32))
    Salu('s_sub_u32', 'SCC: borrow', 32, [32, 32], lambda a, b: (a - b & M32, a < b))
    Salu('s_add_i32', 'SCC: overflow', 32, [32, 32], lambda a, b: (a + b & M32, fits(s32(a) + s32(b))))
    Salu('s_sub_i32', 'SCC: overflow', 32, [32, 32], lambda a, b: (a - b & M32, fits(s32(a) - s32(b))))
    Salu('s_addc_u32', 'with and to SCC', 32, [32, 32], lambda a, b, c: (a + b + c & M32, a + b + c > M32), carry=True)
    Salu('s_subb_u32', 'with and to SCC', 32, [32, 32], lambda a, b, c: (a - b - c & M32, a < b + c), carry=True)
    Salu('s_mul_i32', 'low half', 32, [32, 32], lambda a, b: (a * b & M32, KEEP))
    Salu('s_mul_hi_u32', 'high half', 32, [32, 32], lambda a, b: (a * b >> 32, KEEP))
    Salu('s_mul_hi_i32', 'high half, signed', 32, [32, 32], lambda a, b: (s32(a) * s32(b) >> 32 & M32, KEEP))
    for t, key in (('i32', s32), ('u32', lambda v: v)):
        Salu('s_min_' + t, 'SCC: S0 is the smaller', 32, [32, 32], lambda a, b, k=key: (min(a, b, key=k), k(a) < k(b)))
        Salu('s_max_' + t, 'SCC: S0 is the greater', 32, [32, 32], lambda a, b, k=key: (max(a, b, key=k), k(a) > k(b)))
    Salu('s_abs_i32', 'SCC: not 0', 32, [32], lambda a: nonzero(abs(s32(a)) & M32))
    Salu('s_absdiff_i32', '|S0 - S1|; SCC: not 0', 32, [32, 32], lambda a, b: nonzero(abs_difference(a, b)))
    Salu('s_sext_i32_i8', 'sign of 8 bits', 32, [32], lambda a: (signed(a, 8) & M32, KEEP))
    Salu('s_sext_i32_i16', 'sign of 16 bits', 32, [32], lambda a: (s16(a & 0xffff) & M32, KEEP))
    for n in (1, 2, 3, 4):
        Salu('s_lshl%d_add_u32' % n, '(S0 << %d) + S1; SCC: does not fit' % n, 32, [32, 32],
             lambda a, b, n=n: ((a << n) + b & M32, (a << n) + b > M32))


def abs_difference(a, b):
    difference = s32(a - b & M32)
    return abs(difference) & M32


def shifts():
    for bits in (32, 64):
        m, mask = (1 << bits) - 1, bits - 1
        Salu('s_lshl_b%d' % bits, 'SCC: not 0', bits, [bits, 32], lambda a, b, m=m, k=mask: nonzero(a << (b & k) & m))
        Salu('s_lshr_b%d' % bits, 'SCC: not 0', bits, [bits, 32], lambda a, b, k=mask: nonzero(a >> (b & k)))
        Salu('s_ashr_i%d' % bits, 'SCC: not 0', bits, [bits, 32],
             lambda a, b, m=m, k=mask, n=bits: nonzero(signed(a, n) >> (b & k) & m))
        Salu('s_bfm_b%d' % bits, 'S0 ones, S1 up', bits, [32, 32],
             lambda a, b, m=m, k=mask: (((1 << (a & k)) - 1) << (b & k) & m, KEEP))
        Salu('s_bfe_u%d' % bits, 'S1[22:16] bits from S1[%d:0]; SCC: not 0' % (4 if bits == 32 else 5), bits, [bits, 32],
             lambda a, b, k=mask, n=bits: nonzero(a >> (b & k) & ((1 << min(n, b >> 16 & 127)) - 1)))
        Salu('s_bfe_i%d' % bits, 'the same with the sign; SCC: not 0', bits, [bits, 32],
             lambda a, b, m=m, k=mask, n=bits: nonzero(bfe_signed(a, b, m, k, n)))
    for name, low, high in (('ll', 0, 0), ('lh', 0, 16), ('hh', 16, 16)):
        Salu('s_pack_%s_b32_b16' % name, 'halves of S0 and S1', 32, [32, 32],
             lambda a, b, l=low, h=high: (a >> l & 0xffff | (b >> h & 0xffff) << 16, KEEP))


def bfe_signed(a, b, m, k, n):
    width = min(n, b >> 16 & 127)
    return signed(signed(a, n) >> (b & k), width) & m if width else 0


def compares():
    tests = {'eq': lambda a, b: a == b, 'lg': lambda a, b: a != b, 'gt': lambda a, b: a > b, 'ge': lambda a, b: a >= b,
             'lt': lambda a, b: a < b, 'le': lambda a, b: a <= b}
    for name, fn in tests.items():
        Salu('s_cmp_%s_i32' % name, 'SCC', 0, [32, 32], lambda a, b, fn=fn: (None, fn(s32(a), s32(b))))
        Salu('s_cmp_%s_u32' % name, 'SCC', 0, [32, 32], lambda a, b, fn=fn: (None, fn(a, b)))
        immediate('s_cmpk_%s_i32' % name, 'SCC', lambda d, k, scc, fn=fn: (None, fn(s32(d), s16(k))))
        immediate('s_cmpk_%s_u32' % name, 'SCC', lambda d, k, scc, fn=fn: (None, fn(d, k)))
    for name in ('eq', 'lg'):
        Salu('s_cmp_%s_u64' % name, 'SCC', 0, [64, 64], lambda a, b, fn=tests[name]: (None, fn(a, b)))
    for bits in (32, 64):
        for value in (0, 1):
            Salu('s_bitcmp%d_b%d' % (value, bits), 'SCC: bit S1 of S0 is %d' % value, 0, [bits, 32],
                 lambda a, b, k=bits - 1, v=value: (None, a >> (b & k) & 1 == v))


def immediate(name, text, fn):
    """SOPK: fn(D, constant, SCC)."""
    file = File(name, text)
    rnd = Random(name)
    constants = [0, 1, 0xffff, 0x8000, 0x7fff, 5, 0x1234, 0xfff0]
    for i in range(16):
        k = constants[i] if i < 8 else rnd.bits(16)
        before = TYPES['b32'].edges[i] if i < 12 else rnd.bits(32)
        if i in (5, 13):
            before = s16(k) & M32
        if i == 6:
            before = k
        result, flag = fn(before, k, i & 1)
        out = ([('s20', result)] if result is not None else []) + ([('scc', int(flag))] if flag is not None else [])
        file.case('c%d' % i, '%s s20, 0x%x' % (name, k), [('s20', before), ('scc', i & 1)], out)


def immediates():
    immediate('s_movk_i32', 'D = K', lambda d, k, scc: (s16(k) & M32, KEEP))
    immediate('s_cmovk_i32', 'D = K if SCC', lambda d, k, scc: (s16(k) & M32 if scc else None, KEEP))
    immediate('s_addk_i32', 'D += K; SCC: overflow', lambda d, k, scc: (d + s16(k) & M32, fits(s32(d) + s16(k))))
    immediate('s_mulk_i32', 'D *= K', lambda d, k, scc: (d * s16(k) & M32, KEEP))


def saveexec():
    table = {'and': lambda s, e: s & e, 'or': lambda s, e: s | e, 'xor': lambda s, e: s ^ e,
             'andn2': lambda s, e: s & ~e, 'orn2': lambda s, e: s | ~e, 'nand': lambda s, e: ~(s & e),
             'nor': lambda s, e: ~(s | e), 'xnor': lambda s, e: ~(s ^ e), 'andn1': lambda s, e: ~s & e,
             'orn1': lambda s, e: ~s | e}
    for name, fn in table.items():
        exec_case('s_%s_saveexec_b64' % name, 'D = EXEC; EXEC = S0 op EXEC; SCC: not 0', fn, lambda new, old: old)
    for name in ('andn1', 'andn2'):
        exec_case('s_%s_wrexec_b64' % name, 'EXEC = D = S0 op EXEC; SCC: not 0', table[name], lambda new, old: new)


def exec_case(name, text, fn, d):
    file = File(name, text)
    rnd = Random(name)
    for i, (source, mask) in enumerate([(0, M64), (M64, 0), (M64, M64), (0, 0), (rnd.bits(64), PARTIAL),
                                        (PARTIAL, PARTIAL), (~PARTIAL & M64, PARTIAL)]):
        new = fn(source, mask) & M64
        file.case('c%d' % i, '%s s[20:21], s[4:5]' % name, [('exec', mask), ('s[4:5]', source), ('scc', i & 1)],
                  [('s[20:21]', d(new, mask)), ('exec', new), ('scc', int(new != 0))])


def branches():
    conditions = {'s_cbranch_scc0': ('scc', 0, 1), 's_cbranch_scc1': ('scc', 1, 0), 's_cbranch_vccz': ('vcc', 0, 1 << 40),
                  's_cbranch_vccnz': ('vcc', 1 << 33, 0), 's_cbranch_execz': ('exec', 0, 1 << 63),
                  's_cbranch_execnz': ('exec', 1 << 32, 0)}
    for name, (place, taken, passed) in conditions.items():
        file = File(name, 'goes on at the label if it is so')
        for which, value in (('taken', taken), ('passed', passed)):
            label = '%s.%s_skip' % (name, which)
            code = ['%s %s' % (name, label), 's_mov_b32 s20, 1', label + ':', 's_mov_b32 s21, 2']
            file.case(which, code, [(place, value)], ([('s20', 1)] if which == 'passed' else []) + [('s21', 2)])
    file = File('s_branch', 'goes on at the label')
    file.case('forward', ['s_branch s_branch.f', 's_mov_b32 s20, 1', 's_branch.f:', 's_mov_b32 s21, 2'], [], [('s21', 2)])
    file.case('loop', ['s_mov_b32 s20, 0', 's_branch.l:', 's_add_u32 s20, s20, 1', 's_cmp_lt_u32 s20, 10',
                       's_cbranch_scc0 s_branch.e', 's_branch s_branch.l', 's_branch.e:', 's_nop 0'], [],
              [('s20', 10), ('scc', 0)])
    file = File('s_swappc_b64', 'calls: D = address behind, PC = S0')
    file.case('call', ['s_getpc_b64 s[4:5]', 's_swappc_b64.a:', 's_add_u32 s4, s4, s_swappc_b64.t-s_swappc_b64.a',
                       's_addc_u32 s5, s5, 0', 's_swappc_b64 s[6:7], s[4:5]', 's_mov_b32 s21, 2', 's_endpgm',
                       's_swappc_b64.t:', 's_mov_b32 s20, 1', 's_setpc_b64 s[6:7]'], [],
              [('s20', 1), ('s21', 2), ('s[4:5]', '?'), ('s[6:7]', '?'), ('scc', 0)])
    file = File('s_setpc_b64', 'PC = S0')
    file.case('jump', ['s_getpc_b64 s[4:5]', 's_setpc_b64.a:', 's_add_u32 s4, s4, s_setpc_b64.t-s_setpc_b64.a',
                       's_addc_u32 s5, s5, 0', 's_setpc_b64 s[4:5]', 's_mov_b32 s21, 2', 's_setpc_b64.t:',
                       's_mov_b32 s20, 1'], [], [('s20', 1), ('s[4:5]', '?'), ('scc', 0)])
    file = File('s_getpc_b64', 'D = address of the next instruction')
    file.case('difference', ['s_getpc_b64 s[4:5]', 's_nop 0', 's_getpc_b64 s[6:7]', 's_sub_u32 s20, s6, s4'], [],
              [('s20', 8), ('s[4:5]', '?'), ('s[6:7]', '?'), ('scc', 0)])
    file = File('s_call_b64', 'D = address behind, PC += 4 * K')
    file.case('call', ['s_call_b64 s[6:7], s_call_b64.t', 's_mov_b32 s21, 2', 's_endpgm', 's_call_b64.t:',
                       's_mov_b32 s20, 1', 's_setpc_b64 s[6:7]'], [], [('s20', 1), ('s21', 2), ('s[6:7]', '?')])


def relative():
    for bits in (32, 64):
        n = bits // 32
        file = File('s_movrels_b%d' % bits, 'D = register S0 + M0')
        file.case('c0', 's_movrels_b%d %s, %s' % (bits, sreg(20, n), sreg(4, n)), [('m0', 6), (sreg(10, n), 0x1234567)],
                  [(sreg(20, n), 0x1234567)])
        file = File('s_movreld_b%d' % bits, 'register D + M0 = S0')
        file.case('c0', 's_movreld_b%d %s, %s' % (bits, sreg(20, n), sreg(4, n)), [('m0', 8), (sreg(4, n), 0x7654321)],
                  [(sreg(28, n), 0x7654321)])


def nothing():
    for name, operand in (('s_nop', '3'), ('s_waitcnt', 'vmcnt(0)'), ('s_sleep', '1'), ('s_barrier', ''),
                          ('s_setprio', '2'), ('s_icache_inv', ''), ('s_endpgm', ''), ('s_wakeup', ''),
                          ('s_dcache_inv', ''), ('s_dcache_wb', ''), ('s_dcache_inv_vol', ''), ('s_dcache_wb_vol', ''),
                          ('s_ttracedata', ''), ('s_incperflevel', '1'), ('s_decperflevel', '1'), ('s_sethalt', '0')):
        file = File(name, 'changes no register')
        file.case('c0', ('%s %s' % (name, operand)).strip(), [], [])


def registers():
    file = File('s_getreg_b32', 'bits of a hardware register')
    file.case('mode', 's_getreg_b32 s20, hwreg(HW_REG_MODE)', [('mode', 0x3f0)], [('s20', 0x3f0)])
    file.case('denorm', 's_getreg_b32 s20, hwreg(HW_REG_MODE, 4, 4)', [('mode', 0x3a0)], [('s20', 0xa)])
    file = File('s_setreg_b32', 'bits of a hardware register')
    file.case('round', 's_setreg_b32 hwreg(HW_REG_MODE, 0, 4), s4', [('mode', 0x3f0), ('s4', 0xffffff05)], [('mode', 0x3f5)])
    file.case('denorm', 's_setreg_b32 hwreg(HW_REG_MODE, 4, 2), s4', [('mode', 0x3f0), ('s4', 0)], [('mode', 0x3c0)])
    file = File('s_setreg_imm32_b32', 'bits of a hardware register')
    file.case('round', 's_setreg_imm32_b32 hwreg(HW_REG_MODE, 2, 2), 0x2', [('mode', 0x3f0)], [('mode', 0x3f8)])


def make():
    logic()
    arithmetic()
    shifts()
    compares()
    immediates()
    saveexec()
    branches()
    relative()
    nothing()
    registers()
