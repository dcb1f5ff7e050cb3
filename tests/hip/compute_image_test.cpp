// SPDX-License-Identifier: MIT
// Textures and surfaces: ROCr's own kernels copy between buffers and arrays, so a round trip is a test already.
#include <cmath>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kWidth = 70;
constexpr int kHeight = 33;
constexpr dim3 kBlock(16, 8);
constexpr dim3 kGrid(5, 5);

template <typename T>
__global__ void read_texels(T* out, hipTextureObject_t texture, int width, int height) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  if (x < width && y < height) out[y * width + x] = tex2D<T>(texture, x + 0.5F, y + 0.5F);
}

__global__ void sample_places(float* out, hipTextureObject_t texture, const float* places, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) out[i] = tex2D<float>(texture, places[2 * i], places[2 * i + 1]);
}

__global__ void read_volume(float* out, hipTextureObject_t texture, int width, int height, int depth) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = i / width % height;
  const int z = i / (width * height);
  if (z < depth) out[i] = tex3D<float>(texture, i % width + 0.5F, y + 0.5F, z + 0.5F);
}

__global__ void triple(hipSurfaceObject_t surface, int width, int height) {
  const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
  if (x >= width || y >= height) return;
  float value = 0;
  surf2Dread(&value, surface, x * 4, y);
  surf2Dwrite(value * 3, surface, x * 4, y);
}

// An array of kWidth x kHeight elements with `values`.
template <typename T>
hipArray* make_array(const std::vector<T>& values) {
  const hipChannelFormatDesc format = hipCreateChannelDesc<T>();
  hipArray* array = nullptr;
  EXPECT_EQ(hipMallocArray(&array, &format, kWidth, kHeight, hipArrayDefault), hipSuccess);
  EXPECT_EQ(hipMemcpy2DToArray(array, 0, 0, values.data(), kWidth * sizeof(T), kWidth * sizeof(T), kHeight,
                               hipMemcpyHostToDevice),
            hipSuccess);
  return array;
}

template <typename T>
std::vector<T> array_contents(hipArray* array) {
  std::vector<T> values(kWidth * kHeight);
  EXPECT_EQ(hipMemcpy2DFromArray(values.data(), kWidth * sizeof(T), array, 0, 0, kWidth * sizeof(T), kHeight,
                                 hipMemcpyDeviceToHost),
            hipSuccess);
  return values;
}

hipTextureObject_t make_texture(hipArray* array, hipTextureFilterMode filter, hipTextureAddressMode mode,
                                bool normalized) {
  hipResourceDesc resource = {};
  resource.resType = hipResourceTypeArray;
  resource.res.array.array = array;
  hipTextureDesc description = {};
  for (auto& address_mode : description.addressMode) address_mode = mode;
  description.filterMode = filter;
  description.readMode = hipReadModeElementType;
  description.normalizedCoords = normalized ? 1 : 0;
  hipTextureObject_t texture = nullptr;
  EXPECT_EQ(hipCreateTextureObject(&texture, &resource, &description, nullptr), hipSuccess);
  return texture;
}

template <typename T>
void check_type(const char* what) {
  std::vector<T> values(kWidth * kHeight);
  const auto bytes = random_values<unsigned char>(values.size() * sizeof(T), sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    // The same bits are a number in every type: no exponent is all ones.
    for (std::size_t at = 0; at < sizeof(T); ++at) {
      reinterpret_cast<unsigned char*>(&values[i])[at] = bytes[i * sizeof(T) + at] & 0x3f;
    }
  }
  hipArray* array = make_array(values);
  expect_same(array_contents<T>(array), values, std::string(what) + " copied");
  hipTextureObject_t texture = make_texture(array, hipFilterModePoint, hipAddressModeClamp, false);
  DeviceArray<T> out(values.size());
  read_texels<T><<<kGrid, kBlock>>>(out, texture, kWidth, kHeight);
  KERNELS_OK();
  expect_same(out.read(), values, std::string(what) + " read");
  HIP_OK(hipDestroyTextureObject(texture));
  HIP_OK(hipFreeArray(array));
}

TEST(HipImage, TexelsOfEveryTypeAreReadAsTheyWereWritten) {
  check_type<float>("float");
  check_type<float2>("float2");
  check_type<float4>("float4");
  check_type<int>("int");
  check_type<uint4>("uint4");
  check_type<short>("short");
  check_type<ushort2>("ushort2");
  check_type<unsigned char>("unsigned char");
  check_type<uchar4>("uchar4");
  check_type<char2>("char2");
}

// The texel of an index, -1 for the border.
int texel_of(int index, int size, hipTextureAddressMode mode) {
  const int period = 2 * size;
  switch (mode) {
    case hipAddressModeWrap:
      return (index % size + size) % size;
    case hipAddressModeMirror: {
      const int in = (index % period + period) % period;
      return in < size ? in : period - 1 - in;
    }
    case hipAddressModeBorder:
      return index >= 0 && index < size ? index : -1;
    default:
      return std::min(std::max(index, 0), size - 1);
  }
}

