// SPDX-License-Identifier: MIT
// Integer arithmetic of every width against the host, and the device's bit and byte intrinsics against their definitions.
#include <algorithm>
#include <limits>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr unsigned kCount = 512;
constexpr unsigned kResults = 12;

template <typename T>
__host__ __device__ void arithmetic(T a, T b, T* out) {
  using U = std::make_unsigned_t<T>;
  const T divisor = b == 0 ? T{7} : b == static_cast<T>(-1) ? T{3} : b;
  constexpr unsigned kBits = sizeof(T) * 8;
  const unsigned shift = static_cast<unsigned>(b) % kBits;
  out[0] = static_cast<T>(static_cast<U>(a) + static_cast<U>(b));
  out[1] = static_cast<T>(static_cast<U>(a) - static_cast<U>(b));
  out[2] = static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  out[3] = static_cast<T>(a / divisor);
  out[4] = static_cast<T>(a % divisor);
  out[5] = static_cast<T>(static_cast<U>(a) << shift);
  out[6] = static_cast<T>(a >> shift);
  out[7] = static_cast<T>((a & b) ^ ~(a | b));
  out[8] = static_cast<T>(a < b ? a : b);
  out[9] = static_cast<T>(a / 10 + a % 10);
  out[10] = static_cast<T>((a == b) + 2 * (a <= b) + 4 * (a > 0) + 8 * (b >= 5));
  out[11] = static_cast<T>(static_cast<T>(a / 641) * 3 + a % 127);
}

template <typename T>
__global__ void device_arithmetic(const T* a, const T* b, T* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  arithmetic(a[i], b[i], out + i * kResults);
}

template <typename T>
void check_arithmetic(const char* name) {
  auto a = random_values<T>(kCount, 3);
  auto b = random_values<T>(kCount, 5);
  for (unsigned i = 0; i < kCount; i += 3) b[i] = static_cast<T>(b[i] >> (i % (sizeof(T) * 8)));
  const T edges[] = {0, 1, static_cast<T>(-1), std::numeric_limits<T>::max(), std::numeric_limits<T>::min(), 10, 2};
  for (unsigned i = 0; i < 49; ++i) {
    a[i] = edges[i / 7];
    b[i] = edges[i % 7];
  }
  DeviceArray<T> device_a(a);
  DeviceArray<T> device_b(b);
  DeviceArray<T> out(kCount * kResults);
  device_arithmetic<T><<<2, kCount / 2>>>(device_a, device_b, out);
  KERNELS_OK();
  std::vector<T> wanted(kCount * kResults);
  for (unsigned i = 0; i < kCount; ++i) arithmetic(a[i], b[i], &wanted[i * kResults]);
  expect_same(out.read(), wanted, name);
}

TEST(HipInteger, ArithmeticOfEveryWidthIsTheHosts) {
  check_arithmetic<std::int8_t>("int8");
  check_arithmetic<std::uint8_t>("uint8");
  check_arithmetic<std::int16_t>("int16");
  check_arithmetic<std::uint16_t>("uint16");
  check_arithmetic<std::int32_t>("int32");
  check_arithmetic<std::uint32_t>("uint32");
  check_arithmetic<std::int64_t>("int64");
  check_arithmetic<std::uint64_t>("uint64");
}

__global__ void wide_arithmetic(const std::uint64_t* a, const std::uint64_t* b, std::uint64_t* out) {
  const unsigned i = threadIdx.x;
  const unsigned __int128 product = static_cast<unsigned __int128>(a[i]) * b[i];
  const unsigned __int128 sum = product + (static_cast<unsigned __int128>(b[i]) << 64 | a[i]);
  out[i * 4] = static_cast<std::uint64_t>(product);
  out[i * 4 + 1] = static_cast<std::uint64_t>(product >> 64);
  out[i * 4 + 2] = static_cast<std::uint64_t>(sum >> 32);
  out[i * 4 + 3] = __umul64hi(a[i], b[i]);
}

