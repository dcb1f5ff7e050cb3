# SPDX-License-Identifier: MIT
"""What compilers do not write: forks of waves, skipped vector code, counters and exchanges of LDS, scalar scratch."""
from .cases import File, LANES, PARTIAL, Random, exec_in, masked, sreg, vreg
from .memory import Bytes, address, shuffled

CSP = 29  # MODE: entries of the stack of forks


def forks():
    """Both sides add a number of their own to v20 and meet at the join; the smaller group runs first."""
    behind = ['v_add_u32 v20, 0x111, v20', 's_branch 2', 'v_add_u32 v20, 0x2220000, v20', 's_cbranch_join s12']
    full = (1 << 64) - 1
    for mnemonic, head, temps in (
            ('s_cbranch_i_fork', ['s_cbranch_i_fork s[8:9], 3'], []),
            ('s_cbranch_g_fork', ['s_getpc_b64 s[6:7]', 's_add_u32 s6, s6, 24', 's_addc_u32 s7, s7, 0',
                                  's_cbranch_g_fork s[8:9], s[6:7]'], [('s[6:7]', '?'), ('scc', '?')])):
        file = File(mnemonic, 'lanes of the mask jump, the others go on, one group after the other')
        for which, mask in (('few', 0x00ff00ff00ff0001), ('many', 0xffffffffffff0fff), ('all', full), ('none', 0)):
            out = [('v20', [lane + (0x2220000 if mask >> lane & 1 else 0x111) for lane in range(LANES)])] + temps
            if mask not in (0, full):
                last = ~mask & full if bin(mask).count('1') <= LANES // 2 else mask
                out += [('s[0:1]', last), ('s[2:3]', '?'), ('exec', last)]
            file.case(which, head + behind, [('v20', list(range(LANES))), ('s[8:9]', mask), ('s12', 0)], out)
    join = File('s_cbranch_join', 'the other group, or on if the stack is as deep as the number says')
    depth = 's_setreg_imm32_b32 hwreg(HW_REG_MODE, %d, 3), ' % CSP
    join.case('deep', [depth + '1', 's_cbranch_join s12', depth + '0'], [('s12', 1)], [])
    file = File('s_rfe_restore_b64', 'on at the address')
    file.case('c0', ['s_getpc_b64 s[6:7]', 's_add_u32 s6, s6, 20', 's_addc_u32 s7, s7, 0', 's_rfe_restore_b64 s[6:7], s4',
                     'v_mov_b32 v20, 0x777'], [], [('s[6:7]', '?'), ('scc', '?')])


def vector_skip():
    file = File('s_setvskip', 'vector instructions are nothing while the bit is set')
    file.case('on_off', ['s_setvskip s4, 3', 'v_mov_b32 v20, 0x1234567', 'ds_write_b32 v2, v3', 's_mov_b32 s20, 7',
                         's_setvskip s4, 4', 'v_mov_b32 v21, 0x89'], [('s4', 8)], [('s20', 7), ('v21', [0x89])])
    probe = File('s_atc_probe', 'nothing that code sees')
    probe.case('c0', 's_atc_probe 7, s[4:5], 0x64', [('s[4:5]', address(0))], [])
    probe = File('s_atc_probe_buffer', 'nothing that code sees')
    probe.case('c0', 's_atc_probe_buffer 1, s[8:11], s12', [], [])


def scalar_scratch():
    """A register offset counts units of 64 bytes."""
    for suffix, n in (('', 1), ('x2', 2), ('x4', 4)):
        mnemonic = 's_scratch_load_dword' + suffix
        file, rnd = File(mnemonic, 'D = memory'), Random(mnemonic)
        memory = Bytes('mem', 4096 - 64, 64, rnd)
        value = sum(memory.load(4096 + 4 * i, 4) << 32 * i for i in range(n))
        file.case('register', '%s %s, s[8:9], s12' % (mnemonic, sreg(20, n)),
                  [('s[8:9]', address(4032)), ('s12', 1), memory.given()], [(sreg(20, n), value)])
        file.case('immediate', '%s %s, s[8:9], 0x40' % (mnemonic, sreg(20, n)),
                  [('s[8:9]', address(4032)), memory.given()], [(sreg(20, n), value)])
        mnemonic = 's_scratch_store_dword' + suffix
        file = File(mnemonic, 'memory = D')
        memory = Bytes('mem', 4096 - 64, 64, rnd)
        value = rnd.bits(32 * n)
        memory.store(4096 + 64, 4 * n, value)
        file.case('register', '%s %s, s[8:9], s12' % (mnemonic, sreg(20, n)),
                  [('s[8:9]', address(4032)), ('s12', 2), (sreg(20, n), value), memory.given()], [memory.left()])


