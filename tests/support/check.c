/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE

#include "check.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void (*on_failure)(void);

void ts_on_failure(void (*fn)(void))
{
    on_failure = fn;
}

_Noreturn void ts_fail(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (on_failure != NULL)
        on_failure();
    print_error("%s\n", text);
    _fail(file, line);
    abort(); /* not reached: _fail jumps, and cmocka does not say so */
}

void ts_check(bool holds, const char *name, const char *text, const char *file, int line)
{
    if (!holds)
        ts_fail(file, line, "case \"%s\": not true: %s", name, text);
}

nbj_time ts_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return NBJ_SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

void ts_breathe(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

int ts_left_ms(nbj_time until)
{
    nbj_time now = ts_now();

    if (now >= until)
        return 0;
    uint64_t ms = (until - now + NBJ_MILLIS(1) - 1) / NBJ_MILLIS(1);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

bool ts_in_valgrind(void)
{
    const char *text = getenv("NBJ_TEST_VALGRIND");

    return text != NULL && strcmp(text, "1") == 0;
}

nbj_bytes exact_bytes(const void *ptr, size_t len)
{
    uint8_t *copy = malloc(len); /* of 0 octets too: reading the first one is then an error */

    if (copy == NULL && len > 0)
        TS_FAIL("out of memory");
    if (len > 0)
        memcpy(copy, ptr, len);
    return nbj_view(copy, len);
}

nbj_bytes exact_copy(const char *text)
{
    return exact_bytes(text, strlen(text));
}

void exact_free(nbj_bytes copy)
{
    free((void *)(uintptr_t)copy.ptr);
}

/* The format that shows one octet. */
static const char *escape_of(uint8_t octet)
{
    if (octet == '\r')
        return "\\r";
    if (octet == '\n')
        return "\\n";
    return octet >= 32 && octet < 127 ? "%c" : "\\x%02x";
}

const char *ts_show(const void *ptr, size_t len)
{
    static char texts[2][1300];
    static unsigned turn;
    char *text = texts[turn++ % 2];
    const uint8_t *at = ptr;
    size_t n = 0;

    for (size_t i = 0; i < len && n < sizeof texts[0] - 8; i++)
        n += (size_t)snprintf(text + n, sizeof texts[0] - n, escape_of(at[i]), at[i]);
    text[n] = '\0';
    return text;
}
