/* SPDX-License-Identifier: Apache-2.0 */
/* Reads ledgers (ledger.h has the format) into the checker's records. Trusts nothing: what cannot be used or comes
 * in an impossible order is a violation. */
#include "checker_state.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_OCTETS = 4096, JSON_DEPTH = 3 };

/* One line of a ledger being taken in. */
typedef struct entry {
    const char *name; /* of the ledger */
    uint64_t line;
    json_object *object;
    const char *id;
    checker_record *record;
    uint64_t number; /* of the event */
    bool out_of_memory;
} entry;

/* Takes in one kind of line. False: a field is missing or wrong. */
typedef bool take_entry(checker *of, entry *from);

static json_object *field(const entry *from, const char *name, json_type type)
{
    json_object *value = NULL;

    if (!json_object_object_get_ex(from->object, name, &value) || !json_object_is_type(value, type))
        return NULL;
    return value;
}

static const char *text_field(const entry *from, const char *name)
{
    json_object *value = field(from, name, json_type_string);

    return value == NULL ? NULL : json_object_get_string(value);
}

/* A whole number above 0. */
static bool count_field(const entry *from, const char *name, uint64_t *out)
{
    json_object *value = field(from, name, json_type_int);

    if (value == NULL || json_object_get_int64(value) <= 0)
        return false;
    *out = json_object_get_uint64(value);
    return true;
}

static bool flag_field(const entry *from, const char *name, bool *out)
{
    json_object *value = field(from, name, json_type_boolean);

    if (value == NULL)
        return false;
    *out = json_object_get_boolean(value) != 0;
    return true;
}

static bool sum_field(const entry *from, uint64_t *out)
{
    const char *text = text_field(from, "sum");

    if (text == NULL || strlen(text) != 16 || text[strspn(text, "0123456789abcdef")] != '\0')
        return false;
    *out = strtoull(text, NULL, 16);
    return true;
}

static bool take_attempt(checker *of, entry *from)
{
    checker_record *r = from->record;

    if (r->open)
        checker_violated(of, CHECKER_ONE_OUTCOME, "%s attempted again before its outcome", from->id);
    if (r->attempts++ == 0) {
        r->floor = of->highest_acked;
        if (from->number != of->next_attempt)
            checker_violated(of, CHECKER_PUBLISH_ORDER, "%s attempted out of turn", from->id);
        of->next_attempt = from->number + 1;
    }
    r->open = true;
    return true;
}

static void close_attempt(checker *of, entry *from)
{
    if (!from->record->open)
        checker_violated(of, CHECKER_ONE_OUTCOME, "%s has an outcome too many", from->id);
    from->record->open = false;
}

static bool take_stored(checker *of, entry *from)
{
    const char *stream = text_field(from, "stream");
    uint64_t sequence = 0;
    bool duplicate = false;

    if (stream == NULL || !count_field(from, "seq", &sequence) || !flag_field(from, "dup", &duplicate))
        return false;
    close_attempt(of, from);
    from->record->acked++;
    if (sequence > of->highest_acked)
        of->highest_acked = sequence;
    if (strcmp(stream, RIDE_STREAM) != 0)
        checker_violated(of, CHECKER_ACK_NAMES_ITS_MESSAGE, "%s acknowledged by stream %s", from->id, stream);
    from->out_of_memory = !checker_claim_add(&of->acked, sequence, from->number);
    return true;
}

static bool take_failed(checker *of, entry *from)
{
    bool certain = false;

    if (!flag_field(from, "certain", &certain))
        return false;
    close_attempt(of, from);
    if (certain)
        from->record->refused++;
    else
        from->record->unknown++;
    return true;
}

static bool take_delivered(checker *of, entry *from)
{
    uint64_t sequence = 0, delivery = 0, sum = 0;

    if (!count_field(from, "seq", &sequence) || !count_field(from, "d", &delivery) || !sum_field(from, &sum))
        return false;
    from->record->delivered++;
    if (sum != from->record->sum)
        checker_violated(of, CHECKER_PAYLOAD_INTACT, "%s as delivered", from->id);
    from->out_of_memory = !checker_claim_add(&of->delivered, sequence, from->number);
    return true;
}

