/* SPDX-License-Identifier: Apache-2.0 */
#include "js/pub_ack.h"

#include "base/text.h"
#include "js/reply.h"

/* --- as servers write it: {"stream":"S", "seq":1,"domain":"D","duplicate":true,"val":"1"} --- */

static bool take(nbj_bytes *rest, const char *text, size_t len)
{
    if (rest->len < len || memcmp(rest->ptr, text, len) != 0)
        return false;
    *rest = nbj_view(rest->ptr + len, rest->len - len);
    return true;
}
#define TAKE(rest, literal) take(rest, literal, sizeof(literal) - 1)

/* Printable ASCII up to the quote, nothing in it escaped. */
static bool take_text(nbj_bytes *rest, char *out, size_t cap)
{
    size_t n = 0;

    while (n < rest->len && rest->ptr[n] != '"') {
        if (rest->ptr[n] < 0x20 || rest->ptr[n] > 0x7e || rest->ptr[n] == '\\')
            return false;
        n++;
    }
    if (n == 0 || n >= cap || n == rest->len)
        return false;
    memcpy(out, rest->ptr, n);
    out[n] = '\0';
    *rest = nbj_view(rest->ptr + n + 1, rest->len - n - 1);
    return true;
}

static bool take_number(nbj_bytes *rest, uint64_t *out)
{
    uint64_t n = 0;
    size_t i = 0;

    while (i < rest->len && i < 19 && rest->ptr[i] >= '0' && rest->ptr[i] <= '9')
        n = n * 10 + (uint64_t)(rest->ptr[i++] - '0');
    if (i == 0 || rest->ptr[0] == '0')
        return false;
    *out = n;
    *rest = nbj_view(rest->ptr + i, rest->len - i);
    return true;
}

bool nbj__pub_ack_scan(nbj_bytes rest, nbj__pub_ack *out)
{
    out->domain[0] = out->value[0] = '\0';
    out->duplicate = false;
    if (!TAKE(&rest, "{\"stream\":\"") || !take_text(&rest, out->stream, sizeof out->stream) || !TAKE(&rest, ","))
        return false;
    (void)TAKE(&rest, " ");
    if (!TAKE(&rest, "\"seq\":") || !take_number(&rest, &out->sequence))
        return false;
    if (TAKE(&rest, ",\"domain\":\"") && !take_text(&rest, out->domain, sizeof out->domain))
        return false;
    out->duplicate = TAKE(&rest, ",\"duplicate\":true") || TAKE(&rest, ",\"duplicate\": true");
    if (TAKE(&rest, ",\"val\":\"") && !take_text(&rest, out->value, sizeof out->value))
        return false;
    return TAKE(&rest, "}") && rest.len == 0;
}

/* --- anything --- */

static bool copy_name(char *to, size_t cap, nbj_bytes name)
{
    nbj__text t = nbj__text_into(to, cap);

    nbj__text_add_bytes(&t, name);
    return !t.cut;
}

void nbj__pub_ack_clear(nbj__pub_ack *ack)
{
    ack->stream[0] = ack->domain[0] = ack->value[0] = '\0';
    ack->sequence = 0;
    ack->duplicate = false;
}

/* What to do about a refusal. */
static const struct {
    int32_t err_code;
    const char *text;
} remedies[] = {
    { 10054, "; make the message smaller, or raise the stream's max_msg_size" },
    { 10060, "; another stream takes this subject than the one that was expected" },
    { 10070, "; another message was stored meanwhile" },
    { 10077, "; the stream is full and discards new messages: remove some, or raise its limits" },
    { 10097, "; headers may have 64 KiB at most" },
    { 10109, "; nothing can be stored in a sealed stream" },
    { 10111, "; allow it with allow_rollup_hdrs, without deny_purge" },
    { 10166, "; allow it with the stream's allow_msg_ttl" },
    { 10168, "; allow it with the stream's allow_msg_counter" },
    { 10169, "; this is a stream of counters: publish with the option increment" },
    { 10170, "; publish without data" },
    { 10172, "; the subject's last message is none of a counter" },
    { 10188, "; allow it with the stream's allow_msg_schedules" },
    { 10190, "; the target is a subject of the same stream, and not the message's own" },
};

static void add_remedy(nbj_error *error)
{
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++) {
        if (remedies[i].err_code != error->err_code)
            continue;
        size_t len = strlen(error->text);
        nbj__text t = nbj__text_into(error->text + len, sizeof error->text - len);
        nbj__text_add(&t, remedies[i].text);
    }
}

nbj_status nbj__pub_ack_read(const nbj_msg *msg, nbj__pub_ack *out, nbj_error *error)
{
    nbj__json *o = NULL;

    nbj__pub_ack_clear(out);
    nbj_status st = nbj__js_reply_parse(msg, (nbj__js_about){ NULL, NULL }, &o, error);
    if (st != NBJ_OK) {
        add_remedy(error);
        return st;
    }
    bool whole = copy_name(out->stream, sizeof out->stream, nbj__json_text(o, "stream")) &&
                 copy_name(out->domain, sizeof out->domain, nbj__json_text(o, "domain"));
    if (!copy_name(out->value, sizeof out->value, nbj__json_text(o, "val")))
        out->value[0] = '\0';
    out->sequence = nbj__json_u64(o, "seq");
    out->duplicate = nbj__json_bool(o, "duplicate");
    nbj__json_free(o);
    if (whole && out->stream[0] != '\0' && out->sequence == 0 && out->duplicate) /* clusters before 2.11; then 10158 */
        return nbj__error_set(error, NBJ_E_JS_UNAVAILABLE, "stream ", out->stream,
                              ": another message with the same id is being stored", (char *)NULL);
    if (!whole || out->stream[0] == '\0' || out->sequence == 0)
        return nbj__error_set(error, NBJ_E_BAD_REPLY,
                              "an answer of JetStream could not be read: a publish acknowledgement without stream or ",
                              "sequence", (char *)NULL);
    return NBJ_OK;
}

nbj_status nbj__pub_ack_parse(const nbj_msg *msg, nbj__pub_ack *out, nbj_error *error)
{
    return nbj__pub_ack_scan(msg->payload, out) ? NBJ_OK : nbj__pub_ack_read(msg, out, error);
}
