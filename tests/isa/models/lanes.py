# SPDX-License-Identifier: MIT
"""Instructions that cross lanes or registers: CDNA 2 ISA manual, sections 12.8, 12.10 and 12.11."""
from .cases import File, FULL, LANES, PARTIAL, Random, exec_in, masked
from .values import s32

M32 = 0xffffffff


def rows(rnd):
    return [rnd.bits(32) for _ in range(LANES)]


def to_scalar():
    file = File('v_readlane_b32', 'D = lane S1[5:0] of S0, whatever EXEC is')
    rnd = Random('v_readlane_b32')
    for i, lane in enumerate((0, 63, 17, 64 + 5, M32)):
        data = rows(rnd)
        file.case('c%d' % i, 'v_readlane_b32 s20, v2, s4', [('exec', 1 << 40), ('v2', data), ('s4', lane)],
                  [('s20', data[lane & 63])])
    data = rows(rnd)
    file.case('constant', 'v_readlane_b32 s20, v2, 33', [('exec', 0), ('v2', data)], [('s20', data[33])])
    file = File('v_readfirstlane_b32', 'D = first active lane of S0, lane 0 if there is none')
    rnd = Random('v_readfirstlane_b32')
    for i, mask in enumerate((FULL, PARTIAL, 1 << 63, 0, 0xff00)):
        data = rows(rnd)
        first = (mask & -mask).bit_length() - 1 if mask else 0
        file.case('c%d' % i, 'v_readfirstlane_b32 s20, v2', [('exec', mask), ('v2', data)], [('s20', data[first])])
    file = File('v_writelane_b32', 'lane S1[5:0] of D = S0, whatever EXEC is')
    rnd = Random('v_writelane_b32')
    for i, lane in enumerate((0, 63, 17, 64 + 5)):
        value = rnd.bits(32)
        file.case('c%d' % i, 'v_writelane_b32 v20, s4, %d' % (lane & 63), [('exec', 0), ('s4', value)],
                  [('v20', [value if l == lane & 63 else '-' for l in range(LANES)])])
        file.case('m%d' % i, 'v_writelane_b32 v20, 29, m0', [('exec', 1), ('m0', lane)],
                  [('v20', [29 if l == lane & 63 else '-' for l in range(LANES)])])
    file.case('constant', 'v_writelane_b32 v20, 5, 9', [], [('v20', [5 if l == 9 else '-' for l in range(LANES)])])


def counts():
    for name, low in (('v_mbcnt_lo_u32_b32', True), ('v_mbcnt_hi_u32_b32', False)):
        file = File(name, 'D = S1 + ones of S0 below this lane, %s lanes' % ('lower' if low else 'upper'))
        rnd = Random(name)
        for which, mask in (('vector', FULL), ('partial', PARTIAL)):
            bits, add = rows(rnd), rows(rnd)
            values = [below(b, lane, low) + a & M32 for lane, (b, a) in enumerate(zip(bits, add))]
            file.case(which, name + ' v20, v2, v6', exec_in(mask) + [('v2', bits), ('v6', add)],
                      [('v20', masked(values, mask))])
        value = rnd.bits(32)
        file.case('scalar', name + ' v20, s4, 0', [('s4', value)], [('v20', [below(value, l, low) for l in range(LANES)])])
        file.case('exec', name + ' v20, %s, 0' % ('exec_lo' if low else 'exec_hi'), [('exec', PARTIAL)],
                  [('v20', masked([below(PARTIAL & M32 if low else PARTIAL >> 32, l, low) for l in range(LANES)], PARTIAL))])


def below(bits, lane, low):
    n = min(lane, 32) if low else max(0, lane - 32)
    return bin(bits & ((1 << n) - 1)).count('1')


def registers():
    file = File('v_swap_b32', 'D and S0 change places')
    rnd = Random('v_swap_b32')
    for which, mask in (('full', FULL), ('partial', PARTIAL)):
        a, b = rows(rnd), rows(rnd)
        file.case(which, 'v_swap_b32 v20, v2', exec_in(mask) + [('v20', a), ('v2', b)],
                  [('v20', masked(b, mask)), ('v2', masked(a, mask))])
    for name, code, src, dst in (('v_accvgpr_read_b32', 'v20, a2', 'a2', 'v20'), ('v_accvgpr_write_b32', 'a20, v2', 'v2', 'a20'),
                                 ('v_accvgpr_mov_b32', 'a20, a2', 'a2', 'a20')):
        file = File(name, 'D = S0')
        rnd = Random(name)
        for which, mask in (('full', FULL), ('partial', PARTIAL)):
            data = rows(rnd)
            file.case(which, '%s %s' % (name, code), exec_in(mask) + [(src, data)], [(dst, masked(data, mask))])
    file = File('v_nop', 'nothing')
    file.case('c0', 'v_nop', [], [])
    file = File('v_clrexcp', 'changes no register')
    file.case('c0', 'v_clrexcp', [], [])


def indexing():
    file = File('s_set_gpr_idx_on', 'vector registers count from M0[7:0] on')
    rnd = Random('s_set_gpr_idx_on')
    data = rows(rnd)
    file.case('source', ['s_set_gpr_idx_on s4, gpr_idx(SRC0)', 'v_mov_b32 v20, v2', 's_set_gpr_idx_off'],
              [('s4', 5), ('m0', 0), ('v7', data)], [('v20', data), ('m0', '?'), ('mode', '?')])
    file.case('destination', ['s_set_gpr_idx_on s4, gpr_idx(DST)', 'v_mov_b32 v20, v2', 's_set_gpr_idx_off'],
              [('s4', 7), ('m0', 0), ('v2', data)], [('v27', data), ('m0', '?'), ('mode', '?')])
    file = File('s_set_gpr_idx_off', 'vector registers count from 0 again')
    file.case('off', ['s_set_gpr_idx_on s4, gpr_idx(SRC0)', 's_set_gpr_idx_off', 'v_mov_b32 v20, v2'],
              [('s4', 5), ('m0', 0), ('v2', data)], [('v20', data), ('m0', '?'), ('mode', 0x3f0)])


def make():
    to_scalar()
    counts()
    registers()
    indexing()