static bool take_done(checker *of, entry *from)
{
    if (from->record->delivered == 0)
        checker_violated(of, CHECKER_WORK_BEFORE_ACK, "%s processed before it was delivered", from->id);
    from->record->done++;
    return true;
}

static bool take_acked(checker *of, entry *from)
{
    checker_record *r = from->record;

    r->settled++;
    if (r->settled > r->delivered)
        checker_violated(of, CHECKER_WORK_BEFORE_ACK, "%s acked more often than delivered", from->id);
    else if (r->done == 0)
        checker_violated(of, CHECKER_WORK_BEFORE_ACK, "%s acked before it was processed", from->id);
    return true;
}

static bool take_confirmed(checker *of, entry *from)
{
    checker_record *r = from->record;

    r->confirmed++;
    if (r->confirmed > r->settled)
        checker_violated(of, CHECKER_WORK_BEFORE_ACK, "%s confirmed, but not acked", from->id);
    return true;
}

static const struct {
    const char *name;
    take_entry *take;
} kinds[] = {
    { "pub.attempt", take_attempt },    { "pub.ack", take_stored }, { "pub.fail", take_failed },
    { "cons.deliver", take_delivered }, { "proc.done", take_done }, { "cons.ack", take_acked },
    { "cons.ackack", take_confirmed },
};

static bool take_kind(checker *of, entry *from, const char *kind)
{
    size_t i = 0;

    from->id = text_field(from, "id");
    while (i < sizeof kinds / sizeof kinds[0] && strcmp(kinds[i].name, kind) != 0)
        i++;
    if (from->id == NULL || i == sizeof kinds / sizeof kinds[0])
        return false;
    from->record = checker_find(of, from->id);
    if (from->record != NULL) {
        from->number = (uint64_t)(from->record - of->records);
        return kinds[i].take(of, from);
    }
    checker_violated(of, CHECKER_NO_UNEXPECTED, "%s %s", kind, from->id);
    return true;
}

/* Takes in one parsed line; |ended| says whether the end line was seen. */
static bool take_object(checker *of, entry *from, bool *ended)
{
    uint64_t n = 0, time = 0;
    const char *kind = text_field(from, "e");

    if (*ended || kind == NULL || !count_field(from, "n", &n) || !count_field(from, "t", &time) || n != from->line)
        return false;
    if (strcmp(kind, "ledger.end") != 0)
        return take_kind(of, from, kind);
    *ended = true;
    return true;
}

static bool take_line(checker *of, entry *from, const char *text, json_tokener *tokener, bool *ended)
{
    size_t length = strlen(text);
    bool usable = length > 0 && text[length - 1] == '\n'; /* else torn, too long, or a NUL octet in it */

    json_tokener_reset(tokener);
    from->object = usable ? json_tokener_parse_ex(tokener, text, (int)length) : NULL;
    usable = json_object_is_type(from->object, json_type_object) && json_tokener_get_parse_end(tokener) == length &&
             take_object(of, from, ended);
    json_object_put(from->object);
    if (!usable)
        checker_violated(of, CHECKER_LEDGER_WHOLE, "%s: line %" PRIu64, from->name, from->line);
    return !from->out_of_memory;
}

bool checker_ledger(checker *of, FILE *in, const char *name, problem *why)
{
    char text[LINE_OCTETS];
    bool ended = false, memory = true;
    json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);

    for (uint64_t line = 1; tokener != NULL && memory && fgets(text, sizeof text, in) != NULL; line++)
        memory = take_line(of, &(entry){ .name = name, .line = line }, text, tokener, &ended);
    if (tokener == NULL || !memory)
        problem_set(why, "out of memory");
    if (tokener != NULL)
        json_tokener_free(tokener);
    else
        return false;
    if (!memory || ferror(in))
        return memory ? problem_set(why, "%s: cannot read: %s", name, strerror(errno)) : false;
    if (!ended)
        checker_violated(of, CHECKER_LEDGER_WHOLE, "%s: the end is missing", name);
    return true;
}
