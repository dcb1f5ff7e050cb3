// SPDX-License-Identifier: MIT
// How several GPUs look to user space: links in sysfs, through the thunk, and rocminfo's list of agents.
#include <hsakmt.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <set>

#include "tests/kfd/multi_gpu_fixture.h"

namespace kfdlab {
namespace {

constexpr std::uint64_t kXgmi = 11;
constexpr std::uint64_t kPcie = 2;

class MultiGpuTopology : public MultiGpu {
 protected:
  static Properties link(unsigned node, unsigned number) {
    return read_properties(std::string(kTopology) + "/nodes/" + std::to_string(node) + "/io_links/" +
                           std::to_string(number) + "/properties");
  }
};

TEST_F(MultiGpuTopology, EveryGpuIsLinkedToTheCpuAndToEveryOtherGpu) {
  const auto count = static_cast<unsigned>(gpus().size());
  for (unsigned node = 1; node <= count; ++node) {
    ASSERT_EQ(node_properties(node)["io_links_count"], count) << "the CPU and all but itself";
    std::set<std::uint64_t> reached;
    for (unsigned number = 0; number < count; ++number) {
      Properties properties = link(node, number);
      EXPECT_EQ(properties["node_from"], node);
      EXPECT_EQ(properties["flags"] & 1, 1u) << "enabled";
      const std::uint64_t to = properties["node_to"];
      EXPECT_NE(to, node);
      EXPECT_LE(to, count);
      EXPECT_EQ(properties["type"], to == 0 ? kPcie : kXgmi);
      EXPECT_EQ(properties["weight"], to == 0 ? 20u : 15u) << "one hop of XGMI is nearer than the CPU";
      reached.insert(to);
    }
    EXPECT_EQ(reached.size(), count);
  }
}

TEST_F(MultiGpuTopology, AllGpusAreInOneHive) {
  const std::uint64_t hive = node_properties(1)["hive_id"];
  EXPECT_NE(hive, 0u);
  std::set<std::uint64_t> ids;
  std::set<std::uint64_t> minors;
  std::set<std::uint64_t> locations;
  for (unsigned node = 1; node <= gpus().size(); ++node) {
    Properties gpu = node_properties(node);
    EXPECT_EQ(gpu["hive_id"], hive);
    ids.insert(gpu["unique_id"]);
    minors.insert(gpu["drm_render_minor"]);
    locations.insert(gpu["location_id"]);
  }
  EXPECT_EQ(ids.size(), gpus().size());
  EXPECT_EQ(minors.size(), gpus().size());
  EXPECT_EQ(locations.size(), gpus().size());
}

TEST_F(MultiGpuTopology, ThunkSeesTheLinks) {
  ASSERT_EQ(hsaKmtOpenKFD(), HSAKMT_STATUS_SUCCESS);
  HsaSystemProperties system{};
  ASSERT_EQ(hsaKmtAcquireSystemProperties(&system), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(system.NumNodes, gpus().size() + 1);
  for (HSAuint32 node = 1; node <= gpus().size(); ++node) {
    HsaNodeProperties properties{};
    ASSERT_EQ(hsaKmtGetNodeProperties(node, &properties), HSAKMT_STATUS_SUCCESS);
    ASSERT_EQ(properties.NumIOLinks, gpus().size());
    std::vector<HsaIoLinkProperties> links(properties.NumIOLinks);
    ASSERT_EQ(hsaKmtGetNodeIoLinkProperties(node, properties.NumIOLinks, links.data()), HSAKMT_STATUS_SUCCESS);
    for (const HsaIoLinkProperties& properties_of_link : links) {
      EXPECT_EQ(properties_of_link.NodeFrom, node);
      EXPECT_EQ(properties_of_link.IoLinkType,
                properties_of_link.NodeTo == 0 ? HSA_IOLINKTYPE_PCIEXPRESS : HSA_IOLINK_TYPE_XGMI);
    }
  }
  EXPECT_EQ(hsaKmtReleaseSystemProperties(), HSAKMT_STATUS_SUCCESS);
  EXPECT_EQ(hsaKmtCloseKFD(), HSAKMT_STATUS_SUCCESS);
}

TEST_F(MultiGpuTopology, RocminfoListsEveryAgent) {
  FILE* const pipe = ::popen("rocminfo 2>&1", "re");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  std::array<char, 4096> piece;
  for (std::size_t got; (got = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;) {
    text.append(piece.data(), got);
  }
  const int status = ::pclose(pipe);
  KFDLAB_NEEDS(!WIFEXITED(status) || WEXITSTATUS(status) != 127, "rocminfo is not installed");
  EXPECT_EQ(status, 0) << text;
  std::size_t agents = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key, value;
    agents += words >> key >> value && key == "Name:" && value == "gfx90a";
  }
  EXPECT_EQ(agents, gpus().size()) << text;
}

}  // namespace
}  // namespace kfdlab
