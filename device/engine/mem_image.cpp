// SPDX-License-Identifier: MIT
// MIMG: loads, stores, atomics and samples of images. One lane at a time: compute code seldom uses them.
//
// Lanes outside the image: loads and atomics give 0, stores are dropped. *_pck moves elements as they are, without
// their format. Nothing but level of detail 0 exists. Facts: CDNA 2 ISA chapters 9.2 and 12.
#include "device/engine/image.h"
#include "device/engine/mem_atomic.h"
#include "device/engine/mem_plan.h"
#include "device/engine/mem_tables.h"
#include "device/engine/micro_op.h"

namespace kfdlab::engine::KFDLAB_ENGINE_ISA {
namespace {

// aux8 of a micro-op.
constexpr unsigned kMaskAt = 0;
constexpr unsigned kA16At = 1;
constexpr unsigned kD16At = 2;
constexpr unsigned kUnormAt = 3;
constexpr unsigned kRowsAt = 4;    // registers there are from the first coordinate on
constexpr unsigned kPackedAt = 5;  // *_pck: 1, *_pck_sgn: 2
constexpr unsigned kMipAt = 6;     // a level of detail stands behind the coordinates

struct LaneValues {
  alignas(64) std::uint32_t value[4][kLanes];
};

// The bits of coordinate i; registers the wave does not have are 0.
std::uint32_t coordinate_bits(const Wave& wave, const MicroOp& op, unsigned i, unsigned lane) {
  const bool halves = op.aux8[kA16At] != 0;
  const unsigned row = halves ? i / 2 : i;
  if (row >= op.aux8[kRowsAt]) {
    return 0;
  }
  const std::uint32_t bits = row_at(wave, op.src[0])[row * kLanes + lane];
  return !halves ? bits : i % 2 != 0 ? bits >> 16 : bits & 0xffffu;
}

bool lane_texel(const Wave& wave, const MicroOp& op, const Image& image, unsigned lane, std::uint64_t& address) {
  Texel texel;
  for (unsigned i = 0; i < image.axes; ++i) {
    texel.at[i] = coordinate_bits(wave, op, i, lane);
  }
  if (image.is_array) {
    texel.slice = coordinate_bits(wave, op, image.axes, lane);
  }
  if (op.aux8[kMipAt] != 0 && coordinate_bits(wave, op, image.coordinates(), lane) != 0) {
    return false;
  }
  return texel_address(image, texel, address);
}

// Host addresses of an element, of which a second page may have some.
struct Element {
  std::byte* head = nullptr;
  std::byte* tail = nullptr;
  unsigned head_bytes = 0;
};

template <MemoryAccess kAccess>
[[nodiscard]] bool find_element(Wave& wave, std::uint64_t address, unsigned bytes, Element& element) {
  const auto room = static_cast<unsigned>(Tlb::kPageSize - (address & Tlb::kPageMask));
  element.head = wave.tlb->translate<kAccess>(wave.tlb_key, address, wave.fault);
  element.head_bytes = bytes < room ? bytes : room;
  if (element.head == nullptr || element.head_bytes == bytes) {
    return element.head != nullptr;
  }
  element.tail = wave.tlb->translate<kAccess>(wave.tlb_key, address + room, wave.fault);
  return element.tail != nullptr;
}

[[nodiscard]] bool read_element(Wave& wave, std::uint64_t address, unsigned bytes, FormatWords& words) {
  Element element;
  if (!find_element<MemoryAccess::Read>(wave, address, bytes, element)) {
    return false;
  }
  auto* const to = reinterpret_cast<std::byte*>(words.data());
  std::memcpy(to, element.head, element.head_bytes);
  if (element.tail != nullptr) {
    std::memcpy(to + element.head_bytes, element.tail, bytes - element.head_bytes);
  }
  return true;
}

// The components that dmask names go to one register after the other.
void write_components(Wave& wave, const MicroOp& op, const Image& image, const LaneValues& values,
                      std::uint64_t lanes) {
  std::uint32_t* const to = row_at(wave, op.dst);
  const unsigned mask = op.aux8[kMaskAt] != 0 ? op.aux8[kMaskAt] : 1;
  const bool halves = op.aux8[kD16At] != 0;
  unsigned n = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if ((mask >> i & 1) == 0) {
      continue;
    }
    for_lanes(lanes, [&](unsigned l) {
      const std::uint32_t value = values.value[i][l];
      if (!halves) {
        to[n * kLanes + l] = value;
        return;
      }
      const std::uint32_t half = is_integer(image.number) ? value & 0xffffu : half_of(value);
      std::uint32_t& pair = to[n / 2 * kLanes + l];
      pair = n % 2 != 0 ? (pair & 0xffffu) | half << 16 : half;
    });
    ++n;
  }
}

FormatWords read_components(const Wave& wave, const MicroOp& op, const Image& image, unsigned lane) {
  const std::uint32_t* const from = row_at(wave, op.src[1]);
  const unsigned mask = op.aux8[kMaskAt] != 0 ? op.aux8[kMaskAt] : 1;
  FormatWords values{};
  unsigned n = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if ((mask >> i & 1) == 0) {
      continue;
    }
    if (op.aux8[kD16At] == 0) {
      values[i] = from[n * kLanes + lane];
    } else {
      const std::uint32_t pair = from[n / 2 * kLanes + lane];
      const std::uint32_t half = (n % 2 != 0 ? pair >> 16 : pair) & 0xffffu;
      const auto extended = static_cast<std::uint32_t>(std::int32_t{static_cast<std::int16_t>(half)});
      values[i] = image.number == NumberFormat::Uint   ? half
                  : image.number == NumberFormat::Sint ? extended
                                                       : single_of_half(half);
    }
    ++n;
  }
  return values;
}

