/*
 * Message: an envelope of 48 bytes and, behind it in the same block, the
 * body. A small flat message is one cache line.
 *
 *     offset size
 *          0    8  next         mailbox, chain and pool link
 *          8    8  chain        trace, principal, tenant; NULL if there is nothing to carry
 *         16    8  call         id of the call record that waits, 0 = nobody
 *         24    8  to           task: slot 28 | generation 36
 *         32    8  from         task of the sender, 0 = none
 *         40    4  deadline_ms  of the process epoch, 0 = none
 *         44    2  method       process-wide index, or a gv_signal above GV_SIGNAL_FIRST
 *         46    1  form_flags   body form, flags
 *         47    1  block        home loop and size class of the block; never changed by its user
 *         48    …  body
 *
 * A message belongs to exactly one place at a time: its sender until it is
 * pushed, then a mailbox or inbox, then whoever took it out. Its block may
 * be given back on any loop: it finds home by itself (block.h).
 */
#ifndef GV_MESSAGE_H
#define GV_MESSAGE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gv_chain; /* reserved: what travels with a whole chain of calls */

enum gv_form {
    GV_FORM_STRUCT = 0, /* as grove_shape.copy wrote it */
    GV_FORM_PACKED = 1, /* uint64_t length, then protobuf bytes, not yet validated */
    GV_FORM_SLAB = 2,   /* reserved: a descriptor of shared memory */
    GV_FORM_TICK = 3,   /* of a timer: a struct in front of the request, see actors/alarm.h */
    GV_FORM_MASK = 3,
};

enum gv_message_flag {
    GV_FLAG_REPLY = 4,      /* on its way back to the call record */
    GV_FLAG_NO_STARTED = 8, /* reply: the handler never began */
    GV_FLAG_BEGUN =
        8, /* request: a handler has begun with it, which delegated it or put it aside */
    GV_FLAG_COUNTED = 16, /* charged to a window of the loop that `call` says, see mail.h */
    GV_FLAG_TEXT = 32,    /* reply that is no 0: the body is the reason, NUL-terminated */
    GV_FLAG_ENTRY = 64,   /* request: answered as soon as it has entered the mailbox */
    GV_FLAG_ITEM = 64,    /* reply: an item of a stream, which goes on; `from` is its packed size */
    GV_FLAG_STRANGER = 32, /* request: known to have nothing of its actor's grants behind it */
    GV_FLAG_ASKED = 128,   /* request: a petition has been sent for it, see actors/chain.h */
    GV_FLAG_STREAM = 128,  /* request to a pool: its caller takes items */
};

/* What a message can be besides an rpc: values of `method`. All use the system lane. */
enum gv_signal {
    GV_SIGNAL_FIRST = 0xff00,
    GV_SIGNAL_INIT = 0xff00,    /* first turn of an actor */
    GV_SIGNAL_STOP = 0xff01,    /* body: stop mode */
    GV_SIGNAL_CANCEL = 0xff02,  /* body: id of a call that is given up */
    GV_SIGNAL_PROBE = 0xff03,   /* edge chasing, see actors/deadlock.h */
    GV_SIGNAL_RUN = 0xff04,     /* body: function and argument, run on the loop */
    GV_SIGNAL_PARCEL = 0xff05,  /* between loops only: other messages, see parcel.h */
    GV_SIGNAL_MONITOR = 0xff06, /* these two see actors/monitor.h */
    GV_SIGNAL_DEMONITOR = 0xff07,
    GV_SIGNAL_REPORT = 0xff08, /* these two see actors/post.h */
    GV_SIGNAL_ORDER = 0xff09,
    GV_SIGNAL_SUPERVISE = 0xff0a, /* a wish for a supervisor, see actors/supervisor.h */
    GV_SIGNAL_ADOPT = 0xff0b,     /* these three see actors/kin.h */
    GV_SIGNAL_DEAD = 0xff0c,
    GV_SIGNAL_DEAD_HOME = 0xff0d,
    GV_SIGNAL_CHAIN = 0xff31,     /* who stands behind a call, see actors/chain.h */
    GV_SIGNAL_ALARM = 0xff20,     /* from a borrower: arm or free a timer, see actors/alarm.h */
    GV_SIGNAL_PASSIVATE = 0xff22, /* from a borrower: it has asked, see actors/passivate.h */
    GV_SIGNAL_MOVED = 0xff21,   /* body: a call, and who is to answer it now, see actors/reply.h */
    GV_SIGNAL_PUBLISH = 0xff30, /* to all members of a group on a loop, see actors/edition.h */
    GV_SIGNAL_CREDIT = 0xff40,  /* to a pool: items have been taken, see actors/items.h */
    GV_SIGNAL_LEND = 0xfff0,    /* these three, behind all others, see lend.h */
    GV_SIGNAL_TELL = 0xfff1,
    GV_SIGNAL_HOME = 0xfff2,
};

/* What is no rpc and has its place among the users' messages: values of `method` above all rpcs. */
enum gv_notice {
    GV_NOTICE_FIRST = 0xfe00,
    GV_NOTICE_DOWN = 0xfe00, /* somebody it watches has ended, see actors/monitor.h */
};

struct gv_message {
    struct gv_message *next;
    struct gv_chain *chain;
    uint64_t call;
    uint64_t to;
    uint64_t from;
    union {
        uint32_t deadline_ms; /* of a request */
        int32_t code;         /* of a reply: 0, a refusal, or a failure */
    };
    uint16_t method;
    uint8_t form_flags;
    uint8_t block;
    _Alignas(16) unsigned char body[];
};

/* True if a newer message of an rpc may take its place. A tick's timer would wait for it for ever. */
static inline bool gv_message_may_be_dropped(const struct gv_message *message, uint16_t method)
{
    return message->method == method && (message->form_flags & GV_FORM_MASK) != GV_FORM_TICK;
}

static_assert(sizeof(struct gv_message) == 48,
              "the envelope and a 16-byte body share one cache line");
static_assert(offsetof(struct gv_message, body) == 48, "the body follows at once");

#endif
