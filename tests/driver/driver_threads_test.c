/* SPDX-License-Identifier: Apache-2.0 */
/* What a driver with a real lock does for threads: driver/driver.h. */
#define _GNU_SOURCE
#include "driver/driver.h"

#include "driver/os.h"
#include "support/check.h"

static void on_event(void *user, const nbj__event *ev, nbj_time now)
{
    (void)user;
    (void)ev;
    (void)now;
}

/* Somebody wakes the I/O thread, and before it runs another thread meets the end. */
static void test_a_wake_up_after_the_end_is_taken(void **state)
{
    nbj__lock lock;
    nbj__driver *d = NULL;
    nbj__ready ready;
    nbj_error error;
    nbj__driver_config cfg = { .session = { .urls = nbj_str("nats://127.0.0.1:1") },
                               .lock = &lock,
                               .on_event = on_event };

    (void)state;
    assert_int_equal(nbj__lock_init(&lock, true), NBJ_OK);
    assert_int_equal(nbj__driver_new(&d, &cfg, &error), NBJ_OK);
    nbj__lock_take(&lock);
    nbj__session_close(nbj__driver_session(d), NBJ_OK, NULL);
    assert_int_equal(nbj__driver_process(d, &(nbj__ready){ 0 }), NBJ_E_CLOSED);
    nbj__driver_wake(d);
    nbj__driver_wait(d, NBJ_TIME_NEVER, &ready);
    assert_int_equal(ready.count, 1);
    assert_int_equal(nbj__driver_process(d, &ready), NBJ_E_CLOSED);
    nbj__driver_wait(d, 0, &ready);
    assert_int_equal(ready.count, 0);
    nbj__lock_drop(&lock);
    nbj__driver_free(d);
    nbj__lock_free(&lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_a_wake_up_after_the_end_is_taken) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
