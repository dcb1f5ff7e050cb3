// SPDX-License-Identifier: MIT
// Needleman-Wunsch: a dynamic programme filled along anti-diagonals of tiles, each tile in LDS.
#include <algorithm>

#include "tests/hip/compute.h"

namespace kfdlab {
namespace {

constexpr int kTile = 16;
constexpr int kGap = 3;

__global__ void fill_tiles(int* score, const char* a, const char* b, int width, int diagonal) {
  __shared__ int tile[kTile + 1][kTile + 1];
  const int tiles = (width - 1) / kTile;
  const int first = diagonal < tiles ? 0 : diagonal - tiles + 1;
  const int tile_x = first + static_cast<int>(blockIdx.x);
  const int tile_y = diagonal - tile_x;
  const int left = tile_x * kTile;
  const int top = tile_y * kTile;
  const int t = static_cast<int>(threadIdx.x);
  tile[t + 1][0] = score[(top + t + 1) * width + left];
  tile[0][t + 1] = score[top * width + left + t + 1];
  if (t == 0) tile[0][0] = score[top * width + left];
  __syncthreads();
  for (int step = 0; step < 2 * kTile - 1; ++step) {
    const int x = t;
    const int y = step - t;
    if (y >= 0 && y < kTile) {
      const int match = a[top + y] == b[left + x] ? 5 : -2;
      tile[y + 1][x + 1] = max(tile[y][x] + match, max(tile[y][x + 1], tile[y + 1][x]) - kGap);
    }
    __syncthreads();
  }
  for (int y = 0; y < kTile; ++y) score[(top + y + 1) * width + left + t + 1] = tile[y + 1][t + 1];
}

TEST(HipSample, SequencesAlignAsOnTheHost) {
  constexpr int kLength = 160;
  constexpr int kWidth = kLength + 1;
  Pattern pattern(37);
  std::vector<char> a(kLength);
  std::vector<char> b(kLength);
  for (char& letter : a) letter = "ACGT"[pattern.below(4)];
  for (int i = 0; i < kLength; ++i) b[i] = pattern.below(4) == 0 ? "ACGT"[pattern.below(4)] : a[(i + 3) % kLength];
  std::vector<int> wanted(kWidth * kWidth);
  for (int i = 0; i < kWidth; ++i) wanted[i] = wanted[i * kWidth] = -kGap * i;
  DeviceArray<int> score(wanted);
  DeviceArray<char> device_a(a);
  DeviceArray<char> device_b(b);
  constexpr int kTiles = kLength / kTile;
  for (int diagonal = 0; diagonal < 2 * kTiles - 1; ++diagonal) {
    const int blocks = std::min(diagonal + 1, 2 * kTiles - 1 - diagonal);
    fill_tiles<<<blocks, kTile>>>(score, device_a, device_b, kWidth, diagonal);
  }
  KERNELS_OK();
  for (int y = 1; y < kWidth; ++y) {
    for (int x = 1; x < kWidth; ++x) {
      const int match = a[y - 1] == b[x - 1] ? 5 : -2;
      wanted[y * kWidth + x] =
          std::max(wanted[(y - 1) * kWidth + x - 1] + match,
                   std::max(wanted[(y - 1) * kWidth + x], wanted[y * kWidth + x - 1]) - kGap);
    }
  }
  expect_same(score.read(), wanted);
}

}  // namespace
}  // namespace kfdlab
