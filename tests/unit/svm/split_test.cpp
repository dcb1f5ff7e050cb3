// SPDX-License-Identifier: MIT
// svm_plan_set() against a model that knows the attributes of every single page.
#include "tests/unit/svm/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <vector>

namespace {

constexpr svm_attrs kDefaults = {SVM_LOCATION_UNDEFINED, SVM_LOCATION_UNDEFINED, 3, 9, 0, 0};

bool same(const svm_attrs& a, const svm_attrs& b) { return svm_attrs_equal(&a, &b); }

svm_change granularity_change(__u32 granularity) {
  svm_change change;
  svm_change_init(&change);
  change.has_granularity = true;
  change.granularity = granularity;
  return change;
}

svm_change random_change(std::mt19937_64& random) {
  svm_change change;
  svm_change_init(&change);
  switch (random() % 5) {
    case 0:
      change.has_preferred = true;
      change.preferred_loc = random() % 2 != 0 ? 0x8a01 : 0;
      break;
    case 1:
      change.has_prefetch = true;
      change.prefetch_loc = random() % 2 != 0 ? 0x8a01 : 0;
      break;
    case 2:
      return granularity_change(static_cast<__u32>(random() % 3));
    case 3:
      svm_bits_add(&change.flags, 1u << random() % 3);
      break;
    default:
      svm_bits_remove(&change.access, 1);
      svm_bits_add(&change.access_in_place, static_cast<__u32>(random() % 2));
      break;
  }
  return change;
}

// The ranges of a process, changed through the plan as the module does it.
class Ranges {
 public:
  void set(unsigned long start, unsigned long last, const svm_change& change) {
    std::vector<svm_piece> in;
    const auto touches = [&](const svm_piece& piece) { return piece.last + 1 >= start && piece.start <= last + 1; };
    std::copy_if(pieces_.begin(), pieces_.end(), std::back_inserter(in), touches);
    std::vector<svm_piece> out(svm_plan_room(in.size(), start, last));
    const unsigned long n = svm_plan_set(in.data(), in.size(), start, last, &kDefaults, &change, out.data());
    ASSERT_LE(n, out.size());
    out.resize(n);
    std::erase_if(pieces_, touches);
    pieces_.insert(pieces_.end(), out.begin(), out.end());
    std::sort(pieces_.begin(), pieces_.end(), [](const auto& a, const auto& b) { return a.start < b.start; });
  }

  void remove(unsigned long start, unsigned long last) {
    std::vector<svm_piece> left;
    for (const svm_piece& piece : pieces_) {
      if (piece.last < start || piece.start > last) {
        left.push_back(piece);
        continue;
      }
      if (piece.start < start) {
        left.push_back({piece.start, start - 1, piece.attrs});
      }
      if (piece.last > last) {
        left.push_back({last + 1, piece.last, piece.attrs});
      }
    }
    pieces_ = left;
  }

  [[nodiscard]] const std::vector<svm_piece>& pieces() const { return pieces_; }

  void expect_well_formed() const {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const svm_piece& piece = pieces_[i];
      ASSERT_LE(piece.start, piece.last);
      ASSERT_EQ(piece.start / SVM_RANGE_MAX_PAGES, piece.last / SVM_RANGE_MAX_PAGES) << "crosses a block";
      if (i > 0) {
        ASSERT_LT(pieces_[i - 1].last, piece.start) << "overlap";
      }
    }
  }

  // What a model of single pages says must be what the ranges say.
  void expect_equal(const std::map<unsigned long, svm_attrs>& model) const {
    std::size_t pages = 0;
    for (const svm_piece& piece : pieces_) {
      for (unsigned long page = piece.start; page <= piece.last; ++page, ++pages) {
        const auto found = model.find(page);
        ASSERT_NE(found, model.end()) << "page " << page << " has attributes but should not";
        ASSERT_TRUE(same(found->second, piece.attrs)) << "page " << page;
      }
    }
    ASSERT_EQ(pages, model.size());
  }

 private:
  std::vector<svm_piece> pieces_;
};

void model_set(std::map<unsigned long, svm_attrs>& model, unsigned long start, unsigned long last,
               const svm_change& change) {
  for (unsigned long page = start; page <= last; ++page) {
    const auto [entry, fresh] = model.try_emplace(page, kDefaults);
    svm_change_apply(&change, &entry->second);
  }
}

