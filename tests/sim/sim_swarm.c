/* SPDX-License-Identifier: Apache-2.0 */
/* What is drawn once per run: the weather, the servers, the options, which faults and which operations there are. In a
 * given seed about half of everything is off, so that each combination occurs and none hides another. */
#include "sim.h"

#include <stdio.h>

static bool coin(rng *r)
{
    return rng_below(r, 2) == 0;
}

static void draw_weather(net_weather *w, rng *r)
{
    static const size_t chunks[] = { 1, 2, 3, 7, 64, 512, 0, 0, 0 };
    static const uint32_t blocks[] = { 0, 0, 100000, 500000, 900000 };
    w->delay_min_ns = coin(r) ? 0 : rng_below(r, 30 * SIM_MS);
    w->delay_mean_ns = coin(r) ? 100 * SIM_US : rng_log(r, SIM_MS, 100 * SIM_MS);
    for (int way = 0; way < 2; way++)
        w->chunk[way] = chunks[rng_below(r, sizeof chunks / sizeof chunks[0])];
    w->would_block = blocks[rng_below(r, sizeof blocks / sizeof blocks[0])];
    w->window = coin(r) ? 65536 : (size_t)rng_log(r, 16, 16384);
    size_t least = (size_t)((w->delay_min_ns + w->delay_mean_ns) / SIM_MS) * 512; /* no less than some 100 KB/s */
    w->window = w->window > least ? w->window : least;
}

static void draw_model(model_options *o, rng *r)
{
    static const unsigned versions[][2] = { { 9, 10 }, { 10, 27 }, { 15, 1 } };
    size_t v = (size_t)rng_below(r, 3);
    o->servers = coin(r) ? 1 : (unsigned)rng_between(r, 2, 3);
    o->minor = versions[v][0];
    o->patch = versions[v][1];
    o->advertise = coin(r);
    o->max_payload = coin(r) ? 0 : (uint32_t)rng_between(r, 512, 8192);
    o->ping_interval_ns = rng_log(r, 3 * (uint64_t)SIM_S, 60 * (uint64_t)SIM_S);
    o->ldm_grace_ns = SIM_S;
    o->ldm_duration_ns = 5 * (uint64_t)SIM_S;
    o->deny_publish = "deny.p deny.q deny.j";
    o->deny_subscribe = "deny.s";
    o->ack_tokens = coin(r) ? 9 : coin(r) ? 11 : 12;
    o->no_headers = rng_below(r, 20) == 0;
}

/* Who we are, and in half of the runs where it matters: in the URL or in the options. */
static void draw_credentials(swarm *sw, rng *r, const char **in_url)
{
    *in_url = "";
    switch (rng_below(r, 7)) {
    case 0:
        sw->model.user = "u";
        sw->model.pass = "p";
        if (coin(r)) {
            *in_url = "u:p@";
        } else {
            sw->session.user = nbj_str("u");
            sw->session.password = nbj_str("p");
        }
        break;
    case 1:
        sw->model.token = "t";
        if (coin(r))
            *in_url = "t@";
        else
            sw->session.token = nbj_str("t");
        break;
    case 2:
        sw->model.nkey = "UKEY";
        sw->session.wants_credentials = true;
        break;
    case 3: /* a token for each connection; the one that lies around has expired */
        sw->model.issues_tokens = true;
        sw->session.wants_credentials = true;
        if (coin(r))
            *in_url = "expired@";
        break;
    default:
        break;
    }
    if (sw->model.nkey == NULL && rng_below(r, 8) == 0) /* asked for, and not needed */
        sw->session.wants_credentials = true;
}

