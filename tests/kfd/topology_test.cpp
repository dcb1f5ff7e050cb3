// SPDX-License-Identifier: MIT
// The sysfs topology: the files and keys that libhsakmt 5.2.3 and ROCr read, and the constraints they put on values.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/kfd/kfd_fixture.h"

namespace kfdlab {
namespace {

namespace fs = std::filesystem;

std::string node_path(unsigned node) { return std::string(kTopology) + "/nodes/" + std::to_string(node); }

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::size_t entries(const std::string& folder) {
  std::error_code error;
  const auto begin = fs::directory_iterator(folder, error);
  return error ? 0 : static_cast<std::size_t>(std::distance(begin, {}));
}

// 0, 1, ... without gaps: the thunk counts entries and takes their number as names.
void expect_numbered(const std::string& folder, std::size_t count) {
  EXPECT_EQ(entries(folder), count) << folder;
  for (std::size_t i = 0; i < count; ++i) {
    EXPECT_TRUE(fs::exists(folder + "/" + std::to_string(i) + "/properties")) << folder << " " << i;
  }
}

class KfdTopology : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kTopology)) {
      GTEST_SKIP() << "there is no KFD topology";
    }
    gpus_ = kfd_gpu_ids().size();
    ASSERT_GE(gpus_, 1u);
  }
  // The GPU nodes: 1, 2, ...
  [[nodiscard]] std::vector<unsigned> gpu_nodes() const {
    std::vector<unsigned> nodes;
    for (unsigned node = 1; node <= gpus_; ++node) {
      nodes.push_back(node);
    }
    return nodes;
  }
  std::size_t gpus_ = 0;
};

TEST_F(KfdTopology, RootHasTheFilesTheThunkStartsWith) {
  EXPECT_TRUE(fs::exists("/sys/class/kfd/kfd/topology/nodes")) << "rocm_agent_enumerator looks there";
  EXPECT_EQ(read_properties(std::string(kTopology) + "/system_properties"),
            (Properties{{"platform_oem", 0}, {"platform_id", 0}, {"platform_rev", 0}}));
  EXPECT_GT(std::stoul(read_text(std::string(kTopology) + "/generation_id")), 0u);
  expect_numbered(std::string(kTopology) + "/nodes", gpus_ + 1);
}

TEST_F(KfdTopology, EveryFileIsWorldReadableAndNoneWritable) {
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kTopology)) {
    struct stat status {};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    if (entry.is_regular_file()) {
      EXPECT_EQ(status.st_mode & 0777, 0444u) << entry.path();
      EXPECT_FALSE(read_text(entry.path()).empty()) << entry.path();
      EXPECT_LT(read_text(entry.path()).size(), 4096u) << entry.path() << " does not fit the thunk's one page";
      ++files;
    } else {
      EXPECT_EQ(status.st_mode & 0777, 0755u) << entry.path();
    }
  }
  EXPECT_GE(files, 13u);
}

