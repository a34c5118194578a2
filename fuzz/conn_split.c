/* SPDX-License-Identifier: Apache-2.0 */
/* However the network cuts the stream: same events, same replies, same final status.
 *
 * The input's first line is what the application does, a letter after each event (see act()); the rest is what servers
 * send, a NUL between one connection and the next. Octet 1 stands for the inbox of requests, octet 2 for the consumer's.
 * The whole is run with octets that arrive as they can, and in small pieces; everything that is seen must be the same. */
#include "base/random.h"
#include "conn/session.h"
#include "js/publish.h"
#include "js/pull.h"
#include "support/fuzz.h"

#define THINGS 16u
#define TIMES_MAX 200u     /* of 100 ms: less than the interval of PINGs, which depends on when octets come */
#define EVENTS_MAX 100000u /* more is an endless loop */

typedef struct run {
    nbj__session *s;
    nbj__publisher publisher;
    nbj__pull pull;
    bool has_pull;
    nbj_time now;
    const uint8_t *actions, *actions_end;
    nbj_bytes servers; /* what is left of them */
    nbj_bytes inbox;
    nbj__sub sub[THINGS];
    nbj__call call[THINGS];
    bool call_is_open[THINGS];
    nbj_msg *kept[THINGS];
    size_t subs, calls, keeps;
    unsigned times, refused;
    bool is_open, was_ready, closed;
    uint64_t events; /* hash of all */
    size_t event_count;
    nbj__buf out;  /* of this connection */
    uint64_t sent; /* hash of all connections' */
    bool verbose;
} run;

/* --- what is seen --- */

static void see(run *r, const void *data, size_t len)
{
    r->events = (r->events ^ len) * 0x100000001b3u;
    for (size_t i = 0; i < len; i++)
        r->events = (r->events ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    if (r->verbose)
        fprintf(stderr, " [%.*s]", (int)len, len > 0 ? (const char *)data : "");
}

static void see_bytes(run *r, nbj_bytes b)
{
    see(r, b.ptr, b.len);
}

static void see_number(run *r, uint64_t n)
{
    char text[24];

    see(r, text, (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)n));
}

static void see_event(run *r, const nbj__event *ev)
{
    MUST(!r->closed && ++r->event_count < EVENTS_MAX);
    see_number(r, (uint64_t)ev->type);
    see_number(r, (uint64_t) - (int64_t)ev->status);
    see_number(r, ev->sub != NULL ? ev->sub->sid : 0);
    see_number(r, ev->call != NULL && ev->call >= r->call && ev->call < r->call + THINGS
                      ? (uint64_t)(ev->call - r->call)
                      : 99);
    see_bytes(r, ev->token);
    see_bytes(r, ev->nonce);
    see_bytes(r, ev->subject);
    see_bytes(r, nbj_str(ev->host));
    see_number(r, ev->due);
    see_bytes(r, nbj_str(ev->error != NULL ? ev->error->text : NULL));
    if (ev->msg != NULL) {
        see_bytes(r, ev->msg->subject);
        see_bytes(r, ev->msg->reply);
        see_bytes(r, ev->msg->headers);
        see_bytes(r, ev->msg->payload);
    }
    if (r->verbose)
        fprintf(stderr, "\n");
}

static void see_result(run *r, const nbj__publish_result *result)
{
    see_number(r, (uint64_t)result->outcome);
    see_number(r, result->ack.sequence);
    see_bytes(r, nbj_str(result->error.text));
}

/* --- octets to the server --- */

static void write_all(run *r)
{
    for (nbj_bytes tx; r->is_open && (tx = nbj__session_tx(r->s)).len > 0;) {
        MUST(nbj__buf_append(&r->out, tx.ptr, tx.len) == NBJ_OK);
        nbj__session_sent(r->s, tx.len, r->now);
    }
}

/* The connection is over. What nobody read may differ: a handshake that failed, and answers to what came together with the
 * octets that broke the connection. */
static void end_output(run *r)
{
    nbj_bytes all = nbj__buf_view(&r->out);

    while (all.len >= 6 &&
           (memcmp(all.ptr + all.len - 6, "PONG\r\n", 6) == 0 || memcmp(all.ptr + all.len - 6, "PING\r\n", 6) == 0))
        all.len -= 6;
    if (!r->was_ready)
        all.len = 0;
    for (size_t i = 0; i < all.len; i++)
        r->sent = (r->sent ^ all.ptr[i]) * 0x100000001b3u;
    r->sent = (r->sent ^ all.len) * 0x100000001b3u;
    if (r->verbose)
        fprintf(stderr, "sent: %.*s\n", NBJ_FMT(all));
    nbj__buf_clear(&r->out);
    r->was_ready = r->is_open = false;
}

