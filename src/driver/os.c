/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "driver/os.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

nbj_time nbj__os_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return NBJ_SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

uint64_t nbj__os_seed(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) !=
        (ssize_t)sizeof seed) /* early boot: the clock will do, as it is no secret */
        seed = nbj__os_now() ^ (uint64_t)getpid() << 32;
    return seed;
}

const char *nbj__os_error(int error, char *room, size_t len)
{
    switch (error) {
    case ECONNREFUSED:
        return "connection refused";
    case EMFILE:
        return "the process has no descriptor left: raise its limit (ulimit -n)";
    case ENFILE:
        return "the system has no descriptor left (fs.file-max; ulimit -n of each process)";
    default:
        break;
    }
#ifdef __GLIBC__
    return strerror_r(error, room, len);
#else
    return strerror_r(error, room, len) == 0 ? room : "network error";
#endif
}

void nbj__os_hang_up(int epoll_fd, int fd)
{
    (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    (void)shutdown(fd, SHUT_RDWR);
    close(fd);
}