TEST(HipInteger, HundredTwentyEightBitsCarry) {
  const auto a = random_values<std::uint64_t>(256, 7);
  const auto b = random_values<std::uint64_t>(256, 9);
  DeviceArray<std::uint64_t> device_a(a);
  DeviceArray<std::uint64_t> device_b(b);
  DeviceArray<std::uint64_t> out(1024);
  wide_arithmetic<<<1, 256>>>(device_a, device_b, out);
  KERNELS_OK();
  std::vector<std::uint64_t> wanted(1024);
  __extension__ using Wide = unsigned __int128;
  for (unsigned i = 0; i < 256; ++i) {
    const Wide product = static_cast<Wide>(a[i]) * b[i];
    const Wide sum = product + (static_cast<Wide>(b[i]) << 64 | a[i]);
    wanted[i * 4] = static_cast<std::uint64_t>(product);
    wanted[i * 4 + 1] = static_cast<std::uint64_t>(product >> 64);
    wanted[i * 4 + 2] = static_cast<std::uint64_t>(sum >> 32);
    wanted[i * 4 + 3] = static_cast<std::uint64_t>(product >> 64);
  }
  expect_same(out.read(), wanted);
}

__global__ void intrinsics(const std::uint32_t* a, const std::uint32_t* b, std::uint64_t* out) {
  const unsigned i = threadIdx.x;
  const std::uint32_t x = a[i];
  const std::uint32_t y = b[i];
  const std::uint64_t w = static_cast<std::uint64_t>(x) << 32 | y;
  std::uint64_t* mine = out + i * 24;
  mine[0] = static_cast<std::uint64_t>(__popc(x));
  mine[1] = static_cast<std::uint64_t>(__popcll(w));
  mine[2] = static_cast<std::uint64_t>(__clz(static_cast<int>(x)));
  mine[3] = static_cast<std::uint64_t>(__clzll(static_cast<long long>(w)));
  mine[4] = static_cast<std::uint64_t>(__ffs(x));
  mine[5] = static_cast<std::uint64_t>(__ffsll(static_cast<unsigned long long>(w)));
  mine[6] = __brev(x);
  mine[7] = __brevll(w);
  mine[8] = __byte_perm(x, y, 0x2715);
  mine[9] = __umulhi(x, y);
  mine[10] = static_cast<std::uint32_t>(__mulhi(static_cast<int>(x), static_cast<int>(y)));
  mine[11] = static_cast<std::uint32_t>(__umul24(x, y));
  mine[12] = static_cast<std::uint32_t>(__mul24(static_cast<int>(x), static_cast<int>(y)));
  mine[13] = __sad(static_cast<int>(x), static_cast<int>(y), 5);
  mine[14] = __usad(x, y, 9);
  mine[15] = __uhadd(x, y);
  mine[16] = __urhadd(x, y);
  mine[17] = __builtin_amdgcn_alignbit(x, y, 13);
  mine[18] = __builtin_amdgcn_alignbyte(x, y, 3);
  mine[19] = __builtin_amdgcn_ubfe(x, 5, 11);
  mine[20] = static_cast<std::uint32_t>(__builtin_amdgcn_sbfe(static_cast<int>(x), 5, 11));
  mine[21] = __builtin_amdgcn_perm(x, y, 0x07050301);
  mine[22] = static_cast<std::uint32_t>(
      __builtin_amdgcn_sdot4(static_cast<int>(x), static_cast<int>(y), 1000, false));
  mine[23] = __builtin_amdgcn_udot4(x, y, 2000, false);
}

std::uint64_t reversed(std::uint64_t value, unsigned bits) {
  std::uint64_t result = 0;
  for (unsigned i = 0; i < bits; ++i) result |= (value >> i & 1) << (bits - 1 - i);
  return result;
}
unsigned byte_of(std::uint64_t value, unsigned index) { return static_cast<unsigned>(value >> (8 * index)) & 0xff; }

