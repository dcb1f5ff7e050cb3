// SPDX-License-Identifier: MIT
// Speed of the engine: wave instructions a second of one engine thread, in CPU time.
//   kfdlab_engine_bench [CODE_OBJECT [KERNEL]]
// Without arguments a loop of vector arithmetic written here. With a code object of the kernels below (hipcc --genco) those
// too, each checked against the CPU.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "tests/unit/engine/support/assembler.h"
#include "tests/unit/engine/support/code_object.h"
#include "tests/unit/engine/support/engine_rig.h"

namespace kfdlab::engine {
namespace {

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Best of several runs; a negative rate is a failure that has been told.
void measure(EngineRig& rig, const std::string& name, const Dispatch& dispatch, const std::function<bool()>& check) {
  double best = 0;
  std::uint64_t instructions = 0;
  for (int run = 0; run < 5; ++run) {
    const double before = cpu_seconds();
    const auto outcome = rig.run(dispatch);
    const double seconds = cpu_seconds() - before;
    if (!outcome || outcome->verdict != Verdict::Done) {
      std::printf("%-12s FAILED: %s\n", name.c_str(), outcome ? outcome->name.c_str() : "does not end");
      if (outcome) {
        std::printf("             verdict %d pc %llx fault %llx\n", static_cast<int>(outcome->verdict),
                    static_cast<unsigned long long>(outcome->pc), static_cast<unsigned long long>(outcome->fault.page));
      }
      return;
    }
    if (run == 0 && !check()) {
      std::printf("%-12s WRONG RESULT\n", name.c_str());
    }
    instructions = outcome->instructions;
    best = std::max(best, static_cast<double>(instructions) / seconds);
  }
  std::printf("%-12s %8.1f M wave-inst/s  (%llu instructions)\n", name.c_str(), best * 1e-6,
              static_cast<unsigned long long>(instructions));
  std::fflush(stdout);
}

void bench_loop(EngineRig& rig) {
  const auto words = assemble(R"(
    s_movk_i32 s3, 0
  loop:
    v_fma_f32 v1, v2, v3, v1
    v_add_u32 v4, v4, v5
    v_mul_f32 v6, v6, v2
    v_fmac_f32 v7, v2, v3
    v_lshlrev_b32 v8, 2, v4
    v_add_f32 v9, v9, v1
    v_xor_b32 v10, v10, v8
    v_and_b32 v11, s0, v10
    s_addk_i32 s3, 1
    s_cmpk_lt_u32 s3, 0x7d0
    s_cbranch_scc1 loop
    s_endpgm)");
  if (!words || words->empty()) {
    std::printf("loop         skipped: no llvm-mc\n");
    return;
  }
  rig.load(*words);
  measure(rig, "valu loop", rig.linear(64 * 64, 256), [] { return true; });
}

// From launch() to the completion of a kernel that ends at once, one wave and many.
void bench_empty(EngineRig& rig) {
  const auto words = assemble("s_endpgm");
  if (!words || words->empty()) {
    return;
  }
  rig.load(*words);
  constexpr int kRuns = 2000;
  double seconds = 1;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const double before = cpu_seconds();
    for (int i = 0; i < kRuns; ++i) {
      static_cast<void>(rig.run(rig.linear(64, 64)));
    }
    seconds = std::min(seconds, cpu_seconds() - before);
  }
  std::printf("%-12s %8.1f us a dispatch (CPU time of both sides)\n", "empty", seconds / kRuns * 1e6);
  constexpr std::uint32_t kWaves = 1 << 16;
  seconds = 1;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const double before = cpu_seconds();
    static_cast<void>(rig.run(rig.linear(kWaves * 64, 256)));
    seconds = std::min(seconds, cpu_seconds() - before);
  }
  std::printf("%-12s %8.3f us a wave\n", "wave", seconds / kWaves * 1e6);
}

struct Buffers {
  EngineRig& rig;
  std::uint64_t a = EngineRig::kMemory + (1u << 20);
  std::uint64_t b = EngineRig::kMemory + (5u << 20);
  std::uint64_t c = EngineRig::kMemory + (9u << 20);
  template <typename T>
  T* host(std::uint64_t va) { return rig.at<T>(va); }
};

