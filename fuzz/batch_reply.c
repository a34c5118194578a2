/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to atomic batches and to fast ingest. Whatever a server says, what is read of it keeps its bounds; and each line
 * of the input, given to a batch and to a bulk as one answer after the other, with time passing and connections lost in
 * between, leaves them with as many messages as there are. */
#include "base/text.h"
#include "js/batch.h"
#include "js/ingest.h"

#include "support/fuzz.h"

#define INFO "INFO {\"server_id\":\"S\",\"version\":\"2.15.1\",\"headers\":true,\"max_payload\":1048576}\r\n"
#define MESSAGES 20u
#define ANSWERS_MAX 200u

static void check_reading(nbj_bytes payload)
{
    nbj_msg msg = { .payload = payload };
    nbj__batch_reply r;

    nbj__batch_reply_read(&msg, nbj_str("id"), &r);
    MUST(r.answer >= NBJ__BATCH_STAGED && r.answer <= NBJ__BATCH_UNREADABLE);
    MUST(memchr(r.error.text, '\0', sizeof r.error.text) != NULL);
    bool is_error = r.answer == NBJ__BATCH_ERR || r.answer == NBJ__BATCH_REFUSED || r.answer == NBJ__BATCH_UNREADABLE;
    MUST(is_error == (r.error.status != NBJ_OK));
    MUST(r.answer != NBJ__BATCH_STORED || (r.ack.stream[0] != '\0' && (r.ack.sequence > 0 || r.is_whole)));
    MUST((r.answer == NBJ__BATCH_STAGED) == (payload.len == 0));
}

/* --- a session whose server says nothing but what it must --- */

typedef struct world {
    nbj__session *s;
    nbj_time now;
    nbj__batch batch;
    nbj__ingest bulk;
    nbj_bytes line; /* of the input */
} world;

static void feed(world *w, const char *text)
{
    uint8_t *at = NULL;
    size_t room = 0, len = strlen(text);

    MUST(nbj__session_rx_space(w->s, &at, &room) == NBJ_OK && room >= len);
    memcpy(at, text, len);
    nbj__session_rx_commit(w->s, len);
}

static void pump(world *w)
{
    nbj__event ev;

    while (nbj__session_next(w->s, w->now, &ev) == NBJ_OK) {
        if (ev.type == NBJ__EV_DIAL) {
            nbj__session_dialed(w->s, w->now);
            feed(w, INFO);
            feed(w, "PONG\r\n");
        } else if (ev.type == NBJ__EV_CONNECTED || ev.type == NBJ__EV_RECONNECTED) {
            nbj__batch_on_connected(&w->batch, w->now);
            nbj__ingest_on_connected(&w->bulk, w->now);
        } else if (ev.type == NBJ__EV_DISCONNECTED) {
            nbj__batch_on_disconnected(&w->batch);
            nbj__ingest_on_disconnected(&w->bulk);
        }
    }
    for (nbj_bytes tx; (tx = nbj__session_tx(w->s)).len > 0;)
        nbj__session_sent(w->s, tx.len, w->now);
}

static void check(const world *w)
{
    const nbj__ingest_window *v = &w->bulk.window;
    nbj__ingest_result r;

    nbj__ingest_progress(&w->bulk, &r);
    MUST(v->head <= v->cursor && v->cursor <= v->tail && v->tail - v->head <= v->cap);
    MUST(r.stored + r.lost + r.refused == v->head && r.added == v->tail);
    MUST(w->batch.answered <= w->batch.sent && w->batch.sent <= w->batch.count + (w->batch.count == 0) * MESSAGES);
    MUST(w->batch.state != NBJ__BATCH_DONE ||
         (w->batch.result.outcome == NBJ__STORED) == (w->batch.result.error.status == NBJ_OK));
}

/* --- what a line does --- */

static bool begins_with(nbj_bytes line, const char *word)
{
    size_t n = strlen(word);

    return line.len >= n && memcmp(line.ptr, word, n) == 0;
}