TEST(HipInteger, IntrinsicsDoWhatTheyAreDefinedToDo) {
  auto a = random_values<std::uint32_t>(256, 11);
  auto b = random_values<std::uint32_t>(256, 13);
  for (unsigned i = 0; i < 32; ++i) {
    a[i] = 1U << i;
    b[i + 32] = ~0U >> i;
  }
  a[40] = 0;
  a[41] = 0;
  b[41] = 0;
  DeviceArray<std::uint32_t> device_a(a);
  DeviceArray<std::uint32_t> device_b(b);
  DeviceArray<std::uint64_t> out(256 * 24);
  intrinsics<<<1, 256>>>(device_a, device_b, out);
  KERNELS_OK();
  std::vector<std::uint64_t> wanted(out.size());
  for (unsigned i = 0; i < 256; ++i) {
    const std::uint32_t x = a[i];
    const std::uint32_t y = b[i];
    const std::int64_t sx = static_cast<std::int32_t>(x);
    const std::int64_t sy = static_cast<std::int32_t>(y);
    const std::uint64_t w = static_cast<std::uint64_t>(x) << 32 | y;
    std::uint64_t* mine = &wanted[i * 24];
    mine[0] = static_cast<std::uint64_t>(__builtin_popcount(x));
    mine[1] = static_cast<std::uint64_t>(__builtin_popcountll(w));
    mine[2] = x == 0 ? 32 : static_cast<std::uint64_t>(__builtin_clz(x));
    mine[3] = w == 0 ? 64 : static_cast<std::uint64_t>(__builtin_clzll(w));
    mine[4] = static_cast<std::uint64_t>(__builtin_ffs(static_cast<int>(x)));
    mine[5] = static_cast<std::uint64_t>(__builtin_ffsll(static_cast<long long>(w)));
    mine[6] = reversed(x, 32);
    mine[7] = reversed(w, 64);
    const std::uint64_t pair = static_cast<std::uint64_t>(y) << 32 | x;
    mine[8] = byte_of(pair, 5) | byte_of(pair, 1) << 8 | byte_of(pair, 7) << 16 | byte_of(pair, 2) << 24;
    mine[9] = static_cast<std::uint64_t>(x) * y >> 32;
    mine[10] = static_cast<std::uint32_t>(sx * sy >> 32);
    mine[11] = static_cast<std::uint32_t>((x & 0xffffff) * static_cast<std::uint64_t>(y & 0xffffff));
    const std::int64_t x24 = static_cast<std::int32_t>(x << 8) >> 8;
    const std::int64_t y24 = static_cast<std::int32_t>(y << 8) >> 8;
    mine[12] = static_cast<std::uint32_t>(x24 * y24);
    mine[13] = static_cast<std::uint32_t>((sx > sy ? sx - sy : sy - sx) + 5);
    mine[14] = static_cast<std::uint32_t>((x > y ? x - y : y - x) + 9);
    mine[15] = (x + y) >> 1;  // ROCm's header lets the sum wrap
    mine[16] = (x + y + 1) >> 1;
    mine[17] = static_cast<std::uint32_t>(w >> 13);
    mine[18] = static_cast<std::uint32_t>(w >> 24);
    mine[19] = x >> 5 & 0x7ff;
    mine[20] = static_cast<std::uint32_t>(static_cast<std::int32_t>(x << 16) >> 21);
    // The selector's bytes 0-3 are the second operand's, 4-7 the first's.
    mine[21] = byte_of(w, 1) | byte_of(w, 3) << 8 | byte_of(w, 5) << 16 | byte_of(w, 7) << 24;
    std::uint32_t signed_sum = 1000;
    std::uint32_t unsigned_sum = 2000;
    for (unsigned k = 0; k < 4; ++k) {
      signed_sum += static_cast<std::uint32_t>(static_cast<std::int8_t>(byte_of(x, k)) *
                                               static_cast<std::int8_t>(byte_of(y, k)));
      unsigned_sum += byte_of(x, k) * byte_of(y, k);
    }
    mine[22] = signed_sum;
    mine[23] = unsigned_sum;
  }
  expect_same(out.read(), wanted);
}

// Bytes and words inside dwords: what the compiler turns into SDWA.
__global__ void packed_bytes(const uchar4* in, const short2* shorts, uchar4* out, int* sums) {
  const unsigned i = threadIdx.x;
  const uchar4 p = in[i];
  const uchar4 q = in[(i + 1) & 255];
  uchar4 r;
  r.x = static_cast<unsigned char>((p.x + q.w) >> 1);
  r.y = static_cast<unsigned char>(p.y * q.y >> 4);
  r.z = p.z > q.z ? p.z : q.z;
  r.w = static_cast<unsigned char>(p.w ^ q.x);
  out[i] = r;
  const short2 s = shorts[i];
  sums[i] = s.x * s.y + (s.x > s.y ? p.x : -p.y);
}