/* Mostly none; else as the servers have it, we may want it ourselves or not. */
static void draw_tls(swarm *sw, rng *r)
{
    sw->model.tls = coin(r) ? MODEL_TLS_NONE : (model_tls)rng_between(r, MODEL_TLS_OFFERED, MODEL_TLS_FIRST);
    sw->session.tls_possible = sw->model.tls >= MODEL_TLS_REQUIRED || coin(r);
    sw->session.tls_first = sw->model.tls == MODEL_TLS_FIRST;
    bool may_want = sw->model.tls != MODEL_TLS_NONE && sw->session.tls_possible;
    sw->session.tls = may_want && rng_below(r, 3) == 0;
    sw->tls_urls = may_want && rng_below(r, 3) == 0;
    sw->model.advertise_addresses = coin(r);
}

/* Limits of single phases, where there are any. */
static void draw_limits(nbj__session_options *o, rng *r, uint64_t delay)
{
    uint64_t *limits[] = { &o->info_timeout_ns, &o->tls_timeout_ns, &o->auth_timeout_ns };
    for (size_t i = 0; i < 3; i++)
        if (coin(r))
            *limits[i] = rng_between(r, 1, 4) * SIM_S + 10 * delay;
}

static void draw_urls(swarm *sw, rng *r, const char *credentials)
{
    size_t at = 0;
    unsigned known = sw->model.advertise ? (unsigned)rng_between(r, 1, sw->model.servers) : sw->model.servers;
    for (unsigned i = 0; i < known; i++)
        at += (size_t)snprintf(sw->urls + at, sizeof sw->urls - at, "%s%s://%ssim%u:4222", i > 0 ? "," : "",
                               sw->tls_urls ? "tls" : "nats", credentials, i);
    sw->known = known;
    if (rng_below(r, 8) == 0)
        snprintf(sw->urls + at, sizeof sw->urls - at, ",nats://%snohost:4222", credentials);
    sw->session.urls = nbj_str(sw->urls);
}

static void draw_session(nbj__session_options *o, rng *r, uint64_t delay_mean)
{
    o->seed = rng_next(r);
    o->connect_timeout_ns = rng_between(r, 2, 6) * SIM_S;
    o->ping_interval_ns = rng_log(r, SIM_S, 30 * (uint64_t)SIM_S) + 20 * delay_mean;
    o->max_pings_out = (uint32_t)rng_between(r, 1, 3);
    o->write_timeout_ns = rng_between(r, 1, 10) * SIM_S + 20 * delay_mean;
    o->reconnect_first_ns = rng_log(r, SIM_MS, 500 * SIM_MS);
    o->reconnect_max_ns = rng_log(r, 500 * SIM_MS, 8 * (uint64_t)SIM_S);
    o->max_outgoing_bytes = coin(r) ? 0 : (size_t)rng_log(r, 2048, 1 << 20);
    o->no_randomize = coin(r);
    o->retry_first_connect = rng_below(r, 8) != 0;
    o->no_reconnect = rng_below(r, 20) == 0;
    o->max_reconnects = rng_below(r, 20) == 0 ? 2 : 0;
    o->ignore_discovered = rng_below(r, 5) == 0;
    o->auth_errors_are_fatal = rng_below(r, 5) == 0;
    o->fail_requests_on_loss = rng_below(r, 4) == 0;
    o->wait_when_full = coin(r);
    o->verbose = rng_below(r, 5) == 0;
    o->pedantic = rng_below(r, 5) == 0;
    o->no_echo = rng_below(r, 10) == 0;
}

static void draw_jetstream(swarm *sw, rng *r)
{
    sw->js = coin(r) && !sw->model.no_headers;
    sw->consumes = true;
    sw->model.no_jetstream = !sw->js && coin(r);
    sw->memory_stream = rng_below(r, 4) == 0;
    sw->work_queue = rng_below(r, 3) == 0;
    sw->publish.max_messages = (uint32_t)(coin(r) ? rng_log(r, 1, 8) : rng_log(r, 1, 256));
    sw->publish.max_bytes = coin(r) ? 0 : 8192;
    sw->pull.batch = rng_log(r, 1, 64);
    sw->pull.expires_ns = rng_log(r, SIM_S, 10 * (uint64_t)SIM_S);
    sw->pull.heartbeat_ns = rng_log(r, 300 * SIM_MS, 2 * (uint64_t)SIM_S) + 10 * sw->weather.delay_mean_ns;
    if (sw->pull.expires_ns < 2 * sw->pull.heartbeat_ns)
        sw->pull.expires_ns = 2 * sw->pull.heartbeat_ns;
    sw->ack_wait_ns = rng_log(r, SIM_S, 10 * (uint64_t)SIM_S);
}

