// SPDX-License-Identifier: MIT
// How code and constants reach the device: symbols, kernels compiled at run time, code objects loaded by name, and what
// HIP says about functions and the device.
#include <hip/hiprtc.h>

#include "tests/hip/compute.h"

namespace kfdlab {

// Not in the unnamed namespace: ROCm's runtime looks for each of them by name in the code object.
__constant__ int compute_constants[64];
__device__ unsigned compute_words[64];
__device__ float compute_scalar = 1.5F;
__device__ int* compute_pointer;

namespace {

__global__ void use_symbols(unsigned* out) {
  const unsigned i = threadIdx.x;
  out[i] = static_cast<unsigned>(compute_constants[i ^ 21]) + compute_words[i] +
           static_cast<unsigned>(compute_scalar * 2) + (compute_pointer == nullptr ? 0U : 100U);
  compute_words[i] = out[i] ^ 0xffU;
}

TEST(HipProgram, SymbolsAreCopiedBothWays) {
  const auto numbers = random_values<int>(64, 3);
  const auto words = random_values<unsigned>(64, 5);
  const float scalar = 21.5F;
  HIP_OK(hipMemcpyToSymbol(HIP_SYMBOL(compute_constants), numbers.data(), 64 * sizeof(int)));
  HIP_OK(hipMemcpyToSymbol(HIP_SYMBOL(compute_words), words.data(), 32 * sizeof(unsigned)));
  HIP_OK(hipMemcpyToSymbol(HIP_SYMBOL(compute_words), words.data() + 32, 32 * sizeof(unsigned), 32 * sizeof(unsigned)));
  HIP_OK(hipMemcpyToSymbolAsync(HIP_SYMBOL(compute_scalar), &scalar, sizeof(scalar), 0, hipMemcpyHostToDevice, nullptr));
  DeviceArray<unsigned> out(64);
  use_symbols<<<1, 64>>>(out);
  KERNELS_OK();
  std::vector<unsigned> wanted(64);
  for (unsigned i = 0; i < 64; ++i) wanted[i] = static_cast<unsigned>(numbers[i ^ 21]) + words[i] + 43;
  expect_same(out.read(), wanted);
  std::vector<unsigned> back(64);
  HIP_OK(hipMemcpyFromSymbol(back.data(), HIP_SYMBOL(compute_words), 64 * sizeof(unsigned)));
  for (unsigned& word : wanted) word ^= 0xffU;
  expect_same(back, wanted, "from the symbol");
  void* address = nullptr;
  std::size_t bytes = 0;
  HIP_OK(hipGetSymbolAddress(&address, HIP_SYMBOL(compute_words)));
  HIP_OK(hipGetSymbolSize(&bytes, HIP_SYMBOL(compute_words)));
  EXPECT_EQ(bytes, sizeof(compute_words));
  HIP_OK(hipMemcpy(back.data(), address, bytes, hipMemcpyDeviceToHost));
  expect_same(back, wanted, "from the symbol's address");
}

constexpr const char* kSource = R"(
#define SCALE 3
__device__ int bias = 7;
template <typename T> __device__ T twice(T value) { return value + value; }
extern "C" __global__ void scaled(const int* in, int* out, int n, int shift) {
  __shared__ int tile[128];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  tile[threadIdx.x] = i < n ? in[i] : 0;
  __syncthreads();
  if (i < n) out[i] = twice(tile[threadIdx.x] >> shift) * SCALE + bias;
})";

TEST(HipProgram, CodeCompiledAtRunTimeIsLoadedAndRun) {
  hiprtcProgram program = nullptr;
  ASSERT_EQ(hiprtcCreateProgram(&program, kSource, "scaled.hip", 0, nullptr, nullptr), HIPRTC_SUCCESS);
  const char* options[] = {"-O1"};
  const hiprtcResult compiled = hiprtcCompileProgram(program, 1, options);
  std::size_t log_bytes = 0;
  ASSERT_EQ(hiprtcGetProgramLogSize(program, &log_bytes), HIPRTC_SUCCESS);
  std::string log(log_bytes, '\0');
  if (log_bytes != 0) hiprtcGetProgramLog(program, log.data());
  ASSERT_EQ(compiled, HIPRTC_SUCCESS) << log;
  std::size_t code_bytes = 0;
  ASSERT_EQ(hiprtcGetCodeSize(program, &code_bytes), HIPRTC_SUCCESS);
  std::vector<char> code(code_bytes);
  ASSERT_EQ(hiprtcGetCode(program, code.data()), HIPRTC_SUCCESS);
  ASSERT_EQ(hiprtcDestroyProgram(&program), HIPRTC_SUCCESS);

  hipModule_t module = nullptr;
  HIP_OK(hipModuleLoadData(&module, code.data()));
  hipFunction_t function = nullptr;
  HIP_OK(hipModuleGetFunction(&function, module, "scaled"));
  hipFunction_t missing = nullptr;
  EXPECT_NE(hipModuleGetFunction(&missing, module, "unscaled"), hipSuccess);
  hipDeviceptr_t bias = nullptr;
  std::size_t bias_bytes = 0;
  HIP_OK(hipModuleGetGlobal(&bias, &bias_bytes, module, "bias"));
  ASSERT_EQ(bias_bytes, sizeof(int));
  const int new_bias = -11;
  HIP_OK(hipMemcpyHtoD(bias, const_cast<int*>(&new_bias), sizeof(new_bias)));

  constexpr int kCount = 300;
  const auto values = random_values<int>(kCount, 7);
  DeviceArray<int> in(values);
  DeviceArray<int> out(kCount);
  std::vector<int> wanted(kCount);
  for (int i = 0; i < kCount; ++i) wanted[i] = (values[i] >> 9) * 2 * 3 - 11;
  int* in_pointer = in.get();
  int* out_pointer = out.get();
  int count = kCount;
  int shift = 9;
  void* arguments[] = {&in_pointer, &out_pointer, &count, &shift};
  HIP_OK(hipModuleLaunchKernel(function, 3, 1, 1, 128, 1, 1, 0, nullptr, arguments, nullptr));
  KERNELS_OK();
  expect_same(out.read(), wanted);

  // The other way to pass arguments: one buffer, laid out as the kernel expects it.
  struct {
    int* in;
    int* out;
    int count;
    int shift;
  } buffer = {in.get(), out.get(), kCount, 3};
  std::size_t bytes = sizeof(buffer);
  void* extra[] = {HIP_LAUNCH_PARAM_BUFFER_POINTER, &buffer, HIP_LAUNCH_PARAM_BUFFER_SIZE, &bytes, HIP_LAUNCH_PARAM_END};
  HIP_OK(hipModuleLaunchKernel(function, 3, 1, 1, 128, 1, 1, 0, nullptr, nullptr, extra));
  KERNELS_OK();
  for (int i = 0; i < kCount; ++i) wanted[i] = static_cast<int>(static_cast<unsigned>(values[i] >> 3) * 6U - 11U);
  expect_same(out.read(), wanted);
  HIP_OK(hipModuleUnload(module));
}

TEST(HipProgram, WhatIsNoCodeObjectIsNotLoaded) {
  hipModule_t module = nullptr;
  std::vector<char> garbage(256, 'x');
  EXPECT_NE(hipModuleLoadData(&module, garbage.data()), hipSuccess);
  static_cast<void>(hipGetLastError());
}

__global__ __launch_bounds__(128) void bounded(int* out) {
  __shared__ int tile[100];
  tile[threadIdx.x % 100] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x % 50];
}

