# SPDX-License-Identifier: MIT
# One warning set for everything; an exception carries its reason.
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror)
# -Wsign-conversion is off: sizes cross between POSIX (ssize_t), the C++ library (size_t) and ioctl structs.
add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)
add_compile_definitions(_GNU_SOURCE)
add_compile_options($<$<CONFIG:Release>:-O2>)
if(KFDLAB_ASAN)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()
if(KFDLAB_TSAN)
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()
