// SPDX-License-Identifier: MIT
// This library stands where a program looks for libamd_comgr.so.2. Each function but those of actions.cpp is a jump to
// the real one, with the real one's symbol version; a function that the real library lacks answers an error.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

#include "tools/compile_cache/real_library.h"

extern "C" {

// One slot a function, written before any program can call and never after.
#define KFDLAB_COMGR(name, version) __attribute__((visibility("hidden"))) void* kfdlab_slot_##name;
#include "tools/compile_cache/comgr_functions.inc"
#undef KFDLAB_COMGR

#define KFDLAB_COMGR(name, version)                                       \
  asm(".pushsection .text\n"                                              \
      ".globl kfdlab_forward_" #name                                      \
      "\n"                                                                \
      ".type kfdlab_forward_" #name                                       \
      ", @function\n"                                                     \
      "kfdlab_forward_" #name                                             \
      ":\n"                                                               \
      "  endbr64\n"                                                       \
      "  jmp *kfdlab_slot_" #name                                         \
      "(%rip)\n"                                                          \
      ".size kfdlab_forward_" #name ", . - kfdlab_forward_" #name         \
      "\n"                                                                \
      ".symver kfdlab_forward_" #name ", " #name "@@@amd_comgr_" #version \
      "\n"                                                                \
      ".popsection\n");
#include "tools/compile_cache/comgr_functions.inc"
#undef KFDLAB_COMGR

}  // extern "C"

namespace kfdlab::compile_cache {
namespace {

RealLibrary real{};

amd_comgr_status_t absent() { return AMD_COMGR_STATUS_ERROR; }

void* find(void* library, const char* name) {
  void* const function = library != nullptr ? ::dlsym(library, name) : nullptr;
  return function != nullptr ? function : reinterpret_cast<void*>(&absent);
}

template <typename Function>
void find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(find(library, name));
}

__attribute__((constructor)) void load_real_library() {
  void* const library = ::dlopen(kRealLibrary, RTLD_LAZY | RTLD_LOCAL);
  if (library == nullptr) {
    std::fprintf(stderr, "kfdlab's compile cache: %s\n", ::dlerror());
  }
#define KFDLAB_COMGR(name, version) kfdlab_slot_##name = find(library, #name);
#include "tools/compile_cache/comgr_functions.inc"
#undef KFDLAB_COMGR
  find(library, "amd_comgr_do_action", &real.do_action);
  find(library, "amd_comgr_action_info_set_isa_name", &real.set_isa_name);
  find(library, "amd_comgr_destroy_action_info", &real.destroy_action_info);
}

}  // namespace

const RealLibrary& real_library() { return real; }

}  // namespace kfdlab::compile_cache
