// SPDX-License-Identifier: MIT
// Calls in device code: recursion, pointers to functions, virtual functions, big frames in scratch, and what the
// device runtime offers: printf, malloc and new. assert_test.cpp has the assertion that fails.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <set>

#include "tests/hip/compute.h"
#include "tests/hip/compute_call.h"

namespace kfdlab {
namespace {

__host__ __device__ __attribute__((noinline)) std::uint64_t fibonacci(unsigned n) {
  if (n < 2) return n;
  return fibonacci(n - 1) + fibonacci(n - 2);
}

__host__ __device__ __attribute__((noinline)) unsigned ackermann(unsigned m, unsigned n) {
  if (m == 0) return n + 1;
  if (n == 0) return ackermann(m - 1, 1);
  return ackermann(m - 1, ackermann(m, n - 1));
}

__global__ void recursion(std::uint64_t* out) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = fibonacci(i % 11) + ackermann(2, i % 4);
}

TEST(HipCall, FunctionsMayCallThemselves) {
  DeviceArray<std::uint64_t> out(100);
  recursion<<<2, 50>>>(out);
  KERNELS_OK();
  std::vector<std::uint64_t> wanted(100);
  for (unsigned i = 0; i < 100; ++i) wanted[i] = fibonacci(i % 11) + ackermann(2, i % 4);
  expect_same(out.read(), wanted);
}

using Operation = float (*)(float, float);
__device__ __attribute__((noinline)) float add_halves(float a, float b) { return a * 0.5F + b * 0.5F; }
__device__ __attribute__((noinline)) float subtract(float a, float b) { return a - b; }
__device__ __attribute__((noinline)) float larger(float a, float b) { return a > b ? a : b; }
__device__ Operation operations[3] = {add_halves, subtract, larger};

__global__ void call_through_table(const float* a, const float* b, float* out) {
  const unsigned i = threadIdx.x;
  out[i] = operations[i % 3](a[i], b[i]);  // lanes of one wave call different functions
}

TEST(HipCall, LanesMayCallDifferentFunctionsThroughPointers) {
  const auto a = random_values<float>(200, 101);
  const auto b = random_values<float>(200, 103);
  DeviceArray<float> device_a(a);
  DeviceArray<float> device_b(b);
  DeviceArray<float> out(200);
  call_through_table<<<1, 200>>>(device_a, device_b, out);
  KERNELS_OK();
  std::vector<float> wanted(200);
  for (unsigned i = 0; i < 200; ++i) {
    wanted[i] = i % 3 == 0 ? a[i] * 0.5F + b[i] * 0.5F : i % 3 == 1 ? a[i] - b[i] : a[i] > b[i] ? a[i] : b[i];
  }
  expect_same(out.read(), wanted);
}

class Shape {
 public:
  __device__ virtual int area() const = 0;
  __device__ virtual ~Shape() {}
};
class Square : public Shape {
 public:
  __device__ explicit Square(int side) : side_(side) {}
  __device__ int area() const override { return side_ * side_; }

 private:
  int side_;
};
class Rectangle : public Shape {
 public:
  __device__ Rectangle(int width, int height) : width_(width), height_(height) {}
  __device__ int area() const override { return width_ * height_; }

