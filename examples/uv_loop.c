/* SPDX-License-Identifier: Apache-2.0 */
/* A client inside libuv's loop, which also runs a timer of the program's own: three handles are the whole adapter.
 *
 *     uv_loop [URL]
 *
 * Publishes a tick on each turn of the timer, receives its own ticks, and drains after five. */
#define _POSIX_C_SOURCE 200809L /* uv.h wants it under -std=c17 */
#include <nbj/nbj.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define TICKS 5
#define TICK_MS 20

/* The adapter: libuv watches the client's descriptor and its timeout, and calls it. */
typedef struct uv_nbj {
    nbj_client *client;
    uv_poll_t readable;
    uv_timer_t timeout;
    uv_prepare_t before_waiting;
} uv_nbj;

static void uv_nbj_process(uv_nbj *u)
{
    if (nbj_loop_process(u->client) != NBJ_E_CLOSED)
        return;
    uv_close((uv_handle_t *)&u->readable, NULL);
    uv_close((uv_handle_t *)&u->timeout, NULL);
    uv_close((uv_handle_t *)&u->before_waiting, NULL);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    uv_nbj_process(handle->data);
}

static void on_timeout(uv_timer_t *handle)
{
    uv_nbj_process(handle->data);
}

/* Runs before each wait: whatever was called since may have changed how long the client can wait. */
static void set_timeout(uv_prepare_t *handle)
{
    uv_nbj *u = handle->data;
    uint64_t ns = nbj_loop_timeout_ns(u->client);

    if (ns == NBJ_TIME_NEVER)
        uv_timer_stop(&u->timeout);
    else
        uv_timer_start(&u->timeout, on_timeout, ns / 1000000 + (ns % 1000000 != 0), 0);
}

static int uv_nbj_start(uv_nbj *u, uv_loop_t *loop, nbj_client *client)
{
    u->client = client;
    u->readable.data = u->timeout.data = u->before_waiting.data = u;
    int failed = uv_poll_init(loop, &u->readable, nbj_loop_fd(client));
    if (failed == 0)
        failed = uv_timer_init(loop, &u->timeout);
    if (failed == 0)
        failed = uv_prepare_init(loop, &u->before_waiting);
    if (failed == 0)
        failed = uv_poll_start(&u->readable, UV_READABLE, on_readable);
    return failed == 0 ? uv_prepare_start(&u->before_waiting, set_timeout) : failed;
}

/* The program. */
typedef struct app {
    uv_nbj adapter;
    uv_timer_t ticker;
    nbj_client *client;
    nbj_sub *sub;
    int sent, received;
    int exit_status;
} app;

static void on_tick_received(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    app *a = user;

    (void)sub;
    printf("received %.*s\n", NBJ_FMT(nbj_msg_data(msg)));
    if (++a->received == TICKS)
        nbj_client_drain_async(a->client, NBJ_SECONDS(5));
}

static void on_tick(uv_timer_t *handle)
{
    app *a = handle->data;
    char text[32];

    snprintf(text, sizeof text, "tick %d", ++a->sent);
    if (nbj_send(a->client, "tick", nbj_str(text), NULL) != NBJ_OK || a->sent == TICKS)
        uv_close((uv_handle_t *)handle, NULL);
}

static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    app *a = user;

    (void)client;
    if (event->type != NBJ_EVENT_CLOSED)
        return;
    if (event->error->status != NBJ_OK) {
        fprintf(stderr, "uv_loop: %s\n", nbj_error_text(event->error));
        a->exit_status = EXIT_FAILURE;
    }
    if (!uv_is_closing((uv_handle_t *)&a->ticker))
        uv_close((uv_handle_t *)&a->ticker, NULL);
}

int main(int argc, char **argv)
{
    app a = { .exit_status = EXIT_SUCCESS };
    nbj_error error = { 0 };
    uv_loop_t *loop = uv_default_loop();
    const nbj_client_options *options =
        NBJ_CLIENT_OPTIONS(.url = argc > 1 ? argv[1] : NULL, .name = "uv_loop", .on_event = on_event, .user_data = &a);

    if (nbj_loop_open(&a.client, options, &error) != NBJ_OK ||
        nbj_subscribe(a.client, "tick", NULL, on_tick_received, &a, &a.sub) != NBJ_OK) {
        fprintf(stderr, "uv_loop: %s\n", nbj_error_text(&error));
        nbj_client_release(a.client);
        return EXIT_FAILURE;
    }
    a.ticker.data = &a;
    if (uv_nbj_start(&a.adapter, loop, a.client) != 0 || uv_timer_init(loop, &a.ticker) != 0 ||
        uv_timer_start(&a.ticker, on_tick, TICK_MS, TICK_MS) != 0)
        return EXIT_FAILURE;
    uv_run(loop, UV_RUN_DEFAULT); /* ends when all handles are closed */
    uv_loop_close(loop);
    nbj_sub_release(a.sub);
    nbj_client_release(a.client);
    return a.received == TICKS ? a.exit_status : EXIT_FAILURE;
}
