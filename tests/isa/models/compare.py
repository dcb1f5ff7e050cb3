# SPDX-License-Identifier: MIT
"""Vector compares: CDNA 2 ISA manual, section 12.9. Inactive lanes give 0; v_cmpx writes EXEC too."""
from .cases import File, FULL, LANES, PARTIAL, Random, exec_in, lane_mask, sreg, vreg
from .values import TYPES, s16, s32, s64
from .vector import inputs

INTEGER = {'f': lambda o: False, 'lt': lambda o: o < 0, 'eq': lambda o: o == 0, 'le': lambda o: o <= 0,
           'gt': lambda o: o > 0, 'ne': lambda o: o != 0, 'ge': lambda o: o >= 0, 't': lambda o: True}
ORDERED = {'f': (), 'lt': (-1,), 'eq': (0,), 'le': (-1, 0), 'gt': (1,), 'lg': (-1, 1), 'ge': (0, 1), 'o': (-1, 0, 1),
           'u': (None,), 'nge': (-1, None), 'nlg': (0, None), 'ngt': (-1, 0, None), 'nle': (1, None),
           'neq': (-1, 1, None), 'nlt': (0, 1, None), 'tru': (-1, 0, 1, None)}
KEYS = {'i16': s16, 'i32': s32, 'i64': s64}


def order(a, b):
    return (a > b) - (a < b)


class Compare:
    def __init__(self, name, text, types, fn):
        """fn(a, b): whether the lane's bit is set."""
        self.name, self.types, self.fn = name, [TYPES[t] for t in types], fn
        self.exec_too = name.startswith('v_cmpx')
        self.rnd = Random(name)
        self.file = File(name, text)
        self.cases()

    def registers(self):
        return vreg(2, self.types[0].dwords), vreg(6, self.types[1].dwords)

    def case(self, which, columns, mask, form, destination, sources=None, ins=None, fn=None):
        fn = fn or self.fn
        result = lane_mask([fn(a, b) for a, b in zip(*columns)], mask)
        names = self.registers()
        given = exec_in(mask) + (ins if ins is not None else list(zip(names, columns)))
        out = [(destination, result)] + ([('exec', result)] if self.exec_too else [])
        line = '%s%s %s, %s' % (self.name, form, destination, ', '.join(sources or names))
        self.file.case(which, line, given, out)

    def cases(self):
        first, second = self.registers()
        random = lambda: inputs(self.types, self.rnd, 'random')
        self.case('edges', inputs(self.types, self.rnd, 'edges'), FULL, '_e32', 'vcc')
        self.case('more', inputs(self.types, self.rnd, 'more'), PARTIAL, '_e32', 'vcc')
        near = random()
        near[1] = [b if self.rnd.below(2) else a & ((1 << self.types[1].bits) - 1) for a, b in zip(*near)]
        self.case('random', near, PARTIAL, '_e64', 's[40:41]')
        value = self.types[0].random(self.rnd)
        columns = random()
        columns[0] = [value] * LANES
        source = sreg(4, self.types[0].dwords)
        self.case('sgpr', columns, ~PARTIAL & FULL, '_e32', 'vcc', [source, second], [(source, value), (second, columns[1])])
        self.modifiers(random())

    def modifiers(self, columns):
        f = self.types[0].fmt
        if f is None or self.types[1].fmt is None:
            return
        first, second = self.registers()
        changed = [[a ^ f.sign for a in columns[0]], [b & ~f.sign for b in columns[1]]]
        self.case('mods', changed, PARTIAL, '_e64', 's[40:41]', ['-' + first, '|%s|' % second],
                  [(first, columns[0]), (second, columns[1])])


def class_of(f, a):
    if f.is_nan(a):
        return 0 if f.is_snan(a) else 1
    negative = f.negative(a)
    if f.is_inf(a):
        return 2 if negative else 9
    if f.is_zero(a):
        return 5 if negative else 6
    if f.is_denormal(a):
        return 4 if negative else 7
    return 3 if negative else 8


def classes(prefix):
    for t in ('f16', 'f32', 'f64'):
        f = TYPES[t].fmt
        name = '%s_class_%s' % (prefix, t)
        file = File(name, 'whether the class of S0 is one of the bits of S1: sNaN, qNaN, -inf, -normal, -denormal, -0, +0, '
                    '+denormal, +normal, +inf')
        rnd = Random(name)
        d = TYPES[t].dwords
        a = vreg(2, d)
        values = inputs([TYPES[t]], rnd, 'edges')[0]
        for which, masks, mask in (('every', [1 << class_of(f, v) for v in values], FULL),
                                   ('other', [0x3ff & ~(1 << class_of(f, v)) for v in values], FULL),
                                   ('random', [rnd.bits(10) for _ in values], PARTIAL)):
            result = lane_mask([m >> class_of(f, v) & 1 for v, m in zip(values, masks)], mask)
            out = [('exec', result)] if prefix == 'v_cmpx' else []
            file.case(which, '%s_e32 vcc, %s, v6' % (name, a), exec_in(mask) + [(a, values), ('v6', masks)],
                      [('vcc', result)] + out)
            file.case(which + '_e64', '%s_e64 s[40:41], %s, v6' % (name, a), exec_in(mask) + [(a, values), ('v6', masks)],
                      [('s[40:41]', result)] + out)


def make():
    for prefix, what in (('v_cmp', 'mask of the lanes for which it is true'), ('v_cmpx', 'the same, to EXEC too')):
        for bits in (16, 32, 64):
            for sign in 'iu':
                t = '%s%d' % (sign, bits)
                key = KEYS.get(t, lambda v: v)
                for test, fn in INTEGER.items():
                    Compare('%s_%s_%s' % (prefix, test, t), what, [t, t],
                            lambda a, b, fn=fn, key=key: fn(order(key(a), key(b))))
            t = 'f%d' % bits
            f = TYPES[t].fmt
            for test, orders in ORDERED.items():
                Compare('%s_%s_%s' % (prefix, test, t), what, [t, t],
                        lambda a, b, f=f, orders=orders: f.compare(a, b) in orders)
        classes(prefix)
