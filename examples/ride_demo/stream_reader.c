/* SPDX-License-Identifier: Apache-2.0 */
/* What the server itself says about a stream and a consumer (stream_reader.h). */
#include "stream_reader.h"

#include "base64.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WINDOW = 256, /* requests under way */
    SUBJECT_OCTETS = 160,
    PAYLOAD_OCTETS = 256 * 1024,
    CODE_NO_MESSAGE = 10037,
    CODE_NO_CONSUMER = 10014,
    JSON_DEPTH = 32,
};

/* A reading under way: answers may overtake one another and wait in their slot for their turn. */
typedef struct reading {
    raw_nats *connection;
    const char *stream;
    stream_message *each;
    void *user;
    uint64_t asked, given, last; /* highest sequence asked for, handed out, existing */
    uint64_t messages;           /* handed out */
    json_object *slots[WINDOW];
    char payload[PAYLOAD_OCTETS];
} reading;

static json_object *parse(const char *text, size_t length, problem *why)
{
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
    json_object *value = tokener == NULL ? NULL : json_tokener_parse_ex(tokener, text, (int)length);

    if (tokener != NULL)
        json_tokener_free(tokener);
    if (json_object_is_type(value, json_type_object))
        return value;
    json_object_put(value);
    problem_set(why, "an answer of the server is not a JSON object: %.100s", text);
    return NULL;
}

/* NULL when absent or of another type. */
static json_object *member(json_object *of, const char *name, json_type type)
{
    json_object *value = NULL;

    return json_object_object_get_ex(of, name, &value) && json_object_is_type(value, type) ? value : NULL;
}

static uint64_t number(json_object *of, const char *name)
{
    return json_object_get_uint64(member(of, name, json_type_int));
}

static const char *text(json_object *of, const char *name)
{
    return json_object_get_string(member(of, name, json_type_string));
}

/* 0: no error. The description goes into |why|. */
static uint64_t error_code(json_object *answer, problem *why)
{
    json_object *error = member(answer, "error", json_type_object);

    if (error == NULL)
        return 0;
    const char *description = text(error, "description");
    problem_set(why, "the server says: %.200s", description == NULL ? "error" : description);
    uint64_t code = number(error, "err_code");
    return code == 0 ? number(error, "code") : code;
}

static json_object *ask(raw_nats *connection, const char *subject, problem *why)
{
    uint64_t token = 0;
    const char *payload = NULL;
    size_t length = 0;

    if (!raw_nats_ask(connection, 0, subject, "", why) || !raw_nats_answer(connection, &token, &payload, &length, why))
        return NULL;
    return parse(payload, length, why);
}

static bool ask_next(reading *r, problem *why)
{
    char subject[SUBJECT_OCTETS], body[64];

    r->asked++;
    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.GET.%.64s", r->stream);
    snprintf(body, sizeof body, "{\"seq\":%" PRIu64 "}", r->asked);
    return raw_nats_ask(r->connection, r->asked, subject, body, why);
}

static bool take_answer(reading *r, problem *why)
{
    uint64_t sequence = 0;
    const char *payload = NULL;
    size_t length = 0;

    if (!raw_nats_answer(r->connection, &sequence, &payload, &length, why))
        return false;
    if (sequence <= r->given || sequence > r->asked || r->slots[sequence % WINDOW] != NULL)
        return problem_set(why, "an answer for sequence %" PRIu64 ", which was not asked", sequence);
    r->slots[sequence % WINDOW] = parse(payload, length, why);
    return r->slots[sequence % WINDOW] != NULL;
}

static bool give(reading *r, uint64_t sequence, json_object *answer, problem *why)
{
    json_object *message = member(answer, "message", json_type_object);
    uint64_t code = error_code(answer, why);
    size_t length = 0;

    if (code == CODE_NO_MESSAGE) /* a hole; the count at the end tells whether it is one */
        return true;
    if (code != 0)
        return false;
    const char *subject = text(message, "subject"), *data = text(message, "data");
    if (subject == NULL || number(message, "seq") != sequence)
        return problem_set(why, "the answer for sequence %" PRIu64 " is another message", sequence);
    if (data != NULL && !base64_decode(data, strlen(data), r->payload, sizeof r->payload, &length))
        return problem_set(why, "the message at sequence %" PRIu64 " cannot be decoded", sequence);
    r->messages++;
    return r->each(r->user, sequence, subject, r->payload, length, why);
}

/* Hands out whatever is next in line. */
static bool give_ready(reading *r, problem *why)
{
    bool good = true;

    while (good && r->given < r->asked && r->slots[(r->given + 1) % WINDOW] != NULL) {
        json_object **slot = &r->slots[++r->given % WINDOW];
        good = give(r, r->given, *slot, why);
        json_object_put(*slot);
        *slot = NULL;
    }
    return good;
}

static bool read_all(reading *r, problem *why)
{
    while (r->given < r->last) {
        while (r->asked < r->last && r->asked - r->given < WINDOW)
            if (!ask_next(r, why))
                return false;
        if (!take_answer(r, why) || !give_ready(r, why))
            return false;
    }
    return true;
}

/* Prepares |r| from what the server says about the stream. */
static bool start_reading(reading *r, uint64_t *messages, problem *why)
{
    char subject[SUBJECT_OCTETS];

    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%.64s", r->stream);
    json_object *info = ask(r->connection, subject, why);
    if (info == NULL)
        return false;
    json_object *state = member(info, "state", json_type_object);
    uint64_t first = number(state, "first_seq");
    bool good = error_code(info, why) == 0;
    r->asked = r->given = first == 0 ? 0 : first - 1;
    r->last = number(state, "last_seq");
    *messages = number(state, "messages");
    json_object_put(info);
    return good;
}

bool stream_read(raw_nats *connection, const char *stream, stream_message *each, void *user, problem *why)
{
    reading *r = calloc(1, sizeof *r);
    uint64_t messages = 0;

    if (r == NULL)
        return problem_set(why, "out of memory");
    r->connection = connection;
    r->stream = stream;
    r->each = each;
    r->user = user;
    bool good = start_reading(r, &messages, why) && read_all(r, why);
    if (good && r->messages != messages)
        good = problem_set(why, "%s has %" PRIu64 " messages, but %" PRIu64 " could be read", stream, messages,
                           r->messages);
    for (size_t i = 0; i < WINDOW; i++)
        json_object_put(r->slots[i]);
    free(r);
    return good;
}

bool consumer_state_read(raw_nats *connection, const char *stream, const char *durable, consumer_state *out,
                         problem *why)
{
    char subject[SUBJECT_OCTETS];

    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.INFO.%.64s.%.64s", stream, durable);
    json_object *info = ask(connection, subject, why);
    if (info == NULL)
        return false;
    uint64_t code = error_code(info, why);
    *out = (consumer_state){
        .exists = code == 0,
        .pending = number(info, "num_pending"),
        .ack_pending = number(info, "num_ack_pending"),
    };
    json_object_put(info);
    return code == 0 || code == CODE_NO_CONSUMER;
}