TEST(HipProgram, AttributesOfFunctionsAreTold) {
  hipFuncAttributes attributes{};
  HIP_OK(hipFuncGetAttributes(&attributes, reinterpret_cast<const void*>(&bounded)));
  EXPECT_EQ(attributes.sharedSizeBytes, 400U);
  EXPECT_EQ(attributes.maxThreadsPerBlock, 128);
  EXPECT_GT(attributes.numRegs, 0);
}

TEST(HipProgram, BlocksTooLargeAreRefusedAndTheNextRuns) {
  DeviceArray<int> out(1024);
  bounded<<<1, 1025>>>(out);
  EXPECT_NE(hipGetLastError(), hipSuccess);
  bounded<<<0, 64>>>(out);
  EXPECT_NE(hipGetLastError(), hipSuccess);
  bounded<<<1, 128>>>(out);
  KERNELS_OK();
  const auto found = out.read();
  EXPECT_EQ(std::vector<int>(found.begin(), found.begin() + 128), std::vector<int>(128, 1));
}

__global__ void mark(unsigned* out, unsigned n) {
  const unsigned long long i = (static_cast<unsigned long long>(blockIdx.z) * gridDim.y + blockIdx.y) * gridDim.x +
                               blockIdx.x;
  if (threadIdx.x == 0) atomicAdd(&out[i % n], static_cast<unsigned>(i / n) + 1);
}