FormatWords loaded(const MicroOp& op, const Image& image, FormatWords words) {
  if (op.aux8[kPackedAt] == 0) {
    return selected(image, unpack_texel(image, words));
  }
  const unsigned bits = image.format.bytes * 8;
  if (op.aux8[kPackedAt] == 2 && bits < 32) {
    words[0] = static_cast<std::uint32_t>(static_cast<std::int32_t>(words[0] << (32 - bits)) >> (32 - bits));
  }
  return words;
}

const MicroOp* load_image(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  const Image image = read_image(scalar_source(wave, op, 2));
  LaneValues values;
  for (std::uint64_t rest = lanes; rest != 0; rest &= rest - 1) {
    const unsigned l = first_lane(rest);
    std::uint64_t address;
    FormatWords result{};
    if (lane_texel(wave, op, image, l, address)) {
      FormatWords words{};
      if (!read_element(wave, address, image.format.bytes, words)) {
        return fault(wave, op);
      }
      result = loaded(op, image, words);
    }
    for (unsigned i = 0; i < 4; ++i) {
      values.value[i][l] = result[i];
    }
  }
  write_components(wave, op, image, values, lanes);
  return next(op);
}

const MicroOp* store_image(Wave& wave, const MicroOp& op) {
  const Image image = read_image(scalar_source(wave, op, 2));
  const unsigned bytes = image.format.bytes;
  Element elements[kLanes];
  std::uint64_t inside = 0;
  for (std::uint64_t rest = wave.exec(); rest != 0; rest &= rest - 1) {
    const unsigned l = first_lane(rest);
    std::uint64_t address;
    if (!lane_texel(wave, op, image, l, address)) {
      continue;
    }
    if (!find_element<MemoryAccess::Write>(wave, address, bytes, elements[l])) {
      return fault(wave, op);
    }
    inside |= 1ull << l;
  }
  for_lanes(inside, [&](unsigned l) {
    const FormatWords values = read_components(wave, op, image, l);
    const FormatWords words = op.aux8[kPackedAt] != 0 ? values : pack_texel(image, values);
    const auto* const from = reinterpret_cast<const std::byte*>(words.data());
    std::memcpy(elements[l].head, from, elements[l].head_bytes);
    if (elements[l].tail != nullptr) {
      std::memcpy(elements[l].tail, from + elements[l].head_bytes, bytes - elements[l].head_bytes);
    }
  });
  return next(op);
}

