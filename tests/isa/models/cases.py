# SPDX-License-Identifier: MIT
"""Files of cases: how they are written down (the format is described in runner/case_file.h), and the table of forms."""
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '..')
FULL = (1 << 64) - 1
PARTIAL = 0x9e3779b97f4a7c15
LANES = 64
HIP_MODE = 0x3f0


class Row:
    def __init__(self, encoding, mnemonic, slots, flags):
        self.encoding, self.mnemonic, self.slots, self.flags = encoding, mnemonic, slots, flags


def read_rows():
    """(encoding, mnemonic) -> Row, from the decoder's table: it says which forms exist, not what they do."""
    rows = {}
    with open(os.path.join(ROOT, 'device/isa/ops.inc')) as file:
        for line in file:
            m = re.match(r'KFDLAB_OP\((\w+), \d+, (\w+), (.*), ([^,]*)\)$', line)
            if m:
                rows[m[1], m[2]] = Row(m[1], m[2], m[3].split(', '), set(m[4].split(' | ')))
    return rows


ROWS = read_rows()


def number(value):
    return value if isinstance(value, str) else '%x' % value


def runs(values):
    """Values with repetitions as VALUE*N."""
    out = []
    for value in map(number, values):
        if out and out[-1][0] == value:
            out[-1][1] += 1
        else:
            out.append([value, 1])
    return [v if n == 1 else '%s*%d' % (v, n) for v, n in out]


def period(values):
    """The shortest beginning that repeats to the whole."""
    for n in (1, 2, 4, 8, 16, 32):
        if n < len(values) and all(values[i] == values[i % n] for i in range(len(values))):
            return values[:n]
    return values


def setting(kind, place, values, ulp=0):
    values = values if isinstance(values, list) else [values]
    words = runs(period(values) if place[0] in 'va' else values)
    line = '; %s %s%s =' % (kind, place, ' ulp %d' % ulp if ulp else '')
    lines = []
    for word in words:
        if len(line) + 1 + len(word) > 118:
            lines.append(line)
            line = ';   ' + word
        else:
            line += ' ' + word
    return lines + [line]


class File:
    files = {}

    def __init__(self, mnemonic, text):
        self.mnemonic, self.text, self.cases = mnemonic, text, []
        assert mnemonic not in File.files, mnemonic
        File.files[mnemonic] = self

    def case(self, name, code, ins, outs, ulp=0):
        """ins, outs: lists of (place, value or list). code: lines of assembly without s_endpgm."""
        lines = ['; case ' + name]
        for place, values in ins:
            lines += setting('in', place, values)
        for place, values in outs:
            floating = ulp and place[0] in 'va'
            lines += setting('out', place, values, ulp if floating else 0)
        lines.append('%s.%s:' % (self.mnemonic, name))
        lines += ['  ' + line for line in ([code] if isinstance(code, str) else code)]
        lines.append('  s_endpgm')
        assert all(name != c[0] for c in self.cases), (self.mnemonic, name)
        self.cases.append((name, lines))

    def write(self, directory):
        lines = ['; SPDX-License-Identifier: MIT', '; %s: %s' % (self.mnemonic, self.text),
                 '; Made by tests/isa/generate.py, whose models know nothing of the engine.']
        for _, case in self.cases:
            lines += [''] + case
        content = '\n'.join(lines) + '\n'
        path = os.path.join(directory, self.mnemonic + '.s')
        if not os.path.exists(path) or open(path).read() != content:
            with open(path, 'w') as file:
                file.write(content)


def exec_in(mask):
    return [] if mask == FULL else [('exec', mask)]


def masked(values, mask):
    """What an `out` of a vector says: inactive lanes do not change."""
    return [v if mask >> lane & 1 else '-' for lane, v in enumerate(values)]


def lane_mask(values, mask):
    """One bit for each active lane with a true value."""
    return sum(1 << lane for lane, v in enumerate(values) if v and mask >> lane & 1)


def vreg(first, dwords, file='v'):
    return '%s%d' % (file, first) if dwords == 1 else '%s[%d:%d]' % (file, first, first + dwords - 1)


def sreg(first, dwords):
    return vreg(first, dwords, 's')


class Random:
    """The same numbers everywhere and always."""

    def __init__(self, seed):
        self.state = sum(ord(c) * 131 ** i for i, c in enumerate(seed)) & FULL if isinstance(seed, str) else seed

    def bits(self, n):
        value = 0
        for _ in range((n + 31) // 32):
            self.state = (self.state + 0x9e3779b97f4a7c15) & FULL
            z = self.state
            z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & FULL
            z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & FULL
            value = (value << 32) | ((z ^ (z >> 31)) & 0xffffffff)
        return value & ((1 << n) - 1)

    def below(self, n):
        return self.bits(32) % n

    def pick(self, values):
        return values[self.below(len(values))]
