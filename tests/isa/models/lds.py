# SPDX-License-Identifier: MIT
"""LDS and the lane crossings that go through it: CDNA 2 ISA manual, chapter 11 and section 12.13."""
from .cases import File, FULL, LANES, PARTIAL, Random, exec_in, masked, vreg
from .fp import F32, F64
from .memory import Bytes, atomic_ops, near_one, shuffled, widen
from .values import s32, s64

LDS_SIZE = 1 << 16
READS = {'u8': (1, False), 'i8': (1, True), 'u16': (2, False), 'i16': (2, True), 'b32': (4, False), 'b64': (8, False),
         'b96': (12, False), 'b128': (16, False)}
WRITES = {'b8': 1, 'b16': 2, 'b32': 4, 'b64': 8, 'b96': 12, 'b128': 16}


def align(size):
    return 4 if size == 12 else size


def reads():
    for name, (size, sign) in READS.items():
        mnemonic = 'ds_read_' + name
        file = File(mnemonic, 'D = LDS')
        rnd = Random(mnemonic)
        d = max(1, size // 4)
        step = max(size, 16) if size > 8 else size
        for which, order, mask in (('contiguous', range(LANES), FULL), ('scattered', shuffled(rnd), PARTIAL),
                                   ('same', [5] * LANES, PARTIAL)):
            lds = Bytes('lds', 1024, 300, rnd)
            addresses = [1024 + step * i for i in order]
            values = [widen(lds.load(a, size), size, sign) for a in addresses]
            file.case(which, '%s %s, v2 offset:32' % (mnemonic, vreg(20, d)),
                      exec_in(mask) + [('v2', [a - 32 for a in addresses]), lds.given()],
                      [(vreg(20, d), masked(values, mask))])
        lds = Bytes('lds', LDS_SIZE - 16, 4, rnd)
        addresses = [LDS_SIZE - 16 if lane % 2 else LDS_SIZE + 16 * lane for lane in range(LANES)]
        values = [widen(lds.load(a, size), size, sign) if a < LDS_SIZE else 0 for a in addresses]
        file.case('outside', '%s %s, v2' % (mnemonic, vreg(20, d)), [('v2', addresses), lds.given()],
                  [(vreg(20, d), values)])
    for name, (size, sign) in (('u8', (1, False)), ('i8', (1, True)), ('u16', (2, False))):
        for high in (False, True):
            mnemonic = 'ds_read_%s_d16%s' % (name, '_hi' if high else '')
            file = File(mnemonic, 'one half of D = LDS, the other stays')
            rnd = Random(mnemonic)
            lds = Bytes('lds', 256, 64, rnd)
            addresses = [256 + 2 * i for i in shuffled(rnd)]
            olds = [rnd.bits(32) for _ in range(LANES)]
            got = [widen(lds.load(a, size), size, sign) & 0xffff for a in addresses]
            values = [o & 0xffff | v << 16 if high else o & 0xffff0000 | v for o, v in zip(olds, got)]
            file.case('scattered', mnemonic + ' v20, v2', exec_in(PARTIAL) + [('v2', addresses), ('v20', olds), lds.given()],
                      [('v20', masked(values, PARTIAL))])


def writes():
    names = dict(WRITES)
    names.update({'b8_d16_hi': 1, 'b16_d16_hi': 2})
    for name, size in names.items():
        mnemonic = 'ds_write_' + name
        file = File(mnemonic, 'LDS = D')
        rnd = Random(mnemonic)
        d = max(1, size // 4)
        step = max(size, 16) if size > 8 else size
        for which, order, mask in (('contiguous', range(LANES), FULL), ('scattered', shuffled(rnd), PARTIAL)):
            lds = Bytes('lds', 1024, 300, rnd)
            addresses = [1024 + step * i for i in order]
            data = [rnd.bits(32 * d) for _ in range(LANES)]
            for lane, a in enumerate(addresses):
                if mask >> lane & 1:
                    lds.store(a, size, data[lane] >> 16 if 'hi' in name else data[lane])
            file.case(which, '%s v2, %s offset:16' % (mnemonic, vreg(6, d)),
                      exec_in(mask) + [('v2', [a - 16 for a in addresses]), (vreg(6, d), data), lds.given()], [lds.left()])
        file.case('outside', '%s v2, %s' % (mnemonic, vreg(6, d)), [('v2', [LDS_SIZE + 16 * i for i in range(LANES)])], [])


def pairs():
    for size, name in ((4, 'b32'), (8, 'b64')):
        for st64 in (False, True):
            unit = size * (64 if st64 else 1)
            middle = 'st64' if st64 else ''
            d = size // 4
            mnemonic = 'ds_read2%s_%s' % (middle, name)
            file = File(mnemonic, 'D = two values of LDS')
            rnd = Random(mnemonic)
            for which, first, second in (('c0', 0, 1), ('c1', 3, 2)):
                lds = Bytes('lds', 0, 640, rnd)
                addresses = [size * i for i in shuffled(rnd)]
                values = [lds.load(a + first * unit, size) | lds.load(a + second * unit, size) << 8 * size
                          for a in addresses] if max(first, second) * unit + 512 <= 2560 else None
                if values is None:
                    continue
                file.case(which, '%s %s, v2 offset0:%d offset1:%d' % (mnemonic, vreg(20, 2 * d), first, second),
                          exec_in(PARTIAL) + [('v2', addresses), lds.given()], [(vreg(20, 2 * d), masked(values, PARTIAL))])
            mnemonic = 'ds_write2%s_%s' % (middle, name)
            file = File(mnemonic, 'two values to LDS')
            rnd = Random(mnemonic)
            lds = Bytes('lds', 0, 640, rnd)
            addresses = [2 * size * i for i in shuffled(rnd, 32)] * 2
            mask = 0x00000000ffffffff & PARTIAL
            data = [[rnd.bits(8 * size) for _ in range(LANES)] for _ in range(2)]
            second = 2 if st64 else 1
            for lane, a in enumerate(addresses):
                if mask >> lane & 1:
                    lds.store(a, size, data[0][lane])
                    lds.store(a + second * unit, size, data[1][lane])
            if st64:  # all of the second behind all of the first
                lds.now = list(lds.before)
                for lane, a in enumerate(addresses):
                    if mask >> lane & 1:
                        lds.store(a, size, data[0][lane])
                        lds.store(a + second * unit, size, data[1][lane])
            file.case('c0', '%s v2, %s, %s offset1:%d' % (mnemonic, vreg(6, d), vreg(10, d), second),
                      exec_in(mask) + [('v2', addresses), (vreg(6, d), data[0]), (vreg(10, d), data[1]), lds.given()],
                      [lds.left()])


# Atomics ------------------------------------------------------------------------------------------------------------
def lds_ops(bits):
    ops = atomic_ops(bits)
    m = (1 << bits) - 1
    names = {'add_u': 'add', 'sub_u': 'sub', 'inc_u': 'inc', 'dec_u': 'dec', 'min_i': 'smin', 'max_i': 'smax',
             'min_u': 'umin', 'max_u': 'umax', 'and_b': 'and', 'or_b': 'or', 'xor_b': 'xor'}
    out = {name: ops[op] for name, op in names.items()}
    out['rsub_u'] = lambda o, d: d - o & m
    return out


def returning(name):
    """ds_add_u32 -> ds_add_rtn_u32"""
    head, tail = name.rsplit('_', 1)
    return '%s_rtn_%s' % (head, tail)


def one_atomic(mnemonic, size, fn, value, returned, second=None):
    file = File(mnemonic, 'LDS = LDS op data')
    rnd = Random(mnemonic)
    d = size // 4
    lds = Bytes('lds', 512, 132, rnd)
    addresses = [512 + size * i for i in shuffled(rnd)]
    for a in addresses:
        lds.store(a, size, value(rnd))
    lds.before = list(lds.now)
    olds = [lds.load(a, size) for a in addresses]
    data = [value(rnd) for _ in range(LANES)]
    more = second(rnd, olds) if second else None
    for lane, a in enumerate(addresses):
        if PARTIAL >> lane & 1:
            args = (olds[lane], data[lane]) + ((more[lane],) if second else ())
            lds.store(a, size, fn(*args))
    ins = exec_in(PARTIAL) + [('v2', addresses), (vreg(6, d), data)]
    operands = 'v2, ' + vreg(6, d)
    if second:
        ins.append((vreg(10, d), more))
        operands += ', ' + vreg(10, d)
    out = [lds.left()]
    if returned:
        operands = '%s, %s' % (vreg(20, d), operands)
        out.append((vreg(20, d), masked(olds, PARTIAL)))
    file.case('scattered', '%s %s' % (mnemonic, operands), ins + [lds.given()], out)
    if not returned and not second and any(s in mnemonic for s in ('add_u', 'or_b', 'max_i', 'xor_b')):
        lds = Bytes('lds', 512, 2, rnd)
        for lane in range(LANES):
            if PARTIAL >> lane & 1:
                lds.store(512, size, fn(lds.load(512, size), data[lane]))
        file.case('same', '%s %s' % (mnemonic, operands), exec_in(PARTIAL) + [('v2', [512]), (vreg(6, d), data), lds.given()],
                  [lds.left()])


def atomics():
    for bits in (32, 64):
        integer = lambda rnd, bits=bits: rnd.bits(bits) if rnd.below(4) else rnd.pick([0, 1, 7, (1 << bits) - 1])
        size = bits // 8
        f = F32 if bits == 32 else F64
        for name, fn in lds_ops(bits).items():
            one_atomic('ds_%s%d' % (name, bits), size, fn, integer, False)
            one_atomic(returning('ds_%s%d' % (name, bits)), size, fn, integer, True)
        one_atomic('ds_wrxchg_rtn_b%d' % bits, size, lambda o, d: d, integer, True)
        real = lambda rnd, f=f: near_one(f, rnd)
        for name, fn in (('add', f.add), ('min', lambda o, d, f=f: f.minmax(o, d, False)),
                         ('max', lambda o, d, f=f: f.minmax(o, d, True))):
            one_atomic('ds_%s_f%d' % (name, bits), size, fn, real, False)
            one_atomic('ds_%s_rtn_f%d' % (name, bits), size, fn, real, True)
        pick = lambda rnd, olds, bits=bits: [rnd.bits(bits) for _ in olds]

        def compared(rnd, olds, bits=bits):
            return [rnd.bits(bits) for _ in olds]
        for rtn in (False, True):
            middle = '_rtn' if rtn else ''
            # data0 is what is compared with, data1 what is written
            compare_swap('ds_cmpst%s_b%d' % (middle, bits), size, rtn)
            mask_or('ds_mskor%s_b%d' % (middle, bits), size, rtn, pick)


def compare_swap(mnemonic, size, returned):
    file = File(mnemonic, 'LDS = data1 if it is data0')
    rnd = Random(mnemonic)
    d = size // 4
    lds = Bytes('lds', 512, 132, rnd)
    addresses = [512 + size * i for i in shuffled(rnd)]
    olds = [lds.load(a, size) for a in addresses]
    compare = [o if rnd.below(2) else rnd.bits(8 * size) for o in olds]
    new = [rnd.bits(8 * size) for _ in olds]
    for lane, a in enumerate(addresses):
        if PARTIAL >> lane & 1 and olds[lane] == compare[lane]:
            lds.store(a, size, new[lane])
    operands = 'v2, %s, %s' % (vreg(6, d), vreg(10, d))
    out = [lds.left()] + ([(vreg(20, d), masked(olds, PARTIAL))] if returned else [])
    file.case('scattered', '%s %s%s' % (mnemonic, vreg(20, d) + ', ' if returned else '', operands),
              exec_in(PARTIAL) + [('v2', addresses), (vreg(6, d), compare), (vreg(10, d), new), lds.given()], out)


def mask_or(mnemonic, size, returned, pick):
    one_atomic(mnemonic, size, lambda o, mask, bits: o & ~mask | bits, lambda rnd: rnd.bits(8 * size), returned, pick)


# Lanes --------------------------------------------------------------------------------------------------------------
def lanes():
    file = File('ds_bpermute_b32', 'D = data of lane S0 / 4; inactive lanes give 0')
    rnd = Random('ds_bpermute_b32')
    for which, mask in (('full', FULL), ('partial', PARTIAL)):
        data = [rnd.bits(32) for _ in range(LANES)]
        index = [rnd.bits(12) for _ in range(LANES)]
        values = [data[i >> 2 & 63] if mask >> (i >> 2 & 63) & 1 else 0 for i in index]
        file.case(which, 'ds_bpermute_b32 v20, v2, v6', exec_in(mask) + [('v2', index), ('v6', data)],
                  [('v20', masked(values, mask))])
    index = [4 * (lane ^ 9) - 8 & 0xff for lane in range(LANES)]
    data = [rnd.bits(32) for _ in range(LANES)]
    file.case('offset', 'ds_bpermute_b32 v20, v2, v6 offset:8', [('v2', index), ('v6', data)],
              [('v20', [data[(i + 8) >> 2 & 63] for i in index])])
    file = File('ds_permute_b32', 'lane S0 / 4 of D = data; 0 where nobody writes, the highest lane wins')
    for which, mask, index in (('full', FULL, [4 * i for i in shuffled(rnd)]), ('partial', PARTIAL, [rnd.bits(8) for _ in range(LANES)])):
        data = [rnd.bits(32) for _ in range(LANES)]
        values = [0] * LANES
        for lane in range(LANES):
            if mask >> lane & 1:
                values[index[lane] >> 2 & 63] = data[lane]
        file.case(which, 'ds_permute_b32 v20, v2, v6', exec_in(mask) + [('v2', index), ('v6', data)],
                  [('v20', masked(values, mask))])
    file = File('ds_swizzle_b32', 'lanes of four or of 32 permuted; inactive lanes give 0')
    patterns = [('quad', 0x8000 | 0b00011011, lambda l: l & ~3 | 0b00011011 >> 2 * (l & 3) & 3)]
    for name, a, o, x in (('swap', 0x1f, 0, 1), ('mirror', 0x1f, 0, 0x1f), ('broadcast', 0x18, 5, 0), ('mixed', 0x15, 2, 9)):
        patterns.append((name, x << 10 | o << 5 | a, lambda l, a=a, o=o, x=x: l & 32 | ((l & a | o) ^ x) & 31))
    for name, offset, fn in patterns:
        for which, mask in (('', FULL), ('_partial', PARTIAL)):
            data = [rnd.bits(32) for _ in range(LANES)]
            values = [data[fn(lane)] if mask >> fn(lane) & 1 else 0 for lane in range(LANES)]
            file.case(name + which, 'ds_swizzle_b32 v20, v2 offset:%d' % offset, exec_in(mask) + [('v2', data)],
                      [('v20', masked(values, mask))])
    file = File('ds_nop', 'nothing')
    file.case('c0', 'ds_nop', [], [])


def make():
    reads()
    writes()
    pairs()
    atomics()
    lanes()
