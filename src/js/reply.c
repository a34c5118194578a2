/* SPDX-License-Identifier: Apache-2.0 */
#include "js/reply.h"

#include "base/text.h"

#include <assert.h>

/* Codes that are told apart; the others go by their class. */
static const struct known {
    int64_t err_code;
    nbj_status status;
} known[] = {
    { 10059, NBJ_E_STREAM_NOT_FOUND },
    { 10014, NBJ_E_CONSUMER_NOT_FOUND },
    { 10149, NBJ_E_CONSUMER_NOT_FOUND },
    { 10037, NBJ_E_NOT_FOUND },
    { 10043, NBJ_E_NOT_FOUND },
    { 10058, NBJ_E_EXISTS_DIFFERENT },
    { 10148, NBJ_E_EXISTS_DIFFERENT },
    { 10013, NBJ_E_EXISTS_DIFFERENT },
    { 10071, NBJ_E_WRONG_LAST_SEQUENCE },
    { 10164, NBJ_E_WRONG_LAST_SEQUENCE },
    { 10039, NBJ_E_JS_DISABLED },
    { 10076, NBJ_E_JS_DISABLED },
    { 10035, NBJ_E_JS_DISABLED },
    { 10120, NBJ_E_JS_DISABLED },
    { 10008, NBJ_E_JS_UNAVAILABLE },
    { 10004, NBJ_E_JS_UNAVAILABLE },
    { 10009, NBJ_E_JS_UNAVAILABLE },
    { 10118, NBJ_E_JS_UNAVAILABLE },
    { 10119, NBJ_E_JS_UNAVAILABLE },
    { 10158, NBJ_E_JS_UNAVAILABLE },
    { 10163, NBJ_E_JS_UNAVAILABLE },
    { 10167, NBJ_E_JS_UNAVAILABLE },
    { 10194, NBJ_E_JS_UNAVAILABLE },
    { 10195, NBJ_E_JS_UNAVAILABLE },
    { 10210, NBJ_E_JS_UNAVAILABLE },
    { 10211, NBJ_E_JS_UNAVAILABLE },
    { 10025, NBJ_E_UNSUPPORTED }, /* a field that this server does not know */
    { 10185, NBJ_E_UNSUPPORTED }, /* its API level is too low */
    { 10010, NBJ_E_JS },          /* 503 from a server without a cluster */
    { 10075, NBJ_E_JS },          /* 503, no other server can take the place of a peer */
    { 10023, NBJ_E_JS },
    { 10077, NBJ_E_JS }, /* 503 for a limit: asking again does not help */
};

nbj_status nbj__js_status(int64_t code, int64_t err_code)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].err_code == err_code)
            return known[i].status;
    }
    if (code == 404)
        return NBJ_E_NOT_FOUND;
    return code == 429 || code == 503 ? NBJ_E_JS_UNAVAILABLE : NBJ_E_JS;
}

static const char *remedy(nbj_status status)
{
    switch (status) {
    case NBJ_E_STREAM_NOT_FOUND:
        return "; create the stream first (nbj_stream_ensure does)";
    case NBJ_E_EXISTS_DIFFERENT:
        return "; it exists with another configuration: ask for that one, or change or delete it";
    case NBJ_E_UNSUPPORTED:
        return "; it needs a newer server";
    case NBJ_E_JS_DISABLED:
        return "; start nats-server with --jetstream, or enable it for the account";
    default:
        return "";
    }
}

static nbj_status read_error(const nbj__json *e, nbj__js_about about, nbj_error *error)
{
    int64_t code = nbj__json_i64(e, "code");
    int64_t err_code = nbj__json_i64(e, "err_code");
    nbj_status status = nbj__js_status(code, err_code);
    char said[256];
    char number[24];
    nbj__text t = nbj__text_into(said, sizeof said);
    nbj__text n = nbj__text_into(number, sizeof number);

    nbj__text_add_clean(&t, nbj__json_text(e, "description"));
    nbj__text_add_i64(&n, err_code);
    nbj__error_set(error, status, about.stream != NULL ? "stream " : "", about.stream != NULL ? about.stream : "",
                   about.consumer != NULL ? ", consumer " : "", about.consumer != NULL ? about.consumer : "",
                   about.stream != NULL ? ": " : "", said, " (", number, ")", remedy(status), (char *)NULL);
    if (error != NULL) {
        error->code = (int32_t)code;
        error->err_code = (int32_t)err_code;
    }
    return status;
}

static nbj_status bad_reply(nbj_error *error, const char *why)
{
    return nbj__error_set(error, NBJ_E_BAD_REPLY, "an answer of JetStream could not be read: ", why, (char *)NULL);
}

nbj_status nbj__js_reply_parse(const nbj_msg *msg, nbj__js_about about, nbj__json **out, nbj_error *error)
{
    nbj_status st = nbj__json_parse(msg->payload, out);

    if (st == NBJ_E_NOMEM)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    if (st != NBJ_OK)
        return bad_reply(error, "it is not a JSON object");
    nbj__json *e = nbj__json_object(*out, "error");
    if (e == NULL)
        return NBJ_OK;
    char name[256];
    nbj__text t = nbj__text_into(name, sizeof name);
    nbj__text_add_bytes(&t, nbj__json_text(*out, "stream")); /* an acknowledgement's */
    if (about.stream == NULL && t.len > 0)
        about.stream = name;
    st = read_error(e, about, error);
    nbj__json_free(*out);
    *out = NULL;
    return st;
}