TEST_F(KfdTopology, CpuNodeHasAllCpusAndAllMemory) {
  EXPECT_EQ(read_text(node_path(0) + "/gpu_id"), "0\n");
  auto cpu = node_properties(0);
  EXPECT_EQ(cpu["cpu_cores_count"], static_cast<std::uint64_t>(::sysconf(_SC_NPROCESSORS_ONLN)));
  EXPECT_EQ(cpu["simd_count"], 0u);
  EXPECT_EQ(cpu["io_links_count"], gpus_);
  ASSERT_TRUE(cpu.contains("p2p_links_count")) << "without it the thunk makes up links";
  EXPECT_EQ(cpu["p2p_links_count"], 0u);
  ASSERT_EQ(cpu["mem_banks_count"], 1u);
  auto bank = read_properties(node_path(0) + "/mem_banks/0/properties");
  EXPECT_EQ(bank["heap_type"], 0u);
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  EXPECT_EQ(bank["size_in_bytes"], pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
}

TEST_F(KfdTopology, GpuIdsAreSixteenBitAndDifferent) {
  std::map<std::uint32_t, int> seen;
  for (const std::uint32_t id : kfd_gpu_ids()) {
    EXPECT_GT(id, 0u);
    EXPECT_LE(id, 0xffffu) << "mmap offsets have 16 bits for it";
    EXPECT_EQ(seen[id]++, 0);
  }
}

TEST_F(KfdTopology, GpuNodeHasEveryKeyTheThunkKnows) {
  for (const unsigned node : gpu_nodes()) {
    const auto gpu = node_properties(node);
    for (const char* key : {"cpu_cores_count",
                            "simd_count",
                            "mem_banks_count",
                            "caches_count",
                            "io_links_count",
                            "p2p_links_count",
                            "cpu_core_id_base",
                            "simd_id_base",
                            "capability",
                            "debug_prop",
                            "max_waves_per_simd",
                            "lds_size_in_kb",
                            "gds_size_in_kb",
                            "num_gws",
                            "wave_front_size",
                            "array_count",
                            "simd_arrays_per_engine",
                            "cu_per_simd_array",
                            "simd_per_cu",
                            "max_slots_scratch_cu",
                            "fw_version",
                            "sdma_fw_version",
                            "vendor_id",
                            "device_id",
                            "location_id",
                            "domain",
                            "max_engine_clk_fcompute",
                            "max_engine_clk_ccompute",
                            "local_mem_size",
                            "drm_render_minor",
                            "hive_id",
                            "unique_id",
                            "num_sdma_engines",
                            "num_sdma_xgmi_engines",
                            "num_sdma_queues_per_engine",
                            "num_cp_queues",
                            "gfx_target_version"}) {
      EXPECT_TRUE(gpu.contains(key)) << "node " << node << ": " << key;
    }
  }
}

TEST_F(KfdTopology, GpuNodeIsAGfx90aWithConsistentComputeUnits) {
  for (const unsigned node : gpu_nodes()) {
    auto gpu = node_properties(node);
    EXPECT_EQ(gpu["vendor_id"], 0x1002u);
    EXPECT_EQ(gpu["device_id"], 0x740fu);
    EXPECT_EQ(gpu["gfx_target_version"], 90010u);
    EXPECT_EQ(gpu["cpu_cores_count"], 0u) << "else the thunk takes it for an APU";
    EXPECT_EQ(gpu["simd_per_cu"], 4u);
    ASSERT_GT(gpu["simd_count"], 0u);
    EXPECT_EQ(gpu["simd_count"] % 4, 0u);
    ASSERT_GT(gpu["simd_arrays_per_engine"], 0u) << "the thunk divides by it";
    const std::uint64_t units = gpu["simd_count"] / 4;
    EXPECT_GE(gpu["array_count"] * gpu["cu_per_simd_array"], units);
    EXPECT_LT(gpu["array_count"] * (gpu["cu_per_simd_array"] - 1), units);
    EXPECT_EQ(gpu["lds_size_in_kb"], 64u);
    EXPECT_EQ(gpu["wave_front_size"], 64u);
    EXPECT_EQ(gpu["max_waves_per_simd"], 8u);
    EXPECT_EQ(gpu["num_gws"], 64u);
    EXPECT_EQ(gpu["num_sdma_engines"], 2u);
    EXPECT_EQ(gpu["num_sdma_xgmi_engines"], 3u);
    EXPECT_EQ(gpu["num_sdma_queues_per_engine"], 8u);
    EXPECT_EQ(gpu["num_cp_queues"], 24u);
    EXPECT_EQ(gpu["hive_id"] != 0, gpus_ > 1) << "ROCr adds a fine-grained pool of VRAM in a hive";
  }
}

TEST_F(KfdTopology, CapabilitySaysSvmCoherentHostAccessAndWideDoorbells) {
  for (const unsigned node : gpu_nodes()) {
    const std::uint64_t capability = node_properties(node)["capability"];
    EXPECT_EQ(capability >> 12 & 3, 2u) << "doorbell type: HIP hangs with another";
    EXPECT_TRUE(capability >> 27 & 1) << "SVM API";
    EXPECT_TRUE(capability >> 28 & 1) << "coherent host access";
    EXPECT_TRUE(capability >> 26 & 1) << "SRAM ECC";
    EXPECT_FALSE(capability >> 19 & 1);
    EXPECT_FALSE(capability >> 1 & 1) << "ATS";
    EXPECT_FALSE(capability >> 14 & 1) << "AQL double mapping";
  }
}

TEST_F(KfdTopology, VramIsOnePublicHeapAndReachedByALinkFromTheCpu) {
  for (const unsigned node : gpu_nodes()) {
    ASSERT_EQ(node_properties(node)["mem_banks_count"], 1u);
    expect_numbered(node_path(node) + "/mem_banks", 1);
    auto bank = read_properties(node_path(node) + "/mem_banks/0/properties");
    EXPECT_EQ(bank["heap_type"], 1u) << "frame buffer, public";
    EXPECT_GT(bank["size_in_bytes"], 0u);
    EXPECT_EQ(bank["size_in_bytes"] % (2u << 20), 0u);
    const auto device = TestDevice::open();
    if (device) {
      const auto counters = device.value().counters(kfd_gpu_ids()[node - 1]);
      ASSERT_TRUE(counters);
      EXPECT_EQ(bank["size_in_bytes"], counters.value().vram_size);
    }

    // HIP takes "public" and "link" together for a large BAR and copies with the CPU.
    auto from_cpu = read_properties(node_path(0) + "/io_links/" + std::to_string(node - 1) + "/properties");
    EXPECT_EQ(from_cpu["node_from"], 0u);
    EXPECT_EQ(from_cpu["node_to"], node);
    EXPECT_EQ(from_cpu["flags"] & 1, 1u) << "enabled";
    auto to_cpu = read_properties(node_path(node) + "/io_links/0/properties");
    EXPECT_EQ(to_cpu["node_from"], node);
    EXPECT_EQ(to_cpu["node_to"], 0u);
    EXPECT_EQ(to_cpu["flags"] & 1, 1u);
  }
  expect_numbered(node_path(0) + "/io_links", gpus_);
}

TEST_F(KfdTopology, GpuHasADataCacheOfComputeUnits) {
  for (const unsigned node : gpu_nodes()) {
    const std::uint64_t count = node_properties(node)["caches_count"];
    expect_numbered(node_path(node) + "/caches", count);
    bool data_cache = false;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto cache = read_properties(node_path(node) + "/caches/" + std::to_string(i) + "/properties");
      for (const char* key : {"processor_id_low", "level", "size", "cache_line_size", "cache_lines_per_tag",
                              "association", "latency", "type", "sibling_map"}) {
        EXPECT_TRUE(cache.contains(key)) << key;
      }
      data_cache |= cache["type"] == 9;
    }
    EXPECT_TRUE(data_cache) << "rocminfo and HIP abort without one";
  }
}

TEST_F(KfdTopology, RenderMinorNamesANodeWithAParentDevice) {
  for (const unsigned node : gpu_nodes()) {
    const std::uint64_t minor = node_properties(node)["drm_render_minor"];
    EXPECT_GE(minor, 128u);
    EXPECT_LE(minor, 255u);
    EXPECT_TRUE(fs::exists("/dev/dri/renderD" + std::to_string(minor)));
    EXPECT_TRUE(fs::exists("/sys/dev/char/226:" + std::to_string(minor) + "/device/drm")) << "libdrm looks there";
  }
}

TEST_F(KfdTopology, LocationIsThePciFunctionOfTheRenderNode) {
  for (const unsigned node : gpu_nodes()) {
    auto gpu = node_properties(node);
    const fs::path device = fs::canonical("/sys/dev/char/226:" + std::to_string(gpu["drm_render_minor"]) + "/device");
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    ASSERT_EQ(std::sscanf(device.filename().c_str(), "%x:%x:%x.%u", &domain, &bus, &slot, &function), 4) << device;
    EXPECT_EQ(gpu["domain"], domain);
    EXPECT_EQ(gpu["location_id"], bus << 8 | slot << 3 | function);
  }
}

}  // namespace
}  // namespace kfdlab
