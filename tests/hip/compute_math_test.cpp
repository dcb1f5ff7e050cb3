// SPDX-License-Identifier: MIT
// math.h on the device against the host, in singles and doubles. The bounds are the ones ROCm documents for its device
// library, in units of the last place of the exact result; both compute with denormals. Those figures are rounded.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

// name, largest error of singles and doubles in ulp, lowest and highest argument
#define KFDLAB_UNARY(X)                                                                        \
  X(sin, 2, 2, -60, 60) X(cos, 2, 2, -60, 60) X(tan, 4, 2, -60, 60)                            \
  X(asin, 4, 2, -1, 1) X(acos, 3, 2, -1, 1) X(atan, 2, 2, -40, 40)                             \
  X(sinh, 3, 2, -80, 80) X(cosh, 3, 2, -80, 80) X(tanh, 2, 2, -20, 20)                         \
  X(asinh, 3, 2, -1e6, 1e6) X(acosh, 3, 2, 1, 1e6) X(atanh, 3, 2, -1, 1)                       \
  X(exp, 2, 1, -85, 85) X(exp2, 2, 1, -120, 120) X(exp10, 2, 1, -35, 35) X(expm1, 2, 1, -3, 80) \
  X(log, 2, 1, 0, 1e9) X(log2, 2, 1, 0, 1e9) X(log10, 2, 1, 0, 1e9) X(log1p, 2, 1, -1, 1e6)    \
  X(sqrt, 1, 1, 0, 1e9) X(cbrt, 2, 1, -1e9, 1e9)                                               \
  X(erf, 3, 3, -5, 5) X(erfc, 6, 5, -4, 8) X(tgamma, 11, 10, 0.1, 30) X(lgamma, 8, 8, 3, 1e5)  \
  X(floor, 0, 0, -1e5, 1e5) X(ceil, 0, 0, -1e5, 1e5) X(trunc, 0, 0, -1e5, 1e5)                 \
  X(round, 0, 0, -100, 100) X(rint, 0, 0, -100, 100) X(nearbyint, 0, 0, -100, 100)             \
  X(fabs, 0, 0, -1e5, 1e5) X(logb, 0, 0, 1e-5, 1e9)

#define KFDLAB_BINARY(X)                                                                \
  X(pow, 2, 1, 0.01, 50) X(atan2, 3, 2, -50, 50) X(hypot, 2, 2, -1e4, 1e4)              \
  X(fmod, 0, 0, -1e4, 1e4) X(remainder, 0, 0, -1e4, 1e4) X(fmax, 0, 0, -50, 50)         \
  X(fmin, 0, 0, -50, 50) X(fdim, 0, 0, -50, 50) X(copysign, 0, 0, -50, 50) X(nextafter, 0, 0, -50, 50)

constexpr int kSamples = 96;
constexpr double kSlack = 0.49;

// Distance in units of the last place of T at `wanted`; 0 for equal values, infinities and NaN included.
template <typename T>
double ulps(T found, long double wanted) {
  const T rounded = static_cast<T>(wanted);
  if (std::isnan(found) || std::isnan(rounded)) return std::isnan(found) == std::isnan(rounded) ? 0 : INFINITY;
  if (found == rounded) return 0;
  if (std::isinf(found) || std::isinf(rounded)) return INFINITY;
  int exponent = 0;
  std::frexp(rounded, &exponent);
  exponent = std::max(exponent, std::numeric_limits<T>::min_exponent);
  const long double unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::fabs((static_cast<long double>(found) - wanted) / unit));
}

template <typename T>
std::vector<T> arguments(double low, double high, std::uint64_t seed) {
  Pattern pattern(seed);
  std::vector<T> values(kSamples);
  for (T& value : values) value = static_cast<T>(pattern.real(low, high));
  const double edges[] = {low, high, 0.0, -0.0, 0.5, 1.0, 2.5, -3.5};
  for (std::size_t i = 0; i < std::size(edges); ++i) {
    if (edges[i] >= low && edges[i] <= high) values[i] = static_cast<T>(edges[i]);
  }
  return values;
}

#define X(name, single_ulps, double_ulps, low, high)                                     \
  template <typename T>                                                                  \
  __global__ void unary_##name(const T* in, T* out) {                                    \
    if constexpr (sizeof(T) == sizeof(float)) {                                          \
      out[threadIdx.x] = name##f(in[threadIdx.x]);                                       \
    } else {                                                                             \
      out[threadIdx.x] = name(in[threadIdx.x]);                                          \
    }                                                                                    \
  }
