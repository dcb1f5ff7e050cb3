// SPDX-License-Identifier: MIT
// Actor: one flow of random operations on one window, in a thread of a worker process or in a child it forked. It
// knows exactly what every page must contain and what each call may answer; anything else ends the run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/stress/board.h"
#include "tests/stress/holds.h"
#include "tests/stress/random.h"
#include "tests/stress/setup.h"
#include "tests/stress/window.h"
#include "tests/support/counters.h"
#include "tests/support/gup_client.h"
#include "tests/support/pages.h"

namespace kfdlab::stress {

class Actor {
 public:
  // Opens what the thread needs; a failure ends the run. The window is a hole until move_in().
  Actor(Context context, unsigned thread);
  Actor(const Actor&) = delete;
  Actor& operator=(const Actor&) = delete;

  // Maps and fills what the thread may map at once.
  void move_in();
  // One random operation.
  void step();
  [[nodiscard]] std::uint64_t operation() const { return operation_; }
  // Checks every page and every held page, and gives everything back.
  void finish();
  // Every page that can be read.
  void check_all();
  // The control: a wrong byte that nobody noted. False: there is no page yet to put it.
  [[nodiscard]] bool corrupt();

  // Ends the process with a failure that says who, when and what. Also from a signal handler.
  [[noreturn]] void fail(std::string_view what);

 private:
  struct Operation {
    const char* name;
    unsigned weight, child_weight;
    void (Actor::*run)(Random&);
  };
  static const std::array<Operation, 22> kOperations;
  [[nodiscard]] const Operation& choose(Random& random) const;

  // operations: actor_memory.cpp
  void touch_write(Random& random);
  void touch_read(Random& random);
  void map_hole(Random& random);
  void unmap(Random& random);
  void check_forgotten(Random& random, Run run);
  void remap(Random& random);
  void protect(Random& random);
  void discard(Random& random);
  void free_lazily(Random& random);
  void page_out(Random& random);
  void cool(Random& random);
  void advise_merge(Random& random);
  void advise_huge(Random& random);
  void fill_huge(Random& random);
  // operations: actor_device.cpp
  void prefetch_vram(Random& random);
  void prefetch_ram(Random& random);
  void prefetch_of_others(Random& random);
  void change_attributes(Random& random);
  void evict_all(Random& random);
  // operations: actor_buffer.cpp
  void buffers(Random& random);
  // operations: actor_hold.cpp
  void pin(Random& random);
  void splice(Random& random);
  void look_at_hold(Random& random);
  // operations: actor_fork.cpp
  void fork_child(Random& random);

  // actor.cpp
  void begin(const char* what);
  void changed(Count what) {
    context_.board->add(what);
    context_.board->add(Count::OpsTotal);
  }
  void note(Run run, const char* what);
  void remember(const char* address, std::size_t pages, const char* what);
  void check(std::size_t slot);
  void write(std::size_t slot, PageKey key);
  [[nodiscard]] PageKey new_key(Random& random, std::size_t slot);
  [[noreturn]] void lost(std::size_t slot, PageKey expected, const void* bytes, std::string_view seen_by);
  void expect_ok(int result, std::string_view call, Run run);
  [[nodiscard]] Run pick_mapped(Random& random, std::size_t most) const;
  [[nodiscard]] Run pick_writable(Random& random, std::size_t most) const;
  void map_run(Run run);
  void madvise_run(Run run, int advice, const char* what);
  [[nodiscard]] std::string where(std::size_t slot) const;
  [[nodiscard]] std::string parents_view(std::size_t slot) const;

  // actor_device.cpp
  void check_attributes(Run run);
  void move_run(Run run, std::uint32_t location, const char* what);
  void prefetch(Random& random, bool to_vram);
  [[nodiscard]] std::uint32_t random_gpu(Random& random) const;

  // actor_buffer.cpp
  struct Buffer {
    KfdAlloc alloc;
    std::uint32_t gem_handle = 0;
    std::size_t gpu = 0;  // index
    bool gem = false;     // else KFD's
    bool vram = false;    // else GTT
    bool gpu_mapped = false;
    char* place = nullptr;
    char* memory = nullptr;  // its place while there is a buffer
    std::vector<PageKey> keys;
  };
  [[nodiscard]] int create_object(Random& random, Buffer* buffer, std::size_t pages);
  void destroy_object(const Buffer& buffer);
  void allocate_buffer(Random& random, unsigned index);
  void use_buffer(Random& random, unsigned index);
  void free_buffer(Random& random, unsigned index);

  // actor_hold.cpp
  [[nodiscard]] Run pick_holdable(Random& random, std::size_t most);
  void keep(Random& random, Hold hold, Run run);
  bool take_pin(const GupFlavour& flavour, Run run, Hold* hold);
  void check_hold(Hold& hold, std::size_t index);
  void check_frame(const Hold& hold, const HeldPage& page);
  void write_by_dma(Random& random, Hold& hold, std::size_t index);
  void drain_pipe(Hold& hold);
  void release(Random& random, std::size_t index);
  void release_due(Random& random);
  [[nodiscard]] bool others_may_hold(Run run) const;

  // actor_fork.cpp
  [[noreturn]] void live_as_child(ChildSlot* slot, Random& random);
  void reap_children();
  [[nodiscard]] unsigned living_children() const;

  Context context_;
  unsigned thread_;
  bool child_ = false;
  std::uint64_t stream_;
  std::uint64_t operation_ = 0;
  std::uint32_t generation_;
  const char* doing_ = "nothing";
  Activity* activity_;
  Window window_;
  Holds holds_;
  std::optional<KfdClient> own_kfd_;  // of a child
  std::unique_ptr<GupClient> gup_;
  std::unique_ptr<TestDevice> device_;
  std::optional<PageOracle> oracle_;
  std::vector<GupFlavour> flavours_;
  std::array<Buffer, 4> buffers_;
  alignas(64) std::array<char, kPageBytes> scratch_{};
};

}  // namespace kfdlab::stress
