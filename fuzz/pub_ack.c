/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's answer to a publish. Any octets are read or refused without a made-up acknowledgement; an answer that is
 * written in any layout is read back; and whatever answers, in whatever order, a window of publishes ends each message
 * exactly once, as stored only when an acknowledgement for that very message said so. */
#include "js/pub_ack.h"
#include "base/json_write.h"
#include "js/publish.h"
#include "js/reply.h"
#include "support/fuzz.h"

#define MESSAGES 8u

/* --- one answer --- */

static nbj_status read_one(nbj_bytes payload, nbj__pub_ack *ack)
{
    nbj_error error = { 0 };
    nbj_msg m = { .payload = payload };
    nbj__pub_ack scanned;
    nbj_status st = nbj__pub_ack_read(&m, ack, &error);

    if (nbj__pub_ack_scan(payload, &scanned)) { /* the short way says what the JSON library says, or nothing */
        MUST(st == NBJ_OK && scanned.sequence == ack->sequence && scanned.duplicate == ack->duplicate);
        MUST(strcmp(scanned.stream, ack->stream) == 0 && strcmp(scanned.domain, ack->domain) == 0);
        MUST(strcmp(scanned.value, ack->value) == 0);
    }

    MUST(st < 0 || st == NBJ_OK);
    MUST(st != NBJ_E_NOMEM);
    if (st == NBJ_OK) {
        MUST(ack->stream[0] != '\0' && ack->sequence > 0);
        MUST(memchr(ack->stream, '\0', sizeof ack->stream) != NULL &&
             memchr(ack->domain, '\0', sizeof ack->domain) != NULL);
        MUST(error.status == NBJ_OK);
    } else {
        MUST(error.status == st && error.text[0] != '\0');
    }
    return st;
}

/* Names, a sequence and a flag from the octets, in a layout from their hash. */
static void write_and_read(const uint8_t *data, size_t size)
{
    static const char *const blanks[] = { "", " ", "\n\t", "  " };
    char text[256], number[24], name[60];
    nbj__pub_ack ack;
    uint64_t sequence = 0;
    uint64_t h = fuzz_hash(data, size);
    const char *b = blanks[h % 4];
    size_t n = 0;

    for (size_t i = 0; i < size && n < sizeof name - 1; i++) {
        sequence = sequence << 8 | data[i];
        if ((data[i] >= 'a' && data[i] <= 'z') || (data[i] >= 'A' && data[i] <= 'Z'))
            name[n++] = (char)data[i];
    }
    name[n] = '\0';
    snprintf(number, sizeof number, "%llu", (unsigned long long)sequence);
    bool duplicate = (h >> 8) % 2 == 1;
    if ((h >> 9) % 2 == 0)
        snprintf(text, sizeof text, "{%s\"stream\"%s:%s\"%s\",%s\"seq\":%s%s%s}", b, b, b, name, b, b, number,
                 duplicate ? ",\"duplicate\": true" : "");
    else
        snprintf(text, sizeof text, "{\"seq\"%s:%s%s,%s\"val\":\"1\"%s,\"stream\":\"%s\"%s}%s", b, b, number, b,
                 duplicate ? ", \"duplicate\":true" : "", name, b, b);
    bool whole = n > 0 && sequence > 0;
    bool in_process = n > 0 && sequence == 0 && duplicate;
    MUST(read_one(nbj_str(text), &ack) == (whole ? NBJ_OK : in_process ? NBJ_E_JS_UNAVAILABLE : NBJ_E_BAD_REPLY));
    if (whole)
        MUST(strcmp(ack.stream, name) == 0 && ack.sequence == sequence && ack.duplicate == duplicate);
}

/* What a stream says of itself: its window is the stream's own or the usual one. */
static void learn(nbj_bytes info)
{
    nbj__publish_streams t = { .alloc = nbj__allocator_or_default(NULL) };
    nbj__pub_ack ack = { .stream = "S", .sequence = 1 };
    nbj__json *o = NULL;

    MUST(nbj__publish_streams_see(&t, &ack) && !nbj__publish_streams_see(&t, &ack));
    if (nbj__json_parse(info, &o) == NBJ_OK) {
        nbj__publish_stream_learn(&t, t.items[0], o);
        MUST(t.items[0]->is_known && t.items[0]->window_ns > 0);
        uint64_t window = nbj__publish_streams_window(&t, nbj_str("js.a"));
        MUST(window == t.items[0]->window_ns || window == NBJ__DUPLICATE_WINDOW_NS);
    }
    nbj__json_free(o);
    nbj__publish_streams_free(&t);
}

