// SPDX-License-Identifier: MIT
// Pages that move between the VRAM of two GPUs: straight, counted on both, and those that somebody holds stay.
#include <sys/mman.h>

#include <atomic>
#include <future>
#include <thread>

#include "tests/kfd/multi_gpu_fixture.h"
#include "tests/support/gup_client.h"
#include "tests/support/page_pipe.h"

namespace kfdlab {
namespace {

using Counters = kfdlab_test_counters;

class MultiGpuMigrate : public MultiGpu {
 protected:
  [[nodiscard]] std::uint64_t bytes_copied(std::uint32_t gpu) const {
    return grown(gpu, &Counters::bytes_copied_device) + grown(gpu, &Counters::bytes_copied_cpu);
  }
};

TEST_F(MultiGpuMigrate, EachGpuHasVramOfItsOwn) {
  for (const std::uint32_t gpu : gpus()) {
    EXPECT_GE((frames_of(gpu).last - frames_of(gpu).first + 1) * kPageSize, now(gpu).vram_size);
    for (const std::uint32_t other : gpus()) {
      EXPECT_TRUE(gpu == other || frames_of(gpu).last < frames_of(other).first ||
                  frames_of(other).last < frames_of(gpu).first);
    }
  }
  for (const std::uint32_t gpu : gpus()) {
    const auto buffer = on_gpu(64, gpu);
    for (const std::uint32_t other : gpus()) {
      EXPECT_EQ(occupied(other), other == gpu ? 64u : 0u);
    }
    const auto pages = device().pages(buffer->data(), 64);
    ASSERT_TRUE(pages);
    for (const kfdlab_page& page : pages.value()) {
      EXPECT_EQ(page.gpu_id, gpu) << "the driver's own view";
    }
  }
}

TEST_F(MultiGpuMigrate, PrefetchMovesPagesStraightFromOneVramToTheOther) {
  for (const std::size_t npages : {1u, 5u, 511u, 513u, 4096u}) {
    SCOPED_TRACE(npages);
    const auto buffer = on_gpu(npages, a());
    mark();
    ASSERT_TRUE(prefetch(*buffer, b()));
    EXPECT_EQ(places(*buffer), (Places{{b(), npages}}));
    EXPECT_EQ(contents(*buffer), "");
    EXPECT_EQ(grown(b(), &Counters::pages_to_vram), npages);
    EXPECT_EQ(grown(b(), &Counters::pages_from_peer), npages);
    EXPECT_EQ(grown(a(), &Counters::pages_to_peer), npages);
    EXPECT_EQ(grown(a(), &Counters::pages_to_ram_prefetch), 0u) << "no stop in RAM";
    EXPECT_EQ(bytes_copied(a()) + bytes_copied(b()), npages * kPageSize) << "one copy a page";
    EXPECT_EQ(occupied(a()), 0u);
    EXPECT_EQ(occupied(b()), npages);
    for (const std::uint32_t gpu : {a(), b()}) {
      EXPECT_EQ(grown(gpu, &Counters::pages_failed), 0u);
      EXPECT_EQ(grown(gpu, &Counters::pages_freed), 0u);
      EXPECT_EQ(grown(gpu, &Counters::pages_left_by_pin), 0u);
    }

    mark();
    ASSERT_TRUE(prefetch(*buffer, kSvmSystem));
    EXPECT_EQ(places(*buffer), (Places{{kSvmSystem, npages}}));
    EXPECT_EQ(contents(*buffer), "");
    EXPECT_EQ(grown(b(), &Counters::pages_to_ram_prefetch), npages);
    EXPECT_EQ(grown(a(), &Counters::pages_to_ram_prefetch), 0u);
    EXPECT_EQ(grown(b(), &Counters::pages_to_peer), 0u);
    EXPECT_EQ(occupied(b()), 0u);
  }
}

TEST_F(MultiGpuMigrate, LargeBatchesAreCopiedByTheDestination) {
  const auto buffer = on_gpu(1024, a());
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_device), buffer->size());
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_cpu), 0u);
  EXPECT_EQ(bytes_copied(a()), 0u);
  EXPECT_EQ(grown(b(), &Counters::migrations), 2u);
}

TEST_F(MultiGpuMigrate, ExecutableMemoryIsCopiedByTheCpu) {
  const auto buffer = on_gpu(64, a());
  buffer->protect(0, 64, PROT_READ | PROT_WRITE | PROT_EXEC);
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{b(), 64}}));
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_device), 0u);
  EXPECT_EQ(grown(b(), &Counters::bytes_copied_cpu), buffer->size());
  EXPECT_EQ(contents(*buffer), "");
}

