# SPDX-License-Identifier: MIT
"""Memory: global, flat, buffers, scalar loads and LDS. CDNA 2 ISA manual, chapters 8 to 11 and 12.13 to 12.17."""
from .cases import File, FULL, LANES, PARTIAL, ROWS, Random, exec_in, masked, sreg, vreg
from .fp import F16, F32, F64
from .values import s32, s64, signed

M32, M64 = 0xffffffff, (1 << 64) - 1
MEM_VA = 0x200000000  # runner/machine.h
LOADS = {'ubyte': (1, False), 'sbyte': (1, True), 'ushort': (2, False), 'sshort': (2, True), 'dword': (4, False),
         'dwordx2': (8, False), 'dwordx3': (12, False), 'dwordx4': (16, False)}
D16 = {'ubyte_d16': (1, False), 'sbyte_d16': (1, True), 'short_d16': (2, False)}
STORES = {'byte': 1, 'short': 2, 'dword': 4, 'dwordx2': 8, 'dwordx3': 12, 'dwordx4': 16}


class Bytes:
    """Some memory of the machine: what it holds first, what it holds now."""

    def __init__(self, space, first, dwords, rnd):
        self.space, self.first = space, first
        self.before = [rnd.bits(32) for _ in range(dwords)]
        self.now = list(self.before)

    def load(self, address, size):
        value = 0
        for i in range(size):
            at = address - self.first + i
            value |= (self.now[at // 4] >> 8 * (at % 4) & 0xff) << 8 * i
        return value

    def store(self, address, size, value):
        for i in range(size):
            at = address - self.first + i
            shift = 8 * (at % 4)
            self.now[at // 4] = self.now[at // 4] & ~(0xff << shift) & M32 | (value >> 8 * i & 0xff) << shift

    def place(self):
        return '%s+%d' % (self.space, self.first)

    def given(self):
        return (self.place(), self.before)

    def left(self):
        return (self.place(), self.now)


def address(offset):
    return 'mem+%d' % offset


def shuffled(rnd, n=LANES):
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = rnd.below(i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def widen(value, size, sign):
    return signed(value, 8 * size) & M32 if sign else value


class Access:
    """How the code names addresses: registers, operands, and what is added to the lane's byte offset."""

    def __init__(self, name, base, imm):
        self.name, self.base, self.imm = name, base, imm


def global_forms(kind):
    """(case, function from lane offsets to (inputs, address operand text, tail))."""
    def vector(offsets):
        return [('v[2:3]', [address(o - 16) for o in offsets])], 'v[2:3]', (', off' if kind == 'global' else ''), ' offset:16'

    def saddr(offsets):
        return [('v2', list(offsets)), ('s[4:5]', address(64))], 'v2', ', s[4:5]', ' offset:-64'
    return [('vector', vector)] + ([('saddr', saddr)] if kind == 'global' else [])


def global_loads(kind):
    for name, (size, sign) in LOADS.items():
        mnemonic = '%s_load_%s' % (kind, name)
        file = File(mnemonic, 'D = memory')
        rnd = Random(mnemonic)
        d = max(1, size // 4)
        for form, make in global_forms(kind):
            for which, offsets, mask in (
                    ('contiguous', [4096 - 256 + size * i for i in range(LANES)], FULL),
                    ('scattered', [4096 - 256 + size * i for i in shuffled(rnd)], PARTIAL),
                    ('same', [4096 + 2 * size] * LANES, PARTIAL),
                    ('unaligned', [4090 + 3 * i for i in range(LANES)], ~PARTIAL & FULL)):
                memory = Bytes('mem', 3840, 16 * LANES // 4 + 64, rnd)
                ins, a, tail, offset = make(offsets)
                values = [widen(memory.load(o, size), size, sign) for o in offsets]
                file.case('%s_%s' % (form, which), '%s %s, %s%s%s' % (mnemonic, vreg(20, d), a, tail, offset),
                          exec_in(mask) + ins + [memory.given()], [(vreg(20, d), masked(values, mask))])
        ins, a, tail, offset = global_forms(kind)[0][1]([0] * LANES)
        file.case('nobody', '%s %s, %s%s' % (mnemonic, vreg(20, d), a, tail), [('exec', 0), ('v[2:3]', [0x123456])], [])
        if d == 2:  # the destination is the address
            offsets = [4096 + 8 * i for i in shuffled(rnd)]
            memory = Bytes('mem', 4096, 128, rnd)
            file.case('overlap', '%s v[2:3], v[2:3]%s' % (mnemonic, tail),
                      exec_in(PARTIAL) + [('v[2:3]', [address(o) for o in offsets]), memory.given()],
                      [('v[2:3]', masked([memory.load(o, 8) for o in offsets], PARTIAL))])
    d16_loads('%s_load_%%s' % kind, lambda ins: (ins, 'v[2:3]' + (', off' if kind == 'global' else '')))


def d16_loads(pattern, finish):
    for name, (size, sign) in D16.items():
        for high in (False, True):
            mnemonic = pattern % (name + ('_hi' if high else ''))
            file = File(mnemonic, 'one half of D = memory, the other stays')
            rnd = Random(mnemonic)
            memory = Bytes('mem', 256, 64, rnd)
            offsets = [256 + 2 * i for i in shuffled(rnd)]
            olds = [rnd.bits(32) for _ in range(LANES)]
            values = []
            for o, old in zip(offsets, olds):
                value = widen(memory.load(o, size), size, sign) & 0xffff
                values.append(old & 0xffff | value << 16 if high else old & 0xffff0000 | value)
            ins, text = finish([('v[2:3]', [address(o) for o in offsets])])
            file.case('scattered', '%s v20, %s' % (mnemonic, text),
                      exec_in(PARTIAL) + ins + [('v20', olds), memory.given()], [('v20', masked(values, PARTIAL))])


def global_stores(kind):
    names = dict(STORES)
    names.update({'byte_d16_hi': 1, 'short_d16_hi': 2})
    for name, size in names.items():
        mnemonic = '%s_store_%s' % (kind, name)
        file = File(mnemonic, 'memory = D')
        rnd = Random(mnemonic)
        d = max(1, size // 4)
        for form, make in global_forms(kind):
            for which, order, mask in (('contiguous', range(LANES), FULL), ('scattered', shuffled(rnd), PARTIAL)):
                offsets = [4096 - 128 + size * i for i in order]
                memory = Bytes('mem', 3840, 16 * LANES // 4 + 64, rnd)
                data = [rnd.bits(32 * d) for _ in range(LANES)]
                for lane, o in enumerate(offsets):
                    if mask >> lane & 1:
                        memory.store(o, size, data[lane] >> 16 if 'hi' in name else data[lane])
                ins, a, tail, offset = make(offsets)
                file.case('%s_%s' % (form, which), '%s %s, %s%s%s' % (mnemonic, a, vreg(6, d), tail, offset),
                          exec_in(mask) + ins + [(vreg(6, d), data), memory.given()], [memory.left()])


# Atomics ------------------------------------------------------------------------------------------------------------
def float_add(f):
    return lambda old, data: f.add(old, data)


def atomic_ops(bits):
    m = (1 << bits) - 1
    key = s32 if bits == 32 else s64
    return {'add': lambda o, d: o + d & m, 'sub': lambda o, d: o - d & m,
            'smin': lambda o, d: min(o, d, key=key), 'umin': min, 'smax': lambda o, d: max(o, d, key=key), 'umax': max,
            'and': lambda o, d: o & d, 'or': lambda o, d: o | d, 'xor': lambda o, d: o ^ d,
            'inc': lambda o, d: 0 if o >= d else o + 1, 'dec': lambda o, d: d if o == 0 or o > d else o - 1,
            'swap': lambda o, d: d}


COMMUTES = ('add', 'sub', 'smin', 'umin', 'smax', 'umax', 'and', 'or', 'xor')


def near_one(f, rnd):
    return f.bias - 3 + rnd.below(7) << f.fbits | rnd.bits(f.fbits) | (f.sign if rnd.below(2) else 0)


def atomics(kind):
    for bits, suffix in ((32, ''), (64, '_x2')):
        for name, fn in atomic_ops(bits).items():
            atomic(kind, '%s_atomic_%s%s' % (kind, name, suffix), bits // 8, fn, name in COMMUTES)
        compare_and_swap(kind, '%s_atomic_cmpswap%s' % (kind, suffix), bits // 8)
    for name, f in (('add_f32', F32), ('add_f64', F64), ('min_f64', F64), ('max_f64', F64)):
        mnemonic = '%s_atomic_%s' % (kind, name)
        if (kind.capitalize() if kind != 'buffer' else 'Mubuf', mnemonic) in ROWS:
            fn = {'add': float_add(f), 'min': lambda o, d: F64.minmax(o, d, False),
                  'max': lambda o, d: F64.minmax(o, d, True)}[name[:3]]
            atomic(kind, mnemonic, f.width // 8, fn, False, lambda rnd, f=f: near_one(f, rnd))
    mnemonic = '%s_atomic_pk_add_f16' % kind
    if kind == 'global':
        atomic(kind, mnemonic, 4, lambda o, d: F16.add(o & 0xffff, d & 0xffff) | F16.add(o >> 16, d >> 16) << 16, False,
               lambda rnd: near_one(F16, rnd) | near_one(F16, rnd) << 16, returns=False)


def atomic_operands(kind, offsets):
    if kind == 'buffer':
        return [('v2', list(offsets)), ('s[8:11]', descriptor())], 'v2, s[8:11], 0 offen'
    return [('v[2:3]', [address(o) for o in offsets])], 'v[2:3]'


def atomic_line(kind, mnemonic, data, returned):
    glc = ' glc' if returned else ''
    if kind == 'buffer':
        return '%s %s, v2, s[8:11], 0 offen%s' % (mnemonic, data, glc)
    off = ', off' if kind == 'global' else ''
    return '%s %sv[2:3], %s%s%s' % (mnemonic, returned + ', ' if returned else '', data, off, glc)


def atomic(kind, mnemonic, size, fn, commutes, value=None, returns=True):
    file = File(mnemonic, 'memory = memory op data')
    rnd = Random(mnemonic)
    value = value or (lambda r: r.bits(8 * size) if r.below(4) else r.pick([0, 1, 5, (1 << 8 * size) - 1]))
    d = size // 4
    for which in ('plain', 'returned') if returns else ('plain',):
        offsets = [4096 - 64 + size * i for i in shuffled(rnd)]
        memory = Bytes('mem', 4032, 130, rnd)
        for o in offsets:
            memory.store(o, size, value(rnd))
        memory.before = list(memory.now)
        data = [value(rnd) for _ in range(LANES)]
        olds = [memory.load(o, size) for o in offsets]
        for lane, o in enumerate(offsets):
            if PARTIAL >> lane & 1:
                memory.store(o, size, fn(olds[lane], data[lane]))
        # a buffer atomic returns into its data
        returned = '' if which == 'plain' else vreg(6, d) if kind == 'buffer' else vreg(20, d)
        out = [(returned, masked(olds, PARTIAL))] if returned else []
        file.case(which, atomic_line(kind, mnemonic, vreg(6, d), returned),
                  exec_in(PARTIAL) + atomic_operands(kind, offsets)[0] + [(vreg(6, d), data), memory.given()],
                  out + [memory.left()])
    if commutes:
        same_address(file, kind, mnemonic, size, fn, value, rnd)


def same_address(file, kind, mnemonic, size, fn, value, rnd):
    """All lanes at two addresses: nothing may be lost."""
    d = size // 4
    offsets = [512 + size * (lane % 3 == 0) for lane in range(LANES)]
    memory = Bytes('mem', 512, 4, rnd)
    data = [value(rnd) for _ in range(LANES)]
    for lane, o in enumerate(offsets):
        if PARTIAL >> lane & 1:
            memory.store(o, size, fn(memory.load(o, size), data[lane]))
    file.case('same', atomic_line(kind, mnemonic, vreg(6, d), ''),
              exec_in(PARTIAL) + atomic_operands(kind, offsets)[0] + [(vreg(6, d), data), memory.given()], [memory.left()])


def compare_and_swap(kind, mnemonic, size):
    file = File(mnemonic, 'memory = data[0] if it is data[1]')
    rnd = Random(mnemonic)
    d = size // 4
    for which in ('plain', 'returned'):
        offsets = [4096 - 64 + size * i for i in shuffled(rnd)]
        memory = Bytes('mem', 4032, 130, rnd)
        new = [rnd.bits(8 * size) for _ in range(LANES)]
        olds = [memory.load(o, size) for o in offsets]
        compare = [old if rnd.below(2) else rnd.bits(8 * size) for old in olds]
        for lane, o in enumerate(offsets):
            if PARTIAL >> lane & 1 and olds[lane] == compare[lane]:
                memory.store(o, size, new[lane])
        data = [n | c << 8 * size for n, c in zip(new, compare)]
        returned = '' if which == 'plain' else vreg(6, d) if kind == 'buffer' else vreg(20, d)
        out = [(returned, masked(olds, PARTIAL))] if returned else []
        file.case(which, atomic_line(kind, mnemonic, vreg(6, 2 * d), returned),
                  exec_in(PARTIAL) + atomic_operands(kind, offsets)[0] + [(vreg(6, 2 * d), data), memory.given()],
                  out + [memory.left()])


# Buffers ------------------------------------------------------------------------------------------------------------
def descriptor(stride=0, records=0x10000):
    """Untyped: base, stride in bits 61:48, number of records (bytes without stride), 32-bit data."""
    return (MEM_VA | stride << 48) | records << 64 | 0x24fac << 96


def buffer_loads():
    for name, (size, sign) in list(LOADS.items()):
        mnemonic = 'buffer_load_' + name
        file = File(mnemonic, 'D = buffer')
        rnd = Random(mnemonic)
        d = max(1, size // 4)
        memory = Bytes('mem', 1024, 512, rnd)
        order = shuffled(rnd)
        cases = [
            ('offen', [size * i for i in order], 'v2, s[8:11], s12 offen offset:24', {'v2': lambda o: o}, 1024 + 24, 0),
            ('idxen', [32 * i for i in order], 'v2, s[8:11], s12 idxen offset:4', {'v2': lambda o: o // 32}, 1024 + 4, 32),
            ('both', [16 * i for i in order], 'v[2:3], s[8:11], s12 idxen offen',
             {'v[2:3]': lambda o: o // 16 | 8 << 32}, 1024 + 8, 16),
            ('neither', [0] * LANES, 'off, s[8:11], s12 offset:16', {}, 1024 + 16, 0)]
        for which, offsets, text, registers, base, stride in cases:
            values = [widen(memory.load(base + o, size), size, sign) if base + o + size <= 1024 + 2048 else 0
                      for o in offsets]
            records = 0x10000 if stride == 0 else 0x1000
            ins = [(r, [fn(o) for o in offsets]) for r, fn in registers.items()]
            file.case(which, '%s %s, %s' % (mnemonic, vreg(20, d), text),
                      exec_in(PARTIAL) + ins + [('s[8:11]', descriptor(stride, records)), ('s12', 1024), memory.given()],
                      [(vreg(20, d), masked(values, PARTIAL))])
        outside = [64 * i for i in range(LANES)]  # records end at 2048
        values = [widen(memory.load(1024 + o, size), size, sign) if 1024 + o + size <= 2048 else 0 for o in outside]
        file.case('outside', '%s %s, v2, s[8:11], 0 offen' % (mnemonic, vreg(20, d)),
                  exec_in(PARTIAL) + [('v2', [1024 + o for o in outside]), ('s[8:11]', descriptor(0, 2048)), memory.given()],
                  [(vreg(20, d), masked(values, PARTIAL))])


def buffer_stores():
    for name, size in STORES.items():
        mnemonic = 'buffer_store_' + name
        file = File(mnemonic, 'buffer = D')
        rnd = Random(mnemonic)
        d = max(1, size // 4)
        for which, text in (('offen', 'v2, s[8:11], s12 offen offset:8'), ('outside', 'v2, s[8:11], s12 offen offset:8')):
            memory = Bytes('mem', 1024, 300, rnd)
            offsets = [size * i for i in shuffled(rnd)]
            records = 0x10000 if which == 'offen' else 1032 + size * 32
            data = [rnd.bits(32 * d) for _ in range(LANES)]
            for lane, o in enumerate(offsets):
                if PARTIAL >> lane & 1 and 1032 + o + size <= records:
                    memory.store(1032 + o, size, data[lane])
            # the range counts the offset of the register s12 not in: compare with all of it
            if which == 'outside':
                text = 'v2, s[8:11], 0 offen offset:8'
                offsets = [o + 1024 for o in offsets]
            file.case(which, '%s %s, %s' % (mnemonic, vreg(6, d), text),
                      exec_in(PARTIAL) + [('v2', offsets), (vreg(6, d), data), ('s[8:11]', descriptor(0, records)),
                                          ('s12', 1024), memory.given()], [memory.left()])


# Scalar -------------------------------------------------------------------------------------------------------------
def scalar_memory():
    for suffix, n in (('', 1), ('x2', 2), ('x4', 4), ('x8', 8), ('x16', 16)):
        for buffer in (False, True):
            mnemonic = 's_%sload_dword%s' % ('buffer_' if buffer else '', suffix)
            file = File(mnemonic, 'D = memory')
            rnd = Random(mnemonic)
            memory = Bytes('mem', 4096 - 64, 64, rnd)
            base = ('s[8:11]', descriptor()) if buffer else ('s[8:9]', address(4096 - 64))
            start = 0 if buffer else 4032
            for which, operand, ins, at in (('immediate', '0x%x' % (4040 - start), [], 4040),
                                            ('register', 's12', [('s12', 4092 - start)], 4092),
                                            ('both', 's12 offset:0x10', [('s12', 4096 - start)], 4112)):
                value = sum(memory.load(at + 4 * i, 4) << 32 * i for i in range(n))
                file.case(which, '%s %s, %s, %s' % (mnemonic, sreg(20, n), base[0], operand),
                          [('exec', 0), base, memory.given()] + ins, [(sreg(20, n), value)])
    for suffix, n in (('', 1), ('x2', 2), ('x4', 4)):
        for base in SCALAR_BASES:
            mnemonic = 's_%sstore_dword%s' % (base[0], suffix)
            file = File(mnemonic, 'memory = D')
            rnd = Random(mnemonic)
            memory = Bytes('mem', 256, 16, rnd)
            value = rnd.bits(32 * n)
            memory.store(272, 4 * n, value)
            file.case('immediate', ['%s %s, %s, 0x110' % (mnemonic, sreg(20, n), base[1]), 's_dcache_wb'],
                      [base[1:], (sreg(20, n), value), memory.given()], [memory.left()])
    for bits, suffix in ((32, ''), (64, '_x2')):
        for name, fn in atomic_ops(bits).items():
            for base in SCALAR_BASES:
                scalar_atomic('s_%satomic_%s%s' % (base[0], name, suffix), base, bits, fn)
        for base in SCALAR_BASES:
            scalar_compare_swap('s_%satomic_cmpswap%s' % (base[0], suffix), base, bits)


# Part of the mnemonic, register, value.
SCALAR_BASES = [('', 's[8:9]', address(0)), ('buffer_', 's[8:11]', descriptor())]


def scalar_atomic(mnemonic, base, bits, fn):
    file = File(mnemonic, 'memory = memory op D')
    rnd = Random(mnemonic)
    for which in ('plain', 'returned'):
        memory = Bytes('mem', 256, 8, rnd)
        data, old = rnd.bits(bits), memory.load(264, bits // 8)
        memory.store(264, bits // 8, fn(old, data))
        glc = ' glc' if which == 'returned' else ''
        out = [(sreg(20, bits // 32), old)] if glc else []
        file.case(which, '%s %s, %s, 0x108%s' % (mnemonic, sreg(20, bits // 32), base[1], glc),
                  [base[1:], (sreg(20, bits // 32), data), memory.given()], out + [memory.left()])


def scalar_compare_swap(mnemonic, base, bits):
    file = File(mnemonic, 'memory = D[0] if it is D[1]')
    rnd = Random(mnemonic)
    n = bits // 32
    for which in ('equal', 'other', 'returned'):
        memory = Bytes('mem', 256, 8, rnd)
        old, new = memory.load(264, bits // 8), rnd.bits(bits)
        compare = rnd.bits(bits) if which == 'other' else old
        if compare == old:
            memory.store(264, bits // 8, new)
        glc = ' glc' if which == 'returned' else ''
        out = [(sreg(20, n), old)] if glc else []
        file.case(which, '%s %s, %s, 0x108%s' % (mnemonic, sreg(20, 2 * n), base[1], glc),
                  [base[1:], (sreg(20, 2 * n), new | compare << bits), memory.given()], out + [memory.left()])


def buffer_halves():
    for name, (size, sign) in D16.items():
        for high in (False, True):
            mnemonic = 'buffer_load_' + name + ('_hi' if high else '')
            file = File(mnemonic, 'one half of D = buffer, the other stays')
            rnd = Random(mnemonic)
            memory = Bytes('mem', 256, 64, rnd)
            offsets = [256 + 2 * i for i in shuffled(rnd)]
            olds = [rnd.bits(32) for _ in range(LANES)]
            got = [widen(memory.load(o, size), size, sign) & 0xffff for o in offsets]
            values = [o & 0xffff | v << 16 if high else o & 0xffff0000 | v for o, v in zip(olds, got)]
            file.case('offen', mnemonic + ' v20, v2, s[8:11], 0 offen',
                      exec_in(PARTIAL) + [('v2', offsets), ('v20', olds), ('s[8:11]', descriptor()), memory.given()],
                      [('v20', masked(values, PARTIAL))])
    for name, size in (('byte_d16_hi', 1), ('short_d16_hi', 2)):
        mnemonic = 'buffer_store_' + name
        file = File(mnemonic, 'buffer = high half of D')
        rnd = Random(mnemonic)
        memory = Bytes('mem', 256, 64, rnd)
        offsets = [256 + 2 * i for i in shuffled(rnd)]
        data = [rnd.bits(32) for _ in range(LANES)]
        for lane, o in enumerate(offsets):
            if PARTIAL >> lane & 1:
                memory.store(o, size, data[lane] >> 16)
        file.case('offen', mnemonic + ' v6, v2, s[8:11], 0 offen',
                  exec_in(PARTIAL) + [('v2', offsets), ('v6', data), ('s[8:11]', descriptor()), memory.given()],
                  [memory.left()])
    for name in ('buffer_wbl2', 'buffer_invl2', 'buffer_wbinvl1', 'buffer_wbinvl1_vol'):
        File(name, 'changes neither registers nor memory').case('c0', name, [], [])


def clocks():
    for name in ('s_memtime', 's_memrealtime'):
        file = File(name, 'a clock that does not run backwards')
        file.case('difference', [name + ' s[4:5]', 's_waitcnt lgkmcnt(0)', name + ' s[6:7]', 's_waitcnt lgkmcnt(0)',
                                 's_sub_u32 s20, s6, s4', 's_subb_u32 s21, s7, s5', 's_ashr_i32 s22, s21, 31'], [],
                  [('s[4:5]', '?'), ('s[6:7]', '?'), ('s20', '?'), ('s21', '?'), ('s22', 0), ('scc', 0)])


def make():
    clocks()
    buffer_halves()
    for kind in ('global', 'flat'):
        global_loads(kind)
        global_stores(kind)
        atomics(kind)
    buffer_loads()
    buffer_stores()
    atomics('buffer')
    scalar_memory()
