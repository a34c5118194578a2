/* SPDX-License-Identifier: Apache-2.0 */
/* Bugs planted on purpose, to prove that the simulator finds them. Each is a condition that is constant in the library
 * and chosen at run time in the one build that the canary test makes of these sources. */
#ifndef NBJ_BASE_CANARY_H
#define NBJ_BASE_CANARY_H

#define NBJ__CANARY_MAP(X)                                                                    \
    X(RESUBSCRIBE, "a subscription is not renewed after a reconnect")                         \
    X(MAX_NOT_REDUCED, "an auto-unsubscribe's maximum is renewed without what was delivered") \
    X(REPLY_GENERATION, "a late reply completes the slot's next request")                     \
    X(TORSO, "the unsent half of an operation is sent on the new connection")                 \
    X(CONTROL_KEPT, "SUB and PING of the old connection are sent again on the new one")       \
    X(OUTBOX_DROPPED, "buffered publishes are dropped at a reconnect")                        \
    X(RESENT_TWICE, "what was written before a disconnect is written again after it")         \
    X(FLUSH_SURVIVES, "a flush of the old connection is completed by a PONG of the new one")  \
    X(STALE_UNSEEN, "unanswered PINGs are not counted")                                       \
    X(TIMER_LOST, "a request's deadline is not kept")                                         \
    X(NO_PONG, "a server's PING is not answered")                                             \
    X(CLOSED_TWICE, "closed is reported twice")                                               \
    X(DRAIN_EARLY, "a draining subscription ends before the server's PONG")                   \
    X(PENDING_LEFT, "a request is left without an outcome when the client closes")            \
    X(HANDSHAKE_UNBOUNDED, "a silent server is waited for without end")                       \
    X(CONNECT_IN_CLEAR, "CONNECT is sent before TLS, which the server requires")              \
    X(TLS_FORGOTTEN, "a server that had TLS is spoken to in clear when it offers none")       \
    X(INJECTED_BEFORE_TLS, "octets that came in clear are read as if they came inside TLS")   \
    X(CREDENTIALS_STALE, "the URL's credentials are sent though fresh ones were given")       \
    X(PAYLOAD_UNCHECKED, "a publish over the maximum payload is sent")                        \
    X(QUEUE_LOST, "a queue group's name is forgotten at a reconnect")                         \
    X(NO_RESPONDERS_MISSED, "a 503 is handed out as a reply")                                 \
    X(JS_REORDER, "unacknowledged messages are resent in another order")                      \
    X(JS_LATE_ACK, "a late acknowledgement completes the slot's next message")                \
    X(JS_FORGOTTEN, "unacknowledged messages are not resent after a reconnect")               \
    X(JS_LATE_RESEND, "a message in doubt is resent when its id may be forgotten")            \
    X(JS_WINDOW_UNASKED, "no stream is asked for its duplicate window")                       \
    X(JS_RESENT_WITHOUT_ID, "a message in doubt that has no id is resent")                    \
    X(JS_OWN_DUPLICATE, "a message stored by its first transmission is called a duplicate")   \
    X(JS_REFUSAL_BELIEVED, "a resent message that is refused is called rejected")             \
    X(JS_DOUBT_FORGOTTEN, "a message that may be stored is called rejected at its deadline")  \
    X(JS_REFUSAL_UNCOUNTED, "a refused message waits again and again, however few retries")   \
    X(JS_ORDER_OVERTAKES, "an ordered message is sent though one before it waits")            \
    X(JS_ORDER_GAP, "ordered messages are sent behind one that failed")                       \
    X(JS_ORDER_SWAPPED, "an ordered message is resent though one behind it is stored")        \
    X(JS_WINDOW_TOO_WIDE, "one message more than the window has room for is taken")           \
    X(PULL_NOT_REPEATED, "a pull request lost with its connection is not repeated")           \
    X(PULL_NOT_SUBTRACTED, "what a 408 leaves open still counts as asked for")                \
    X(HEARTBEAT_IGNORED, "missing heartbeats are not noticed")

enum nbj__canary_id {
    NBJ__CANARY_NONE,
#define NBJ__X(name, text) NBJ__CANARY_##name,
    NBJ__CANARY_MAP(NBJ__X)
#undef NBJ__X
        NBJ__CANARY_COUNT
};

#ifdef NBJ__CANARIES
extern int nbj__canary; /* the one that lives; the canary test defines it */
#define NBJ__CANARY(name) (nbj__canary == NBJ__CANARY_##name)
#else
#define NBJ__CANARY(name) 0
#endif

#endif
