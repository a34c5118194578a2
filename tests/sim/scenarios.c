/* SPDX-License-Identifier: Apache-2.0 */
/* Scripted conversations: see scenarios.h. Within a step each connection's output has one possible order. */
#include "scenarios.h"

/* clang-format off */
#define BASICS "\"pedantic\":false,\"lang\":\"c\",\"version\":\"1\",\"protocol\":1"
#define CONNECT(more) "CONNECT {\"verbose\":false," BASICS more "}\n"
#define VERBOSE(more) "CONNECT {\"verbose\":true," BASICS more "}\n"
#define HELLO CONNECT(",\"headers\":true,\"no_responders\":true")
#define USER(password) ",\"user\":\"u\",\"pass\":\"" password "\""
#define OPEN(x) x " " HELLO x " PING\n"
#define JS_OPEN OPEN("A") "A SUB I 1\nA SUB N 2\n"
#define CREATE(name, more) "A P $JS.API.STREAM.CREATE." name " I {\"name\":\"" name "\"" more "}\n"
#define DELETE(name) "A P $JS.API.STREAM.DELETE." name " I \n"
#define INFO(name) "A P $JS.API.STREAM.INFO." name " I \n"
#define EXPLICIT ",\"ack_policy\":\"explicit\""
#define NEW_CONSUMER(call, s, c, config, more) \
    "A P $JS.API.CONSUMER." call "." s "." c " I {\"stream_name\":\"" s "\",\"config\":{" \
    "\"durable_name\":\"" c "\"" config "}" more "}\n"
#define CONSUMER(more) NEW_CONSUMER("CREATE", "S", "C", EXPLICIT more, "")
#define CONSUMER_INFO "A P $JS.API.CONSUMER.INFO.S.C I \n"
#define NEXT(body) "A P $JS.API.CONSUMER.MSG.NEXT.S.C N " body "\n"

static const scenario plain[] = {
    { "connect, ping",
      OPEN("A") "A PING\n" },
    { "verbose and pedantic",
      "A CONNECT {\"verbose\":true,\"pedantic\":true,\"lang\":\"c\",\"version\":\"1\",\"headers\":true}\n"
      "A SUB a.* 1\nA P a.b r.x hi\nA UNSUB 1 1\nA P a..b - x\nA SUB a..b 3\nA SUB q.> g 4\nA P q.1 - \nA PING\n" },
    { "operations before CONNECT",
      "A PING\nA SUB x 1\nA P x - 1\n" },
    { "wildcards",
      OPEN("A") OPEN("B") "A SUB a.* 1\nA SUB b.> 2\nA SUB c 3\nA PING\nB P a.x - 1\nB P a.x.y - 2\nB P a - 3\n"
      "B P b - 4\nB P b.x.y - 5\nB P c - 6\nB P c.x - 7\n" },
    { "headers",
      OPEN("A") "B " CONNECT("") "B SUB h 1\nB PING\nA SUB h 9\nA H h r.1 K=v;K=w;Nats-X=y body\nA H h - K=v \n"
      "A P h - plain\n" },
    { "queue group with one member",
      OPEN("A") OPEN("B") "A SUB a g 1\nA SUB a h 2\nB SUB z 1\nA PING\nB PING\nA UNSUB 2\nA PING\nB P a r 1\n"
      "B P a - 2\n" },
    { "queue group, a member leaves",
      OPEN("A") OPEN("B") "A SUB a g 1\nA PING\nB SUB a g 1\nB PING\nB UNSUB 1\nB PING\nB P a - 1\nB P a - 2\n"
      "B P a - 3\n" },
    { "unsubscribe after a maximum",
      OPEN("A") "A SUB a 1\nA P a - 1\nA UNSUB 1 3\nA P a - 2\nA P a - 3\nA P a - 4\nA SUB a 2\nA P a - 5\n"
      "A P a - 6\nA UNSUB 2 2\nA P a - 7\nA UNSUB 77\nA UNSUB 77 3\nA PING\n" },
    { "a live sid again",
      OPEN("A") "A SUB a 1\nA SUB b 1\nA P a - 1\nA P b - 2\nA UNSUB 1\nA SUB b 1\nA P b - 3\n" },
    { "no echo",
      "A " CONNECT(",\"echo\":false,\"headers\":true,\"no_responders\":true") "A PING\n" OPEN("B") "A SUB x 1\n"
      "A PING\nB SUB x 1\nB PING\nA P x - 1\nB P x - 2\nA P x x 3\n" },
    { "no responders",
      OPEN("A") OPEN("B") "A P nobody I.1 0\nA SUB I.* 1\nA P nobody I.1 x\nA P nobody - x\nB SUB somebody 1\n"
      "B PING\nA P somebody I.1 x\nA UNSUB 1\nA SUB I.* g 2\nA P nobody I.1 x\nA PING\nB P nobody I.1 x\nB PING\n" },
    { "no responders does not count",
      OPEN("A") "A SUB I 1\nA UNSUB 1 2\nA P nobody I x\nA P nobody I x\nA P nobody I x\nA P I - 1\nA P I - 2\n"
      "A P I - 3\n" },
    { "no responders without headers",
      "A " CONNECT(",\"no_responders\":true") },
    { "unknown operation",
      OPEN("A") "A FOO bar\n" },
    { "payload without CRLF",
      OPEN("A") "A SUB x 1\nA raw PUB x 1\\r\\nabPING\\r\\n\n" },
    { "header longer than the whole",
      OPEN("A") "A raw HPUB x 13 12\\r\\n\n" },
    { "header without support",
      "A " CONNECT("") "A raw HPUB x 12 12\\r\\nNATS/1.0\\r\\n\\r\\n\\r\\n\n" },
    { "control line too long",
      OPEN("A") "A long 4000\nA PING\nA long 5000\n" },
    { "empty payloads",
      OPEN("A") "A SUB > 1\nA P a - \nA P a b \nA H a b K= \n" },
    { "JetStream is off",
      OPEN("A") "A SUB I 1\nA P $JS.API.INFO I \nA P s I x\n" },
    { NULL, NULL },
};

