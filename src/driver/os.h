/* SPDX-License-Identifier: Apache-2.0 */
/* What the protocol may not ask the world for itself: the time and a seed. */
#ifndef NBJ_DRIVER_OS_H
#define NBJ_DRIVER_OS_H

#include <nbj/time.h>

nbj_time nbj__os_now(void); /* CLOCK_MONOTONIC */
uint64_t nbj__os_seed(void);

#endif