/* The line as an answer, with the batch's present id in place of "@". */
static void answer(world *w, unsigned member)
{
    char token[10] = "B", payload[512], subject[300];
    size_t n = 0;
    nbj__text t = nbj__text_into(subject, sizeof subject);

    for (size_t i = 0; i < w->line.len && n + NBJ__BATCH_ID < sizeof payload; i++) {
        bool is_id = w->line.ptr[i] == '@';
        const char *id = w->batch.state == NBJ__BATCH_DONE ? w->bulk.id : w->batch.id;
        memcpy(payload + n, is_id ? (const uint8_t *)id : w->line.ptr + i, is_id ? NBJ__BATCH_ID : 1);
        n += is_id ? NBJ__BATCH_ID : 1;
    }
    nbj__text_add_bytes(&t, nbj_view(w->bulk.prefix, w->bulk.prefix_len));
    nbj__text_add_u64(&t, member);
    nbj__text_add(&t, ".1.$FI");
    nbj_msg msg = { .subject = nbj__text_view(&t), .payload = nbj_view(payload, n) };
    if (begins_with(w->line, "503")) {
        msg.headers = nbj_str("NATS/1.0 503\r\n\r\n");
        msg.payload = nbj_view(NULL, 0);
    }
    nbj__token_write(token + 1, (uint64_t)w->batch.number << 20 | member, 8);
    (void)nbj__batch_on_reply(&w->batch, nbj_view(token, 9), &msg, w->now);
    nbj__ingest_on_msg(&w->bulk, &msg, w->now);
}

static void pass(world *w, uint64_t ns)
{
    w->now += ns;
    nbj__session_on_time(w->s, w->now);
    nbj__batch_on_time(&w->batch, w->now);
    nbj__ingest_on_time(&w->bulk, w->now);
}

static void play_line(world *w, unsigned number)
{
    nbj__outgoing m = { .subject = nbj_str("s"), .payload = w->line };

    if (begins_with(w->line, "lose"))
        nbj__session_lost(w->s, NBJ_E_EOF, NULL, w->now);
    else if (begins_with(w->line, "wait"))
        pass(w, NBJ_MILLIS(300) * (1 + w->line.len));
    else if (begins_with(w->line, "add"))
        (void)nbj__ingest_add(&w->bulk, &m, w->now);
    else if (begins_with(w->line, "finish"))
        nbj__ingest_finish(&w->bulk, w->now + NBJ_SECONDS(20), w->now);
    else
        answer(w, number % MESSAGES);
    pump(w);
    check(w);
}

static void open_world(world *w, bool gaps_are_ok)
{
    nbj__session_options so = { .seed = 7 };
    nbj__ingest_options io = { .max_messages = 32, .max_bytes = 4096, .gaps_are_ok = gaps_are_ok };
    static uint32_t numbers;
    nbj__outgoing m = { .subject = nbj_str("s"), .payload = nbj_str("x") };
    nbj_error error;

    *w = (world){ .now = NBJ_SECONDS(1000) };
    MUST(nbj__session_new(&w->s, &so, w->now, &error) == NBJ_OK);
    nbj__batch_init(&w->batch, w->s, 0, &numbers, NULL);
    MUST(nbj__ingest_init(&w->bulk, w->s, &io, NULL) == NBJ_OK);
    for (unsigned i = 0; i < MESSAGES; i++) {
        MUST(nbj__batch_add(&w->batch, &m) == NBJ_OK);
        MUST(nbj__ingest_add(&w->bulk, &m, w->now) == NBJ_OK);
    }
    MUST(nbj__batch_commit(&w->batch, w->now + NBJ_SECONDS(10), w->now) == NBJ_OK);
    pump(w);
}

static void close_world(world *w)
{
    nbj__batch_close(&w->batch);
    nbj__ingest_close(&w->bulk);
    check(w);
    MUST(w->batch.state == NBJ__BATCH_DONE && w->bulk.state == NBJ__INGEST_ENDED);
    nbj__batch_free(&w->batch);
    nbj__ingest_free(&w->bulk);
    nbj__session_free(w->s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world w;
    nbj_bytes rest = nbj_view(data, size);

    check_reading(rest);
    open_world(&w, size > 0 && data[0] % 2 == 1);
    for (unsigned i = 0; i < ANSWERS_MAX && rest.len > 0; i++) {
        const uint8_t *lf = memchr(rest.ptr, '\n', rest.len);
        size_t len = lf != NULL ? (size_t)(lf - rest.ptr) : rest.len;
        w.line = nbj_view(rest.ptr, len);
        play_line(&w, i);
        len += lf != NULL;
        rest = nbj_view(rest.ptr + len, rest.len - len);
    }
    close_world(&w);
    return 0;
}
