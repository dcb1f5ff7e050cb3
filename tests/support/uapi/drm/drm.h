// SPDX-License-Identifier: MIT
// <linux/kfd_ioctl.h> includes <drm/drm.h>; Debian ships that header as <libdrm/drm.h>.
#pragma once

#include <libdrm/drm.h>
