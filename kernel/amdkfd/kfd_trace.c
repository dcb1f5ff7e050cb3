// SPDX-License-Identifier: GPL-2.0
/* The one place where the trace events of kfd_trace.h are instantiated. */
#include <linux/mm.h>

#define CREATE_TRACE_POINTS
#include "kfd_trace.h"
