# SPDX-License-Identifier: MIT
"""Typed buffers: CDNA 2 ISA manual, section 9.1 (data formats, number formats, order of components)."""
from fractions import Fraction

from .cases import File, LANES, PARTIAL, Random, exec_in, masked, vreg
from .fp import F16, F32
from .memory import Bytes, descriptor, shuffled
from .values import signed

UNORM, SNORM, USCALED, SSCALED, UINT, SINT, _, FLOAT = range(8)
# Number of the data format: bits of the components from the lowest on.
FORMATS = {1: [8], 2: [16], 3: [8, 8], 4: [32], 5: [16, 16], 6: [11, 11, 10], 7: [10, 11, 11], 8: [2, 10, 10, 10],
           9: [10, 10, 10, 2], 10: [8] * 4, 11: [32] * 2, 12: [16] * 4, 13: [32] * 3, 14: [32] * 4}
NAMES = ('x', 'xy', 'xyz', 'xyzw')
MIXED = ((10, UNORM), (5, SNORM), (9, UNORM), (12, USCALED), (3, SSCALED), (8, UINT), (1, SINT), (4, FLOAT), (12, FLOAT),
         (14, UINT), (13, FLOAT), (6, FLOAT))


def single(value):
    """A fraction as the nearest f32."""
    negative, value = value < 0, abs(value)
    scaled = (value.numerator << 200) // value.denominator
    return F32.round(negative, scaled, -200, (value.numerator << 200) % value.denominator != 0)


def fraction(f, bits):
    negative, m, e = f.split(bits)
    return (-1 if negative else 1) * Fraction(m) * Fraction(2) ** e


def small(bits, width):
    """Unsigned floats of 10 or 11 bits, 5 of them exponent, and halves, as f32."""
    if width == 16:
        return F32.inf | (bits & 0x8000) << 16 if F16.is_inf(bits) else \
            single(fraction(F16, bits)) | (bits & 0x8000) << 16
    exponent, mantissa, n = bits >> width - 5, bits & (1 << width - 5) - 1, width - 5
    if exponent == 31:
        return F32.inf
    value = Fraction(mantissa, 1 << n) + (1 if exponent else 0)
    return single(value * Fraction(2) ** ((exponent or 1) - 15))


def component(raw, width, number):
    if number == UINT:
        return raw
    if number == SINT:
        return signed(raw, width) & 0xffffffff
    if number == FLOAT:
        return raw if width == 32 else small(raw, width)
    return single({UNORM: lambda: Fraction(raw, (1 << width) - 1),
                   SNORM: lambda: max(Fraction(signed(raw, width), (1 << width - 1) - 1), Fraction(-1)),
                   USCALED: lambda: Fraction(raw), SSCALED: lambda: Fraction(signed(raw, width))}[number]())


def half(bits):
    """f32 to f16."""
    return F16.inf | (bits >> 16 & 0x8000) if F32.is_inf(bits) else F16.round(*F32.split(bits)) | (bits >> 16 & 0x8000)


def unpack(element, data, number):
    out, at = [], 0
    for width in FORMATS[data]:
        out.append(component(element >> at & (1 << width) - 1, width, number))
        at += width
    return out + [0, 0, 0, 1 if number in (UINT, SINT) else F32.one][len(out):]


def raw_element(rnd, data, number):
    """Random bits without NaNs."""
    value, at = 0, 0
    for width in FORMATS[data]:
        bits = rnd.bits(width)
        if number == FLOAT:
            top = 0x7f800000 if width == 32 else 0x7c00 if width == 16 else 31 << width - 5
            bits &= ~(1 << (23 if width == 32 else 10 if width == 16 else width - 5)) if bits & top == top else ~0
        value |= bits << at
        at += width
    return value


def size_of(data):
    return sum(FORMATS[data]) // 8