KFDLAB_UNARY(X)
#undef X

#define X(name, single_ulps, double_ulps, low, high)                                     \
  template <typename T>                                                                  \
  __global__ void binary_##name(const T* a, const T* b, T* out) {                        \
    if constexpr (sizeof(T) == sizeof(float)) {                                          \
      out[threadIdx.x] = name##f(a[threadIdx.x], b[threadIdx.x]);                        \
    } else {                                                                             \
      out[threadIdx.x] = name(a[threadIdx.x], b[threadIdx.x]);                           \
    }                                                                                    \
  }
KFDLAB_BINARY(X)
#undef X

template <typename T>
void check_unary(const char* name, void (*kernel)(const T*, T*), long double (*host)(long double), double bound,
                 double low, double high) {
  const auto values = arguments<T>(low, high, 17);
  DeviceArray<T> in(values);
  DeviceArray<T> out(kSamples);
  kernel<<<1, kSamples>>>(in, out);
  KERNELS_OK();
  const auto found = out.read();
  for (int i = 0; i < kSamples; ++i) {
    const long double wanted = host(values[i]);
    ASSERT_LE(ulps(found[i], wanted), bound + kSlack)
        << name << "(" << values[i] << ") is " << found[i] << ", not " << static_cast<double>(wanted);
  }
}

template <typename T>
void check_binary(const char* name, void (*kernel)(const T*, const T*, T*), long double (*host)(T, T), double bound,
                  double low, double high) {
  const auto a = arguments<T>(low, high, 19);
  auto b = arguments<T>(low, high, 23);
  std::reverse(b.begin() + kSamples / 2, b.end());
  for (T& value : b) {
    if (value == 0) value = static_cast<T>(0.75);
  }
  DeviceArray<T> first(a);
  DeviceArray<T> second(b);
  DeviceArray<T> out(kSamples);
  kernel<<<1, kSamples>>>(first, second, out);
  KERNELS_OK();
  const auto found = out.read();
  for (int i = 0; i < kSamples; ++i) {
    const long double wanted = host(a[i], b[i]);
    ASSERT_LE(ulps(found[i], wanted), bound + kSlack)
        << name << "(" << a[i] << ", " << b[i] << ") is " << found[i] << ", not " << static_cast<double>(wanted);
  }
}

long double host_exp10(long double x) { return powl(10.0L, x); }
#define X(name, single_ulps, double_ulps, low, high) \
  long double exact_##name(long double x) { return name##l(x); }
#define exp10l host_exp10
KFDLAB_UNARY(X)
#undef exp10l
#undef X