/* --- what the application does --- */

static nbj__outgoing message(const char *subject, const char *payload)
{
    return (nbj__outgoing){ .subject = nbj_str(subject), .payload = nbj_str(payload) };
}

static void subscribe(run *r, nbj__subscription what)
{
    what.kind = NBJ__SUB_OF_APP;
    what.subject = nbj_str(r->subs % 2 == 0 ? "s.*" : "t");
    if (r->subs < THINGS && nbj__session_subscribe(r->s, &r->sub[r->subs], &what) == NBJ_OK)
        r->subs++;
}

static nbj__sub *oldest_live(run *r)
{
    for (size_t i = 0; i < r->subs; i++) {
        if (r->sub[i].state == NBJ__SUB_LIVE)
            return &r->sub[i];
    }
    return NULL;
}

static void begin_call(run *r, uint8_t what)
{
    nbj__many_options many = { .max = what == 'n' ? 2 : 0, .sentinel = what == 'N' };
    nbj__outgoing m = message("svc", "?");
    nbj_time deadline = r->now + NBJ_MILLIS(150);
    nbj_status st;

    if (r->calls == THINGS)
        return;
    nbj__call *call = &r->call[r->calls];
    call->owner = NBJ__CALL_OF_APP;
    if (what == 'r')
        st = nbj__session_request(r->s, call, &m, deadline, r->now);
    else if (what == 'f')
        st = nbj__session_flush(r->s, call, deadline, r->now);
    else
        st = nbj__session_request_many(r->s, call, &m, &many, deadline, r->now);
    r->call_is_open[r->calls] = st == NBJ_OK;
    r->calls += st == NBJ_OK;
}

static void cancel_oldest(run *r)
{
    for (size_t i = 0; i < r->calls; i++) {
        if (r->call_is_open[i] && !r->call[i].done) {
            nbj__session_cancel(r->s, &r->call[i]);
            return;
        }
    }
}

static void told(void)
{
}

static void publish_into_stream(run *r, bool no_id)
{
    nbj__publish m = {
        .msg = message("js.a", "data"), .no_id = no_id, .deadline = r->now + NBJ_SECONDS(1), .user = { told, r }
    };

    see_number(r, (uint64_t) - (int64_t)nbj__publisher_publish(&r->publisher, &m, r->now));
}

static void start_pull(run *r)
{
    nbj__consumer_config c = { .stream = nbj_str("S"), .durable = nbj_str("C") };
    nbj__pull_options o = { .batch = 2, .expires_ns = NBJ_SECONDS(1) };

    if (!r->has_pull)
        r->has_pull = nbj__pull_init(&r->pull, r->s, &c, &o, NULL, r->now) == NBJ_OK;
}

static void timers(run *r)
{
    nbj__publish_result result;

    nbj__session_on_time(r->s, r->now);
    while (nbj__publisher_on_time(&r->publisher, r->now, &result))
        see_result(r, &result);
    if (r->has_pull)
        nbj__pull_on_time(&r->pull, r->now);
}

static void take_queued(run *r)
{
    for (size_t i = 0; i < r->subs; i++) {
        nbj_msg *m = nbj__session_take(r->s, &r->sub[i]);
        if (m != NULL)
            see_bytes(r, nbj_msg_data(m));
        nbj_msg_release(m);
    }
}

static void keep(run *r, const nbj_msg *msg)
{
    if (msg == NULL || r->keeps == THINGS)
        return;
    r->kept[r->keeps++] = nbj_msg_retain(msg);
    (void)nbj__pull_settle(r->s, msg, nbj_str("+WPI"));
}