TEST_F(MultiGpuMigrate, ManyRoundsThroughAllGpusLoseNothing) {
  const auto buffer = on_gpu(700, a());
  for (std::size_t round = 1; round < 3 * gpus().size(); ++round) {
    const std::uint32_t gpu = gpus()[round % gpus().size()];
    ASSERT_TRUE(prefetch(*buffer, gpu));
    ASSERT_EQ(places(*buffer), (Places{{gpu, 700}}));
    ASSERT_EQ(contents(*buffer), "") << "round " << round;
  }
}

// Pages that are there keep their frames; RAM, holes and the other GPU come.
TEST_F(MultiGpuMigrate, MixtureOfRamHolesAndBothGpusEndsOnOne) {
  const Buffer buffer(1200);
  fill_pattern(buffer.pages(0, 900), kSeed);
  send(buffer, 100, 300, a());
  send(buffer, 500, 300, b());
  const std::vector<std::uint64_t> there = oracle().frames(buffer.page(500), 300);
  ASSERT_EQ(places(buffer), (Places{{kSvmSystem, 300}, {kSvmUndefined, 300}, {a(), 300}, {b(), 300}}));
  mark();
  ASSERT_EQ(move_to_vram(buffer.bytes(), b()), 0);
  EXPECT_EQ(places(buffer), (Places{{b(), 1200}}));
  EXPECT_EQ(oracle().frames(buffer.page(500), 300), there);
  EXPECT_EQ(grown(b(), &Counters::pages_to_vram), 900u);
  EXPECT_EQ(grown(b(), &Counters::pages_from_peer), 300u);
  EXPECT_EQ(grown(a(), &Counters::pages_to_peer), 300u);
  EXPECT_EQ(grown(a(), &Counters::pages_failed), 0u) << "pages of the other GPU are no failures";
  EXPECT_EQ(occupied(a()), 0u);
  EXPECT_EQ(pattern_error(buffer.pages(0, 900), kSeed), "");
  EXPECT_EQ(zero_bytes(buffer.pages(900, 300)), 300 * kPageSize);
}

TEST_F(MultiGpuMigrate, PrefetchToRamEmptiesAllGpus) {
  const Buffer buffer(600 * gpus().size());
  fill(buffer);
  for (std::size_t i = 0; i < gpus().size(); ++i) {
    send(buffer, 600 * i, 600, gpus()[i]);
  }
  mark();
  ASSERT_TRUE(prefetch_to_ram(buffer));
  EXPECT_EQ(places(buffer), (Places{{kSvmSystem, buffer.npages()}}));
  for (const std::uint32_t gpu : gpus()) {
    EXPECT_EQ(grown(gpu, &Counters::pages_to_ram_prefetch), 600u);
    EXPECT_EQ(occupied(gpu), 0u);
  }
  EXPECT_EQ(contents(buffer), "");
}

TEST_F(MultiGpuMigrate, PagesHeldByAPipeStayOnTheirGpu) {
  const auto buffer = on_gpu(600, a());
  const std::vector<std::uint64_t> before = frames(*buffer);
  PagePipe pipe;
  ASSERT_TRUE(pipe.hold(buffer->pages(200, 40)));
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{a(), 40}, {b(), 560}}));
  EXPECT_EQ(oracle().frames(buffer->page(200), 40),
            std::vector<std::uint64_t>(before.begin() + 200, before.begin() + 240));
  EXPECT_EQ(grown(a(), &Counters::pages_to_peer), 560u);
  EXPECT_EQ(grown(b(), &Counters::pages_to_vram), 560u);
  EXPECT_EQ(grown(a(), &Counters::pages_failed), 40u);
  EXPECT_EQ(grown(b(), &Counters::pages_failed), 0u);
  EXPECT_EQ(occupied(a()), 40u);
  EXPECT_EQ(occupied(b()), 560u) << "frames that were handed out for the held ones came back";
  EXPECT_EQ(contents(*buffer), "");

  fill_pattern(buffer->pages(200, 40), kSeed + 1);
  EXPECT_EQ(pattern_error(pipe.drain(), buffer->page_address(200), kSeed + 1), "") << "the pipe has the very pages";
  fill_pattern(buffer->pages(200, 40), kSeed);
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{b(), 600}}));
  EXPECT_EQ(contents(*buffer), "");
}

