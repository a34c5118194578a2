/* SPDX-License-Identifier: Apache-2.0 */
/* On top of glibc's __libc_malloc family, which needs neither dlsym() nor a start-up buffer. free() stays glibc's. */
#include "malloc_fail.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__linux__)
#define CAN_INTERPOSE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CAN_INTERPOSE 0
#endif
#endif
#ifndef CAN_INTERPOSE
#define CAN_INTERPOSE 1
#endif

static _Thread_local bool armed, refused;
static _Thread_local size_t left;

bool ts_malloc_fail_works(void)
{
    ts_malloc_fail_arm(0); /* valgrind, too, has its own malloc: only trying tells */
    void *volatile p = malloc(1);
    free(p);
    return ts_malloc_fail_disarm();
}

void ts_malloc_fail_arm(size_t n)
{
    left = n;
    refused = false;
    armed = true;
}

bool ts_malloc_fail_disarm(void)
{
    armed = false;
    return refused;
}

#if CAN_INTERPOSE

#define EXPORTED __attribute__((visibility("default"), used))

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
EXPORTED void *malloc(size_t size);
EXPORTED void *calloc(size_t count, size_t size);
EXPORTED void *realloc(void *ptr, size_t size);

static bool refuse(void)
{
    if (!armed || refused || left-- > 0)
        return false;
    refused = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return refuse() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return refuse() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    return refuse() ? NULL : __libc_realloc(ptr, size);
}

#endif
