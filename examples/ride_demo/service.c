/* SPDX-License-Identifier: Apache-2.0 */
/* What publisher and processor have in common (service.h). */
#define _GNU_SOURCE
#include "service.h"

#include "events.h"
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

enum { ASK_MAX = 5, ASK_S = 3, TURN_MS = 50 };

static volatile sig_atomic_t told_to_end;

static void on_signal(int number)
{
    (void)number;
    told_to_end = 1;
}

bool service_told_to_end(void)
{
    return told_to_end != 0;
}

void service_fail(service *of, const char *format, ...)
{
    va_list arguments;

    if (of->failed) /* the first failure is the cause */
        return;
    of->failed = true;
    va_start(arguments, format);
    vsnprintf(of->why.text, sizeof of->why.text, format, arguments);
    va_end(arguments);
}

static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    service *s = user;

    (void)client;
    if (event->type == NBJ_EVENT_DISCONNECTED)
        report_note("disconnected: %s", nbj_error_text(event->error));
    else if (event->type == NBJ_EVENT_RECONNECTED)
        report_note("reconnected");
    else if (event->type == NBJ_EVENT_SERVER_ERROR)
        report_note("the server says: %s", nbj_error_text(event->error));
    else if (event->type == NBJ_EVENT_CLOSED) {
        s->closed = true;
        if (event->error->status != NBJ_OK)
            service_fail(s, "the client closed: %s", nbj_error_text(event->error));
    }
}

static void on_stream(void *user, nbj_status status, const nbj_error *error)
{
    service *s = user;
    bool answered = status != NBJ_E_TIMEOUT && status != NBJ_E_DISCONNECTED;

    s->asking = false;
    s->ready = status == NBJ_OK;
    if (!s->ready && (answered || s->asked == ASK_MAX))
        service_fail(s, RIDE_STREAM ": %s", nbj_error_text(error));
}

/* Kept for a week: the audit trail of the rides. The server may die while it is asked; asking twice does no harm. */
static void ensure_stream(service *s)
{
    nbj_status status =
        nbj_stream_ensure_async(s->client,
                                NBJ_STREAM_CONFIG(.name = RIDE_STREAM, .subjects = { event_subjects, EVENTS_PER_TRIP },
                                                  .retention = NBJ_RETENTION_LIMITS, .storage = NBJ_STORAGE_FILE,
                                                  .max_age_ns = NBJ_HOURS(7 * 24)),
                                NBJ_CALL(.timeout_ns = NBJ_SECONDS(ASK_S)), on_stream, s);

    s->asking = status == NBJ_OK;
    s->asked++;
    if (!s->asking)
        service_fail(s, RIDE_STREAM ": %s", nbj_strerror(status));
}

static bool wait_until_ready(service *s)
{
    bool good = true;

    while (good && !s->ready && !told_to_end) { /* ASK_MAX times ASK_S at most */
        if (!s->asking)
            ensure_stream(s);
        good = service_turn(s, NBJ_MILLIS(TURN_MS));
    }
    return good && s->ready;
}

bool service_open(service *out, const options *with, const char *name)
{
    const struct sigaction ending = { .sa_handler = on_signal };
    nbj_error error;
    char url[64];

    *out = (service){ 0 };
    sigaction(SIGTERM, &ending, NULL);
    snprintf(url, sizeof url, "nats://127.0.0.1:%u", with->port);
    nbj_status status =
        nbj_loop_open(&out->client,
                      NBJ_CLIENT_OPTIONS(.url = url, .name = name, .on_event = on_event, .user_data = out,
                                         .retry_first_connect = true, .reconnect_max_ns = NBJ_SECONDS(1)),
                      &error);
    if (status != NBJ_OK) {
        service_fail(out, "%s", nbj_error_text(&error));
        return false;
    }
    if (wait_until_ready(out))
        return true;
    nbj_client_release(out->client);
    return false;
}

bool service_turn(service *of, uint64_t max_wait_ns)
{
    if (!of->failed && !of->closed)
        (void)nbj_loop_turn(of->client, max_wait_ns); /* the end is told by on_event */
    return !of->failed && !of->closed;
}

bool service_close(service *of, uint64_t drain_ns)
{
    if (drain_ns > 0)
        nbj_client_drain_async(of->client, drain_ns);
    else
        nbj_client_close(of->client);
    while (service_turn(of, NBJ_SECONDS(1))) /* until NBJ_EVENT_CLOSED, which comes by then */
        continue;
    nbj_client_release(of->client);
    return !of->failed;
}
