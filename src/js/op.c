/* SPDX-License-Identifier: Apache-2.0 */
#include "js/op.h"

#include "base/text.h"
#include "wire/subject.h"

nbj_status nbj__js_where_set(nbj__js_where *where, const char *domain, const char *prefix)
{
    nbj__text t = nbj__text_into(where->prefix, sizeof where->prefix);
    bool has_domain = domain != NULL && domain[0] != '\0';

    if (has_domain && prefix != NULL)
        return NBJ_E_INVALID;
    if (has_domain) {
        nbj__text_add(&t, "$JS.");
        nbj__text_add(&t, domain);
        nbj__text_add(&t, ".API");
    } else {
        nbj__text_add(&t, prefix != NULL ? prefix : NBJ__API_PREFIX);
    }
    bool is_name = !has_domain || nbj__name_is_legal(nbj_str(domain));
    return !t.cut && is_name && nbj__subject_is_literal(nbj__text_view(&t)) ? NBJ_OK : NBJ_E_INVALID;
}

void nbj__op_init(nbj__op *op, const nbj_allocator *alloc, nbj__op_step *step, void (*free)(nbj__op *op))
{
    *op = (nbj__op){ .step = step, .free = free, .alloc = alloc };
    nbj__buf_init(&op->body, alloc, NBJ__API_BODY_MAX);
}

void nbj__op_free(nbj__op *op)
{
    if (op == NULL)
        return;
    nbj__buf_free(&op->body);
    op->free(op);
}

void nbj__op_ask(nbj__op *op, const char *verb, const char *a, const char *b)
{
    const char *parts[] = { verb, a, b };
    nbj__text t = nbj__text_into(op->subject, sizeof op->subject);

    nbj__text_add(&t, op->where.prefix);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && parts[i] != NULL; i++) {
        nbj__text_add(&t, ".");
        nbj__text_add(&t, parts[i]);
    }
    op->required_level = 0;
    op->many = false;
    op->stall_ns = 0;
    op->wait_ns = 0;
    nbj__buf_consume(&op->body, nbj__buf_len(&op->body));
}

nbj__json_writer nbj__op_body(nbj__op *op)
{
    return nbj__json_begin(&op->body);
}

nbj__outgoing nbj__op_request(const nbj__op *op, nbj_header *header, char level[16])
{
    nbj__outgoing m = { .subject = nbj_str(op->subject), .payload = nbj__buf_view(&op->body) };

    if (op->required_level > 0) {
        nbj__text t = nbj__text_into(level, 16);
        nbj__text_add_u64(&t, op->required_level);
        *header = (nbj_header){ nbj_str("Nats-Required-Api-Level"), nbj__text_view(&t) };
        m.headers = header;
        m.header_count = 1;
    }
    return m;
}

nbj_status nbj__op_answer(nbj_status status, const nbj_msg *answer, nbj__js_about about, nbj__json **out,
                          nbj_error *error)
{
    *out = NULL;
    if (status == NBJ_OK && answer != NULL)
        return nbj__js_reply_parse(answer, about, out, error);
    return nbj__error_set(error, status,
                          status == NBJ_E_NO_RESPONDERS
                              ? "JetStream does not answer; is nats-server run with --jetstream?"
                              : nbj_strerror(status),
                          (char *)NULL);
}
