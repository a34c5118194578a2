/* SPDX-License-Identifier: Apache-2.0 */
#include "js/gate.h"

#include "base/text.h"

static const struct gate {
    nbj__server_version since;
    uint32_t level;
    const char *text;
} gates[] = { [NBJ__FEATURE_NONE] = { { 0, 0, 0 }, 0, "" },
#define NBJ_X(name, major, minor, patch, level, text) [NBJ__FEATURE_##name] = { { major, minor, patch }, level, text },
              NBJ__FEATURES(NBJ_X)
#undef NBJ_X
};

static void write_version(nbj__server_version v, char out[16])
{
    nbj__text t = nbj__text_into(out, 16);

    nbj__text_add_u64(&t, v.major);
    nbj__text_add(&t, ".");
    nbj__text_add_u64(&t, v.minor);
    nbj__text_add(&t, ".");
    nbj__text_add_u64(&t, v.patch);
}

nbj_status nbj__gate_check(const nbj__js_where *where, nbj__feature feature, nbj_error *error)
{
    const struct gate *g = &gates[feature];
    bool is_known = where->version.major > 0;
    char needs[16];
    char has[16];

    if (!is_known || nbj__version_is_at_least(where->version, g->since.major, g->since.minor, g->since.patch))
        return NBJ_OK;
    write_version(g->since, needs);
    write_version(where->version, has);
    return nbj__error_set(error, NBJ_E_UNSUPPORTED, g->text, " needs nats-server ", needs, " or newer; this one is ",
                          has, (char *)NULL);
}

nbj_status nbj__gate_check_server(const nbj__session *session, nbj__feature feature, nbj_error *error)
{
    const nbj__info *info = nbj__session_info(session);
    nbj__js_where where = { .version = { 0 } };

    if (info != NULL)
        where.version = nbj__version_parse(info->version);
    return nbj__gate_check(&where, feature, error);
}

uint32_t nbj__gate_level(nbj__feature feature)
{
    return gates[feature].level;
}

void nbj__gate_version(nbj__feature feature, char out[16])
{
    write_version(gates[feature].since, out);
}
