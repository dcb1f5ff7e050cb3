// SPDX-License-Identifier: MIT
// Lanes of a wave talk to each other: shuffles, votes, and the instructions behind them (readlane, permutes, swizzles,
// DPP), with whole and partial waves.
#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kWave = 64;

template <typename T>
__device__ T shuffled(int kind, T value, int argument, int width) {
  switch (kind) {
    case 0: return __shfl(value, argument, width);
    case 1: return __shfl_up(value, static_cast<unsigned>(argument), width);
    case 2: return __shfl_down(value, static_cast<unsigned>(argument), width);
    default: return __shfl_xor(value, argument, width);
  }
}

template <typename T>
__global__ void shuffle(const T* in, T* out, int kind, int argument, int width) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = shuffled(kind, in[i], argument, width);
}

int shuffle_source(int kind, int lane, int argument, int width) {
  const int first = lane & ~(width - 1);
  int source = 0;
  switch (kind) {
    case 0: return first + argument;
    case 1: source = lane - argument; return source < first ? lane : source;
    case 2: source = lane + argument; return (lane & (width - 1)) + argument >= width ? lane : source;
    default: source = lane ^ argument; return source >= first + width ? lane : source;
  }
}

template <typename T>
void check_shuffles() {
  const auto values = random_values<T>(256, sizeof(T));
  DeviceArray<T> in(values);
  DeviceArray<T> out(values.size());
  for (int kind = 0; kind < 4; ++kind) {
    for (int width = 2; width <= kWave; width *= 2) {
      for (const int argument : {0, 1, 3, width / 2, width - 1}) {
        if (kind == 0 && argument >= width) continue;  // HIP does not say which lane that is
        shuffle<T><<<1, 256>>>(in, out, kind, argument, width);
        KERNELS_OK();
        std::vector<T> wanted(values.size());
        for (int i = 0; i < 256; ++i) {
          wanted[i] = values[(i & ~63) + shuffle_source(kind, i & 63, argument, width)];
        }
        expect_same(out.read(), wanted,
                    "kind " + std::to_string(kind) + " by " + std::to_string(argument) + " of " + std::to_string(width));
      }
    }
  }
}

TEST(HipShuffle, IntegersMoveInEveryWidth) { check_shuffles<int>(); }
TEST(HipShuffle, UnsignedLongsMoveInEveryWidth) { check_shuffles<unsigned long long>(); }
TEST(HipShuffle, SinglesMoveInEveryWidth) { check_shuffles<float>(); }
TEST(HipShuffle, DoublesMoveInEveryWidth) { check_shuffles<double>(); }

__global__ void wave_sum(const float* in, float* out) {
  float value = in[blockIdx.x * blockDim.x + threadIdx.x];
  for (int offset = warpSize / 2; offset > 0; offset /= 2) value += __shfl_down(value, offset);
  if (threadIdx.x % warpSize == 0) out[(blockIdx.x * blockDim.x + threadIdx.x) / warpSize] = value;
}

TEST(HipShuffle, ATreeOfShufflesSumsAWave) {
  const auto values = random_values<float>(1024, 41);
  DeviceArray<float> in(values);
  DeviceArray<float> out(16);
  wave_sum<<<4, 256>>>(in, out);
  KERNELS_OK();
  std::vector<float> wanted(16);
  for (int w = 0; w < 16; ++w) {
    float lanes[64];
    std::memcpy(lanes, &values[w * 64], sizeof(lanes));
    for (int offset = 32; offset > 0; offset /= 2) {
      float next[64];
      for (int i = 0; i < 64; ++i) next[i] = lanes[i] + (i + offset < 64 ? lanes[i + offset] : lanes[i]);
      std::memcpy(lanes, next, sizeof(lanes));
    }
    wanted[w] = lanes[0];
  }
  expect_same(out.read(), wanted);
}

