// SPDX-License-Identifier: MIT
// hw/aql.h against the headers of the runtime, where those are installed.
#include <gtest/gtest.h>

#include "hw/aql.h"

#if __has_include(<hsa/amd_hsa_signal.h>) && __has_include(<hsa/hsa_ext_amd.h>)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include <hsa/amd_hsa_queue.h>
#include <hsa/amd_hsa_signal.h>
#include <hsa/hsa_ext_amd.h>
#pragma GCC diagnostic pop
#define KFDLAB_HAVE_HSA 1
#endif

namespace {

#ifdef KFDLAB_HAVE_HSA
#define EXPECT_SAME(ours, theirs, our_field, their_field)                  \
  EXPECT_EQ(offsetof(struct ours, our_field), offsetof(theirs, their_field)); \
  EXPECT_EQ(sizeof(ours::our_field), sizeof(theirs::their_field))

TEST(AqlLayout, PacketsAreThoseOfTheRuntime) {
  EXPECT_EQ(sizeof(hsa_kernel_dispatch_packet_t), sizeof(aql_kernel_dispatch));
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, setup, setup);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, workgroup_size_z, workgroup_size_z);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, grid_size_x, grid_size_x);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, private_segment_size, private_segment_size);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, group_segment_size, group_segment_size);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, kernel_object, kernel_object);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, kernarg_address, kernarg_address);
  EXPECT_SAME(aql_kernel_dispatch, hsa_kernel_dispatch_packet_t, completion_signal, completion_signal);
  EXPECT_SAME(aql_barrier, hsa_barrier_and_packet_t, dep_signal, dep_signal);
  EXPECT_SAME(aql_barrier, hsa_barrier_or_packet_t, completion_signal, completion_signal);
  EXPECT_SAME(aql_barrier_value, hsa_amd_barrier_value_packet_t, signal, signal);
  EXPECT_SAME(aql_barrier_value, hsa_amd_barrier_value_packet_t, value, value);
  EXPECT_SAME(aql_barrier_value, hsa_amd_barrier_value_packet_t, mask, mask);
  EXPECT_SAME(aql_barrier_value, hsa_amd_barrier_value_packet_t, cond, cond);
  EXPECT_SAME(aql_barrier_value, hsa_amd_barrier_value_packet_t, completion_signal, completion_signal);
  EXPECT_EQ(int{AQL_KERNEL_DISPATCH}, int{HSA_PACKET_TYPE_KERNEL_DISPATCH});
  EXPECT_EQ(int{AQL_BARRIER_AND}, int{HSA_PACKET_TYPE_BARRIER_AND});
  EXPECT_EQ(int{AQL_BARRIER_OR}, int{HSA_PACKET_TYPE_BARRIER_OR});
  EXPECT_EQ(int{AQL_INVALID}, int{HSA_PACKET_TYPE_INVALID});
  EXPECT_EQ(int{AQL_FORMAT_BARRIER_VALUE}, int{HSA_AMD_PACKET_TYPE_BARRIER_VALUE});
}

TEST(AqlLayout, SignalsAndQueuesAreThoseOfTheRuntime) {
  EXPECT_EQ(sizeof(amd_signal_t), sizeof(aql_signal));
  EXPECT_SAME(aql_signal, amd_signal_t, value, value);
  EXPECT_SAME(aql_signal, amd_signal_t, event_mailbox_ptr, event_mailbox_ptr);
  EXPECT_SAME(aql_signal, amd_signal_t, event_id, event_id);
  EXPECT_SAME(aql_signal, amd_signal_t, start_ts, start_ts);
  EXPECT_SAME(aql_signal, amd_signal_t, end_ts, end_ts);
  EXPECT_EQ(sizeof(amd_queue_t), sizeof(aql_queue));
  EXPECT_SAME(aql_queue, amd_queue_t, write_dispatch_id, write_dispatch_id);
  EXPECT_SAME(aql_queue, amd_queue_t, read_dispatch_id, read_dispatch_id);
  EXPECT_SAME(aql_queue, amd_queue_t, compute_tmpring_size, compute_tmpring_size);
  EXPECT_SAME(aql_queue, amd_queue_t, scratch_resource_descriptor, scratch_resource_descriptor);
  EXPECT_SAME(aql_queue, amd_queue_t, scratch_backing_memory_location, scratch_backing_memory_location);
  EXPECT_SAME(aql_queue, amd_queue_t, scratch_wave64_lane_byte_size, scratch_wave64_lane_byte_size);
  EXPECT_SAME(aql_queue, amd_queue_t, queue_properties, queue_properties);
  EXPECT_SAME(aql_queue, amd_queue_t, queue_inactive_signal, queue_inactive_signal);
}
#else
TEST(AqlLayout, PacketsAreThoseOfTheRuntime) { GTEST_SKIP() << "the headers of libhsa-runtime-dev are not installed"; }
#endif

}  // namespace