// nextafter depends on the type, so the exact value of a two-argument function is computed from it.
#define X(name, single_ulps, double_ulps, low, high)                                 \
  template <typename T>                                                              \
  long double exact2_##name(T a, T b) {                                              \
    if constexpr (std::string_view(#name) == "nextafter") return std::nextafter(a, b); \
    if constexpr (std::string_view(#name) == "fdim") return std::fdim(a, b);           \
    return name##l(a, b);                                                            \
  }
KFDLAB_BINARY(X)
#undef X

TEST(HipMath, SinglesAreWithinTheirBounds) {
#define X(name, single_ulps, double_ulps, low, high) \
  check_unary<float>(#name, unary_##name<float>, exact_##name, single_ulps, low, high);
  KFDLAB_UNARY(X)
#undef X
#define X(name, single_ulps, double_ulps, low, high) \
  check_binary<float>(#name, binary_##name<float>, exact2_##name<float>, single_ulps, low, high);
  KFDLAB_BINARY(X)
#undef X
}

TEST(HipMath, DoublesAreWithinTheirBounds) {
#define X(name, single_ulps, double_ulps, low, high) \
  check_unary<double>(#name, unary_##name<double>, exact_##name, double_ulps, low, high);
  KFDLAB_UNARY(X)
#undef X
#define X(name, single_ulps, double_ulps, low, high) \
  check_binary<double>(#name, binary_##name<double>, exact2_##name<double>, double_ulps, low, high);
  KFDLAB_BINARY(X)
#undef X
}

// Exact operations: every bit must agree with the host, edge values included.
template <typename T>
__global__ void arithmetic(const T* a, const T* b, const T* c, T* out, unsigned n) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  T* mine = out + i * 6;
  mine[0] = a[i] + b[i];
  mine[1] = a[i] - b[i];
  mine[2] = a[i] * b[i];
  mine[3] = a[i] / b[i];
  mine[4] = fma(a[i], b[i], c[i]);
  mine[5] = sqrt(a[i]);
}

template <typename T>
void check_arithmetic() {
  using Limits = std::numeric_limits<T>;
  const std::vector<T> edges = {0, -static_cast<T>(0), 1, -1, Limits::denorm_min(), -Limits::denorm_min(), Limits::min(),
                                Limits::min() / 2, Limits::max(), -Limits::max(), Limits::infinity(),
                                -Limits::infinity(), Limits::quiet_NaN(), Limits::epsilon(), static_cast<T>(1.0 / 3)};
  std::vector<T> a;
  std::vector<T> b;
  std::vector<T> c;
  Pattern pattern(29);
  for (const T x : edges) {
    for (const T y : edges) {
      a.push_back(x);
      b.push_back(y);
      c.push_back(edges[pattern.below(static_cast<std::uint32_t>(edges.size()))]);
    }
  }
  for (int i = 0; i < 300; ++i) {
    for (auto* values : {&a, &b, &c}) {
      values->push_back(static_cast<T>(std::ldexp(pattern.real(-2, 2), static_cast<int>(pattern.below(80)) - 40)));
    }
  }
  const unsigned n = static_cast<unsigned>(a.size());
  DeviceArray<T> device_a(a);
  DeviceArray<T> device_b(b);
  DeviceArray<T> device_c(c);
  DeviceArray<T> out(n * 6);
  arithmetic<T><<<(n + 255) / 256, 256>>>(device_a, device_b, device_c, out, n);
  KERNELS_OK();
  const auto found = out.read();
  for (unsigned i = 0; i < n; ++i) {
    const T wanted[] = {a[i] + b[i], a[i] - b[i], a[i] * b[i], a[i] / b[i], std::fma(a[i], b[i], c[i]), std::sqrt(a[i])};
    for (unsigned k = 0; k < 6; ++k) {
      const T value = found[i * 6 + k];
      if (std::isnan(wanted[k])) {
        ASSERT_TRUE(std::isnan(value)) << k << " of " << a[i] << ", " << b[i];
      } else {
        ASSERT_EQ(std::memcmp(&value, &wanted[k], sizeof(T)), 0)
            << "operation " << k << " of " << a[i] << ", " << b[i] << ", " << c[i] << ": " << value << " instead of "
            << wanted[k];
      }
    }
  }
}

TEST(HipMath, SingleArithmeticIsExact) { check_arithmetic<float>(); }
TEST(HipMath, DoubleArithmeticIsExact) { check_arithmetic<double>(); }

__global__ void conversions(const double* in, long long* wide, int* narrow, unsigned* natural, float* single,
                            double* back) {
  const unsigned i = threadIdx.x;
  wide[i] = static_cast<long long>(in[i]);
  narrow[i] = static_cast<int>(in[i]);
  natural[i] = static_cast<unsigned>(fabs(in[i]));
  single[i] = static_cast<float>(in[i]);
  back[i] = static_cast<double>(wide[i]) + static_cast<double>(static_cast<unsigned long long>(natural[i]) << 31) +
            static_cast<float>(static_cast<long long>(i) * 1234567890123LL);
}

TEST(HipMath, NumbersConvertBetweenTypes) {
  std::vector<double> values(200);
  Pattern pattern(31);
  for (double& value : values) value = pattern.real(-2e9, 2e9);
  DeviceArray<double> in(values);
  DeviceArray<long long> wide(200);
  DeviceArray<int> narrow(200);
  DeviceArray<unsigned> natural(200);
  DeviceArray<float> single(200);
  DeviceArray<double> back(200);
  conversions<<<1, 200>>>(in, wide, narrow, natural, single, back);
  KERNELS_OK();
  const auto found_wide = wide.read();
  const auto found_narrow = narrow.read();
  const auto found_natural = natural.read();
  const auto found_single = single.read();
  const auto found_back = back.read();
  for (unsigned i = 0; i < 200; ++i) {
    ASSERT_EQ(found_wide[i], static_cast<long long>(values[i]));
    ASSERT_EQ(found_narrow[i], static_cast<int>(values[i]));
    ASSERT_EQ(found_natural[i], static_cast<unsigned>(std::fabs(values[i])));
    ASSERT_EQ(found_single[i], static_cast<float>(values[i]));
    ASSERT_EQ(found_back[i], static_cast<double>(static_cast<long long>(values[i])) +
                                 static_cast<double>(static_cast<unsigned long long>(found_natural[i]) << 31) +
                                 static_cast<float>(static_cast<long long>(i) * 1234567890123LL));
  }
}

// What has several results or an integer one.
__global__ void pieces(const double* in, double* out) {
  const double x = in[threadIdx.x];
  double* mine = out + threadIdx.x * 10;
  int exponent = 0;
  mine[0] = frexp(x, &exponent);
  mine[1] = exponent;
  mine[2] = modf(x, &mine[3]);
  mine[4] = ldexp(x, 7);
  mine[5] = ilogb(x);
  sincos(x, &mine[6], &mine[7]);
  mine[8] = static_cast<double>(llrint(x));
  mine[9] = static_cast<double>(lround(x)) + (isnan(x) ? 1 : 0) + (signbit(x) ? 0.25 : 0) + (isinf(x) ? 1 : 0);
}

TEST(HipMath, PiecesOfNumbersAreRight) {
  std::vector<double> values(64);
  Pattern pattern(37);
  for (double& value : values) value = pattern.real(-1000, 1000);
  DeviceArray<double> in(values);
  DeviceArray<double> out(64 * 10);
  pieces<<<1, 64>>>(in, out);
  KERNELS_OK();
  const auto found = out.read();
  for (int i = 0; i < 64; ++i) {
    const double x = values[i];
    const double* mine = &found[i * 10];
    int exponent = 0;
    double whole = 0;
    ASSERT_EQ(mine[0], std::frexp(x, &exponent));
    ASSERT_EQ(mine[1], exponent);
    ASSERT_EQ(mine[2], std::modf(x, &whole));
    ASSERT_EQ(mine[3], whole);
    ASSERT_EQ(mine[4], std::ldexp(x, 7));
    ASSERT_EQ(mine[5], std::ilogb(x));
    ASSERT_LE(ulps(mine[6], sinl(x)), 2);
    ASSERT_LE(ulps(mine[7], cosl(x)), 2);
    ASSERT_EQ(mine[8], static_cast<double>(std::llrint(x)));
    ASSERT_EQ(mine[9], static_cast<double>(std::lround(x)) + (x < 0 ? 0.25 : 0));
  }
}

// Functions that only devices have, and the fast ones with their looser bounds.
__global__ void device_only(const float* in, float* out) {
  const float x = in[threadIdx.x];
  float* mine = out + threadIdx.x * 12;
  mine[0] = rsqrtf(x);
  mine[1] = rcbrtf(x);
  mine[2] = normcdff(x);
  mine[3] = erfinvf(x / 32);
  mine[4] = sinpif(x);
  mine[5] = cospif(x);
  mine[6] = __expf(x);
  mine[7] = __logf(x);
  mine[8] = __sinf(x / 8);
  mine[9] = __fdividef(x, 3.0F);
  mine[10] = __frcp_rn(x);
  mine[11] = __saturatef(x / 16);
}

TEST(HipMath, DeviceOnlyFunctionsAreClose) {
  std::vector<float> values(64);
  Pattern pattern(41);
  for (float& value : values) value = static_cast<float>(pattern.real(0.1, 30));
  DeviceArray<float> in(values);
  DeviceArray<float> out(64 * 12);
  device_only<<<1, 64>>>(in, out);
  KERNELS_OK();
  const auto found = out.read();
  const long double pi = 3.14159265358979323846264338327950288L;
  for (int i = 0; i < 64; ++i) {
    const long double x = values[i];
    const float* mine = &found[i * 12];
    EXPECT_LE(ulps(mine[0], 1 / sqrtl(x)), 2);
    EXPECT_LE(ulps(mine[1], 1 / cbrtl(x)), 2);
    EXPECT_LE(ulps(mine[2], erfcl(-x / sqrtl(2.0L)) / 2), 5);
    EXPECT_NEAR(static_cast<double>(erfl(mine[3])), values[i] / 32, 1e-6);
    EXPECT_NEAR(mine[4], static_cast<double>(sinl(fmodl(x, 2) * pi)), 2e-6);
    EXPECT_NEAR(mine[5], static_cast<double>(cosl(fmodl(x, 2) * pi)), 2e-6);
    EXPECT_NEAR(mine[6] / static_cast<double>(expl(x)), 1, 1e-5);
    EXPECT_NEAR(mine[7], static_cast<double>(logl(x)), 1e-5);
    EXPECT_NEAR(mine[8], static_cast<double>(sinl(x / 8)), 1e-5);
    EXPECT_LE(ulps(mine[9], x / 3), 3);
    EXPECT_LE(ulps(mine[10], 1 / x), 1);
    EXPECT_EQ(mine[11], std::fmin(values[i] / 16, 1.0F));
  }
}

}  // namespace
}  // namespace kfdlab