__global__ void votes(const int* in, unsigned long long* out, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i >= n) return;
  const int flag = in[i];
  out[i * 6] = __ballot(flag);
  out[i * 6 + 1] = __any(flag) != 0;
  out[i * 6 + 2] = __all(flag) != 0;
  out[i * 6 + 3] = __lane_id();
  out[i * 6 + 4] = __popcll(__ballot(flag) & ((1ULL << __lane_id()) - 1));
  unsigned long long inner = 0;
  if (flag != 0) inner = __ballot(i & 1);
  out[i * 6 + 5] = inner;
}

TEST(HipVote, BallotsSeeOnlyLanesThatRun) {
  for (const int n : {1, 63, 64, 65, 200, 256}) {
    std::vector<int> flags(n);
    Pattern pattern(static_cast<std::uint64_t>(n));
    for (int& flag : flags) flag = static_cast<int>(pattern.below(3));
    DeviceArray<int> in(flags);
    DeviceArray<unsigned long long> out(static_cast<std::size_t>(n) * 6);
    votes<<<1, 256>>>(in, out, n);
    KERNELS_OK();
    std::vector<unsigned long long> wanted(out.size());
    for (int i = 0; i < n; ++i) {
      const int first = i & ~63;
      unsigned long long set = 0;
      unsigned long long inner = 0;
      bool all = true;
      for (int lane = 0; lane < 64 && first + lane < n; ++lane) {
        const bool flag = flags[first + lane] != 0;
        all = all && flag;
        if (flag) set |= 1ULL << lane;
        if (flag && (lane & 1) != 0) inner |= 1ULL << lane;
      }
      wanted[i * 6] = set;
      wanted[i * 6 + 1] = set != 0;
      wanted[i * 6 + 2] = all;
      wanted[i * 6 + 3] = static_cast<unsigned long long>(i & 63);
      wanted[i * 6 + 4] =
          static_cast<unsigned long long>(__builtin_popcountll(set & ((1ULL << (i & 63)) - 1)));
      wanted[i * 6 + 5] = flags[i] != 0 ? inner : 0;
    }
    expect_same(out.read(), wanted, std::to_string(n) + " threads");
  }
}

__global__ void lane_moves(const int* in, int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const int value = in[lane];
  int* mine = out + lane * 16;
  mine[0] = __builtin_amdgcn_readfirstlane(value);
  mine[1] = __builtin_amdgcn_readlane(value, 37);
  mine[2] = __builtin_amdgcn_ds_bpermute(((lane * 5 + 3) & 63) << 2, value);
  mine[3] = __builtin_amdgcn_ds_permute(((lane * 5 + 3) & 63) << 2, value);
  mine[4] = __builtin_amdgcn_ds_swizzle(value, 0x041f);  // lane ^ 1 in groups of 32
  mine[5] = __builtin_amdgcn_ds_swizzle(value, 0x8000 | 0x1b);  // a quad in reverse
  mine[6] = __builtin_amdgcn_mov_dpp(value, 0x1b, 0xf, 0xf, true);  // quad_perm [3,2,1,0]
  mine[7] = __builtin_amdgcn_update_dpp(-1, value, 0x111, 0xf, 0xf, false);  // row_shr:1
  mine[8] = __builtin_amdgcn_update_dpp(-1, value, 0x101, 0xf, 0xf, true);  // row_shl:1, zero at the end
  mine[9] = __builtin_amdgcn_update_dpp(-1, value, 0x124, 0xf, 0xf, false);  // row_ror:4
  mine[10] = __builtin_amdgcn_update_dpp(-1, value, 0x140, 0xf, 0xf, false);  // row_mirror
  mine[11] = __builtin_amdgcn_update_dpp(-1, value, 0x141, 0xf, 0xf, false);  // row_half_mirror
  mine[12] = __builtin_amdgcn_update_dpp(-1, value, 0x142, 0xa, 0xf, false);  // row_bcast:15, rows 1 and 3
  mine[13] = __builtin_amdgcn_update_dpp(-1, value, 0x143, 0xc, 0xf, false);  // row_bcast:31, rows 2 and 3
  mine[14] = __builtin_amdgcn_update_dpp(-1, value, 0x138, 0xf, 0xf, false);  // wave_shr:1
  mine[15] = __builtin_amdgcn_update_dpp(-1, value, 0x114, 0x5, 0x3, false);  // row_shr:4 with masks
}