static const scenario limited[] = {
    { "maximum payload",
      OPEN("A") "A fill x 1000\nA PING\nA fill x 1001\n" },
    { "maximum subscriptions",
      OPEN("A") "A SUB a 1\nA SUB b 2\nA SUB c 3\nA P c - x\nA UNSUB 1\nA SUB c 4\nA P c - y\n" },
    { "stale connection",
      OPEN("A") "wait 1500\n" },
    { NULL, NULL },
};

static const scenario password[] = {
    { "right password",
      "A " CONNECT(USER("p")) "A PING\n" },
    { "wrong password",
      "A " CONNECT(USER("q")) "A PING\n" },
    { "no password",
      "A " CONNECT("") },
    { "operation before CONNECT",
      "A SUB x 1\n" },
    { "silence",
      "A raw \nwait 1200\n" },
    { "denied publish",
      "A " VERBOSE(USER("p")) "A SUB > 1\nA P secret.x - 1\nA P open - 2\nA P deny r 3\n" },
    { "denied subscription",
      "A " VERBOSE(USER("p")) "A SUB hidden.a 1\nA SUB hidden.a q 2\nA SUB * 3\nA P hidden - 1\nA SUB hidden.* 4\n"
      "A PING\n" },
    { "denied messages of a wildcard",
      "A " CONNECT(USER("p")) "A SUB > 1\nA PING\nA P hidden.b - 1\nA P seen - 2\n" },
    { NULL, NULL },
};

static const scenario token[] = {
    { "right token",
      "A " CONNECT(",\"auth_token\":\"t0k\"") "A PING\n" },
    { "wrong token",
      "A " CONNECT(",\"auth_token\":\"tok\"") },
    { NULL, NULL },
};

