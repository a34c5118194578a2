/* SPDX-License-Identifier: Apache-2.0 */
/* Small additions to cmocka: a check that names its table row, copies that a sanitizer can guard, bounded waiting.
 * Failing ends the test by cmocka's longjmp, so call what may fail from the test's own thread. */
#ifndef NBJ_TEST_CHECK_H
#define NBJ_TEST_CHECK_H

#include <nbj/bytes.h>
#include <nbj/export.h>
#include <nbj/time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* Fails the test unless |cond|, saying which case of a table it was. */
#define CHECK(name, cond) ts_check((cond), (name), #cond, __FILE__, __LINE__)

/* Waits until |cond|, which another thread or process makes true; fails the test after |ms| milliseconds. */
#define WAIT_UNTIL(cond, ms)                                              \
    do {                                                                  \
        nbj_time ts_until = ts_now() + NBJ_MILLIS(ms);                    \
        while (!(cond) && ts_now() < ts_until)                            \
            ts_breathe();                                                 \
        ts_check((cond), "waited " #ms " ms", #cond, __FILE__, __LINE__); \
    } while (0)

void ts_check(bool holds, const char *name, const char *text, const char *file, int line);

/* Fails the test with a message. */
#define TS_FAIL(...) ts_fail(__FILE__, __LINE__, __VA_ARGS__)
_Noreturn void ts_fail(const char *file, int line, const char *format, ...) NBJ_PRINTF(3, 4);

/* |fn| runs before each failure of the above is reported, to add what helps (a server's log). */
void ts_on_failure(void (*fn)(void));

nbj_time ts_now(void);          /* monotonic */
void ts_breathe(void);          /* lets others run for a millisecond */
int ts_left_ms(nbj_time until); /* what poll() takes: 0 when it is over */

/* Whether the program runs in valgrind, as what started it says by NBJ_TEST_VALGRIND: the kernel then knows of other signal
 * masks than the program's own, and of other system calls. */
bool ts_in_valgrind(void);

/* A copy on the heap of exactly these octets, so that ASan sees one too far. Freed by exact_free. */
nbj_bytes exact_bytes(const void *ptr, size_t len);
nbj_bytes exact_copy(const char *text); /* without its NUL */
void exact_free(nbj_bytes copy);

/* For diagnostics: |len| octets, escaped, at least the first 300 of them, in a buffer that the call after the next
 * overwrites. */
const char *ts_show(const void *ptr, size_t len);

#endif
