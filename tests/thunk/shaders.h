// SPDX-License-Identifier: MIT
// Programs for gfx90a, as llvm-mc assembles them. On entry s[0:1] and s[2:3] are the two arguments of a dispatch, s[4:5]
// the scratch base if it has scratch, and the next SGPR is the workgroup's number.
#pragma once

#include <array>
#include <cstdint>

namespace kfdlab::thunk {

// A dword from the first address to the second.
inline constexpr std::array<std::uint32_t, 10> kCopyDword{
    0x7e000200,              // v_mov_b32 v0, s0
    0x7e020201,              // v_mov_b32 v1, s1
    0x7e040202,              // v_mov_b32 v2, s2
    0x7e060203,              // v_mov_b32 v3, s3
    0xdc530000, 0x04000000,  // flat_load_dword v4, v[0:1] glc slc
    0xbf8c0000,              // s_waitcnt 0
    0xdc730000, 0x00000402,  // flat_store_dword v[2:3], v4 glc slc
    0xbf810000,              // s_endpgm
};

// The same, in scratch.
inline constexpr std::array<std::uint32_t, 12> kCopyDwordScratch{
    0x7e000200,              // v_mov_b32 v0, s0
    0x7e020201,              // v_mov_b32 v1, s1
    0x7e040202,              // v_mov_b32 v2, s2
    0x7e060203,              // v_mov_b32 v3, s3
    0xbee60004,              // s_mov_b32 flat_scratch_lo, s4
    0xbee70005,              // s_mov_b32 flat_scratch_hi, s5
    0xdc520000, 0x04000000,  // flat_load_dword v4, v[0:1] slc
    0xbf8c0000,              // s_waitcnt 0
    0xdc720000, 0x00000402,  // flat_store_dword v[2:3], v4 slc
    0xbf810000,              // s_endpgm
};

// Adds one to the dword at the first address, atomically.
inline constexpr std::array<std::uint32_t, 7> kAddOne{
    0x7e000200,              // v_mov_b32 v0, s0
    0x7e020201,              // v_mov_b32 v1, s1
    0x7e040281,              // v_mov_b32 v2, 1
    0xdd090000, 0x03000200,  // flat_atomic_add v3, v[0:1], v2 glc
    0xbf8c0000,              // s_waitcnt 0
    0xbf810000,              // s_endpgm
};

inline constexpr std::uint32_t kGo = 0xcafe;
// Waits until the first dword is kGo, then copies the second one to the third.
inline constexpr std::array<std::uint32_t, 14> kCopyWhenTold{
    0xbe9200ff, 0x0000cafe,  // s_mov_b32 s18, 0xcafe
    0xc0030400, 0x00000000,  // s_load_dword s16, s[0:1], 0x0 glc
    0xbf8c0000,              // s_waitcnt 0
    0xbf001210,              // s_cmp_eq_i32 s16, s18
    0xbf84fffb,              // s_cbranch_scc0 to the load
    0xc0030440, 0x00000004,  // s_load_dword s17, s[0:1], 0x4 glc
    0xbf8c0000,              // s_waitcnt 0
    0xc0430440, 0x00000008,  // s_store_dword s17, s[0:1], 0x8 glc
    0xbf8c0000,              // s_waitcnt 0
    0xbf810000,              // s_endpgm
};

// Each workgroup's HW_ID into a table of dwords at the first address.
inline constexpr std::array<std::uint32_t, 10> kStoreHwId{
    0xb886f804,              // s_getreg_b32 s6, hwreg(HW_REG_HW_ID)
    0x8e078204,              // s_lshl_b32 s7, s4, 2
    0x80080700,              // s_add_u32 s8, s0, s7
    0x82098001,              // s_addc_u32 s9, s1, 0
    0x7e000208,              // v_mov_b32 v0, s8
    0x7e020209,              // v_mov_b32 v1, s9
    0x7e040206,              // v_mov_b32 v2, s6
    0xdc700000, 0x00000200,  // flat_store_dword v[0:1], v2
    0xbf810000,              // s_endpgm
};

// Global semaphore 0 begins with the dword at the first address.
inline constexpr std::array<std::uint32_t, 10> kInitSemaphore{
    0xbefc0080,              // s_mov_b32 m0, 0
    0xbf800000,              // s_nop 0
    0xc0030400, 0x00000000,  // s_load_dword s16, s[0:1], 0x0 glc
    0xbf8c0000,              // s_waitcnt 0
    0x7e000210,              // v_mov_b32 v0, s16
    0xd9330000, 0x00000000,  // ds_gws_init v0 gds
    0xbf8c0000,              // s_waitcnt 0
    0xbf810000,              // s_endpgm
};

// Adds one to the dword at the first address, not atomically, holding global semaphore 0.
inline constexpr std::array<std::uint32_t, 16> kAddOneUnderSemaphore{
    0xbefc0080,              // s_mov_b32 m0, 0
    0xbf800000,              // s_nop 0
    0xd9390000, 0x00000000,  // ds_gws_sema_p gds
    0xbf8c0000,              // s_waitcnt 0
    0xc0030400, 0x00000000,  // s_load_dword s16, s[0:1], 0x0 glc
    0xbf8c0000,              // s_waitcnt 0
    0x80108110,              // s_add_u32 s16, s16, 1
    0xc0430400, 0x00000000,  // s_store_dword s16, s[0:1], 0x0 glc
    0xbf8c0000,              // s_waitcnt 0
    0xd9350000, 0x00000000,  // ds_gws_sema_v gds
    0xbf8c0000,              // s_waitcnt 0
    0xbf810000,              // s_endpgm
};

}  // namespace kfdlab::thunk