// Not by way of RAM either: a destination without room changes nothing for pages that have a place.
TEST_F(MultiGpuMigrate, PagesWithoutRoomAtTheDestinationStayOnTheirGpu) {
  const auto buffer = on_gpu(2048, a());
  const Counters counters = now(b());
  ASSERT_EQ(device().reserve(b(), counters.vram_size - counters.vram_held - 256 * kPageSize), 0);
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  const Places after = places(*buffer);
  EXPECT_EQ(after.count(kSvmSystem), 0u);
  EXPECT_EQ(after.at(a()) + after.at(b()), 2048u);
  EXPECT_LE(after.at(b()), 256u);
  EXPECT_EQ(grown(a(), &Counters::pages_to_peer), after.at(b()));
  EXPECT_EQ(grown(a(), &Counters::pages_to_ram_prefetch), 0u);
  EXPECT_EQ(grown(b(), &Counters::no_vram), 1u);
  EXPECT_EQ(contents(*buffer), "");
}

TEST_F(MultiGpuMigrate, ForkSharedPagesMoveForBoth) {
  const auto buffer = on_gpu(64, a());
  Child child([&](Peer& parent) {
    const auto mine = PageOracle::open();
    if (!mine.ok() || !parent.signal() || !parent.await()) {
      return 1;
    }
    for (std::size_t page = 0; page < 64; ++page) {
      if (!parent.send(mine.value().frame(buffer->page(page)))) {
        return 2;
      }
    }
    if (!parent.await()) {
      return 3;
    }
    return contents(*buffer).empty() ? 0 : 4;
  });
  ASSERT_TRUE(child.peer().await());
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{b(), 64}}));
  EXPECT_EQ(grown(b(), &Counters::pages_to_vram), 64u) << "once for both";
  ASSERT_TRUE(child.peer().signal());
  std::vector<std::uint64_t> theirs(64);
  for (std::uint64_t& frame : theirs) {
    ASSERT_TRUE(child.peer().receive(&frame));
  }
  EXPECT_EQ(theirs, frames(*buffer));
  fill_pattern(buffer->bytes(), kSeed + 1);  // COW: not the child's any more
  ASSERT_TRUE(child.peer().signal());
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(pattern_error(buffer->bytes(), kSeed + 1), "");
}

TEST_F(MultiGpuMigrate, MunmapFreesOnEachGpu) {
  auto buffer = on_gpu(900, a());
  send(*buffer, 300, 300, b());
  mark();
  buffer->unmap(200, 200);
  EXPECT_EQ(grown(a(), &Counters::pages_freed), 100u);
  EXPECT_EQ(grown(b(), &Counters::pages_freed), 100u);
  EXPECT_EQ(occupied(a()), 500u);
  EXPECT_EQ(occupied(b()), 200u);
  buffer.reset();
  EXPECT_EQ(grown(a(), &Counters::pages_freed), 600u);
  EXPECT_EQ(grown(b(), &Counters::pages_freed), 300u);
  for (const std::uint32_t gpu : {a(), b()}) {
    EXPECT_TRUE(eventually([&] { return now(gpu).vram_held == 0; })) << "blocks go with their pages";
  }
}

TEST_F(MultiGpuMigrate, LongtermPinOverBothGpusTakesAllToRamAndIsCountedOnEach) {
  KFDLAB_NEEDS_NODE("/dev/kfdlab_gup");
  const auto gup = GupClient::open();
  ASSERT_TRUE(gup.ok()) << gup.error().message;
  const auto buffer = on_gpu(300, a());
  send(*buffer, 100, 120, b());
  mark();
  GupHold hold;
  const GupFlavour flavour{KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_LONGTERM | KFDLAB_GUP_WRITE};
  ASSERT_EQ(gup.value().hold(flavour, buffer->data(), 300, &hold), 0);
  EXPECT_EQ(hold.npages(), 300u);
  EXPECT_EQ(hold.vram(), 0u);
  EXPECT_EQ(places(*buffer), (Places{{kSvmSystem, 300}}));
  EXPECT_EQ(grown(a(), &Counters::pages_left_by_pin), 180u);
  EXPECT_EQ(grown(b(), &Counters::pages_left_by_pin), 120u);
  EXPECT_EQ(contents(*buffer), "");

  const std::vector<std::uint64_t> pinned = frames(*buffer);
  for (const std::uint32_t gpu : {a(), b()}) {
    ASSERT_TRUE(prefetch(*buffer, gpu));
    EXPECT_EQ(frames(*buffer), pinned) << "pinned pages move to no GPU";
  }
  EXPECT_EQ(hold.release(), 0);
  send(*buffer, b());
  EXPECT_EQ(contents(*buffer), "");
}