static void act(run *r, uint8_t what, const nbj__event *ev)
{
    nbj__outgoing m = message("p", "payload");
    nbj__sub *live = oldest_live(r);

    switch (what) {
    case 's':
        subscribe(r, (nbj__subscription){ .max = 0 });
        break;
    case 'm':
        subscribe(r, (nbj__subscription){ .max = 2 });
        break;
    case 'q':
        subscribe(r, (nbj__subscription){ .queued = true, .limit_msgs = 3 });
        break;
    case 'g':
        take_queued(r);
        break;
    case 'u':
    case 'U':
        if (live != NULL)
            (void)nbj__session_unsubscribe(r->s, live, what == 'u' ? 0 : live->delivered + 1);
        break;
    case 'd':
        if (live != NULL)
            (void)nbj__session_sub_drain(r->s, live);
        break;
    case 'r': /* a request, one with two replies, one with a sentinel, a flush */
    case 'n':
    case 'N':
    case 'f':
        begin_call(r, what);
        break;
    case 'x':
        cancel_oldest(r);
        break;
    case 'p':
        (void)nbj__session_publish(r->s, &m);
        break;
    case 'P':
    case 'O':
        publish_into_stream(r, what == 'O');
        break;
    case 'j':
        start_pull(r);
        break;
    case 'J':
        if (r->has_pull)
            nbj__pull_stop(&r->pull);
        break;
    case 'k':
        keep(r, ev->msg);
        break;
    case 't':
        r->now += r->times++ < TIMES_MAX ? NBJ_MILLIS(100) : 0;
        timers(r);
        break;
    case 'D':
        nbj__session_drain(r->s, r->now, r->now + NBJ_SECONDS(2));
        break;
    case 'C':
        nbj__session_close(r->s, NBJ_OK, NULL);
        break;
    case 'R':
        nbj__session_reconnect(r->s, r->now);
        break;
    default:
        break;
    }
}

/* --- events --- */

static void on_connection(run *r, bool connected)
{
    if (connected)
        nbj__publisher_on_connected(&r->publisher, r->now);
    else
        nbj__publisher_on_disconnected(&r->publisher);
    if (r->has_pull && connected)
        nbj__pull_on_connected(&r->pull, r->now);
    else if (r->has_pull)
        nbj__pull_on_disconnected(&r->pull);
}

static void on_call_done(run *r, const nbj__event *ev)
{
    if (ev->call->owner == NBJ__CALL_OF_JS) {
        nbj__pull_on_call(&r->pull, ev, r->now);
        return;
    }
    MUST(r->call_is_open[ev->call - r->call]); /* once */
    r->call_is_open[ev->call - r->call] = false;
}

static void obey(run *r, const nbj__event *ev)
{
    nbj__publish_result result;

    switch (ev->type) {
    case NBJ__EV_HANGUP:
        end_output(r);
        break;
    case NBJ__EV_CREDENTIALS:
        (void)nbj__session_credentials(
            r->s, &(nbj__credentials){ .jwt = nbj_str("jwt"), .nkey = nbj_str("key"), .signature = ev->nonce }, r->now);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        r->was_ready = true;
        on_connection(r, true);
        break;
    case NBJ__EV_DISCONNECTED:
        on_connection(r, false);
        break;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH && nbj__publisher_on_refused(&r->publisher, ev->subject, &result))
            see_result(r, &result);
        break;
    case NBJ__EV_INBOX:
        if (nbj__publisher_on_reply(&r->publisher, ev->token, ev->msg, r->now, &result))
            see_result(r, &result);
        break;
    case NBJ__EV_MSG:
        if (ev->sub->kind == NBJ__SUB_OF_JS)
            see_number(r, nbj__pull_on_msg(&r->pull, ev->msg, r->now));
        break;
    case NBJ__EV_SUB_ENDED:
        if (ev->sub->kind == NBJ__SUB_OF_JS)
            nbj__pull_on_sub_ended(&r->pull, r->now);
        break;
    case NBJ__EV_CALL_DONE:
        on_call_done(r, ev);
        break;
    case NBJ__EV_CLOSED:
        r->closed = true;
        while (nbj__publisher_abandon(&r->publisher, &result))
            see_result(r, &result);
        break;
    default:
        break;
    }
}

static void pump(run *r)
{
    nbj__event ev;

    while (nbj__session_next(r->s, r->now, &ev) == NBJ_OK) {
        write_all(r); /* at once, so that what is written does not depend on how much is read at a time */
        see_event(r, &ev);
        obey(r, &ev);
        write_all(r);
        if (r->actions < r->actions_end)
            act(r, *r->actions++, &ev);
        write_all(r);
    }
    write_all(r);
}

/* --- octets from the server --- */

/* Takes out what the next connection's server sends, with the inboxes in place. */
static void take_server(run *r, nbj__buf *in)
{
    const uint8_t *end = memchr(r->servers.ptr, 0, r->servers.len);
    size_t len = end != NULL ? (size_t)(end - r->servers.ptr) : r->servers.len;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = r->servers.ptr[i];
        nbj_bytes text = c == 1                  ? r->inbox
                         : c == 2 && r->has_pull ? nbj_str(r->pull.sub.subject)
                                                 : nbj_view(&r->servers.ptr[i], 1);
        MUST(nbj__buf_append(in, text.ptr, text.len) == NBJ_OK);
    }
    len += end != NULL;
    r->servers = nbj_view(r->servers.ptr + len, r->servers.len - len);
}

