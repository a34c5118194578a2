/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a scenario against the server model: see player.h. */
#include "player.h"

#include "world.h"

void player_open(player *p, const scenario_group *group, unsigned minor, unsigned patch, size_t chunk)
{
    model_options opt = group->model;
    opt.no_jetstream = !group->jetstream;
    opt.minor = minor;
    opt.patch = patch;
    *p = (player){ .now = SIM_S, .chunk = chunk };
    p->m = model_new(&opt, 1, p->now);
}

void player_free(player *p)
{
    for (unsigned i = 0; i < TRANSCRIPT_CONNS; i++) {
        buf_free(&p->in[i]);
        buf_free(&p->ack[i]);
    }
    model_free(p->m);
}

static void collect(player *p, unsigned i, buf *out)
{
    if (p->conn[i] == NULL || p->closed[i])
        return;
    str output = model_output(p->conn[i]);
    buf_str(&p->in[i], output);
    model_consume(p->conn[i], output.len);
    transcript_read_frames(&p->in[i], out, &p->ack[i]);
    if (model_closing(p->conn[i])) {
        buf_text(out, "<closed>\n");
        p->closed[i] = true;
    }
}

static void let_pass(player *p, uint64_t ns)
{
    uint64_t until = p->now + ns;
    for (uint64_t at = model_deadline(p->m); at <= until; at = model_deadline(p->m)) {
        p->now = at > p->now ? at : p->now;
        model_tick(p->m, p->now);
    }
    p->now = until;
}

static void send_octets(player *p, unsigned i, str octets)
{
    if (p->conn[i] == NULL)
        p->conn[i] = model_accept(p->m, 0, p->now);
    for (size_t at = 0, n; at < octets.len && p->conn[i] != NULL; at += n) {
        n = p->chunk > 0 && p->chunk < octets.len - at ? p->chunk : octets.len - at;
        model_feed(p->conn[i], octets.ptr + at, n, p->now);
    }
}

void player_step(player *p, str line, buf out[TRANSCRIPT_CONNS])
{
    unsigned conn = (unsigned)(line.ptr[0] - 'A') < TRANSCRIPT_CONNS ? (unsigned)(line.ptr[0] - 'A') : 0;
    transcript_step s = transcript_read_step(line, buf_view(&p->ack[conn]));
    p->now += 10 * SIM_MS; /* a conversation takes time */
    switch (s.kind) {
    case STEP_SEND:
        send_octets(p, s.conn, buf_view(&s.octets));
        break;
    case STEP_WAIT:
        let_pass(p, s.ms * SIM_MS);
        break;
    case STEP_KILL:
        model_kill(p->m, 0, p->now);
        break;
    case STEP_RESTART:
        model_restart(p->m, 0, p->now);
        break;
    case STEP_LAME:
        model_lame_duck(p->m, 0, p->now);
        break;
    }
    for (unsigned i = 0; i < TRANSCRIPT_CONNS; i++)
        collect(p, i, &out[i]);
    buf_free(&s.octets);
}