// Around a block boundary, so that cutting there is part of it.
void compare_with_model(unsigned long npages, unsigned seed, unsigned steps) {
  const unsigned long base = 3 * SVM_RANGE_MAX_PAGES - npages / 2;
  std::mt19937_64 random(seed);
  std::map<unsigned long, svm_attrs> model;
  Ranges ranges;
  for (unsigned step = 0; step < steps; ++step) {
    const unsigned long start = base + random() % npages;
    const unsigned long last = std::min(base + npages - 1, start + random() % (random() % 4 == 0 ? npages : 8));
    if (random() % 4 == 0) {
      ranges.remove(start, last);
      for (unsigned long page = start; page <= last; ++page) {
        model.erase(page);
      }
    } else {
      const svm_change change = random_change(random);
      ranges.set(start, last, change);
      model_set(model, start, last, change);
    }
    ASSERT_NO_FATAL_FAILURE(ranges.expect_well_formed()) << "seed " << seed << " step " << step;
    ASSERT_NO_FATAL_FAILURE(ranges.expect_equal(model)) << "seed " << seed << " step " << step;
  }
}

TEST(SvmSplit, RandomSetsAgreeWithPageModel) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    ASSERT_NO_FATAL_FAILURE(compare_with_model(48, seed, 300));
  }
}

TEST(SvmSplit, RandomSetsAgreeWithPageModelBeyondMergeSize) {
  for (unsigned seed = 1; seed <= 4; ++seed) {
    ASSERT_NO_FATAL_FAILURE(compare_with_model(3000, seed, 200));
  }
}

TEST(SvmSplit, EveryPageCanBeASplitPoint) {
  for (unsigned long page = 0; page < 16; ++page) {
    Ranges ranges;
    ranges.set(1000, 1015, granularity_change(5));
    ranges.set(1000 + page, 1000 + page, granularity_change(6));
    ASSERT_NO_FATAL_FAILURE(ranges.expect_well_formed());
    EXPECT_EQ(ranges.pieces().size(), page == 0 || page == 15 ? 2u : 3u) << "page " << page;
  }
}

TEST(SvmSplit, SettingWhatIsSetSplitsNothing) {
  Ranges ranges;
  ranges.set(1000, 50000, granularity_change(5));
  ASSERT_EQ(ranges.pieces().size(), 1u);
  ranges.set(2000, 2000, granularity_change(5));
  ASSERT_EQ(ranges.pieces().size(), 1u);
  EXPECT_EQ(ranges.pieces()[0].start, 1000u);
  EXPECT_EQ(ranges.pieces()[0].last, 50000u);
}

TEST(SvmSplit, SettingPageByPageKeepsTheNumberOfRangesSmall) {
  constexpr unsigned long kPages = 20000;
  for (const bool upwards : {true, false}) {
    Ranges ranges;
    for (unsigned long i = 0; i < kPages; ++i) {
      const unsigned long page = 5000 + (upwards ? i : kPages - 1 - i);
      ranges.set(page, page, granularity_change(5));
    }
    ASSERT_NO_FATAL_FAILURE(ranges.expect_well_formed());
    EXPECT_LE(ranges.pieces().size(), kPages / SVM_MERGE_ALWAYS + 2);
  }
}

TEST(SvmSplit, SettingPagesInRandomOrderKeepsTheNumberOfRangesSmall) {
  constexpr unsigned long kPages = 8192;
  std::vector<unsigned long> order(kPages);
  for (unsigned long i = 0; i < kPages; ++i) {
    order[i] = 5000 + i;
  }
  std::shuffle(order.begin(), order.end(), std::mt19937_64(1));
  Ranges ranges;
  for (const unsigned long page : order) {
    ranges.set(page, page, granularity_change(5));
  }
  EXPECT_LE(ranges.pieces().size(), 4 * kPages / SVM_MERGE_ALWAYS);
}

TEST(SvmSplit, OneCallOverAllMakesOneRangeOfMany) {
  Ranges ranges;
  for (unsigned long page = 1000; page < 9000; page += 2) {
    ranges.set(page, page, granularity_change(static_cast<__u32>(page % 7)));
  }
  ranges.set(1000, 8999, granularity_change(5));
  EXPECT_EQ(ranges.pieces().size(), 1u);
}

TEST(SvmSplit, HugeRangesAreCutAtBlocks) {
  Ranges ranges;
  ranges.set(10, 10 + 5 * SVM_RANGE_MAX_PAGES, granularity_change(5));
  ASSERT_NO_FATAL_FAILURE(ranges.expect_well_formed());
  EXPECT_EQ(ranges.pieces().size(), 6u);
}

}  // namespace
