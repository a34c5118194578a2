/* SPDX-License-Identifier: Apache-2.0 */
/* What the protocol may not ask the world for itself: the time and a seed; the system's errors in words; and the end of a
 * connection. */
#ifndef NBJ_DRIVER_OS_H
#define NBJ_DRIVER_OS_H

#include <nbj/time.h>
#include <stddef.h>

#define NBJ__OS_ERROR_MAX 128 /* octets that are enough for nbj__os_error */

nbj_time nbj__os_now(void); /* CLOCK_MONOTONIC */
uint64_t nbj__os_seed(void);
const char *nbj__os_error(int error, char *room, size_t len); /* static, or in |room| */

/* Closes a socket that is in the epoll set, so that its connection ends and the set forgets it even where a forked child
 * has a copy of it. */
void nbj__os_hang_up(int epoll_fd, int fd);

#endif