TEST(HipLanes, EveryWayToMoveALaneReadsTheRightOne) {
  const auto values = random_values<int>(64, 51);
  DeviceArray<int> in(values);
  DeviceArray<int> out(64 * 16);
  lane_moves<<<1, 64>>>(in, out);
  KERNELS_OK();
  std::vector<int> wanted(out.size());
  for (int lane = 0; lane < 64; ++lane) {
    const int row = lane & ~15;
    const int column = lane & 15;
    int* mine = &wanted[lane * 16];
    mine[0] = values[0];
    mine[1] = values[37];
    mine[2] = values[(lane * 5 + 3) & 63];
    mine[4] = values[lane ^ 1];
    mine[5] = values[lane ^ 3];
    mine[6] = values[lane ^ 3];
    mine[7] = column >= 1 ? values[lane - 1] : -1;
    mine[8] = column <= 14 ? values[lane + 1] : 0;
    mine[9] = values[row + ((column - 4) & 15)];
    mine[10] = values[row + 15 - column];
    mine[11] = values[(lane & ~7) + 7 - (lane & 7)];
    mine[12] = (0xa >> (lane / 16) & 1) != 0 ? values[row - 1] : -1;
    mine[13] = (0xc >> (lane / 16) & 1) != 0 ? values[31] : -1;
    mine[14] = lane >= 1 ? values[lane - 1] : -1;
    const bool row_on = (0x5 >> (lane / 16) & 1) != 0;
    const bool bank_on = (0x3 >> (column / 4) & 1) != 0;
    mine[15] = row_on && bank_on && column >= 4 ? values[lane - 4] : -1;
  }
  for (int lane = 0; lane < 64; ++lane) wanted[((lane * 5 + 3) & 63) * 16 + 3] = values[lane];
  expect_same(out.read(), wanted);
}

// Lanes that do not run: a permute reads zero from them, readfirstlane takes the first that runs.
__global__ void partial_moves(const int* in, int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const int value = in[lane];
  int first = -1;
  int permuted = -1;
  if (lane % 3 == 1) {
    first = __builtin_amdgcn_readfirstlane(value);
    permuted = __builtin_amdgcn_ds_bpermute(((lane + 1) & 63) << 2, value);
  }
  out[lane * 2] = first;
  out[lane * 2 + 1] = permuted;
}

TEST(HipLanes, LanesThatDoNotRunReadAsZero) {
  const auto values = random_values<int>(64, 53);
  DeviceArray<int> in(values);
  DeviceArray<int> out(128);
  partial_moves<<<1, 64>>>(in, out);
  KERNELS_OK();
  std::vector<int> wanted(128);
  for (int lane = 0; lane < 64; ++lane) {
    wanted[lane * 2] = lane % 3 == 1 ? values[1] : -1;
    wanted[lane * 2 + 1] = lane % 3 != 1 ? -1 : (lane + 1) % 64 % 3 == 1 ? values[(lane + 1) % 64] : 0;
  }
  expect_same(out.read(), wanted);
}

// What compilers emit for a wave-wide scan: DPP additions row by row, then the rows.
__global__ void dpp_scan(const int* in, int* out) {
  int value = in[threadIdx.x];
  value += __builtin_amdgcn_update_dpp(0, value, 0x111, 0xf, 0xf, false);
  value += __builtin_amdgcn_update_dpp(0, value, 0x112, 0xf, 0xf, false);
  value += __builtin_amdgcn_update_dpp(0, value, 0x114, 0xf, 0xe, false);
  value += __builtin_amdgcn_update_dpp(0, value, 0x118, 0xf, 0xc, false);
  value += __builtin_amdgcn_update_dpp(0, value, 0x142, 0xa, 0xf, false);
  value += __builtin_amdgcn_update_dpp(0, value, 0x143, 0xc, 0xf, false);
  out[threadIdx.x] = value;
}

