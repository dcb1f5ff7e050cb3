// SPDX-License-Identifier: MIT
#include "tests/unit/engine/bench/cases.h"

#include <cmath>
#include <memory>

#include "tests/unit/engine/bench/native.h"

namespace kfdlab::engine {
namespace {

using bench::Quad;
namespace native = bench::native;

constexpr std::uint64_t kA = EngineRig::kMemory + (1u << 20);
constexpr std::uint64_t kB = EngineRig::kMemory + (5u << 20);
constexpr std::uint64_t kC = EngineRig::kMemory + (9u << 20);

template <typename... T>
std::vector<std::uint8_t> arguments(T... values) {
  std::vector<std::uint8_t> bytes;
  (add_argument(bytes, values), ...);
  return bytes;
}

unsigned mixed(unsigned i) {
  i = (i ^ i >> 16) * 0x7feb352du;
  i = (i ^ i >> 15) * 0x846ca68bu;
  return i ^ i >> 16;
}

class Suite {
 public:
  explicit Suite(EngineRig& rig) : rig_(rig) {}
  std::vector<BenchCase> take() { return std::move(cases_); }

  void streams() {
    constexpr int kItems = 512 << 10;
    const auto* x = a<float>();
    add(
        "saxpy", "saxpy", linear(kItems), arguments(2.0f, kA, kB), b<float>(), kItems, 0,
        [this] {
          fill(a<float>(), kItems, [](unsigned i) { return static_cast<float>(i % 1000); });
          fill(b<float>(), kItems, [](unsigned) { return 1.0f; });
        },
        [=](float* out) {
          std::fill_n(out, kItems, 1.0f);
          native::saxpy(kItems, 2.0f, x, out);
        });
    constexpr int kQuads = 192 << 10;
    const auto* quads = a<Quad>();
    add(
        "float4 copy", "copy", linear(kQuads), arguments(kA, kB), reinterpret_cast<float*>(b<Quad>()), kQuads * 4, 0,
        [this] { fill(a<float>(), kQuads * 4, [](unsigned i) { return static_cast<float>(mixed(i) >> 8); }); },
        [=](float* out) { native::copy(kQuads, quads, reinterpret_cast<Quad*>(out)); });
    add(
        "fill", "fill", linear(kItems), arguments(0x5a5a5a5au, kB), b<unsigned>(), kItems, 0, [] {},
        [=](unsigned* out) { native::fill(kItems, 0x5a5a5a5au, out); });
  }

  void matrices() {
    constexpr int kSide = 256;
    const auto small = [](unsigned i) { return static_cast<float>(static_cast<int>(mixed(i) % 13) - 6); };
    const auto prepare = [this, small] {
      fill(a<float>(), kSide * kSide, small);
      fill(b<float>(), kSide * kSide, small);
    };
    const auto* x = a<float>();
    const auto* y = b<float>();
    const auto run = [=](float* out) { native::matmul(x, y, out, kSide); };
    const auto args = arguments(kA, kB, kC, kSide);
    add("matmul 64x1", "matmul", {{kSide, kSide, 1}, {64, 1, 1}}, args, c<float>(), kSide * kSide, 1e-5, prepare, run);
    add("matmul 16x16", "matmul", {{kSide, kSide, 1}, {16, 16, 1}}, args, c<float>(), kSide * kSide, 1e-5, prepare,
        run);
    add("matmul LDS f32", "tiled_f32", {{kSide, kSide, 1}, {16, 16, 1}}, args, c<float>(), kSide * kSide, 1e-5, prepare,
        run);
    add("matmul MFMA", "matrix", {{kSide / 32 * 64, kSide / 32, 1}, {64, 1, 1}}, args, c<float>(), kSide * kSide, 1e-5,
        prepare, run);
    const auto* xd = a<double>();
    const auto* yd = b<double>();
    add(
        "matmul LDS f64", "tiled_f64", {{kSide, kSide, 1}, {16, 16, 1}}, args, c<double>(), kSide * kSide, 1e-12,
        [this, small] {
          fill(a<double>(), kSide * kSide, small);
          fill(b<double>(), kSide * kSide, small);
        },
        [=](double* out) { native::matmul(xd, yd, out, kSide); });
    constexpr int kImage = 512;
    add(
        "stencil", "stencil", {{kImage, kImage, 1}, {64, 4, 1}}, arguments(kA, kB, kImage), b<float>(), kImage * kImage,
        1e-6, [this, small] { fill(a<float>(), kImage * kImage, small); },
        [=](float* out) { native::stencil(x, out, kImage); });
    add(
        "transpose", "transpose", {{kImage, kImage, 1}, {16, 16, 1}}, arguments(kA, kB, kImage), b<float>(),
        kImage * kImage, 0, [this, small] { fill(a<float>(), kImage * kImage, small); },
        [=](float* out) { native::transpose(x, out, kImage); });
  }

  void mathematics() {
    constexpr int kBodies = 1024;
    const auto* bodies = a<Quad>();
    add(
        "n-body", "nbody", linear(kBodies), arguments(kA, kB, kBodies), b<float>(), kBodies * 4, 2e-2,
        [this] {
          fill(a<float>(), kBodies * 4, [](unsigned i) { return static_cast<float>(i * 7919 % 1000) * 0.001f + 0.1f; });
        },
        [=](float* out) { native::nbody(bodies, reinterpret_cast<Quad*>(out), kBodies); });
    constexpr int kItems = 8192;
    const auto value = [](unsigned i) { return (static_cast<double>(i) - kItems / 2) * 0.37; };
    const auto* x = a<float>();
    add(
        "mathf", "mathf", linear(kItems), arguments(kA, kB), b<float>(), kItems, 1e-4,
        [=, this] { fill(a<float>(), kItems, [=](unsigned i) { return static_cast<float>(value(i)); }); },
        [=](float* out) { native::mathf(kItems, x, out); });
    const auto* xd = a<double>();
    add(
        "mathd", "mathd", linear(kItems), arguments(kA, kB), b<double>(), kItems, 1e-12,
        [=, this] { fill(a<double>(), kItems, value); }, [=](double* out) { native::mathd(kItems, xd, out); });
  }