TEST(HipInteger, BytesInsideWordsAreReached) {
  const auto bytes = random_values<unsigned char>(1024, 15);
  const auto words = random_values<short>(512, 17);
  std::vector<uchar4> in(256);
  std::vector<short2> shorts(256);
  std::memcpy(in.data(), bytes.data(), 1024);
  std::memcpy(shorts.data(), words.data(), 1024);
  DeviceArray<uchar4> device_in(in);
  DeviceArray<short2> device_shorts(shorts);
  DeviceArray<uchar4> out(256);
  DeviceArray<int> sums(256);
  packed_bytes<<<1, 256>>>(device_in, device_shorts, out, sums);
  KERNELS_OK();
  const auto found = out.read();
  const auto found_sums = sums.read();
  for (unsigned i = 0; i < 256; ++i) {
    const unsigned char* p = &bytes[i * 4];
    const unsigned char* q = &bytes[((i + 1) & 255) * 4];
    ASSERT_EQ(found[i].x, (p[0] + q[3]) >> 1) << i;
    ASSERT_EQ(found[i].y, (p[1] * q[1] >> 4) & 0xff) << i;
    ASSERT_EQ(found[i].z, std::max(p[2], q[2])) << i;
    ASSERT_EQ(found[i].w, p[3] ^ q[0]) << i;
    const int x = words[i * 2];
    const int y = words[i * 2 + 1];
    ASSERT_EQ(found_sums[i], x * y + (x > y ? p[0] : -p[1])) << i;
  }
}

// Assembly in the source: carry chains and scalar registers.
__global__ void assembly(const unsigned* in, unsigned* out) {
  const unsigned i = threadIdx.x;
  unsigned sum = 0;
  unsigned packed = 0;
  unsigned uniform = 0;
  asm volatile("v_add3_u32 %0, %1, %1, 7" : "=v"(sum) : "v"(in[i]));
  asm volatile("v_lshl_or_b32 %0, %1, 4, %2" : "=v"(packed) : "v"(in[i]), "v"(i));
  asm volatile("s_movk_i32 %0, 0x1234\n\ts_lshl_b32 %0, %0, 8" : "=s"(uniform)::"scc");
  out[i * 3] = sum;
  out[i * 3 + 1] = packed;
  out[i * 3 + 2] = uniform;
}

TEST(HipInteger, InlineAssemblyRuns) {
  const auto values = random_values<unsigned>(128, 19);
  DeviceArray<unsigned> in(values);
  DeviceArray<unsigned> out(128 * 3);
  assembly<<<1, 128>>>(in, out);
  KERNELS_OK();
  std::vector<unsigned> wanted(128 * 3);
  for (unsigned i = 0; i < 128; ++i) {
    wanted[i * 3] = values[i] * 2 + 7;
    wanted[i * 3 + 1] = values[i] << 4 | i;
    wanted[i * 3 + 2] = 0x123400;
  }
  expect_same(out.read(), wanted);
}

__global__ void clocks(long long* out) {
  const long long a = clock64();
  const long long wall = static_cast<long long>(__builtin_amdgcn_s_memrealtime());
  __builtin_amdgcn_s_sleep(10);
  for (int i = 0; i < 50; ++i) asm volatile("s_nop 7");
  out[0] = clock64() - a;
  out[1] = static_cast<long long>(__builtin_amdgcn_s_memrealtime()) - wall;
  out[2] = static_cast<long long>(__builtin_readcyclecounter()) - a;
}

TEST(HipInteger, ClocksAdvance) {
  DeviceArray<long long> out(3);
  clocks<<<1, 1>>>(out);
  KERNELS_OK();
  const auto found = out.read();
  EXPECT_GT(found[0], 0);
  EXPECT_GE(found[1], 0);
  EXPECT_GE(found[2], found[0]);
}

}  // namespace
}  // namespace kfdlab