/* One connection: everything its server sends, in pieces of up to |most|, then its end. */
static void connection(run *r, uint64_t most, nbj__random *random)
{
    nbj__buf in;
    uint8_t *at = NULL;
    size_t room = 0;

    nbj__buf_init(&in, &nbj__malloc_allocator, 1u << 22);
    take_server(r, &in);
    r->is_open = true;
    nbj__session_dialed(r->s, r->now);
    pump(r);
    while (r->is_open && nbj__buf_len(&in) > 0 && nbj__session_rx_space(r->s, &at, &room) == NBJ_OK) {
        size_t piece = (size_t)nbj__random_below(random, most < room ? most : room) + 1;
        size_t n = most < room ? piece : room;
        n = n < nbj__buf_len(&in) ? n : nbj__buf_len(&in);
        memcpy(at, nbj__buf_view(&in).ptr, n);
        nbj__buf_consume(&in, n);
        nbj__session_rx_commit(r->s, n);
        pump(r);
    }
    nbj__buf_free(&in);
    if (!r->is_open)
        return;
    end_output(r);
    nbj__session_lost(r->s, NBJ_E_EOF, NULL, r->now);
    pump(r);
}

static void live(run *r, uint64_t most, nbj__random *random)
{
    while (!r->closed) {
        nbj__phase phase = nbj__session_phase(r->s);
        if (phase == NBJ__PHASE_WAITING) {
            r->now = nbj__session_deadline(r->s);
            timers(r);
            pump(r);
        } else if (r->servers.len > 0) {
            connection(r, most, random);
        } else if (r->refused++ < 3) {
            nbj__session_lost(r->s, NBJ_E_REFUSED, NULL, r->now);
            pump(r);
        } else {
            nbj__session_close(r->s, NBJ_E_NO_SERVERS, NULL);
            pump(r);
        }
    }
}

typedef struct digest {
    uint64_t events, sent;
    size_t count;
    nbj__session_stats stats;
} digest;

static void clear(run *r)
{
    if (r->has_pull)
        nbj__pull_free(&r->pull);
    nbj__publisher_free(&r->publisher);
    for (size_t i = 0; i < r->subs; i++)
        nbj__session_sub_clear(r->s, &r->sub[i]);
    for (size_t i = 0; i < r->calls; i++)
        MUST(!r->call_is_open[i]);
    for (size_t i = 0; i < r->keeps; i++)
        nbj_msg_release(r->kept[i]);
    nbj__buf_free(&r->out);
    nbj__session_free(r->s);
}

static digest play(const uint8_t *data, size_t size, uint64_t most, bool verbose)
{
    const uint8_t *line = memchr(data, '\n', size);
    run r = {
        .now = NBJ_SECONDS(100), .actions = data, .actions_end = line != NULL ? line : data + size, .verbose = verbose
    };
    /* One server only: when a lame duck is left for another depends on what was read so far, and may. */
    nbj__session_options o = { .seed = 1, .retry_first_connect = true, .ignore_discovered = true };
    nbj__publish_options po = { .max_messages = 4 };
    nbj__random random = { most };
    nbj_error error;

    o.wants_credentials = size % 2 == 1; /* not tls_possible: how much comes before TLS is the network's doing */
    o.fail_requests_on_loss = size % 4 > 1;
    r.servers = line != NULL ? nbj_view(line + 1, (size_t)(data + size - line) - 1) : nbj_view(data, 0);
    nbj__buf_init(&r.out, &nbj__malloc_allocator, 1u << 24);
    MUST(nbj__session_new(&r.s, &o, r.now, &error) == NBJ_OK);
    MUST(nbj__publisher_init(&r.publisher, r.s, &po, NULL) == NBJ_OK);
    MUST(nbj__session_inbox(r.s, &r.inbox) == NBJ_OK);
    pump(&r);
    live(&r, most, &random);
    digest d = { r.events, r.sent, r.event_count, *nbj__session_stats_of(r.s) };
    clear(&r);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 4096)
        return 0;
    uint64_t most = fuzz_hash(data, size) % 16 + 1;
    digest whole = play(data, size, UINT64_MAX, false);
    digest cut = play(data, size, most, false);

    if (whole.events != cut.events || whole.sent != cut.sent ||
        memcmp(&whole.stats, &cut.stats, sizeof cut.stats) != 0) {
        (void)play(data, size, UINT64_MAX, true);
        fprintf(stderr, "--- in pieces of up to %llu ---\n", (unsigned long long)most);
        (void)play(data, size, most, true);
        abort();
    }
    return 0;
}
