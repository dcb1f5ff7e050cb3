// SPDX-License-Identifier: MIT
// Memory regions of soft RoCE (rdma_rxe) over one end of our link. Data moves by RDMA writes of a queue pair that is
// connected with itself: out of the held pages into a region of plain memory, and the other way round.
#include <infiniband/verbs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "tests/pins/pinners.h"
#include "tests/pins/system.h"
#include "tests/support/needs.h"
#include "tests/support/pattern.h"

namespace kfdlab::pins {
namespace {

constexpr char kDevice[] = "kfdlabrxe";
constexpr int kWritable = IBV_ACCESS_LOCAL_WRITE | IBV_ACCESS_REMOTE_WRITE;

struct Close {
  void operator()(ibv_context* context) const { ::ibv_close_device(context); }
  void operator()(ibv_pd* domain) const { ::ibv_dealloc_pd(domain); }
  void operator()(ibv_cq* queue) const { ::ibv_destroy_cq(queue); }
  void operator()(ibv_qp* pair) const { ::ibv_destroy_qp(pair); }
  void operator()(ibv_mr* region) const { ::ibv_dereg_mr(region); }
};
template <typename T>
using Handle = std::unique_ptr<T, Close>;

class RdmaRemover {
 public:
  RdmaRemover() : owner_(::getpid()) {}
  RdmaRemover(const RdmaRemover&) = delete;
  RdmaRemover& operator=(const RdmaRemover&) = delete;
  ~RdmaRemover() {
    if (owner_ == ::getpid()) {
      static_cast<void>(run_command(std::string("rdma link delete ") + kDevice));
    }
  }

 private:
  pid_t owner_;
};

Status add_device() {
  // rdma_rxe needs a CRC that none of its dependencies names.
  for (const char* module : {"crc32_generic", "rdma_rxe", "ib_uverbs"}) {
    KFDLAB_TRY(load_module(module));
  }
  if (std::filesystem::exists(std::string("/sys/class/infiniband/") + kDevice)) {
    return ok_status();
  }
  return run_command(std::string("rdma link add ") + kDevice + " type rxe netdev " + Link::kNear);
}

Status make_device() {
  KFDLAB_TRY(make_link());  // first: it is removed last
  static const RdmaRemover remover;
  static const Status made = add_device();
  return made;
}

Handle<ibv_context> open_device() {
  int count = 0;
  ibv_device** list = ::ibv_get_device_list(&count);
  Handle<ibv_context> context;
  for (int i = 0; i < count; ++i) {
    if (std::strcmp(::ibv_get_device_name(list[i]), kDevice) == 0) {
      context.reset(::ibv_open_device(list[i]));
    }
  }
  if (list != nullptr) {
    ::ibv_free_device_list(list);
  }
  return context;
}

class MemoryRegion : public Pinner {
 public:
  explicit MemoryRegion(int access) : access_(access) {}
  Status open();

  int hold(std::span<std::byte> pages) override {
    pages_ = pages;
    errno = 0;
    held_.reset(::ibv_reg_mr(domain_.get(), pages.data(), pages.size(), access_));
    return held_ ? 0 : errno;
  }
  int release() override { return held_ ? ::ibv_dereg_mr(held_.release()) : EINVAL; }

  Result<Pieces> load() override {
    Pieces all{{0, std::vector<std::byte>(pages_.size())}};
    const Handle<ibv_mr> plain = region_of(all[0].bytes);
    KFDLAB_TRY(copy(plain.get(), held_.get()));
    return all;
  }
  Result<Pieces> store(std::uint64_t seed) override {
    Pieces all{{0, std::vector<std::byte>(pages_.size())}};
    fill_pattern(all[0].bytes, reinterpret_cast<std::uintptr_t>(pages_.data()), seed);
    const Handle<ibv_mr> plain = region_of(all[0].bytes);
    KFDLAB_TRY(copy(held_.get(), plain.get()));
    return all;
  }

 private:
  Handle<ibv_mr> region_of(std::span<std::byte> bytes) {
    return Handle<ibv_mr>(::ibv_reg_mr(domain_.get(), bytes.data(), bytes.size(), kWritable));
  }
  Status connect();
  Status copy(const ibv_mr* to, const ibv_mr* from);

