/* SPDX-License-Identifier: Apache-2.0 */
/* What the protocol may not ask the world for itself: the time and a seed; and the system's errors in words. */
#ifndef NBJ_DRIVER_OS_H
#define NBJ_DRIVER_OS_H

#include <nbj/time.h>
#include <stddef.h>

#define NBJ__OS_ERROR_MAX 128 /* octets that are enough for nbj__os_error */

nbj_time nbj__os_now(void); /* CLOCK_MONOTONIC */
uint64_t nbj__os_seed(void);
const char *nbj__os_error(int error, char *room, size_t len); /* static, or in |room| */

#endif
