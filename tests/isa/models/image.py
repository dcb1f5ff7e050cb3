# SPDX-License-Identifier: MIT
"""Images: CDNA 2 ISA manual, section 9.2 (descriptors, samplers, what lies outside)."""
from fractions import Fraction

from .cases import File, LANES, PARTIAL, Random, exec_in, masked, vreg
from .memory import Bytes, MEM_VA, atomic_ops
from .typed import FLOAT, SINT, SNORM, UINT, UNORM, F32, data_value, half, packed, raw_element, single, size_of, unpack
from .typed import FORMATS
from .values import signed

M32 = 0xffffffff
START = 1024
ONE_D, TWO_D, THREE_D, ONE_D_ARRAY, TWO_D_ARRAY = 8, 9, 10, 12, 13
AXES = {ONE_D: 1, TWO_D: 2, THREE_D: 3, ONE_D_ARRAY: 1, TWO_D_ARRAY: 2}
XYZW = (4, 5, 6, 7)
LINE = 's[8:15] dmask:0x%x unorm'


class Image:
    """13 x 5 texels of 3 planes, rows of 16."""

    def __init__(self, kind, data, number, rnd, select=XYZW):
        self.kind, self.data, self.number, self.select = kind, data, number, select
        self.bytes = size_of(data)
        self.size = [13, 5 if AXES[kind] > 1 else 1, 3 if AXES[kind] > 2 else 1]
        self.slices = 3 if kind in (ONE_D_ARRAY, TWO_D_ARRAY) else 1
        planes = self.size[2] * self.slices
        self.memory = Bytes('mem', START, (16 * self.size[1] * planes * self.bytes + 3) // 4, rnd)
        for i in range(16 * self.size[1] * planes):
            self.memory.store(START + i * self.bytes, self.bytes, raw_element(rnd, data, number))
        self.memory.before = list(self.memory.now)

    def descriptor(self):
        base = MEM_VA + START >> 8
        depth = self.size[2] * self.slices
        words = [base & M32, base >> 32 | self.data << 20 | self.number << 26, 12 | self.size[1] - 1 << 14,
                 sum(s << 3 * i for i, s in enumerate(self.select)) | self.kind << 28, depth - 1 | 15 << 13, 0, 0, 0]
        return [('s[8:15]', ['%x' % sum(w << 32 * i for i, w in enumerate(words))])]

    def coordinates(self):
        return AXES[self.kind] + (self.slices > 1)

    def place(self, at):
        """Offset of a texel, None outside. at: one number for each coordinate."""
        sizes = self.size[:AXES[self.kind]] + [self.slices] * (self.slices > 1)
        if any(not 0 <= c < s for c, s in zip(at, sizes)):
            return None
        x, y, z = (list(at) + [0, 0])[:3] if self.kind != ONE_D_ARRAY else (at[0], 0, at[1])
        return START + ((z * self.size[1] + y) * 16 + x) * self.bytes

    def selected(self, parts):
        one = 1 if self.number in (UINT, SINT) else F32.one
        return [parts[s - 4] if s >= 4 else one if s == 1 else 0 for s in self.select]


def texels(image, rnd, lanes=LANES):
    """A place for each lane, no two the same, some outside."""
    sizes = image.size[:AXES[image.kind]] + [image.slices] * (image.slices > 1)
    all_of = [[]]
    for s in sizes:
        all_of = [a + [c] for a in all_of for c in [-1, *range(s), s]]
    picked = []
    for _ in range(lanes):
        picked.append(all_of.pop(rnd.below(len(all_of))) if all_of else [-1] * len(sizes))
    return picked


def given(places):
    """Coordinates from v2 on."""
    return [('v%d' % (2 + i), [p[i] & M32 for p in places]) for i in range(len(places[0]))]


KINDS = ((TWO_D, 14, UINT, XYZW), (TWO_D, 10, UNORM, (6, 5, 4, 7)), (ONE_D, 4, FLOAT, (4, 0, 0, 1)),
         (THREE_D, 12, SNORM, XYZW), (ONE_D_ARRAY, 3, SINT, (4, 5, 0, 1)), (TWO_D_ARRAY, 11, FLOAT, (4, 5, 0, 1)),
         (TWO_D, 1, UINT, (4, 4, 4, 1)))


def load(mnemonic, how):
    file, rnd = File(mnemonic, 'D = a texel'), Random(mnemonic)
    for kind, data, number, select in KINDS:
        for mask in (0xf, 0x5):
            image = Image(kind, data, number, rnd, select)
            places = texels(image, rnd)
            levels = [rnd.pick([0, 0, 0, 1]) for _ in places]
            values = []
            for at, level in zip(places, levels):
                offset = image.place(at)
                if offset is None or ('mip' in mnemonic and level):
                    parts = [0] * 4
                elif how == 'format':
                    parts = image.selected(unpack(image.memory.load(offset, image.bytes), data, number))
                else:
                    raw = image.memory.load(offset, image.bytes)
                    raw = signed(raw, 8 * image.bytes) & M32 if how == 'signed' and image.bytes < 4 else raw
                    parts = [raw >> 32 * i & M32 for i in range(4)]
                chosen = [p for i, p in enumerate(parts) if mask >> i & 1]
                values.append(sum(p << 32 * i for i, p in enumerate(chosen)))
            n = bin(mask).count('1')
            last = [('v%d' % (2 + image.coordinates()), levels)] if 'mip' in mnemonic else []
            file.case('k%d_d%d_m%d' % (kind, data, mask), '%s %s, v2, %s%s' % (mnemonic, vreg(20, n), LINE % mask,
                                                                         ' da' * (image.slices > 1)),
                      exec_in(PARTIAL) + image.descriptor() + given(places) + last + [image.memory.given()],
                      [(vreg(20, n), masked(values, PARTIAL))])


def store(mnemonic, packs):
    file, rnd = File(mnemonic, 'a texel = D'), Random(mnemonic)
    for kind, data, number, select in KINDS:
        if len({s for s in select if s >= 4}) < sum(s >= 4 for s in select):
            continue
        image = Image(kind, data, number, rnd, select)
        places = texels(image, rnd)
        levels = [rnd.pick([0, 0, 0, 1]) for _ in places]
        sources = []
        for lane, (at, level) in enumerate(zip(places, levels)):
            values = [data_value(rnd, number, False) for _ in range(4)]
            parts = [0] * 4
            for value, s in zip(values, select):
                if s >= 4:
                    parts[s - 4] = value
            element, shift = 0, 0
            for part, width in zip(parts, FORMATS[data]):
                element |= packed(part, width, number) << shift
                shift += width
            if not packs:
                element = sum(v << 32 * i for i, v in enumerate(values)) & (1 << 8 * image.bytes) - 1
            offset = image.place(at)
            if offset is not None and PARTIAL >> lane & 1 and not ('mip' in mnemonic and level):
                image.memory.store(offset, image.bytes, element)
            sources.append(sum(v << 32 * i for i, v in enumerate(values)))
        last = [('v%d' % (2 + image.coordinates()), levels)] if 'mip' in mnemonic else []
        array = ' da' * (image.slices > 1)
        file.case('k%d_d%d' % (kind, data), '%s v[20:23], v2, %s%s' % (mnemonic, LINE % 0xf, array),
                  exec_in(PARTIAL) + image.descriptor() + given(places) + last +
                  [('v[20:23]', sources), image.memory.given()], [image.memory.left()])


def halves():
    """d16: two components to a register."""
    rnd = Random('halves')
    image = Image(TWO_D, 10, UNORM, rnd)
    places = texels(image, rnd)
    values = []
    for at in places:
        offset = image.place(at)
        parts = [0] * 4 if offset is None else unpack(image.memory.load(offset, 4), 10, UNORM)
        values.append(sum(half(p) << 16 * i for i, p in enumerate(parts)))
    File.files['image_load'].case('d16', 'image_load v[20:21], v2, %s d16' % (LINE % 0xf),
                                  exec_in(PARTIAL) + image.descriptor() + given(places) + [image.memory.given()],
                                  [('v[20:21]', masked(values, PARTIAL))])


def atomic(name, fn):
    mnemonic = 'image_atomic_' + name
    file, rnd = File(mnemonic, 'texel = texel op D'), Random(mnemonic)
    for glc in ('', ' glc'):
        image = Image(TWO_D, 4, UINT, rnd)
        places = texels(image, rnd)
        data, olds = [], []
        for lane, at in enumerate(places):
            offset = image.place(at)
            old = image.memory.load(offset, 4) if offset is not None else 0
            value = rnd.bits(32) if rnd.below(3) else old
            extra = old if rnd.below(2) else rnd.bits(32)
            new = (value if old == extra else old) if name == 'cmpswap' else fn(old, value)
            if offset is not None and PARTIAL >> lane & 1:
                image.memory.store(offset, 4, new)
            olds.append(old)
            data.append(value | extra << 32 if name == 'cmpswap' else value)
        d = 2 if name == 'cmpswap' else 1
        out = [('v20', masked(olds, PARTIAL))] if glc else []
        line = '%s %s, v2, %s%s' % (mnemonic, vreg(20, d), LINE % (3 if d == 2 else 1), glc)
        file.case('returned' if glc else 'plain', line,
                  exec_in(PARTIAL) + image.descriptor() + given(places) + [(vreg(20, d), data), image.memory.given()],
                  out + [image.memory.left()])


def sizes():
    file, rnd = File('image_get_resinfo', 'D = width, height, depth or slices, levels'), Random('resinfo')
    for kind in AXES:
        image = Image(kind, 4, UINT, rnd)
        value = image.size[0] | image.size[1] << 32 | image.size[2] * image.slices << 64 | 1 << 96
        file.case('k%d' % kind, 'image_get_resinfo v[20:23], v2, ' + LINE % 0xf, image.descriptor() + [('v2', 0)],
                  [('v[20:23]', value)])


def wrapped(i, size, mode):
    """Texel of an index, None for the border."""
    if mode == 0:
        return i % size
    if mode == 1:
        return i % (2 * size) if i % (2 * size) < size else 2 * size - 1 - i % (2 * size)
    if mode == 6:
        return i if 0 <= i < size else None
    return max(0, min(i, size - 1))


def sample():
    """Places are eighths of texels, so that what lies between texels is exact."""
    file, rnd = File('image_sample', 'D = a filtered texel'), Random('sample')
    for mode in (0, 1, 2, 6):
        for linear in (0, 1):
            for kind in (TWO_D, ONE_D) if mode == 2 else (TWO_D,):
                sample_case(file, rnd, kind, mode, linear)


def sample_case(file, rnd, kind, mode, linear):
    image = Image(kind, 10, UNORM, rnd)
    axes = AXES[kind]
    # normalized coordinates of a power of two are exact; the image has other sizes
    normal = mode < 2
    if normal:
        image.size = [8, 4 if axes > 1 else 1, 1]
    places = [[Fraction(rnd.below(320) - 100, 8) for _ in range(axes)] for _ in range(LANES)]
    values = []
    for at in places:
        sums = [Fraction(0)] * 4
        for corner in range(1 << axes if linear else 1):
            weight, texel = Fraction(1), []
            for i in range(axes):
                place = at[i] - (Fraction(1, 2) if linear else 0)
                first = place.numerator // place.denominator
                high = corner >> i & 1
                weight *= (place - first if high else 1 - place + first) if linear else 1
                texel.append(wrapped(first + high, image.size[i], mode))
            if None not in texel:
                offset = START + ((texel + [0])[1] * 16 + texel[0]) * 4
                raw = image.memory.load(offset, 4)
                sums = [s + weight * Fraction(raw >> 8 * c & 0xff, 255) for c, s in enumerate(sums)]
        values.append(sum(single(s) << 32 * i for i, s in enumerate(sums)))
    words = [mode | mode << 3 | (0 if normal else 1 << 15), 0xfff << 12, linear << 20 | linear << 22, 0]
    base = image.descriptor()
    if normal:
        number = int(base[0][1][0], 16) & ~(0xfffffff << 64) | (image.size[0] - 1 | image.size[1] - 1 << 14) << 64
        base = [('s[8:15]', ['%x' % number])]
    inputs = [('v%d' % (2 + i), [single(p[i] / image.size[i] if normal else p[i]) for p in places])
              for i in range(axes)]
    for component in range(4):
        file.case('k%d_c%d_f%d_%s' % (kind, mode, linear, 'xyzw'[component]),
                  'image_sample v20, v2, s[8:15], s[16:19] dmask:0x%x' % (1 << component),
                  exec_in(PARTIAL) + base + [('s[16:19]', sum(w << 32 * i for i, w in enumerate(words)))] + inputs +
                  [image.memory.given()],
                  [('v20', masked([v >> 32 * component & M32 for v in values], PARTIAL))], ulp=1)


def make():
    for mip in ('', '_mip'):
        load('image_load' + mip, 'format')
        load('image_load%s_pck' % mip, 'raw')
        load('image_load%s_pck_sgn' % mip, 'signed')
        store('image_store' + mip, True)
        store('image_store%s_pck' % mip, False)
    halves()
    for name, fn in atomic_ops(32).items():
        atomic(name, fn)
    atomic('cmpswap', None)
    sizes()
    sample()