TEST(HipProgram, GridsOfThreeDimensionsRunEveryBlockOnce) {
  constexpr unsigned kCells = 1009;
  for (const dim3& grid : {dim3(20000), dim3(3, 4000), dim3(7, 11, 130), dim3(1, 1, 9000)}) {
    DeviceArray<unsigned> out(kCells);
    mark<<<grid, 32>>>(out, kCells);
    KERNELS_OK();
    std::vector<unsigned> wanted(kCells);
    for (unsigned i = 0; i < grid.x * grid.y * grid.z; ++i) wanted[i % kCells] += i / kCells + 1;
    expect_same(out.read(), wanted);
  }
}

TEST(HipProgram, DevicePropertiesAreThoseOfTheArchitecture) {
  hipDeviceProp_t properties{};
  HIP_OK(hipGetDeviceProperties(&properties, 0));
  EXPECT_EQ(std::string(properties.gcnArchName).substr(0, 6), "gfx90a");
  EXPECT_EQ(properties.warpSize, 64);
  EXPECT_EQ(properties.maxThreadsPerBlock, 1024);
  EXPECT_EQ(properties.sharedMemPerBlock, 65536U);
  EXPECT_GT(properties.multiProcessorCount, 0);
  EXPECT_GT(properties.clockRate, 0);
  EXPECT_NE(properties.managedMemory, 0);
  EXPECT_NE(properties.canMapHostMemory, 0);
  EXPECT_NE(properties.concurrentKernels, 0);
  EXPECT_GT(properties.totalGlobalMem, std::size_t{256} << 20);
}

__global__ void spin(long long cycles, int* out) {
  const long long start = clock64();
  while (clock64() - start < cycles) __builtin_amdgcn_s_sleep(1);
  *out += 1;
}

TEST(HipProgram, EventsMeasureKernels) {
  DeviceArray<int> out(1);
  hipEvent_t first = nullptr;
  hipEvent_t second = nullptr;
  HIP_OK(hipEventCreate(&first));
  HIP_OK(hipEventCreate(&second));
  HIP_OK(hipEventRecord(first, nullptr));
  for (int i = 0; i < 5; ++i) spin<<<1, 1>>>(20000, out);
  HIP_OK(hipEventRecord(second, nullptr));
  HIP_OK(hipEventSynchronize(second));
  float milliseconds = -1;
  HIP_OK(hipEventElapsedTime(&milliseconds, first, second));
  EXPECT_GT(milliseconds, 0);
  EXPECT_EQ(hipEventQuery(second), hipSuccess);
  HIP_OK(hipEventDestroy(first));
  HIP_OK(hipEventDestroy(second));
  expect_same(out.read(), {5});
}

}  // namespace
}  // namespace kfdlab