def counters():
    lanes = bin(PARTIAL).count('1')
    for mnemonic, sign in (('ds_append', 1), ('ds_consume', -1)):
        file, rnd = File(mnemonic, 'D = counter at M0 + offset, which counts the active lanes'), Random(mnemonic)
        lds = Bytes('lds', 256, 8, rnd)
        old = lds.load(268, 4)
        lds.store(268, 4, old + sign * lanes & 0xffffffff)
        file.case('partial', mnemonic + ' v20 offset:8', exec_in(PARTIAL) + [('m0', 260), lds.given()],
                  [('v20', masked([old] * LANES, PARTIAL)), lds.left()])
    rnd = Random('addtid')
    lds = Bytes('lds', 512, 80, rnd)
    File('ds_read_addtid_b32', 'D = LDS at M0 + offset + 4 * lane').case(
        'partial', 'ds_read_addtid_b32 v20 offset:16', exec_in(PARTIAL) + [('m0', 512), lds.given()],
        [('v20', masked([lds.load(528 + 4 * lane, 4) for lane in range(LANES)], PARTIAL))])
    data = [rnd.bits(32) for _ in range(LANES)]
    for lane in range(LANES):
        if PARTIAL >> lane & 1:
            lds.store(528 + 4 * lane, 4, data[lane])
    File('ds_write_addtid_b32', 'LDS at M0 + offset + 4 * lane = D').case(
        'partial', 'ds_write_addtid_b32 v6 offset:16', exec_in(PARTIAL) + [('m0', 512), ('v6', data), lds.given()],
        [lds.left()])


def exchanges():
    for size, name in ((4, 'b32'), (8, 'b64')):
        for st64 in (False, True):
            mnemonic = 'ds_wrxchg2%s_rtn_%s' % ('st64' if st64 else '', name)
            unit = size * (64 if st64 else 1)
            file, rnd = File(mnemonic, 'D = two old values of LDS'), Random(mnemonic)
            d = size // 4
            lds = Bytes('lds', 0, unit * 3 // 4 + 2 * LANES * d, rnd)
            # lanes two elements apart
            addresses = [2 * size * i if not st64 else size * i for i in shuffled(rnd)]
            first = [rnd.bits(8 * size) for _ in range(LANES)]
            second = [rnd.bits(8 * size) for _ in range(LANES)]
            values = []
            for lane, a in enumerate(addresses):
                values.append(lds.load(a, size) | lds.load(a + unit, size) << 8 * size)
                if PARTIAL >> lane & 1:
                    lds.store(a, size, first[lane])
                    lds.store(a + unit, size, second[lane])
            file.case('scattered', '%s %s, v2, %s, %s offset0:0 offset1:1' % (mnemonic, vreg(20, 2 * d), vreg(6, d), vreg(10, d)),
                      exec_in(PARTIAL) + [('v2', addresses), (vreg(6, d), first), (vreg(10, d), second), lds.given()],
                      [(vreg(20, 2 * d), masked(values, PARTIAL)), lds.left()])
    mnemonic = 'ds_condxchg32_rtn_b64'
    file, rnd = File(mnemonic, 'each dword = 31 bits of the data if its highest bit is set'), Random(mnemonic)
    lds = Bytes('lds', 512, 2 * LANES, rnd)
    addresses = [512 + 8 * i for i in shuffled(rnd)]
    data, olds = [rnd.bits(64) for _ in range(LANES)], []
    for lane, a in enumerate(addresses):
        olds.append(lds.load(a, 8))
        for i in (0, 4):
            part = data[lane] >> 8 * i & 0xffffffff
            if PARTIAL >> lane & 1 and part >> 31:
                lds.store(a + i, 4, part & 0x7fffffff)
    file.case('scattered', mnemonic + ' v[20:21], v2, v[6:7]',
              exec_in(PARTIAL) + [('v2', addresses), ('v[6:7]', data), lds.given()],
              [('v[20:21]', masked(olds, PARTIAL)), lds.left()])
    mnemonic = 'ds_wrap_rtn_b32'
    file, rnd = File(mnemonic, 'LDS = old >= data0 ? old - data0 : old + data1'), Random(mnemonic)
    lds = Bytes('lds', 512, LANES, rnd)
    addresses = [512 + 4 * i for i in shuffled(rnd)]
    one, two, olds = [rnd.bits(32) for _ in range(LANES)], [rnd.bits(32) for _ in range(LANES)], []
    for lane, a in enumerate(addresses):
        old = lds.load(a, 4)
        olds.append(old)
        if PARTIAL >> lane & 1:
            lds.store(a, 4, (old - one[lane] if old >= one[lane] else old + two[lane]) & 0xffffffff)
    file.case('scattered', mnemonic + ' v20, v2, v6, v7',
              exec_in(PARTIAL) + [('v2', addresses), ('v6', one), ('v7', two), lds.given()],
              [('v20', masked(olds, PARTIAL)), lds.left()])


def make():
    forks()
    vector_skip()
    scalar_scratch()
    counters()
    exchanges()