  int access_;
  std::span<std::byte> pages_;
  Handle<ibv_context> context_;
  Handle<ibv_pd> domain_;
  Handle<ibv_cq> completions_;
  Handle<ibv_qp> pair_;
  Handle<ibv_mr> held_;
};

Status MemoryRegion::open() {
  KFDLAB_TRY(make_device());
  context_ = open_device();
  if (!context_) {
    return Error{"libibverbs does not find the device (package ibverbs-providers)"};
  }
  domain_.reset(::ibv_alloc_pd(context_.get()));
  completions_.reset(::ibv_create_cq(context_.get(), 4, nullptr, nullptr, 0));
  if (!domain_ || !completions_) {
    return errno_error("ibv_alloc_pd() or ibv_create_cq()", errno);
  }
  ibv_qp_init_attr wanted{};
  wanted.send_cq = completions_.get();
  wanted.recv_cq = completions_.get();
  wanted.cap = {4, 4, 1, 1, 0};
  wanted.qp_type = IBV_QPT_RC;
  pair_.reset(::ibv_create_qp(domain_.get(), &wanted));
  return pair_ ? connect() : errno_error("ibv_create_qp()", errno);
}

// From reset to ready to send, with itself as the other end.
Status MemoryRegion::connect() {
  ibv_gid address{};
  int index = -1;
  // The one that stands for the link's IPv4 address, ::ffff:a.b.c.d.
  for (int i = 0; i < 8 && index < 0; ++i) {
    if (::ibv_query_gid(context_.get(), 1, i, &address) == 0 && address.raw[10] == 0xff && address.raw[11] == 0xff) {
      index = i;
    }
  }
  if (index < 0) {
    return Error{"the device has no address"};
  }
  ibv_qp_attr attributes{};
  attributes.qp_state = IBV_QPS_INIT;
  attributes.port_num = 1;
  attributes.qp_access_flags = kWritable;
  int error = ::ibv_modify_qp(pair_.get(), &attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_ACCESS_FLAGS);
  attributes.qp_state = IBV_QPS_RTR;
  attributes.path_mtu = IBV_MTU_1024;
  attributes.dest_qp_num = pair_->qp_num;
  attributes.max_dest_rd_atomic = 1;
  attributes.min_rnr_timer = 12;
  attributes.ah_attr.is_global = 1;
  attributes.ah_attr.port_num = 1;
  attributes.ah_attr.grh.dgid = address;
  attributes.ah_attr.grh.sgid_index = static_cast<std::uint8_t>(index);
  attributes.ah_attr.grh.hop_limit = 1;
  error = error != 0 ? error
                     : ::ibv_modify_qp(pair_.get(), &attributes,
                                       IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN | IBV_QP_RQ_PSN |
                                           IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
  attributes.qp_state = IBV_QPS_RTS;
  attributes.timeout = 20;  // 4.3 s
  attributes.retry_cnt = 7;
  attributes.rnr_retry = 7;
  attributes.max_rd_atomic = 1;
  error = error != 0 ? error
                     : ::ibv_modify_qp(pair_.get(), &attributes,
                                       IBV_QP_STATE | IBV_QP_TIMEOUT | IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_SQ_PSN |
                                           IBV_QP_MAX_QP_RD_ATOMIC);
  return error == 0 ? ok_status() : errno_error("ibv_modify_qp()", error);
}

Status MemoryRegion::copy(const ibv_mr* to, const ibv_mr* from) {
  if (to == nullptr || from == nullptr) {
    return errno_error("ibv_reg_mr() of plain memory", errno);
  }
  ibv_sge source{reinterpret_cast<std::uintptr_t>(from->addr), static_cast<std::uint32_t>(from->length), from->lkey};
  ibv_send_wr work{}, *bad = nullptr;
  work.sg_list = &source;
  work.num_sge = 1;
  work.opcode = IBV_WR_RDMA_WRITE;
  work.send_flags = IBV_SEND_SIGNALED;
  work.wr.rdma.remote_addr = reinterpret_cast<std::uintptr_t>(to->addr);
  work.wr.rdma.rkey = to->rkey;
  if (const int error = ::ibv_post_send(pair_.get(), &work, &bad)) {
    return errno_error("ibv_post_send()", error);
  }
  ibv_wc completion{};
  if (!eventually([&] { return ::ibv_poll_cq(completions_.get(), 1, &completion) == 1; })) {
    return Error{"an RDMA write does not complete"};
  }
  return completion.status == IBV_WC_SUCCESS ? ok_status()
                                             : Error{std::string("an RDMA write failed: ") + ::ibv_wc_status_str(completion.status)};
}

MadePinner make(int access) {
  auto region = std::make_unique<MemoryRegion>(access);
  KFDLAB_TRY(region->open());
  return MadePinner(std::move(region));
}

}  // namespace

MadePinner make_rdma() { return make(kWritable); }
MadePinner make_rdma_read() { return make(0); }

}  // namespace kfdlab::pins