/* --- a window --- */

typedef struct window {
    nbj__session *s;
    nbj__publisher p;
    nbj_time now;
    unsigned ends[256];
    unsigned published;
} window;

static unsigned numbers[256];

static void told(void)
{
}

static void ended(window *w, const nbj__publish_result *r, bool by_an_ack)
{
    unsigned i = *(unsigned *)r->user.data;

    MUST(i < w->published && ++w->ends[i] == 1);
    MUST(by_an_ack || (r->outcome != NBJ__STORED && r->outcome != NBJ__DUPLICATE));
    MUST((r->outcome == NBJ__STORED || r->outcome == NBJ__DUPLICATE) == (r->error.status == NBJ_OK));
}

/* Gives the session whatever the server says, and takes what it has for us. */
static void hear(window *w, const void *octets, size_t len)
{
    uint8_t *at = NULL;
    size_t room = 0;
    nbj__event ev;
    nbj__publish_result r;

    while (len > 0 && nbj__session_rx_space(w->s, &at, &room) == NBJ_OK) {
        size_t n = len < room ? len : room;
        memcpy(at, octets, n);
        nbj__session_rx_commit(w->s, n);
        octets = (const uint8_t *)octets + n;
        len -= n;
        while (nbj__session_next(w->s, w->now, &ev) == NBJ_OK) {
            if (ev.type == NBJ__EV_INBOX && nbj__publisher_on_reply(&w->p, ev.token, ev.msg, w->now, &r))
                ended(w, &r, true);
            else if (ev.type == NBJ__EV_DISCONNECTED)
                nbj__publisher_on_disconnected(&w->p);
        }
    }
}

static void connect(window *w)
{
    static const char hello[] = "INFO {\"headers\":true}\r\nPONG\r\n";
    nbj__event ev;

    while (nbj__session_next(w->s, w->now, &ev) == NBJ_OK)
        continue;
    nbj__session_dialed(w->s, w->now);
    hear(w, hello, strlen(hello));
    nbj__publisher_on_connected(&w->p, w->now);
}

static void lose(window *w)
{
    w->now += NBJ_SECONDS(2); /* it was healthy, so that the next dial is at once */
    nbj__session_lost(w->s, NBJ_E_EOF, NULL, w->now);
    nbj__publisher_on_disconnected(&w->p);
    connect(w);
}

static void publish(window *w, uint8_t how)
{
    nbj__publish m = { .msg = { .subject = nbj_str("js.a") },
                       .no_id = how % 2 == 1,
                       .ordered = how / 2 % 2 == 1,
                       .retries = how / 4 % 4 == 3 ? NBJ_RETRIES_UNTIL_TIMEOUT : how / 4 % 4,
                       .deadline = w->now + NBJ_SECONDS(30) };

    if (w->published == 256)
        return;
    numbers[w->published] = w->published;
    m.user = (nbj__publish_user){ told, &numbers[w->published] };
    nbj_status st = nbj__publisher_publish(&w->p, &m, w->now);
    MUST(st == NBJ_OK || st == NBJ_E_WOULD_BLOCK || (st == NBJ_E_ORDER && m.ordered && w->p.is_stopped));
    w->published += st == NBJ_OK;
}