static uint32_t half_of(rng *r, unsigned count)
{
    uint32_t mask = (uint32_t)(rng_next(r) & ((1u << count) - 1));
    return mask != 0 ? mask : 1;
}

void swarm_draw(swarm *sw, uint64_t seed)
{
    rng r = rng_for(seed, "swarm");
    const char *credentials;
    *sw = (swarm){ .min_events = SIM_MIN_EVENTS };
    draw_weather(&sw->weather, &r);
    draw_model(&sw->model, &r);
    draw_credentials(sw, &r, &credentials);
    draw_tls(sw, &r);
    draw_urls(sw, &r, credentials);
    draw_session(&sw->session, &r, sw->weather.delay_min_ns + sw->weather.delay_mean_ns);
    draw_limits(&sw->session, &r, sw->weather.delay_min_ns + sw->weather.delay_mean_ns);
    draw_jetstream(sw, &r);
    sw->fates = half_of(&r, FATE_COUNT) | 1u << FATE_CUT;
    sw->ops = half_of(&r, DO_COUNT) | 1u << DO_PUBLISH | 1u << DO_SUBSCRIBE;
    sw->fate_mean_ns = rng_log(&r, 50 * SIM_MS, 3 * (uint64_t)SIM_S);
    sw->longest_ns = rng_log(&r, 100 * SIM_MS, 30 * (uint64_t)SIM_S);
    sw->think_mean_ns = rng_log(&r, 50 * SIM_US, 100 * SIM_MS);
    sw->lateness_ns = coin(&r) ? 0 : rng_log(&r, SIM_US, 5 * SIM_MS);
    sw->steps = (uint32_t)rng_log(&r, 20, 400);
    sw->alloc_fail = rng_below(&r, 10) == 0 ? (uint32_t)rng_log(&r, 100, 10000) : 0;
    sw->deadline_max_ns = rng_log(&r, 50 * SIM_MS, 10 * (uint64_t)SIM_S);
}

/* --- worlds about the publish window --- */

static void draw_stream(swarm *sw, rng *r)
{
    static const uint64_t windows[] = {
        0, 100 * SIM_MS, 500 * SIM_MS, 2 * (uint64_t)SIM_S, 10 * (uint64_t)SIM_S, 60 * (uint64_t)SIM_S,
    };
    sw->duplicates_ns = windows[rng_below(r, sizeof windows / sizeof windows[0])];
    sw->max_msgs = rng_below(r, 4) == 0 ? (uint32_t)rng_log(r, 1, 100) : 0;
    sw->max_per_subject = rng_below(r, 8) == 0 ? (uint32_t)rng_between(r, 1, 4) : 0;
    sw->max_age_ns = rng_below(r, 8) == 0 ? rng_log(r, SIM_S, 30 * (uint64_t)SIM_S) : 0;
    sw->discard_new = sw->max_msgs > 0 && coin(r);
    sw->model.commit_max_ns = coin(r) ? 0 : rng_log(r, 100 * SIM_US, 500 * SIM_MS);
    sw->model.late_max_ns = rng_log(r, SIM_MS, 5 * (uint64_t)SIM_S);
    sw->model.expects_first = coin(r);
}