def filled(rnd, data, number):
    size = size_of(data)
    memory = Bytes('mem', 1024, 16 * LANES // 4, rnd)
    for i in range(LANES):
        memory.store(1024 + size * i, size, raw_element(rnd, data, number))
    memory.before = list(memory.now)
    return memory, [1024 + size * i for i in shuffled(rnd)]


def place(mtbuf, data, number):
    """Descriptor and operands of a lane offset in v2. MUBUF's format and order of components are the descriptor's."""
    if mtbuf:
        return [('s[8:11]', descriptor())], 'v2, s[8:11], 0 format:%d offen' % (data | number << 4)
    words = descriptor() & (1 << 96) - 1
    return [('s[8:11]', words | (data << 15 | number << 12 | 0xfac) << 96)], 'v2, s[8:11], 0 offen'


def load(mnemonic, n, mtbuf, d16):
    file = File(mnemonic, 'D = components of a typed element')
    rnd = Random(mnemonic)
    for data, number in MIXED:
        memory, offsets = filled(rnd, data, number)
        where, text = place(mtbuf, data, number)
        olds = [rnd.bits(32) for _ in range(LANES)]
        values = []
        for lane, offset in enumerate(offsets):
            parts = unpack(memory.load(offset, size_of(data)), data, number)[:n]
            if d16:
                parts = [p & 0xffff if number in (UINT, SINT) else half(p) for p in parts]
                if n == 1:
                    old = olds[lane]
                    value = old & 0xffff | parts[0] << 16 if d16 == 'hi' else old & 0xffff0000 | parts[0]
                else:
                    value = sum(p << 16 * i for i, p in enumerate(parts))
            else:
                value = sum(p << 32 * i for i, p in enumerate(parts))
            values.append(value)
        d = (n + 1) // 2 if d16 else n
        old = [('v20', olds)] if d == 1 else []
        file.case('d%d_n%d' % (data, number), '%s %s, %s' % (mnemonic, vreg(20, d), text),
                  exec_in(PARTIAL) + where + old + [('v2', offsets), memory.given()],
                  [(vreg(20, d), masked(values, PARTIAL))])


def nearest(value):
    """To the nearest integer, ties to even."""
    low = value.numerator // value.denominator
    rest = value - low
    return low + (1 if rest > Fraction(1, 2) or rest == Fraction(1, 2) and low & 1 else 0)


def packed(bits, width, number):
    if number == UINT:
        return min(bits, (1 << width) - 1)
    if number == SINT:
        return max(min(signed(bits, 32), (1 << width - 1) - 1), -(1 << width - 1)) & (1 << width) - 1
    if number == FLOAT:
        return bits if width == 32 else half(bits)
    value, top, positive = fraction(F32, bits), (1 << width) - 1, (1 << width - 1) - 1
    if number == UNORM:
        return nearest(max(min(value, 1), 0) * top)
    if number == SNORM:
        return nearest(max(min(value, 1), -1) * positive) & top
    whole = int(value)
    return max(min(whole, top), 0) if number == USCALED else max(min(whole, positive), -positive - 1) & top


def data_value(rnd, number, d16):
    if number in (UINT, SINT):
        value = rnd.bits(rnd.pick([4, 9, 16]))
        return -value & 0xffffffff if number == SINT and rnd.below(2) else value
    exponent = (-3, 1) if number in (UNORM, SNORM) else (-2, 12)
    bits = 127 + exponent[0] + rnd.below(exponent[1] - exponent[0]) << 23 | rnd.bits(23)
    return (bits & ~0x1fff if d16 else bits) | (1 << 31 if rnd.below(3) == 0 else 0)


def store(mnemonic, n, mtbuf, d16):
    file = File(mnemonic, 'a typed element = components')
    rnd = Random(mnemonic)
    for data, number in ((10, UNORM), (5, SNORM), (9, UNORM), (12, USCALED), (3, SSCALED), (8, UINT), (1, SINT), (4, FLOAT),
                         (12, FLOAT), (14, UINT), (13, FLOAT)):
        size = size_of(data)
        memory = Bytes('mem', 1024, 16 * LANES // 4, rnd)
        offsets = [1024 + size * i for i in shuffled(rnd)]
        where, text = place(mtbuf, data, number)
        sources = []
        for lane, offset in enumerate(offsets):
            parts = [data_value(rnd, number, d16) for _ in range(n)]
            element, at = 0, 0
            for i, width in enumerate(FORMATS[data]):
                part = parts[i] if i < n else 0
                if d16 and i < n and number in (UINT, SINT):
                    part = part & 0xffff if number == UINT else signed(part & 0xffff, 16) & 0xffffffff
                element |= packed(part, width, number) << at
                at += width
            if PARTIAL >> lane & 1:
                memory.store(offset, size, element)
            if d16:
                halves = [p & 0xffff if number in (UINT, SINT) else half(p) for p in parts]
                sources.append(sum(p << 16 * i for i, p in enumerate(halves)) << (16 if d16 == 'hi' else 0))
            else:
                sources.append(sum(p << 32 * i for i, p in enumerate(parts)))
        d = (n + 1) // 2 if d16 else n
        file.case('d%d_n%d' % (data, number), '%s %s, %s' % (mnemonic, vreg(6, d), text),
                  exec_in(PARTIAL) + where + [('v2', offsets), (vreg(6, d), sources), memory.given()], [memory.left()])


def order_of_components():
    """DST_SEL of the descriptor: any component, 0 or 1."""
    file, rnd = File.files['buffer_load_format_xyzw'], Random('order')
    memory, offsets = filled(rnd, 10, UINT)
    words = descriptor() & (1 << 96) - 1
    select = 7 | 1 << 3 | 4 << 6 | 0 << 9
    values = []
    for offset in offsets:
        parts = unpack(memory.load(offset, 4), 10, UINT)
        values.append(parts[3] | 1 << 32 | parts[0] << 64)
    file.case('order', 'buffer_load_format_xyzw v[20:23], v2, s[8:11], 0 offen',
              [('v2', offsets), ('s[8:11]', words | (10 << 15 | UINT << 12 | select) << 96), memory.given()],
              [('v[20:23]', values)])


def lds_forms():
    """Lane l's dword of LDS is at M0 + offset + 4 * l."""
    for name, size, sign in (('dword', 4, False), ('ubyte', 1, False), ('sbyte', 1, True), ('ushort', 2, False),
                             ('sshort', 2, True)):
        file, rnd = File.files['buffer_load_' + name], Random('lds' + name)
        memory, lds = Bytes('mem', 1024, 256, rnd), Bytes('lds', 512, 80, rnd)
        offsets = [1024 + 4 * i for i in shuffled(rnd)]
        for lane, offset in enumerate(offsets):
            if PARTIAL >> lane & 1:
                value = memory.load(offset + 16, size)
                lds.store(512 + 16 + 4 * lane, 4, signed(value, 8 * size) & 0xffffffff if sign else value)
        file.case('lds', 'buffer_load_%s v2, s[8:11], 0 offen offset:16 lds' % name,
                  exec_in(PARTIAL) + [('v2', offsets), ('s[8:11]', descriptor()), ('m0', 512), memory.given(), lds.given()],
                  [lds.left()])
    mnemonic = 'buffer_store_lds_dword'
    file, rnd = File(mnemonic, 'memory = LDS; lanes by ADD_TID'), Random(mnemonic)
    memory, lds = Bytes('mem', 1024, 80, rnd), Bytes('lds', 512, 80, rnd)
    for lane in range(LANES):
        if PARTIAL >> lane & 1:
            memory.store(1024 + 32 + 4 * lane, 4, lds.load(512 + 32 + 4 * lane, 4))
    words = descriptor(4, 0x1000) & (1 << 96) - 1
    file.case('add_tid', mnemonic + ' s[8:11], s12 offset:32 lds',
              exec_in(PARTIAL) + [('s[8:11]', words | 1 << 96 + 23), ('s12', 1024), ('m0', 512), memory.given(), lds.given()],
              [memory.left()])


def make():
    for mtbuf, kind in ((False, 'buffer'), (True, 'tbuffer')):
        for i, name in enumerate(NAMES):
            load('%s_load_format_%s' % (kind, name), i + 1, mtbuf, None)
            store('%s_store_format_%s' % (kind, name), i + 1, mtbuf, None)
            load('%s_load_format_d16_%s' % (kind, name), i + 1, mtbuf, 'lo')
            store('%s_store_format_d16_%s' % (kind, name), i + 1, mtbuf, 'lo')
    load('buffer_load_format_d16_hi_x', 1, False, 'hi')
    store('buffer_store_format_d16_hi_x', 1, False, 'hi')
    order_of_components()
    lds_forms()