TEST_F(MultiGpuMigrate, ShortTermPinOverBothGpusLeavesEveryPageInPlace) {
  KFDLAB_NEEDS_NODE("/dev/kfdlab_gup");
  const auto gup = GupClient::open();
  ASSERT_TRUE(gup.ok()) << gup.error().message;
  const auto buffer = on_gpu(200, a());
  send(*buffer, 100, 100, b());
  const std::vector<std::uint64_t> before = frames(*buffer);
  GupHold hold;
  ASSERT_EQ(gup.value().hold({KFDLAB_GUP_FAST, KFDLAB_GUP_PIN | KFDLAB_GUP_WRITE}, buffer->data(), 200, &hold), 0);
  EXPECT_EQ(hold.vram(), 200u);
  EXPECT_EQ(frames(*buffer), before);
  mark();
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(frames(*buffer), before) << "nothing pinned moves to another GPU";
  EXPECT_EQ(grown(a(), &Counters::pages_failed), 100u);
  EXPECT_EQ(grown(b(), &Counters::pages_failed), 0u) << "those are at their destination";
  EXPECT_EQ(grown(a(), &Counters::pages_to_peer), 0u);
  EXPECT_EQ(hold.release(), 0);
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{b(), 200}}));
  EXPECT_EQ(contents(*buffer), "");
}

// Each holds pages of one GPU locked and wants room on the other.
TEST_F(MultiGpuMigrate, OppositePrefetchesAtTheSameTimeEnd) {
  constexpr std::size_t kPages = 2048;
  const auto first = on_gpu(kPages, a());
  const auto second = on_gpu(kPages, b());
  const auto move = [&](const Buffer& buffer, std::uint32_t from, std::uint32_t to) {
    int failures = 0;
    for (int round = 0; round < 4; ++round) {
      failures += kfd().svm_prefetch(buffer.address(), buffer.size(), to) != 0;
      failures += kfd().svm_prefetch(buffer.address(), buffer.size(), from) != 0;
    }
    return failures;
  };
  auto other = std::async(std::launch::async, [&] { return move(*first, a(), b()); });
  EXPECT_EQ(move(*second, b(), a()), 0);
  EXPECT_EQ(other.get(), 0);
  EXPECT_EQ(places(*first), (Places{{a(), kPages}}));
  EXPECT_EQ(places(*second), (Places{{b(), kPages}}));
  EXPECT_EQ(contents(*first), "");
  EXPECT_EQ(contents(*second), "");
  EXPECT_EQ(occupied(a()), kPages);
  EXPECT_EQ(occupied(b()), kPages);
}

// Two threads pull the same pages to different GPUs while a third writes them.
TEST_F(MultiGpuMigrate, PagesPulledBothWaysKeepWhatIsWrittenMeanwhile) {
  constexpr std::size_t kPages = 256;
  const auto buffer = on_gpu(kPages, a());
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  const auto pull = [&](std::uint32_t gpu) {
    for (int round = 0; round < 60; ++round) {
      failures += kfd().svm_prefetch(buffer->address(), buffer->size(), gpu) != 0;
    }
  };
  std::uint64_t generation = 0;
  std::thread writer([&] {
    while (!stop) {
      ++generation;
      for (std::size_t page = 0; page < kPages; ++page) {
        auto* const word = reinterpret_cast<std::uint64_t*>(buffer->page(page));
        *word = pattern_word(buffer->page_address(page), kSeed + generation);
      }
    }
  });
  std::thread other([&] { pull(b()); });
  pull(a());
  other.join();
  stop = true;
  writer.join();
  EXPECT_EQ(failures, 0);
  for (std::size_t page = 0; page < kPages; ++page) {
    const auto* const word = reinterpret_cast<const std::uint64_t*>(buffer->page(page));
    ASSERT_EQ(*word, pattern_word(buffer->page_address(page), kSeed + generation)) << "page " << page;
    ASSERT_EQ(pattern_error({buffer->page(page) + 8, kPageSize - 8}, buffer->page_address(page) + 8, kSeed), "");
  }
  EXPECT_EQ(occupied(a()) + occupied(b()), kPages);
  ASSERT_TRUE(prefetch(*buffer, b()));
  EXPECT_EQ(places(*buffer), (Places{{b(), kPages}}));
}

}  // namespace
}  // namespace kfdlab