static const scenario jetstream[] = {
    { "account information",
      JS_OPEN "A P $JS.API.INFO I \n" },
    { "streams",
      JS_OPEN INFO("S") CREATE("S", ",\"subjects\":[\"s.*\"],\"storage\":\"memory\"")
      CREATE("S", ",\"subjects\":[\"s.*\"],\"storage\":\"memory\"")
      CREATE("S", ",\"subjects\":[\"t.*\"],\"storage\":\"memory\"") CREATE("T", ",\"subjects\":[\"s.>\"]")
      "A P $JS.API.STREAM.CREATE.T I {\"name\":\"U\",\"subjects\":[\"u\"]}\n"
      "A P $JS.API.STREAM.UPDATE.Z I {\"name\":\"Z\",\"subjects\":[\"t\"]}\n"
      "A P $JS.API.STREAM.UPDATE.S I {\"name\":\"S\",\"subjects\":[\"s.*\"],\"storage\":\"memory\",\"max_msgs\":100}\n"
      "A P $JS.API.STREAM.NAMES I \nA P $JS.API.STREAM.NAMES I {\"subject\":\"s.a\"}\n"
      "A P $JS.API.STREAM.NAMES I {\"subject\":\"zz\"}\n"
      CREATE("T", ",\"description\":\"d\",\"retention\":\"workqueue\",\"discard\":\"new\",\"max_age\":60000000000")
      "A P $JS.API.STREAM.DELETE.S I x\n" INFO("T") DELETE("S") DELETE("S") DELETE("T") },
    { "publish",
      JS_OPEN "A P s I hi\n" CREATE("S", ",\"subjects\":[\"s\",\"s.*\"]") "A P s I one\nA P s.2 - two\nA P s.3 I \n"
      "A H s I K=v three\n" INFO("S") "A P $JS.API.STREAM.MSG.GET.S I {\"seq\":1}\n"
      "A P $JS.API.STREAM.MSG.GET.S I {\"seq\":4}\nA P $JS.API.STREAM.MSG.GET.S I {\"seq\":9}\n"
      "A P $JS.API.STREAM.MSG.GET.S I {\"last_by_subj\":\"s.*\"}\nA P $JS.API.STREAM.PURGE.S I \n" INFO("S")
      "A P s I five\n" INFO("S") DELETE("S") },
    { "duplicates",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"],\"duplicate_window\":300000000") "A H s I Nats-Msg-Id=1 a\n"
      "A H s I Nats-Msg-Id=1 a\nA H s I Nats-Msg-Id=2 b\nA H s I Nats-Msg-Id=1 c\nA H s I nats-msg-id=1 d\n"
      "wait 900\nA H s I Nats-Msg-Id=1 e\n" INFO("S") DELETE("S") },
    { "expectations",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s.*\"],\"storage\":\"memory\"")
      "A H s.a I Nats-Expected-Last-Sequence=0 1\nA H s.a I Nats-Expected-Last-Sequence=0 2\n"
      "A H s.a I Nats-Expected-Stream=T 3\nA H s.a I Nats-Expected-Stream=S;Nats-Msg-Id=x 4\n"
      "A H s.a I Nats-Expected-Last-Msg-Id=y 5\nA H s.a I Nats-Expected-Last-Msg-Id=x 6\n"
      "A H s.b I Nats-Expected-Last-Subject-Sequence=2 7\nA H s.b I Nats-Expected-Last-Subject-Sequence=0 8\n"
      "A H s.a I Nats-Expected-Last-Subject-Sequence=3 9\n" DELETE("S") },
    { "limits",
      JS_OPEN
      CREATE("S", ",\"subjects\":[\"s.*\"],\"max_msgs\":2,\"discard\":\"new\",\"max_msg_size\":10,"
      "\"storage\":\"memory\"")
      "A P s.1 I 1\nA P s.1 I 2\nA P s.1 I 3\nA P s.1 I 12345678901\n" INFO("S") DELETE("S")
      CREATE("S", ",\"subjects\":[\"s.*\"],\"max_msgs\":3,\"max_msgs_per_subject\":2,\"storage\":\"memory\"")
      "A P s.1 I 1\nA P s.1 I 2\nA P s.1 I 3\nA P s.2 I 4\nA P s.2 I 5\n" INFO("S") DELETE("S")
      CREATE("S", ",\"subjects\":[\"s\"],\"max_bytes\":60,\"discard\":\"new\",\"storage\":\"memory\"")
      "A P s I 1234567890\nA P s I 1234567890\nA P s I 1234567890\n" INFO("S") DELETE("S") },
    { "consumers",
      JS_OPEN CONSUMER_INFO CONSUMER("") CREATE("S", ",\"subjects\":[\"s.*\"]") CONSUMER_INFO "A P s.a - 1\n"
      "A P s.b - 2\nA P s.a - 3\nA PING\n" CONSUMER("") CONSUMER("")
      NEW_CONSUMER("CREATE", "S", "C", EXPLICIT, ",\"action\":\"create\"") CONSUMER(",\"ack_wait\":1000000000")
      CONSUMER(",\"deliver_policy\":\"new\"")
      NEW_CONSUMER("DURABLE.CREATE", "S", "D", EXPLICIT ",\"filter_subject\":\"s.b\"", "")
      NEW_CONSUMER("CREATE", "S", "E", EXPLICIT ",\"deliver_policy\":\"last\",\"max_deliver\":3,"
      "\"max_ack_pending\":2,\"description\":\"d\",\"backoff\":[1000000000,2000000000]", "")
      "A P $JS.API.CONSUMER.CREATE.S.F I {\"stream_name\":\"T\",\"config\":{\"durable_name\":\"F\"" EXPLICIT "}}\n"
      CONSUMER_INFO "A P $JS.API.CONSUMER.DELETE.S.C I \nA P $JS.API.CONSUMER.DELETE.S.C I \n" DELETE("S") },
    { "pull and ack",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER("") "A H s I Nats-Msg-Id=1 one\nA P s I two\n"
      "A P s I three\n" NEXT("") "A ack I +ACK\nA ack I +ACK\n" CONSUMER_INFO NEXT("1") "A ack I -NAK\n"
      NEXT("{\"batch\":1}") "A ack I +WPI\nA ack I +TERM\n" CONSUMER_INFO NEXT("{\"batch\":5,\"no_wait\":true}")
      "A ack I \n" NEXT("{\"batch\":5,\"no_wait\":true}") CONSUMER_INFO DELETE("S") },
    { "pull without a consumer",
      JS_OPEN NEXT("1") CREATE("S", ",\"subjects\":[\"s\"]") NEXT("1") DELETE("S") },
    { "expiry and heartbeats",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER("")
      NEXT("{\"batch\":2,\"expires\":500000000,\"idle_heartbeat\":200000000}") "wait 800\n"
      NEXT("{\"batch\":2,\"expires\":300000000}") "wait 100\nA P s - x\nwait 500\n"
      NEXT("{\"batch\":2,\"expires\":300000000,\"idle_heartbeat\":200000000}")
      NEXT("{\"batch\":3,\"expires\":400000000,\"no_wait\":true}") "wait 100\nA P s - y\nwait 600\n" DELETE("S") },
    { "redelivery",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER(",\"ack_wait\":400000000") "A P s I one\n"
      NEXT("{\"batch\":1,\"expires\":5000000000}") NEXT("{\"batch\":1,\"expires\":5000000000}") "wait 700\n"
      CONSUMER_INFO "A ack - +ACK\nA PING\nwait 600\n" CONSUMER_INFO DELETE("S") },
    { "delayed nak",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER("") "A P s I one\n" NEXT("1")
      NEXT("{\"batch\":1,\"expires\":5000000000}") "A ack I -NAK {\"delay\":300000000}\nwait 700\nA ack I +ACK\n"
      CONSUMER_INFO DELETE("S") },
    { "refused pulls",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]")
      CONSUMER(",\"max_batch\":3,\"max_expires\":2000000000,\"max_waiting\":1") NEXT("{\"batch\":4}")
      NEXT("{\"batch\":1,\"expires\":3000000000}") NEXT("{\"batch\":1,\"expires\":1500000000}")
      NEXT("{\"batch\":1,\"expires\":1000000000}")
      NEXT("{\"batch\":1,\"expires\":1000000000,\"idle_heartbeat\":200000000}")
      "A P $JS.API.CONSUMER.DELETE.S.C I \n" DELETE("S") },
    { "pulls limited by octets",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER("") "A P s I 12345\nA P s I 12345\nA P s I 12345\n"
      NEXT("{\"batch\":2,\"max_bytes\":1000,\"expires\":1000000000}")
      NEXT("{\"batch\":5,\"max_bytes\":10,\"expires\":1000000000}") DELETE("S") },
    { "two pulls take turns",
      JS_OPEN "A SUB M 3\n" CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER("")
      NEXT("{\"batch\":2,\"expires\":5000000000}") "wait 100\n"
      "A P $JS.API.CONSUMER.MSG.NEXT.S.C M {\"batch\":2,\"expires\":5000000000}\nwait 100\nA P s - 1\nA P s - 2\n"
      "A P s - 3\nA P s - 4\n" DELETE("S") },
    { "lost interest",
      JS_OPEN "A SUB M 3\n" CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER("")
      "A P $JS.API.CONSUMER.MSG.NEXT.S.C M {\"batch\":2,\"expires\":5000000000}\nA UNSUB 3\nA PING\nA P s I 1\n"
      NEXT("{\"batch\":1,\"expires\":5000000000}") DELETE("S") },
    { "acks pending",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER(",\"max_ack_pending\":1") "A P s I 1\nA P s I 2\n"
      NEXT("{\"batch\":2,\"expires\":5000000000}") CONSUMER_INFO "A ack - \nA PING\n" CONSUMER_INFO DELETE("S") },
    { "maximum deliveries",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"]") CONSUMER(",\"max_deliver\":2") "A P s I 1\nA P s I 2\n" NEXT("1")
      "A ack I -NAK\n" NEXT("1") "A ack I -NAK\n" NEXT("1") "A ack I +ACK\n" DELETE("S") },
    { "work queue",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s\"],\"retention\":\"workqueue\"")
      NEW_CONSUMER("CREATE", "S", "C", ",\"ack_policy\":\"none\"", "") CONSUMER("") "A P s I 1\nA P s I 2\n"
      NEXT("1") "A ack I +ACK\n" INFO("S") NEXT("1") "A ack I +TERM\n" INFO("S") DELETE("S") },
    { "interest",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s.*\"],\"retention\":\"interest\"") "A P s.a I 1\n" INFO("S")
      CONSUMER(",\"filter_subject\":\"s.b\"") "A P s.a I 2\nA P s.b I 3\n" INFO("S") NEXT("1") "A ack I +ACK\n"
      INFO("S") DELETE("S") },
    { "filters and start",
      JS_OPEN CREATE("S", ",\"subjects\":[\"s.*\"]") "A P s.a I 1\nA P s.b I 2\nA P s.a I 3\nA P s.b I 4\n"
      CONSUMER(",\"filter_subject\":\"s.b\",\"deliver_policy\":\"by_start_sequence\",\"opt_start_seq\":2")
      NEXT("{\"batch\":5,\"no_wait\":true}") DELETE("S") },
    { "kill and restart",
      JS_OPEN CREATE("F", ",\"subjects\":[\"f\"]") CREATE("M", ",\"subjects\":[\"m\"],\"storage\":\"memory\"")
      NEW_CONSUMER("CREATE", "F", "C", EXPLICIT, "") "A H f I Nats-Msg-Id=1 a\nA P f I b\nA P f I c\nA P m I d\n"
      "A P $JS.API.CONSUMER.MSG.NEXT.F.C N 2\nA ack I +ACK\nwait 1200\nkill\nrestart\n" OPEN("B") "B SUB I 1\n"
      "B SUB N 2\nB P $JS.API.STREAM.INFO.F I \nB P $JS.API.STREAM.INFO.M I \nB H f I Nats-Msg-Id=1 a\nB P m I d\n"
      "B P $JS.API.CONSUMER.INFO.F.C I \nB P $JS.API.CONSUMER.MSG.NEXT.F.C N 1\nB P $JS.API.STREAM.DELETE.F I \n" },
    { "lame duck",
      OPEN("A") "A SUB x 1\nlame\nA P x - still\n" },
    { NULL, NULL },
};

/* clang-format on */

#define S_NS 1000000000u
const scenario_group scenario_groups[] = {
    { "plain", NULL, false, { 0 }, plain },
    { "limited",
      "max_payload: 1000\nmax_subscriptions: 2\nping_interval: \"400ms\"\nping_max: 1\n",
      false,
      { .max_payload = 1000, .max_subs = 2, .ping_interval_ns = S_NS / 5 * 2, .max_pings_out = 1 },
      limited },
    { "password",
      "authorization { timeout: 0.5, users: [ { user: u, password: p, permissions: {\n"
      "  publish: { deny: [\"secret.>\", \"deny\"] }, subscribe: { deny: [\"hidden.a\", \"hidden.b\"] } } } ] }",
      false,
      { .user = "u",
        .pass = "p",
        .deny_publish = "secret.> deny",
        .deny_subscribe = "hidden.a hidden.b",
        .auth_timeout_ns = S_NS / 2 },
      password },
    { "token", "authorization { token: t0k }", false, { .token = "t0k" }, token },
    { "jetstream", NULL, true, { 0 }, jetstream },
};
const size_t scenario_group_count = sizeof scenario_groups / sizeof scenario_groups[0];