  void integers() {
    constexpr int kItems = 128 << 10;
    const auto random = [](unsigned i) { return static_cast<int>(mixed(i)); };
    const auto prepare = [=, this] { fill(a<int>(), kItems, random); };
    const auto* x = a<int>();
    add("int division", "division", linear(kItems), arguments(kA, kB), b<int>(), kItems, 0, prepare,
        [=](int* out) { native::division(kItems, x, out); });
    add(
        "reduction", "reduce", linear(kItems), arguments(kA, kB), b<int>(), 1, 0,
        [=, this] {
          prepare();
          *b<int>() = 0;
        },
        [=](int* out) {
          *out = 0;
          native::reduce(kItems, x, out);
        });
    add("scan", "scan", linear(kItems), arguments(kA, kB), b<int>(), kItems, 0, prepare,
        [=](int* out) { native::scan(kItems, x, out); });
    add("shuffle", "shuffle", linear(kItems), arguments(kA, kB), b<int>(), kItems, 0, prepare,
        [=](int* out) { native::shuffle(kItems, x, out); });
    const auto* bytes = a<unsigned char>();
    add(
        "histogram", "histogram", linear(4096), arguments(kA, kB, kItems), b<unsigned>(), 256, 0,
        [=, this] {
          fill(a<unsigned char>(), kItems, [](unsigned i) { return static_cast<unsigned char>(mixed(i) >> 24); });
          std::fill_n(b<unsigned>(), 256, 0u);
        },
        [=](unsigned* out) {
          std::fill_n(out, 256, 0u);
          native::histogram(kItems, bytes, out);
        });
    constexpr int kWays = 32 << 10;
    const auto* u = a<unsigned>();
    add(
        "branches", "branches", linear(kWays), arguments(kA, kB, 32), b<unsigned>(), kWays, 0,
        [this] { fill(a<unsigned>(), kWays, mixed); }, [=](unsigned* out) { native::branches(kWays, u, out, 32); });
    constexpr int kNodes = 1 << 20;
    add(
        "chase", "chase", linear(kWays), arguments(kA, kB, 32), b<unsigned>(), kWays, 0,
        [this] { fill(a<unsigned>(), kNodes, [](unsigned i) { return mixed(i) % kNodes; }); },
        [=](unsigned* out) { native::chase(kWays, u, out, 32); });
    constexpr int kRounds = 256;
    add(
        "same address", "same_address", linear(4096), arguments(kB, kRounds), b<unsigned>(), 1, 0,
        [this] { *b<unsigned>() = 0; }, [](unsigned* out) { *out = 4096 * kRounds; });
    cases_.back().native = nullptr;
    cases_.back().is_right = [this] { return *b<unsigned>() == 4096u * kRounds; };
  }

 private:
  template <typename T>
  T* a() {
    return rig_.at<T>(kA);
  }
  template <typename T>
  T* b() {
    return rig_.at<T>(kB);
  }
  template <typename T>
  T* c() {
    return rig_.at<T>(kC);
  }

  static CodeObject::Grid linear(int items) { return {{static_cast<std::uint32_t>(items), 1, 1}, {256, 1, 1}}; }
  template <typename T, typename Value>
  static void fill(T* to, int count, Value&& value) {
    for (int i = 0; i < count; ++i) to[i] = static_cast<T>(value(static_cast<unsigned>(i)));
  }

  // `out` has `count` results, which may differ by `tolerance` relative to 1 + their size.
  template <typename T, typename Native>
  void add(const std::string& name, const std::string& kernel, const CodeObject::Grid& grid,
           const std::vector<std::uint8_t>& args, const T* out, int count, double tolerance,
           const std::function<void()>& prepare, Native&& run) {
    const auto expected = std::make_shared<std::vector<T>>(static_cast<std::size_t>(count));
    BenchCase added{name, kernel, grid, args, prepare, [=] { run(expected->data()); }, nullptr};
    added.is_right = [=] {
      for (int i = 0; i < count; ++i) {
        const T want = (*expected)[static_cast<std::size_t>(i)];
        const double difference = std::fabs(static_cast<double>(out[i]) - static_cast<double>(want));
        if (!(difference <= tolerance * (1 + std::fabs(static_cast<double>(want))))) return false;
      }
      return true;
    };
    cases_.push_back(std::move(added));
  }

  EngineRig& rig_;
  std::vector<BenchCase> cases_;
};

}  // namespace

std::vector<BenchCase> bench_cases(EngineRig& rig) {
  const auto suite = std::make_shared<Suite>(rig);
  suite->streams();
  suite->matrices();
  suite->mathematics();
  suite->integers();
  std::vector<BenchCase> cases = suite->take();
  for (BenchCase& each : cases) {
    // The suite's memory is what the functions use.
    each.prepare = [suite, call = std::move(each.prepare)] { call(); };
  }
  return cases;
}

}  // namespace kfdlab::engine