template <typename... T>
std::vector<std::uint8_t> arguments(T... values) {
  std::vector<std::uint8_t> bytes;
  (add_argument(bytes, values), ...);
  return bytes;
}

bool near(double x, double y, double tolerance) { return std::fabs(x - y) <= tolerance * (1 + std::fabs(y)); }

class HipKernels {
 public:
  HipKernels(EngineRig& rig, const CodeObject& object, std::string only)
      : rig_(rig), object_(object), buffers_{rig}, only_(std::move(only)) {}

  void saxpy() {
    constexpr int kItems = 512 << 10;
    auto* x = buffers_.host<float>(buffers_.a);
    auto* y = buffers_.host<float>(buffers_.b);
    for (int i = 0; i < kItems; ++i) {
      x[i] = static_cast<float>(i % 1000);
      y[i] = 1;
    }
    run("saxpy", {{kItems, 1, 1}, {256, 1, 1}}, arguments(2.0f, buffers_.a, buffers_.b, kItems), [=] {
      for (int i = 0; i < kItems; ++i) {
        if (y[i] != 2.0f * x[i] + 1) return false;
      }
      return true;
    });
  }
  void matmul(const char* name, std::uint32_t group_x, std::uint32_t group_y) {
    constexpr int kSide = 256;
    auto* a = buffers_.host<float>(buffers_.a);
    auto* b = buffers_.host<float>(buffers_.b);
    auto* c = buffers_.host<float>(buffers_.c);
    for (int i = 0; i < kSide * kSide; ++i) {
      a[i] = static_cast<float>(i % 13) - 6;
      b[i] = static_cast<float>(i % 7) - 3;
    }
    run(name, {{kSide, kSide, 1}, {group_x, group_y, 1}}, arguments(buffers_.a, buffers_.b, buffers_.c, kSide), [=] {
      for (int i = 0; i < kSide * kSide; i += 37) {
        float sum = 0;
        for (int k = 0; k < kSide; ++k) sum += a[i / kSide * kSide + k] * b[k * kSide + i % kSide];
        if (!near(c[i], sum, 1e-5)) return false;
      }
      return true;
    });
  }
  void nbody() {
    constexpr int kBodies = 1024;
    auto* p = buffers_.host<float>(buffers_.a);
    auto* out = buffers_.host<float>(buffers_.b);
    for (int i = 0; i < kBodies * 4; ++i) p[i] = static_cast<float>((i * 7919) % 1000) * 0.001f + 0.1f;
    run("nbody", {{kBodies, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kBodies), [=] {
      for (int i = 0; i < kBodies; i += 41) {
        double ax = 0;
        for (int j = 0; j < kBodies; ++j) {
          const double dx = double{p[j * 4]} - p[i * 4];
          const double dy = double{p[j * 4 + 1]} - p[i * 4 + 1];
          const double dz = double{p[j * 4 + 2]} - p[i * 4 + 2];
          ax += dx * p[j * 4 + 3] / std::pow(dx * dx + dy * dy + dz * dz + 1e-6, 1.5);
        }
        if (!near(out[i * 4], ax, 2e-2)) return false;
      }
      return true;
    });
  }
  void maths() {
    constexpr int kItems = 4096;
    auto* x = buffers_.host<float>(buffers_.a);
    auto* y = buffers_.host<float>(buffers_.b);
    for (int i = 0; i < kItems; ++i) x[i] = static_cast<float>(i - 2048) * 0.37f;
    run("mathf", {{kItems, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kItems), [=] {
      for (int i = 0; i < kItems; ++i) {
        const double v = x[i];
        const double expected = std::sin(v) + std::exp(-v * 0.01) + std::log(std::fabs(v) + 1) + std::sqrt(std::fabs(v)) +
                                v / (1 + v * v) + std::pow(std::fabs(v), 0.3);
        if (!near(y[i], expected, 1e-5)) return false;
      }
      return true;
    });
    auto* xd = buffers_.host<double>(buffers_.a);
    auto* yd = buffers_.host<double>(buffers_.b);
    for (int i = 0; i < kItems; ++i) xd[i] = (i - 2048) * 0.37;
    run("mathd", {{kItems, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kItems), [=] {
      for (int i = 0; i < kItems; ++i) {
        const double v = xd[i];
        const double expected = std::sin(v) + std::exp(-v * 0.01) + std::log(std::fabs(v) + 1) + std::sqrt(std::fabs(v)) +
                                v / (1 + v * v);
        if (!near(yd[i], expected, 1e-14)) return false;
      }
      return true;
    });
  }
  void integers() {
    constexpr int kItems = 128 << 10;
    auto* x = buffers_.host<int>(buffers_.a);
    auto* y = buffers_.host<int>(buffers_.b);
    for (int i = 0; i < kItems; ++i) x[i] = static_cast<int>(static_cast<unsigned>(i) * 2654435u);
    run("idiv", {{kItems, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kItems), [=] {
      for (int i = 0; i < kItems; ++i) {
        const int expected = x[i] / (i % 97 + 1) + static_cast<int>(x[i] * 1234567891L / (i + 3));
        if (y[i] != expected) return false;
      }
      return true;
    });
    y[0] = 0;
    run("reduce", {{kItems, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kItems), [=] {
      unsigned sum = 0;
      for (int i = 0; i < kItems; ++i) sum += static_cast<unsigned>(x[i]);
      return static_cast<unsigned>(y[0]) == sum;
    });
    run("shuffle", {{kItems, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kItems), [=] {
      unsigned sum = 0;
      for (int i = 0; i < 64; ++i) sum += static_cast<unsigned>(x[i]);
      return static_cast<unsigned>(y[0]) == sum + ((sum & 1) != 0 ? 64 : 0) + (sum == 7 ? 1 : 0);
    });
    auto* bytes = buffers_.host<unsigned char>(buffers_.a);
    auto* counts = buffers_.host<unsigned>(buffers_.b);
    for (int i = 0; i < kItems; ++i) bytes[i] = static_cast<unsigned char>(i * 7 >> 3);
    std::memset(counts, 0, 1024);
    run("hist", {{4096, 1, 1}, {256, 1, 1}}, arguments(buffers_.a, buffers_.b, kItems), [=] {
      std::vector<unsigned> expected(256);
      for (int i = 0; i < kItems; ++i) ++expected[bytes[i]];
      return std::equal(expected.begin(), expected.end(), counts);
    });
  }

 private:
  void run(const std::string& name, const CodeObject::Grid& grid, const std::vector<std::uint8_t>& bytes,
           const std::function<bool()>& check) {
    if (!only_.empty() && only_ != name) {
      return;
    }
    if (const auto dispatch = object_.dispatch(name, grid, bytes)) {
      measure(rig_, name, *dispatch, check);
    } else {
      std::printf("%-12s not in this code object\n", name.c_str());
    }
  }

  EngineRig& rig_;
  const CodeObject& object_;
  Buffers buffers_;
  std::string only_;
};

int bench_main(int argc, char** argv) {
  EngineRig rig({.threads = 1, .compute_units = 8, .quantum = 200'000});
  const std::string only = argc > 2 ? argv[2] : "";
  if (only.empty()) {
    bench_loop(rig);
    bench_empty(rig);
  }
  if (argc > 1) {
    const auto object = CodeObject::load(rig, argv[1], EngineRig::kMemory);
    if (!object) {
      std::printf("%s: no code object for gfx90a\n", argv[1]);
      return 1;
    }
    HipKernels kernels(rig, *object, only);
    kernels.saxpy();
    kernels.matmul("matmul", 64, 1);
    kernels.matmul("matmul", 16, 16);
    kernels.matmul("matmul_lds", 16, 16);
    kernels.nbody();
    kernels.integers();
    kernels.maths();
  }
  return 0;
}

}  // namespace
}  // namespace kfdlab::engine

int main(int argc, char** argv) { return kfdlab::engine::bench_main(argc, argv); }