double sampled(const std::vector<float>& texels, double x, double y, hipTextureFilterMode filter,
               hipTextureAddressMode mode) {
  const bool linear = filter == hipFilterModeLinear;
  x -= linear ? 0.5 : 0;
  y -= linear ? 0.5 : 0;
  double sum = 0;
  for (int corner = 0; corner < (linear ? 4 : 1); ++corner) {
    const int right = corner & 1;
    const int down = corner >> 1;
    const double part_x = linear ? std::fabs(1 - right - (x - std::floor(x))) : 1;
    const double part_y = linear ? std::fabs(1 - down - (y - std::floor(y))) : 1;
    const int column = texel_of(static_cast<int>(std::floor(x)) + right, kWidth, mode);
    const int row = texel_of(static_cast<int>(std::floor(y)) + down, kHeight, mode);
    if (column >= 0 && row >= 0) sum += part_x * part_y * static_cast<double>(texels[row * kWidth + column]);
  }
  return sum;
}

void check_sampling(hipTextureFilterMode filter, hipTextureAddressMode mode, bool normalized) {
  constexpr int kCount = 1000;
  std::vector<float> texels(kWidth * kHeight);
  for (std::size_t i = 0; i < texels.size(); ++i) texels[i] = static_cast<float>(mix(i) % 256);
  hipArray* array = make_array(texels);
  hipTextureObject_t texture = make_texture(array, filter, mode, normalized);
  Pattern pattern(static_cast<std::uint64_t>(mode) * 4 + filter);
  std::vector<float> places(2 * kCount);
  std::vector<double> wanted(kCount);
  for (int i = 0; i < kCount; ++i) {
    // Inside a texel, well off its ends: hardware rounds places to 1/256 of a texel.
    const double x = static_cast<double>(pattern.below(3 * kWidth)) - kWidth + 0.125 * (1 + pattern.below(7));
    const double y = static_cast<double>(pattern.below(3 * kHeight)) - kHeight + 0.125 * (1 + pattern.below(7));
    places[2 * i] = static_cast<float>(normalized ? x / kWidth : x);
    places[2 * i + 1] = static_cast<float>(normalized ? y / kHeight : y);
    wanted[i] = sampled(texels, x, y, filter, mode);
  }
  const DeviceArray<float> on_device(places);
  DeviceArray<float> out(kCount);
  sample_places<<<(kCount + 255) / 256, 256>>>(out, texture, on_device, kCount);
  KERNELS_OK();
  const std::vector<float> found = out.read();
  // Two roundings of a place to half of 1/256, of texels that differ by up to 255.
  const double bound = filter == hipFilterModeLinear ? 1.0 : 0;
  for (int i = 0; i < kCount; ++i) {
    ASSERT_NEAR(static_cast<double>(found[i]), wanted[i], bound)
        << "filter " << filter << " mode " << mode << " at " << places[2 * i] << ", " << places[2 * i + 1];
  }
  HIP_OK(hipDestroyTextureObject(texture));
  HIP_OK(hipFreeArray(array));
}

TEST(HipImage, SamplesAreFilteredAndClampedAsAsked) {
  for (const auto filter : {hipFilterModePoint, hipFilterModeLinear}) {
    for (const auto mode : {hipAddressModeWrap, hipAddressModeMirror, hipAddressModeClamp, hipAddressModeBorder}) {
      check_sampling(filter, mode, true);
    }
    for (const auto mode : {hipAddressModeClamp, hipAddressModeBorder}) check_sampling(filter, mode, false);
  }
}

TEST(HipImage, VolumesAreReadWhereTheyWereWritten) {
  constexpr int kSide[3] = {17, 9, 6};
  std::vector<float> texels(kSide[0] * kSide[1] * kSide[2]);
  for (std::size_t i = 0; i < texels.size(); ++i) texels[i] = static_cast<float>(mix(i) % 100000);
  const hipChannelFormatDesc format = hipCreateChannelDesc<float>();
  const hipExtent extent = make_hipExtent(kSide[0], kSide[1], kSide[2]);
  hipArray* array = nullptr;
  HIP_OK(hipMalloc3DArray(&array, &format, extent, hipArrayDefault));
  hipMemcpy3DParms copy = {};
  copy.srcPtr = make_hipPitchedPtr(texels.data(), kSide[0] * sizeof(float), kSide[0], kSide[1]);
  copy.dstArray = array;
  copy.extent = extent;
  copy.kind = hipMemcpyHostToDevice;
  HIP_OK(hipMemcpy3D(&copy));
  hipTextureObject_t texture = make_texture(array, hipFilterModePoint, hipAddressModeClamp, false);
  DeviceArray<float> out(texels.size());
  read_volume<<<4, 256>>>(out, texture, kSide[0], kSide[1], kSide[2]);
  KERNELS_OK();
  expect_same(out.read(), texels);
  HIP_OK(hipDestroyTextureObject(texture));
  HIP_OK(hipFreeArray(array));
}

// Of floats: HIP's surface functions take the bits of any texel for one and convert its value, so small integers are 0.
TEST(HipImage, SurfacesAreReadAndWritten) {
  std::vector<float> values(kWidth * kHeight);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(mix(i) % 100000);
  hipArray* array = make_array(values);
  hipResourceDesc resource = {};
  resource.resType = hipResourceTypeArray;
  resource.res.array.array = array;
  hipSurfaceObject_t surface = nullptr;
  HIP_OK(hipCreateSurfaceObject(&surface, &resource));
  triple<<<kGrid, kBlock>>>(surface, kWidth, kHeight);
  KERNELS_OK();
  for (float& value : values) value *= 3;
  expect_same(array_contents<float>(array), values);
  HIP_OK(hipDestroySurfaceObject(surface));
  HIP_OK(hipFreeArray(array));
}

}  // namespace
}  // namespace kfdlab