const MicroOp* sample_image(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  const Image image = read_image(scalar_source(wave, op, 2));
  Sampler sampler = read_sampler(scalar(wave, op, op.kind[3], op.src3));
  sampler.unnormalized = sampler.unnormalized || op.aux8[kUnormAt] != 0;
  LaneValues values;
  for (std::uint64_t rest = lanes; rest != 0; rest &= rest - 1) {
    const unsigned l = first_lane(rest);
    std::array<float, 4> coordinates{};
    for (unsigned i = 0; i < image.coordinates(); ++i) {
      const std::uint32_t bits = coordinate_bits(wave, op, i, l);
      coordinates[i] = std::bit_cast<float>(op.aux8[kA16At] != 0 ? single_of_half(bits) : bits);
    }
    const Taps taps = sample_taps(image, sampler, coordinates);
    std::array<FormatWords, 8> elements{};
    for (unsigned t = 0; t < taps.count; ++t) {
      const Tap& tap = taps.tap[t];
      if (tap.inside && !read_element(wave, tap.address, image.format.bytes, elements[t])) {
        return fault(wave, op);
      }
    }
    const FormatWords result = blend_taps(image, sampler, taps, elements);
    for (unsigned i = 0; i < 4; ++i) {
      values.value[i][l] = result[i];
    }
  }
  write_components(wave, op, image, values, lanes);
  return next(op);
}

// Width, height, depth or slices, levels.
const MicroOp* image_size(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  const Image image = read_image(scalar_source(wave, op, 2));
  LaneValues values;
  for_lanes(lanes, [&](unsigned l) {
    const bool exists = image.axes != 0 && coordinate_bits(wave, op, 0, l) == 0;
    const std::int64_t third = image.is_array ? image.slices : image.size[2];
    values.value[0][l] = exists ? static_cast<std::uint32_t>(image.size[0]) : 0;
    values.value[1][l] = exists ? static_cast<std::uint32_t>(image.size[1]) : 0;
    values.value[2][l] = exists ? static_cast<std::uint32_t>(third) : 0;
    values.value[3][l] = image.axes != 0 ? 1 : 0;
  });
  Image numbers = image;
  numbers.number = NumberFormat::Uint;
  write_components(wave, op, numbers, values, lanes);
  return next(op);
}

template <Atomic kOp, typename T>
const MicroOp* atomic_image(Wave& wave, const MicroOp& op) {
  const std::uint64_t lanes = wave.exec();
  if (lanes == 0) {
    return next(op);
  }
  const Image image = read_image(scalar_source(wave, op, 2));
  alignas(64) std::uint64_t address[kLanes];
  std::uint64_t inside = 0;
  for_lanes(lanes, [&](unsigned l) {
    if (image.format.bytes == sizeof(T) && lane_texel(wave, op, image, l, address[l])) {
      inside |= 1ull << l;
    }
  });
  Plan plan;
  if (!plan_lanes<MemoryAccess::Write, sizeof(T)>(wave, address, inside, plan)) {
    return fault(wave, op);
  }
  const std::uint32_t* const data = row_at(wave, op.src[1]);
  const AtomicData<T> source{data, has_extra(kOp) ? data + kLanes * (sizeof(T) / 4) : nullptr};
  std::uint32_t* const to = (op.flags & kFlagGlc) != 0 ? row_at(wave, op.dst) : nullptr;
  if (to != nullptr) {
    for_lanes(lanes & ~inside, [&](unsigned l) { write_lane<T>(to, l, 0); });
  }
  run_shared<kOp, T>(plan.host, source, to, inside);
  return next(op);
}

bool has_image_operands(const isa::Inst& inst) {
  return inst.encoding == isa::Encoding::Mimg && is_tuple(inst.src[0], 1) && !inst.src[2].is_vector() &&
         inst.src[2].is_register() && inst.src[2].dwords == 8;
}

unsigned data_dwords(const isa::Inst& inst) {
  const auto components = static_cast<unsigned>(std::popcount(inst.dmask));
  const unsigned n = components == 0 ? 1 : components;
  return inst.d16 ? (n + 1) / 2 : n;
}