/* An answer of kind |what| for ring place |slot| in |generation|, or with |data| as its payload. */
static void answer(window *w, unsigned slot, unsigned generation, uint8_t what, nbj_bytes data)
{
    static const char *const payloads[] = { "{\"stream\":\"S\",\"seq\":5}",
                                            "{\"stream\":\"S\",\"seq\":5,\"duplicate\":true}",
                                            "{\"error\":{\"code\":503,\"err_code\":10008,\"description\":\"no\"}}",
                                            "{\"error\":{\"code\":400,\"err_code\":10071,\"description\":\"no\"}}",
                                            "{}" };
    char token[9], line[200];
    nbj_bytes inbox;
    nbj_bytes payload = what < 5 ? nbj_str(payloads[what]) : data;

    MUST(nbj__session_inbox(w->s, &inbox) == NBJ_OK);
    nbj__token_write(token, (uint64_t)generation << 20 | slot, 8);
    if (what == 6)
        snprintf(line, sizeof line, "HMSG %.*sP%.8s 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", NBJ_FMT(inbox), token);
    else
        snprintf(line, sizeof line, "MSG %.*sP%.8s 1 %zu\r\n", NBJ_FMT(inbox), token, payload.len);
    hear(w, line, strlen(line));
    if (what == 6)
        return;
    hear(w, payload.ptr, payload.len);
    hear(w, "\r\n", 2);
}

static void pass_time(window *w, uint8_t how)
{
    nbj__publish_result r;

    w->now += how % 4 == 0 ? NBJ_SECONDS(10) : NBJ_MILLIS(125);
    while (nbj__publisher_on_time(&w->p, w->now, &r))
        ended(w, &r, false);
    for (nbj_bytes tx; (tx = nbj__session_tx(w->s)).len > 0;)
        nbj__session_sent(w->s, tx.len, w->now);
}

/* What is known of streams; however it ends, counts agree with what is there. */
static void look_around(window *w, uint8_t how)
{
    size_t open = 0, ordered = 0, paused = 0, sent = 0;

    if (how % 2 == 0)
        nbj__publisher_on_no_stream(&w->p, nbj_str("js.a"));
    for (nbj__publish_place at = { 0 }; nbj__publisher_next(&w->p, &at); open++) {
        ordered += at.entry->ordered;
        paused += at.entry->ordered && at.entry->state == NBJ__PUBLISH_PAUSED;
        sent += at.entry->ordered && at.entry->state == NBJ__PUBLISH_SENT;
        MUST(nbj_bytes_equal(nbj__publisher_subject(&w->p, &at), nbj_str("js.a")));
    }
    MUST(open == w->p.open && ordered == w->p.ordered_open);
    MUST(paused == w->p.ordered_paused && sent == w->p.ordered_sent);
    MUST(nbj__publisher_resume(&w->p) == (ordered > 0 ? NBJ_E_STATE : NBJ_OK));
}

/* Two octets an order: what happens, and to which message. */
static void run_window(const uint8_t *data, size_t size)
{
    window w = { .now = NBJ_SECONDS(100) };
    nbj__session_options o = { .seed = 1 };
    nbj__publish_options po = { .max_messages = MESSAGES };
    nbj__publish_result r;
    nbj_error error;

    MUST(nbj__session_new(&w.s, &o, w.now, &error) == NBJ_OK);
    MUST(nbj__publisher_init(&w.p, w.s, &po, NULL) == NBJ_OK);
    connect(&w);
    for (size_t i = 0; i + 1 < size && i < 400; i += 2) {
        uint8_t what = data[i] % 13;
        if (what < 7)
            answer(&w, data[i + 1] % MESSAGES, data[i + 1] / MESSAGES % 8, what,
                   nbj_view(data, size < 200 ? size : 200));
        else if (what < 10)
            publish(&w, data[i + 1]);
        else if (what == 10)
            pass_time(&w, data[i + 1]);
        else if (what == 12)
            look_around(&w, data[i + 1]);
        else
            lose(&w);
    }
    while (nbj__publisher_abandon(&w.p, &r))
        ended(&w, &r, false);
    for (unsigned i = 0; i < w.published; i++)
        MUST(w.ends[i] == 1);
    MUST(nbj__publisher_is_idle(&w.p) && nbj__buf_len(&w.p.frames) == 0);
    nbj__publisher_free(&w.p);
    nbj__session_free(w.s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nbj__pub_ack ack;
    uint8_t *exact = fuzz_alloc(size); /* so that one octet too far is seen */

    if (size > 0)
        memcpy(exact, data, size);
    (void)read_one(nbj_view(exact, size), &ack);
    learn(nbj_view(exact, size));
    write_and_read(exact, size);
    run_window(exact, size);
    free(exact);
    return 0;
}
