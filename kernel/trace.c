// SPDX-License-Identifier: GPL-2.0
/* Makes the tracepoints of trace.h. */
#include <linux/fs.h>
#include <linux/mm.h>

#define CREATE_TRACE_POINTS
#include "trace.h"