void swarm_draw_publishing(swarm *sw, uint64_t seed)
{
    const uint32_t ops =
        1u << DO_PUBLISH | 1u << DO_FLUSH | 1u << DO_RECONNECT | 1u << DO_CLOSE | 1u << DO_DRAIN | 1u << DO_JS_SETTLE;
    const uint32_t fates = 1u << FATE_CUT_AT | 1u << FATE_STALL | 1u << FATE_SWALLOW | 1u << FATE_REFUSE |
                           1u << FATE_KILL | 1u << FATE_HANG | 1u << FATE_LAME | 1u << FATE_FREEZE |
                           1u << FATE_PAYLOAD | 1u << FATE_JETSTREAM | 1u << FATE_LEADER;
    rng r = rng_for(seed, "publishing");
    *sw = (swarm){ .min_events = SIM_MIN_EVENTS_SMALL, .publishing = true };
    draw_weather(&sw->weather, &r);
    draw_model(&sw->model, &r);
    draw_urls(sw, &r, "");
    draw_session(&sw->session, &r, sw->weather.delay_min_ns + sw->weather.delay_mean_ns);
    sw->model.no_headers = false;
    draw_jetstream(sw, &r);
    sw->js = true;
    sw->model.no_jetstream = false;
    sw->consumes = rng_below(&r, 4) == 0;
    sw->work_queue = sw->work_queue && sw->consumes;
    draw_stream(sw, &r);
    sw->publish.resend_within_ns = rng_below(&r, 6) == 0 ? rng_log(&r, 10 * SIM_MS, 5 * (uint64_t)SIM_S) : 0;
    sw->ordered = coin(&r) ? 0 : (uint32_t)rng_between(&r, 1, 8);
    sw->expecting = coin(&r) ? 0 : (uint32_t)rng_between(&r, 1, 4);
    sw->fates =
        (half_of(&r, FATE_COUNT) & fates) | (coin(&r) ? 1u << FATE_CUT : 1u << FATE_JETSTREAM | 1u << FATE_LEADER);
    sw->ops = (half_of(&r, DO_COUNT) & ops) | 1u << DO_JS_PUBLISH | 1u << DO_JS_BURST;
    sw->fate_mean_ns = rng_log(&r, 50 * SIM_MS, SIM_S);
    sw->longest_ns = rng_log(&r, 100 * SIM_MS, 10 * (uint64_t)SIM_S);
    sw->think_mean_ns = rng_log(&r, 50 * SIM_US, 100 * SIM_MS);
    sw->lateness_ns = coin(&r) ? 0 : rng_log(&r, SIM_US, 5 * SIM_MS);
    sw->steps = (uint32_t)rng_log(&r, 10, 60);
    sw->alloc_fail = rng_below(&r, 10) == 0 ? (uint32_t)rng_log(&r, 100, 10000) : 0;
    sw->deadline_max_ns = rng_log(&r, SIM_S, 10 * (uint64_t)SIM_S);
}

void swarm_fix(swarm *sw)
{
    *sw = (swarm){ .js = true,
                   .consumes = true,
                   .ack_wait_ns = 2 * (uint64_t)SIM_S,
                   .longest_ns = SIM_S,
                   .deadline_max_ns = 5 * (uint64_t)SIM_S };
    sw->weather = (net_weather){ .delay_min_ns = SIM_MS, .window = 65536 };
    sw->model = (model_options){
        .servers = 1, .ping_interval_ns = 20 * (uint64_t)SIM_S, .tls = MODEL_TLS_REQUIRED, .issues_tokens = true
    };
    sw->known = 1;
    sw->session = (nbj__session_options){ .urls = nbj_str("nats://expired@sim0:4222"),
                                          .tls_possible = true,
                                          .wants_credentials = true,
                                          .connect_timeout_ns = SIM_S,
                                          .ping_interval_ns = SIM_S,
                                          .write_timeout_ns = SIM_S,
                                          .reconnect_first_ns = 10 * SIM_MS,
                                          .reconnect_max_ns = 100 * SIM_MS,
                                          .retry_first_connect = true };
    sw->pull = (nbj__pull_options){ .batch = 4, .expires_ns = 2 * (uint64_t)SIM_S, .heartbeat_ns = 500 * SIM_MS };
}