TEST(HipLanes, DppAdditionsScanAWave) {
  const auto values = random_values<int>(128, 57);
  DeviceArray<int> in(values);
  DeviceArray<int> out(128);
  dpp_scan<<<1, 128>>>(in, out);
  KERNELS_OK();
  std::vector<int> wanted(128);
  for (int i = 0; i < 128; ++i) {
    const unsigned before = i % 64 == 0 ? 0U : static_cast<unsigned>(wanted[i - 1]);
    wanted[i] = static_cast<int>(before + static_cast<unsigned>(values[i]));
  }
  expect_same(out.read(), wanted);
}

__global__ void divergent_loops(const std::uint32_t* in, std::uint32_t* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  std::uint32_t value = in[i];
  std::uint32_t steps = 0;
  while (value > 1 && steps < 200) {
    if ((value & 1) != 0) {
      if (value > 0x55555554U) break;
      value = value * 3 + 1;
    } else {
      value >>= 1;
    }
    ++steps;
    if (steps % 17 == 5) continue;
    steps += value & 3;
  }
  out[i] = steps ^ value;
}

TEST(HipLanes, LoopsOfDifferentLengthMeetAgain) {
  auto values = random_values<std::uint32_t>(1000, 61);
  for (auto& value : values) value >>= 8;
  DeviceArray<std::uint32_t> in(values);
  DeviceArray<std::uint32_t> out(1000);
  divergent_loops<<<8, 125>>>(in, out);
  KERNELS_OK();
  std::vector<std::uint32_t> wanted(1000);
  for (unsigned i = 0; i < 1000; ++i) {
    std::uint32_t value = values[i];
    std::uint32_t steps = 0;
    while (value > 1 && steps < 200) {
      if ((value & 1) != 0) {
        if (value > 0x55555554U) break;
        value = value * 3 + 1;
      } else {
        value >>= 1;
      }
      ++steps;
      if (steps % 17 == 5) continue;
      steps += value & 3;
    }
    wanted[i] = steps ^ value;
  }
  expect_same(out.read(), wanted);
}

__device__ unsigned switch_case(unsigned value, unsigned i) {
  switch (value % 11) {
    case 0: return i * 3;
    case 1: return i ^ value;
    case 2: return value / (i + 1);
    case 3: return value % (i + 7);
    case 4: return ~value;
    case 5: return value << (i & 31);
    case 6: return value >> (i & 31);
    case 7: return __popc(value);
    case 8: return __clz(static_cast<int>(value));
    case 9: return value * value;
    default: return value - i;
  }
}

__global__ void switches(const unsigned* in, unsigned* out) {
  const unsigned i = threadIdx.x;
  unsigned result = 0;
  for (unsigned k = 0; k < 8; ++k) result = result * 33 + switch_case(in[(i + k * 7) & 255], i);
  out[i] = result;
}

TEST(HipLanes, SwitchesTakeEveryBranch) {
  const auto values = random_values<unsigned>(256, 67);
  DeviceArray<unsigned> in(values);
  DeviceArray<unsigned> out(256);
  switches<<<1, 256>>>(in, out);
  KERNELS_OK();
  std::vector<unsigned> wanted(256);
  for (unsigned i = 0; i < 256; ++i) {
    unsigned result = 0;
    for (unsigned k = 0; k < 8; ++k) {
      const unsigned value = values[(i + k * 7) & 255];
      unsigned piece = 0;
      switch (value % 11) {
        case 0: piece = i * 3; break;
        case 1: piece = i ^ value; break;
        case 2: piece = value / (i + 1); break;
        case 3: piece = value % (i + 7); break;
        case 4: piece = ~value; break;
        case 5: piece = value << (i & 31); break;
        case 6: piece = value >> (i & 31); break;
        case 7: piece = static_cast<unsigned>(__builtin_popcount(value)); break;
        case 8: piece = value == 0 ? 32U : static_cast<unsigned>(__builtin_clz(value)); break;
        case 9: piece = value * value; break;
        default: piece = value - i; break;
      }
      result = result * 33 + piece;
    }
    wanted[i] = result;
  }
  expect_same(out.read(), wanted);
}

}  // namespace
}  // namespace kfdlab