void emit_image(Lowering& lowering, Handler handler, unsigned packed, bool mip) {
  const isa::Inst& inst = lowering.inst();
  const unsigned first = inst.src[0].reg - isa::kVgpr0;
  const unsigned rows = lowering.key().vgpr_rows;
  MicroOp& op = lowering.emit(handler);
  op.aux8[kMaskAt] = inst.dmask;
  op.aux8[kA16At] = inst.a16 ? 1 : 0;
  op.aux8[kD16At] = inst.d16 ? 1 : 0;
  op.aux8[kUnormAt] = inst.unorm ? 1 : 0;
  op.aux8[kRowsAt] = static_cast<std::uint8_t>(first < rows ? std::min(rows - first, 8u) : 0);
  op.aux8[kPackedAt] = static_cast<std::uint8_t>(packed);
  op.aux8[kMipAt] = mip ? 1 : 0;
}

template <Handler kHandler, unsigned kPacked, bool kMip>
bool lower_load(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!has_image_operands(inst) || !is_tuple(inst.dst, data_dwords(inst))) {
    return false;
  }
  emit_image(lowering, kHandler, kPacked, kMip);
  return true;
}

template <unsigned kPacked, bool kMip>
bool lower_store(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  if (!has_image_operands(inst) || !is_tuple(inst.src[1], data_dwords(inst))) {
    return false;
  }
  emit_image(lowering, store_image, kPacked, kMip);
  return true;
}

bool lower_sample(Lowering& lowering) {
  const isa::Operand& sampler = lowering.inst().src[3];
  return sampler.is_register() && !sampler.is_vector() && sampler.dwords == 4 &&
         lower_load<sample_image, 0, false>(lowering);
}

template <Atomic kOp>
bool lower_atomic(Lowering& lowering) {
  const isa::Inst& inst = lowering.inst();
  constexpr unsigned kOperands = has_extra(kOp) ? 2 : 1;
  const bool wide = inst.dmask == (has_extra(kOp) ? 0xf : 3);
  const unsigned dwords = wide ? 2 : 1;
  if (!has_image_operands(inst) || !is_tuple(inst.src[1], dwords * kOperands) ||
      (inst.glc && !is_tuple(inst.dst, dwords))) {
    return false;
  }
  emit_image(lowering, wide ? atomic_image<kOp, std::uint64_t> : atomic_image<kOp, std::uint32_t>, 0, false);
  return true;
}

}  // namespace

void add_images(LowerTable& table) {
  using isa::Op;
  table.set(Op::image_load, lower_load<load_image, 0, false>);
  table.set(Op::image_load_mip, lower_load<load_image, 0, true>);
  table.set(Op::image_load_pck, lower_load<load_image, 1, false>);
  table.set(Op::image_load_pck_sgn, lower_load<load_image, 2, false>);
  table.set(Op::image_load_mip_pck, lower_load<load_image, 1, true>);
  table.set(Op::image_load_mip_pck_sgn, lower_load<load_image, 2, true>);
  table.set(Op::image_get_resinfo, lower_load<image_size, 0, false>);
  table.set(Op::image_sample, lower_sample);
  table.set(Op::image_store, lower_store<0, false>);
  table.set(Op::image_store_mip, lower_store<0, true>);
  table.set(Op::image_store_pck, lower_store<1, false>);
  table.set(Op::image_store_mip_pck, lower_store<1, true>);
#define KFDLAB_ATOMIC(name, op) table.set(Op::image_atomic_##name, lower_atomic<Atomic::op>)
  KFDLAB_ATOMIC(swap, Swap);
  KFDLAB_ATOMIC(cmpswap, Cmpswap);
  KFDLAB_ATOMIC(add, Add);
  KFDLAB_ATOMIC(sub, Sub);
  KFDLAB_ATOMIC(smin, Smin);
  KFDLAB_ATOMIC(umin, Umin);
  KFDLAB_ATOMIC(smax, Smax);
  KFDLAB_ATOMIC(umax, Umax);
  KFDLAB_ATOMIC(and, And);
  KFDLAB_ATOMIC(or, Or);
  KFDLAB_ATOMIC(xor, Xor);
  KFDLAB_ATOMIC(inc, Inc);
  KFDLAB_ATOMIC(dec, Dec);
#undef KFDLAB_ATOMIC
}

}  // namespace kfdlab::engine::KFDLAB_ENGINE_ISA
