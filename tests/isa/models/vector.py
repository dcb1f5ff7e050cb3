# SPDX-License-Identifier: MIT
"""Vector instructions lane by lane: from a model of one lane to the cases of every form the instruction has."""
from .cases import File, FULL, HIP_MODE, LANES, PARTIAL, ROWS, Random, exec_in, lane_mask, masked, sreg, vreg
from .fp import NAN, NEAREST
from .values import TYPES, signed

DST, SOURCES = 20, (2, 6, 10)
MODE_OMOD = 0x1c0  # no IEEE, f32 denormals flushed: output modifiers work


def inputs(types, rnd, which):
    """Columns of 64 values: edges against edges, or random."""
    n = len(types)
    if which == 'random':
        return [[t.random(rnd) for _ in range(LANES)] for t in types]
    side = {1: 64, 2: 8, 3: 4}[n]
    columns = []
    for i, t in enumerate(types):
        edges = t.edges
        start = {'edges': 0, 'more': 8}[which] if n > 1 else 0
        if n == 3:
            start = start // 2 + 3 * i
        pool = [edges[(start + j) % len(edges)] for j in range(min(side, len(edges)))]
        while len(pool) < side:
            pool.append(t.random(rnd))
        step = side ** i if n > 1 else 1
        columns.append([pool[lane // step % side] for lane in range(LANES)])
    return columns


def finish(value, bits, fmt):
    """A result as a register holds it: 16-bit results have zeros above."""
    if value == NAN:
        return 'nan16' if bits == 16 else NAN
    if isinstance(value, str):
        return value
    return value & ((1 << max(32, bits)) - 1)


class Valu:
    """fn(*sources, mode=MODE) gives the destination's bits; 16-bit results are 16 bits wide."""

    def __init__(self, mnemonic, text, dst, sources, fn, ulp=0, keep_high=False, accumulate=False, uses_mode=False,
                 modifiers=True, extra=()):
        self.m = mnemonic
        self.dst = TYPES[dst]
        self.types = [TYPES[s] for s in sources]
        self.fn, self.ulp = fn, ulp
        self.keep_high, self.accumulate, self.uses_mode = keep_high, accumulate, uses_mode
        self.modifiers = modifiers
        self.short = next((ROWS[e, mnemonic] for e in ('Vop1', 'Vop2') if (e, mnemonic) in ROWS), None)
        self.long = ROWS.get(('Vop3', mnemonic))
        self.rnd = Random(mnemonic)
        self.file = File(mnemonic, text)
        self.cases()
        for make in extra:
            make(self)

    # The lane model with everything around it.
    def lane(self, args, mode=HIP_MODE):
        return self.fn(*args, mode=mode) if self.uses_mode else self.fn(*args)

    def results(self, columns, olds=None, mode=HIP_MODE):
        out = []
        for lane in range(LANES):
            args = [c[lane] for c in columns]
            old = olds[lane] & ((1 << self.dst.bits) - 1) if self.accumulate else None
            out.append(self.lane(args + ([old] if self.accumulate else []), mode))
        return out

    def old(self):
        """Values of the destination before, for instructions that read it or write a half of it."""
        if self.accumulate and self.keep_high:
            return [self.dst.random(self.rnd) | self.rnd.bits(16) << 16 for _ in range(LANES)]
        if self.keep_high:
            return [self.rnd.bits(32) for _ in range(LANES)]
        return [self.dst.random(self.rnd) for _ in range(LANES)] if self.accumulate else None

    def merged(self, values, olds):
        """The old high half stays; where the result is a NaN, it must have been 0 to be compared."""
        if not self.keep_high:
            return values
        for lane, value in enumerate(values):
            if value == NAN or self.dst.fmt and value not in ('-', '?') and self.dst.fmt.is_nan(value):
                olds[lane] &= 0xffff
        return [v if isinstance(v, str) else v & 0xffff | olds[i] & 0xffff0000 for i, v in enumerate(values)]

    def suffix(self, form):
        return {'e32': '_e32', 'e64': '_e64' if self.short else ''}[form]

    def ins(self, columns, olds, mask=FULL, skip=()):
        out = exec_in(mask)
        for i, column in enumerate(columns):
            if i not in skip:
                out.append((vreg(SOURCES[i], self.types[i].dwords), column))
        if olds:
            out.append((vreg(DST, self.dst.dwords), olds))
        return out

    def out(self, values, mask, register=DST):
        values = [finish(v, self.dst.bits, self.dst.fmt) for v in values]
        return [(vreg(register, self.dst.dwords), masked(values, mask))]

    def sources(self):
        return [vreg(SOURCES[i], t.dwords) for i, t in enumerate(self.types)]

    def line(self, form, sources, tail='', register=DST):
        operands = ', '.join([vreg(register, self.dst.dwords)] + sources)
        return '%s%s %s%s' % (self.m, self.suffix(form), operands, tail)

    def add(self, name, form, columns, mask=FULL, sources=None, tail='', values=None, ins=None, skip=(), mode=HIP_MODE,
            register=DST):
        olds = self.old()
        values = self.results(columns, olds, mode) if values is None else values(columns, olds)
        values = self.merged(values, olds)
        given = self.ins(columns, olds, mask, skip) + (ins or []) + ([('mode', mode)] if mode != HIP_MODE else [])
        self.file.case(name, self.line(form, sources or self.sources(), tail, register), given,
                       self.out(values, mask, register), self.ulp)

    def cases(self):
        form = 'e32' if self.short else 'e64'
        self.add('edges', form, inputs(self.types, self.rnd, 'edges'))
        if len(self.types) > 1:
            self.add('more', form, inputs(self.types, self.rnd, 'more'))
        self.add('random', form, inputs(self.types, self.rnd, 'random'), PARTIAL)
        if self.dst.dwords == self.types[0].dwords and not self.accumulate and not self.keep_high:
            self.add('overlap', form, inputs(self.types, self.rnd, 'random'), ~PARTIAL & FULL, register=SOURCES[0])
        self.scalar_source(form)
        if self.short and self.long:
            self.add('e64', 'e64', inputs(self.types, self.rnd, 'random'), PARTIAL)
            self.last_source_scalar()
        if self.long and self.modifiers:
            self.float_modifiers()
        if self.short and 'kSdwa' in self.short.flags and self.dst.dwords == 1 and not self.keep_high:
            self.sdwa()
        if self.short and 'kDpp' in self.short.flags and not self.keep_high:
            self.dpp()

    def scalar_source(self, form):
        t = self.types[0]
        value = t.random(self.rnd)
        columns = inputs(self.types, self.rnd, 'random')
        columns[0] = [value] * LANES
        self.add('sgpr', form, columns, sources=[sreg(4, t.dwords)] + self.sources()[1:], skip=(0,),
                 ins=[(sreg(4, t.dwords), value)])
        text, value = ('-4.0', t.fmt.sign | t.fmt.one + (2 << t.fmt.fbits)) if t.fmt else ('-7', -7 & ((1 << t.bits) - 1))
        columns = inputs(self.types, self.rnd, 'random')
        columns[0] = [value] * LANES
        self.add('inline', form, columns, sources=[text] + self.sources()[1:], skip=(0,))
        if form == 'e32' and not (t.fmt and t.bits == 64) and t.bits != 64:
            value = t.random(self.rnd) | 0x1234 & ~1
            columns = inputs(self.types, self.rnd, 'random')
            columns[0] = [value] * LANES
            self.add('literal', form, columns, sources=['0x%x' % value] + self.sources()[1:], skip=(0,))

    def last_source_scalar(self):
        if len(self.types) < 2:
            return
        t = self.types[1]
        value = t.random(self.rnd)
        columns = inputs(self.types, self.rnd, 'random')
        columns[1] = [value] * LANES
        sources = self.sources()
        sources[1] = sreg(8, t.dwords)
        self.add('e64_sgpr', 'e64', columns, sources=sources, skip=(1,), ins=[(sreg(8, t.dwords), value)])

    # Modifiers -------------------------------------------------------------------------------------------------
    def modified(self, value, i, neg, absolute):
        f = self.types[i].fmt
        if f is None:
            return value
        if absolute >> i & 1:
            value &= ~f.sign
        if neg >> i & 1:
            value ^= f.sign
        return value

    def with_mods(self, neg, absolute, mode=HIP_MODE):
        def values(columns, olds):
            changed = [[self.modified(v, i, neg, absolute) for v in c] for i, c in enumerate(columns)]
            return self.results(changed, olds, mode)
        return values

    def mod_sources(self, neg, absolute, base=None):
        out = []
        for i, text in enumerate(base or self.sources()):
            if self.types[i].fmt:
                text = '|%s|' % text if absolute >> i & 1 else text
                text = '-' + text if neg >> i & 1 else text
            out.append(text)
        return out

    def float_modifiers(self):
        flags = self.long.flags
        if 'kMods' in flags and any(t.fmt for t in self.types):
            n = len(self.types)
            combos = [((1 << n) - 1, 0), (1, 1 << (n - 1)), (0, (1 << n) - 1)]
            for index, (neg, absolute) in enumerate(combos):
                self.add('mods%d' % index, 'e64', inputs(self.types, self.rnd, 'random'), PARTIAL,
                         self.mod_sources(neg, absolute), values=self.with_mods(neg, absolute))
        f = self.dst.fmt
        if f is None:
            return
        if 'kClamp' in flags:
            def clamped(columns, olds):
                return [self.clamp(v) for v in self.results(columns, olds)]
            self.add('clamp', 'e64', inputs(self.types, self.rnd, 'random'), tail=' clamp', values=clamped)
        if 'kOmod' in flags and f.name == 'f32' and not self.ulp:
            for text, n in ((' mul:2', 1), (' mul:4', 2), (' div:2', -1)):
                def scaled(columns, olds, n=n):
                    return [self.omod(v, n) for v in self.results(columns, olds, MODE_OMOD)]
                self.add('omod_' + text[1:].replace(':', ''), 'e64', self.plain_inputs(), tail=text, values=scaled,
                         mode=MODE_OMOD)

    def plain_inputs(self):
        """Numbers near 1: nothing overflows or is denormal."""
        out = []
        for t in self.types:
            f = t.fmt
            out.append([(f.sign if self.rnd.below(2) else 0) | (f.bias - 3 + self.rnd.below(7)) << f.fbits |
                        self.rnd.bits(f.fbits) if f else t.random(self.rnd) for _ in range(LANES)])
        return out

    def clamp(self, v):
        f = self.dst.fmt
        if v == '?':
            return v
        if v == NAN or f.is_nan(v):
            return 0
        if f.is_zero(v):
            return '?'  # the sign of zero
        if f.negative(v):
            return 0
        return f.one if f.compare(v, f.one) > 0 else v

    def omod(self, v, n):
        f = self.dst.fmt
        if isinstance(v, str) or f.is_zero(v):
            return v if isinstance(v, str) else '?'
        return f.scale(v, n)

    # Parts of registers ----------------------------------------------------------------------------------------
    SELECTS = ['BYTE_0', 'BYTE_1', 'BYTE_2', 'BYTE_3', 'WORD_0', 'WORD_1', 'DWORD']

    def select(self, register, which, sext, t):
        if which < 4:
            value, bits = register >> (8 * which) & 0xff, 8
        elif which < 6:
            value, bits = register >> (16 * (which - 4)) & 0xffff, 16
        else:
            value, bits = register, 32
        if sext:
            value = signed(value, bits) & 0xffffffff
        return value & ((1 << t.bits) - 1)

    def place(self, value, old, which, unused):
        """A result merged into the old register."""
        if isinstance(value, str):
            return '?'
        if which == 6:
            return value & 0xffffffff
        bits = 8 if which < 4 else 16
        low = 8 * which if which < 4 else 16 * (which - 4)
        mask = ((1 << bits) - 1) << low
        placed = value << low & mask
        if unused == 'UNUSED_PRESERVE':
            return placed | old & ~mask & 0xffffffff
        if unused == 'UNUSED_SEXT' and value >> (bits - 1) & 1:
            return placed | 0xffffffff & ~((1 << (low + bits)) - 1)
        return placed

    def sdwa(self):
        n = len(self.types)
        floats = any(t.fmt for t in self.types)
        combos = [(0, 'UNUSED_PAD', (5, 1), 0), (5, 'UNUSED_PRESERVE', (4, 5), 0), (4, 'UNUSED_SEXT', (2, 6), 0),
                  (6, 'UNUSED_PAD', (3, 0), 3 if not floats else 0), (2, 'UNUSED_PRESERVE', (6, 4), 0)]
        for index, (to, unused, selects, sext) in enumerate(combos):
            if self.accumulate or self.keep_high:
                return
            registers = [[self.rnd.bits(32) for _ in range(LANES)] for _ in range(n)]
            olds = [self.rnd.bits(32) for _ in range(LANES)]
            sources = self.sources()
            if sext:
                sources = ['sext(%s)' % s for s in sources]
            tail = ' dst_sel:%s dst_unused:%s' % (self.SELECTS[to], unused)
            columns = []
            for i in range(n):
                tail += ' src%d_sel:%s' % (i, self.SELECTS[selects[i]])
                columns.append([self.select(r, selects[i], sext >> i & 1, self.types[i]) for r in registers[i]])
            values = [self.place(v, o, to, unused) for v, o in zip(self.results(columns), olds)]
            ins = exec_in(PARTIAL) + [(vreg(SOURCES[i], 1), registers[i]) for i in range(n)] + [(vreg(DST, 1), olds)]
            line = '%s_sdwa %s%s' % (self.m, ', '.join([vreg(DST, 1)] + sources), tail)
            self.file.case('sdwa%d' % index, line, ins, [(vreg(DST, 1), masked(values, PARTIAL))], self.ulp)

    # Other lanes -----------------------------------------------------------------------------------------------
    def dpp(self):
        wide = self.dst.dwords > 1 or any(t.dwords > 1 for t in self.types)
        controls = DPP_WIDE if wide else DPP_CONTROLS
        pick = Random(self.m + 'dpp')
        chosen = [controls[pick.below(len(controls))] for _ in range(2)] if not self.m == 'v_mov_b32' else controls
        for index, (text, source_lane) in enumerate(chosen):
            rows, banks = (0xf, 0xf) if index % 2 == 0 else (0xb, 0xd)
            bound = index % 3 == 0
            self.dpp_case('dpp%d' % index, text, source_lane, rows, banks, bound)

    def dpp_case(self, name, text, source_lane, rows, banks, bound):
        columns = inputs(self.types, self.rnd, 'random')
        olds = self.old() or [self.dst.random(self.rnd) for _ in range(LANES)]
        mask = PARTIAL
        values = []
        for lane in range(LANES):
            if not mask >> lane & 1 or not rows >> lane // 16 & 1 or not banks >> (lane % 16) // 4 & 1:
                values.append('-')
                continue
            source = source_lane(lane)
            valid = source is not None and mask >> source & 1
            if not valid and not bound:
                values.append('-')  # the lane is switched off
                continue
            first = columns[0][source] if valid else 0
            args = [first] + [c[lane] for c in columns[1:]] + ([olds[lane]] if self.accumulate else [])
            values.append(finish(self.lane(args), self.dst.bits, self.dst.fmt))
        tail = ' %s row_mask:0x%x bank_mask:0x%x%s' % (text, rows, banks, ' bound_ctrl:0' if bound else '')
        line = '%s_dpp %s%s' % (self.m, ', '.join([vreg(DST, self.dst.dwords)] + self.sources()), tail)
        ins = self.ins(columns, None, mask) + [(vreg(DST, self.dst.dwords), olds)]
        self.file.case(name, line, ins, [(vreg(DST, self.dst.dwords), values)], self.ulp)


def _in_row(shift):
    """Source `shift` lanes up, None outside of the row of 16."""
    return lambda lane: lane + shift if 0 <= lane % 16 + shift < 16 else None


DPP_CONTROLS = [
    ('quad_perm:[1,0,3,2]', lambda lane: lane & ~3 | (1, 0, 3, 2)[lane & 3]),
    ('quad_perm:[2,2,2,0]', lambda lane: lane & ~3 | (2, 2, 2, 0)[lane & 3]),
    ('row_shl:1', _in_row(1)), ('row_shl:5', _in_row(5)), ('row_shl:15', _in_row(15)),
    ('row_shr:1', _in_row(-1)), ('row_shr:8', _in_row(-8)),
    ('row_ror:3', lambda lane: lane & ~15 | (lane - 3) & 15), ('row_ror:12', lambda lane: lane & ~15 | (lane - 12) & 15),
    ('wave_shl:1', lambda lane: lane + 1 if lane < 63 else None), ('wave_rol:1', lambda lane: (lane + 1) & 63),
    ('wave_shr:1', lambda lane: lane - 1 if lane else None), ('wave_ror:1', lambda lane: (lane - 1) & 63),
    ('row_mirror', lambda lane: lane ^ 15), ('row_half_mirror', lambda lane: lane ^ 7),
    ('row_bcast:15', lambda lane: (lane & ~15) - 1 if lane >= 16 else None),
    ('row_bcast:31', lambda lane: 31 if lane >= 32 else None),
    ('row_newbcast:5', lambda lane: lane & ~15 | 5), ('row_newbcast:0', lambda lane: lane & ~15)]
DPP_WIDE = [c for c in DPP_CONTROLS if c[0].startswith('row_newbcast')]