 private:
  int width_;
  int height_;
};

__global__ void make_shapes(Shape** shapes) {
  const int i = static_cast<int>(threadIdx.x);
  shapes[i] = i % 2 == 0 ? static_cast<Shape*>(new Square(i)) : static_cast<Shape*>(new Rectangle(i, 3));
}
__global__ void areas(Shape** shapes, int* out) { out[threadIdx.x] = shapes[threadIdx.x ^ 1]->area(); }
__global__ void drop_shapes(Shape** shapes) { delete shapes[threadIdx.x]; }

TEST(HipCall, ObjectsMadeOnTheDeviceHaveVirtualFunctions) {
  DeviceArray<Shape*> shapes(64);
  DeviceArray<int> out(64);
  make_shapes<<<1, 64>>>(shapes);
  areas<<<1, 64>>>(shapes, out);
  drop_shapes<<<1, 64>>>(shapes);
  KERNELS_OK();
  std::vector<int> wanted(64);
  for (int i = 0; i < 64; ++i) {
    const int other = i ^ 1;
    wanted[i] = other % 2 == 0 ? other * other : other * 3;
  }
  expect_same(out.read(), wanted);
}

// More scratch than a queue is born with, indexed at run time.
template <int kWords>
__global__ void big_frame(const unsigned* in, unsigned* out) {
  unsigned local[kWords];
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned state = in[i];
  for (int k = 0; k < kWords; ++k) {
    state = state * 1664525U + 1013904223U;
    local[(k * 7 + i) % kWords] = state;
  }
  unsigned sum = 0;
  for (int k = 0; k < kWords; k += 3) sum = sum * 31 + local[(k + in[i]) % kWords];
  out[i] = sum;
}

template <int kWords>
void check_big_frame() {
  constexpr unsigned kCount = 3 * 130;
  const auto values = random_values<unsigned>(kCount, kWords);
  DeviceArray<unsigned> in(values);
  DeviceArray<unsigned> out(kCount);
  big_frame<kWords><<<3, 130>>>(in, out);
  KERNELS_OK();
  std::vector<unsigned> wanted(kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    std::array<unsigned, kWords> local{};
    unsigned state = values[i];
    for (unsigned k = 0; k < kWords; ++k) {
      state = state * 1664525U + 1013904223U;
      local[(k * 7 + i) % kWords] = state;
    }
    unsigned sum = 0;
    for (unsigned k = 0; k < kWords; k += 3) sum = sum * 31 + local[(k + values[i]) % kWords];
    wanted[i] = sum;
  }
  expect_same(out.read(), wanted, std::to_string(kWords) + " words");
}

TEST(HipCall, FramesGrowBetweenKernels) {
  check_big_frame<29>();
  check_big_frame<1009>();
  check_big_frame<149>();
  check_big_frame<4001>();
}

struct Small {
  short a;
  char b;
  double c;
};
struct Large {
  int words[60];
  Small small;
};
__device__ __attribute__((noinline)) Large twisted(Large large, Small small, int by) {
  for (int k = 0; k < 60; ++k) large.words[k] = large.words[(k + by) % 60] + small.a * k;
  large.small = {static_cast<short>(small.a + 1), static_cast<char>(small.b + by), small.c * 2};
  return large;
}
__global__ void structs_by_value(Large large, Small small, Large* out) {
  out[threadIdx.x] = twisted(large, small, static_cast<int>(threadIdx.x) % 7);
}

TEST(HipCall, StructsArePassedAndReturnedByValue) {
  Large large{};
  Pattern pattern(5);
  for (int& word : large.words) word = static_cast<int>(pattern.below(1000));
  const Small small = {-77, 'k', 1.25};
  DeviceArray<Large> out(std::vector<Large>(40));
  structs_by_value<<<1, 40>>>(large, small, out);
  KERNELS_OK();
  const auto found = out.read();
  for (int t = 0; t < 40; ++t) {
    Large wanted = large;
    for (int k = 0; k < 60; ++k) wanted.words[k] = wanted.words[(k + t % 7) % 60] + small.a * k;
    for (int k = 0; k < 60; ++k) ASSERT_EQ(found[t].words[k], wanted.words[k]) << t << " " << k;
    ASSERT_EQ(found[t].small.a, -76);
    ASSERT_EQ(found[t].small.b, static_cast<char>('k' + t % 7));
    ASSERT_EQ(found[t].small.c, 2.5);
  }
}

struct Kilobytes {
  unsigned words[1000];
};
__global__ void big_arguments(Kilobytes arguments, unsigned first, unsigned* out, unsigned last) {
  for (unsigned i = threadIdx.x; i < 1000; i += blockDim.x) out[i] = arguments.words[i] ^ first ^ (last + i);
}

TEST(HipCall, FourKilobytesOfArgumentsArrive) {
  Kilobytes arguments{};
  Pattern pattern(9);
  for (unsigned& word : arguments.words) word = static_cast<unsigned>(pattern.next());
  DeviceArray<unsigned> out(1000);
  big_arguments<<<1, 128>>>(arguments, 0x1234U, out, 99U);
  KERNELS_OK();
  std::vector<unsigned> wanted(1000);
  for (unsigned i = 0; i < 1000; ++i) wanted[i] = arguments.words[i] ^ 0x1234U ^ (99U + i);
  expect_same(out.read(), wanted);
}

__global__ void many_arguments(char a, short b, int c, long long d, float e, double f, unsigned char g, const int* h,
                               float3 i, bool j, unsigned long long* out) {
  out[threadIdx.x] = static_cast<unsigned long long>(a + b + c + d + static_cast<long long>(e * 4) +
                                                     static_cast<long long>(f * 8) + g + h[threadIdx.x] +
                                                     static_cast<long long>(i.x + i.y + i.z) + (j ? 1000 : 0));
}

TEST(HipCall, ArgumentsOfEveryTypeAreAligned) {
  const auto values = random_values<int>(10, 3);
  DeviceArray<int> in(values);
  DeviceArray<unsigned long long> out(10);
  many_arguments<<<1, 10>>>(-3, 500, -70000, 1LL << 40, 2.25F, -9.125, 200, in, make_float3(1, 2, 3), true, out);
  KERNELS_OK();
  std::vector<unsigned long long> wanted(10);
  for (unsigned t = 0; t < 10; ++t) {
    wanted[t] = static_cast<unsigned long long>(-3 + 500 - 70000 + (1LL << 40) + 9 - 73 + 200 + values[t] + 6 + 1000);
  }
  expect_same(out.read(), wanted);
}

// Standard output of this process goes to a file while `body` runs.
template <typename Body>
std::string captured(Body body) {
  std::fflush(stdout);
  std::FILE* file = std::tmpfile();
  const int kept = dup(STDOUT_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  body();
  std::fflush(stdout);
  dup2(kept, STDOUT_FILENO);
  close(kept);
  std::string text;
  std::rewind(file);
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

__global__ void print_lines(const char* name) {
  printf("line %d of %s: %.3f %s %c %llu %x\n", static_cast<int>(threadIdx.x + blockIdx.x * blockDim.x), name,
         threadIdx.x * 0.125, "text", 'a' + static_cast<int>(threadIdx.x % 26), 1ULL << 40, 0xbeefU);
}

TEST(HipCall, EveryLaneMayPrint) {
  char* name = nullptr;
  HIP_OK(hipHostMalloc(reinterpret_cast<void**>(&name), 16, 0));
  std::strcpy(name, "kernel");
  const std::string text = captured([name] {
    print_lines<<<3, 70>>>(name);
    EXPECT_EQ(hipDeviceSynchronize(), hipSuccess);
  });
  std::multiset<std::string> found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    ASSERT_NE(end, std::string::npos) << text.substr(at);
    found.insert(text.substr(at, end - at));
    at = end + 1;
  }
  std::multiset<std::string> wanted;
  for (int i = 0; i < 210; ++i) {
    char line[128];
    std::snprintf(line, sizeof(line), "line %d of kernel: %.3f text %c %llu %x", i, i % 70 * 0.125, 'a' + i % 70 % 26,
                  1ULL << 40, 0xbeefU);
    wanted.insert(line);
  }
  EXPECT_EQ(found, wanted);
  HIP_OK(hipHostFree(name));
}

__global__ void chains(unsigned long long* heads, unsigned length) {
  struct Node {
    Node* next;
    unsigned value;
  };
  Node* head = nullptr;
  for (unsigned k = 0; k < length; ++k) {
    auto* node = static_cast<Node*>(malloc(sizeof(Node)));
    if (node == nullptr) return;
    node->next = head;
    node->value = threadIdx.x * 100 + k;
    head = node;
  }
  unsigned long long sum = 0;
  while (head != nullptr) {
    sum = sum * 7 + head->value;
    Node* next = head->next;
    free(head);
    head = next;
  }
  heads[threadIdx.x] = sum;
}

TEST(HipCall, DeviceCodeMayAllocate) {
  DeviceArray<unsigned long long> heads(96);
  chains<<<1, 96>>>(heads, 5);
  KERNELS_OK();
  std::vector<unsigned long long> wanted(96);
  for (unsigned t = 0; t < 96; ++t) {
    for (unsigned k = 5; k-- > 0;) wanted[t] = wanted[t] * 7 + t * 100 + k;
  }
  expect_same(heads.read(), wanted);
}

__global__ void checked(int limit) { assert(static_cast<int>(threadIdx.x) < limit); }

TEST(HipCall, AssertionsThatHoldChangeNothing) {
  checked<<<4, 64>>>(64);
  KERNELS_OK();
}

}  // namespace

hipError_t launch_failing_assertion() {
  checked<<<1, 64>>>(40);
  return hipDeviceSynchronize();
}

}  // namespace kfdlab
