/*
 * What grove-gen writes about a service, and what the library reads of it.
 * Programs do not use this file by hand; generated code does.
 *
 * A message travels inside one process as a copy in its envelope: flat
 * messages (numbers only) as their fields, others as a deep copy whose
 * pointers stay inside the same block. Three generated functions per
 * message do that, together they are its shape.
 */
#ifndef GROVE_METHOD_H
#define GROVE_METHOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include <grove/export.h>
#include <grove/ref.h>

/* Raised whenever this file changes in a way that old generated code cannot know. */
#define GROVE_GENERATOR_VERSION 6

struct grove_down;

/* How the messages of one type are copied into envelopes. */
struct grove_shape {
    const ProtobufCMessageDescriptor *descriptor;
    /*
     * Bytes that copy will write, a multiple of 8; SIZE_MAX if it
     * does not fit memory. NULL if flat.
     */
    size_t (*size)(const ProtobufCMessage *message);
    /* Copies message into body, which has size(message) bytes and is aligned to 16. */
    void (*copy)(void *body, const ProtobufCMessage *message);
    /* Fills message from body; its pointers lead into body, which must outlive it. */
    void (*open)(ProtobufCMessage *message, void *body);
    uint32_t flat_bytes; /* of a flat one: what copy writes */
    /* True when copy writes fields only and open leaves no pointer into body. */
    uint8_t flat;
};

/* Bytes that shape->copy will write for this message. */
static inline size_t grove_shape_bytes(const struct grove_shape *shape,
                                       const ProtobufCMessage *message)
{
    return shape->flat ? shape->flat_bytes : shape->size(message);
}

/*
 * Where a thunk puts the response. Whoever makes one gives a function that
 * takes any response, and may offer room for flat ones.
 */
struct grove_answer {
    /* Takes the response. Returns 0, GROVE_ENOMEM or GROVE_ETOOBIG. */
    int (*put)(struct grove_answer *answer, const struct grove_shape *shape,
               const ProtobufCMessage *response);
    void *body;  /* a flat response of up to room bytes is copied to here, and put not called */
    size_t room; /* 0 if there is none */
};

/*
 * For thunks: the response into the answer, which is NULL if nobody waits
 * for it. Returns 0, GROVE_ENOMEM or GROVE_ETOOBIG, which the thunk returns.
 */
static inline int grove_answer_put(struct grove_answer *answer, const struct grove_shape *shape,
                                   const ProtobufCMessage *response)
{
    if (answer == NULL)
        return 0;
    if (!shape->flat || shape->flat_bytes > answer->room)
        return answer->put(answer, shape, response);
    shape->copy(answer->body, response);
    return 0;
}

enum grove_isolation { GROVE_INLINE = 0, GROVE_THREAD = 1, GROVE_WORKER_PROCESS = 2 };
enum grove_idempotency {
    GROVE_IDEMPOTENCY_UNKNOWN = 0,
    GROVE_NO_SIDE_EFFECTS = 1,
    GROVE_IDEMPOTENT = 2
};
enum grove_method_kind {
    GROVE_UNARY = 0,
    GROVE_SERVER_STREAM = 1,
    GROVE_CLIENT_STREAM = 2,
    GROVE_BIDI_STREAM = 3
};
enum grove_audience {
    GROVE_AUDIENCE_PROCESS = 0,
    GROVE_AUDIENCE_NODES = 1,
    GROVE_AUDIENCE_CLIENTS = 2
};

/* Which of the jobs that wait for a worker goes first. */
enum grove_priority { GROVE_PRIORITY_NORMAL = 0, GROVE_PRIORITY_HIGH = 1, GROVE_PRIORITY_LOW = 2 };

/* What becomes of a message that finds the mailbox full. */
enum grove_overflow { GROVE_REFUSE_NEWEST = 0, GROVE_DROP_OLDEST = 1 };

/* Of thunks: their frames hold a request and a response, no array that could be overrun. */
#if defined(__has_attribute) && __has_attribute(no_stack_protector)
#    define GROVE_THUNK __attribute__((no_stack_protector))
#else
#    define GROVE_THUNK
#endif

/*
 * Runs one rpc: opens body as the request, calls the function, and on 0
 * hands the response to grove_answer_put. functions is the user's struct of
 * function pointers; state is NULL for a WORKER rpc, answer if nobody waits.
 */
typedef int (*grove_thunk_fn)(const void *functions, void *state, void *body,
                              struct grove_answer *answer);

/* A thunk with what it is called with. */
struct grove_thunk {
    grove_thunk_fn run;
    const void *functions;
    void *state;
    void *body;
};

/*
 * The thunk of a THREAD rpc: runs the real one on a thread that may block,
 * and suspends until it has returned; answer is filled back on the loop.
 */
GROVE_API int grove_thread_await(const struct grove_thunk *thunk, struct grove_answer *answer);

struct grove_method;

/*
 * For the verbs of WORKER rpcs of services that have actors: makes an
 * actor's ref that of the pool which the rpc names. Returns 0, or
 * GROVE_EUNAVAILABLE with a reason if there is no such pool.
 */
GROVE_API int grove_worker_route(grove_ref *ref, const struct grove_method *method);

/* One rpc. */
struct grove_method {
    const char *name;       /* "bank.v1.AccountService/Withdraw" */
    const char *local_name; /* "withdraw", the member of the functions struct */
    const struct grove_shape *request;
    const struct grove_shape *response;
    grove_thunk_fn thunk;
    const ProtobufCEnumDescriptor *refusals; /* NULL: any positive code may be returned */
    const char *pool;                        /* name of the pool, NULL: the default one */
    uint64_t request_fingerprint;            /* over names, numbers, types, labels, deep */
    uint64_t response_fingerprint;
    uint32_t function_offset; /* of its pointer in the functions struct */
    uint32_t timeout_ms;      /* 0: 5 s, or 30 s for WORKER */
    uint32_t key_field;       /* field number marked (grove.key), 0: none */
    uint32_t placement_field; /* field number marked (grove.placement), 0: none */
    uint32_t credit;          /* of a SERVER_STREAM: items ahead of its reader, 0: the default */
    uint8_t kind;             /* enum grove_method_kind */
    uint8_t isolation;        /* enum grove_isolation */
    uint8_t idempotency;      /* enum grove_idempotency */
    uint8_t audience;         /* enum grove_audience */
    uint8_t overflow;         /* enum grove_overflow */
    uint8_t readonly;         /* its handlers may be parked beside each other, see interleave.h */
    uint8_t reentrant;        /* its handler may let its own chain in */
    uint8_t priority;         /* enum grove_priority, of a WORKER rpc */
};

/* One field of a message, with what protobuf-c's own descriptors lack. */
struct grove_field {
    const char *message; /* full name of the message it stands in */
    const char *name;    /* name in the .proto */
    const char *json_name;
    const char *oneof; /* name of its oneof, NULL if none */
    uint32_t number;
    uint8_t is_map, show, secret;
};

/* A refusal whose Connect code is not failed_precondition; (grove.code) says so. */
struct grove_refusal_code {
    int32_t number;      /* of the service's refusal enum */
    const char *connect; /* "not_found" */
};

/* One service; `index` is the only part that is written after compilation. */
struct grove_service {
    const char *name;                   /* "bank.v1.AccountService" */
    const char *local_name;             /* "account", the prefix of its verbs */
    const struct grove_method *methods; /* in name order */
    const struct grove_field *fields;   /* of all messages of the file */
    const uint8_t *schema; /* serialized FileDescriptorSet: the file and what it imports */
    size_t schema_bytes;
    uint32_t generator_version;
    uint32_t n_methods;
    uint32_t n_fields;
    uint32_t functions_bytes; /* sizeof the functions struct */
    /*
     * Call init, deinit and down of the functions struct through their right types
     * and pass over NULL ones. All are NULL when every rpc is a WORKER's:
     * then there are no actors of this service, and no grove_actor_functions.
     */
    int (*init)(const void *functions, void *state, const void *argument);
    void (*deinit)(const void *functions, void *state);
    void (*down)(const void *functions, void *state, const struct grove_down *down);
    const struct grove_refusal_code *refusal_codes; /* NULL: every one is failed_precondition */
    uint32_t n_refusal_codes;
    /* Process-wide index of methods[0], 0 while not registered; written once under a lock. */
    uint32_t *index;
};

/*
 * What every generated functions struct of an actor service begins with.
 * Read state_bytes here; call init, deinit and down through the service's own,
 * since the generated pointers take the state by its type.
 */
struct grove_actor_functions {
    size_t state_bytes;                             /* sizeof the state, 0 for none */
    int (*init)(void *state, const void *argument); /* first turn; NULL: state starts as zeros */
    void (*deinit)(void *state);                    /* last turn; NULL: nothing to undo */
    /* Somebody it watches has ended, see monitor.h; NULL: it watches nobody. */
    void (*down)(void *state, const struct grove_down *down);
    bool restart_on_error;       /* a handler that returns < 0 has failed, as if by grove_fail */
    uint32_t passivate_after_ms; /* of its actors, unless their spawn says otherwise; 0: never */
};

/* One WORKER service that this program can serve, or one warm-up; the macros below make it. */
struct grove_worker_entry {
    const struct grove_service *service; /* NULL: a warm-up */
    const void *functions;
    int (*warm_up)(void);
};

/*
 * At file scope: in a worker process of this program, serve the WORKER rpcs
 * of SERVICE (its local name) with FUNCTIONS (its struct of pointers).
 *
 *     static const struct screening_service screening = {.screen = screen};
 *     GROVE_WORKER(screening, &screening);
 */
#define GROVE_WORKER(SERVICE, FUNCTIONS)                                             \
    static const struct grove_worker_entry grove_worker_entry_##SERVICE              \
        __attribute__((used, section("grove_workers"), aligned(sizeof(void *)))) = { \
            .service = &SERVICE##_service_table, .functions = (FUNCTIONS)}

/*
 * At file scope: in a worker process of this program, run FUNCTION, an
 * int (*)(void), before its first job: it loads what jobs need. If it
 * returns anything but 0 the worker ends, and another one is tried later.
 *
 *     static int load_model(void) ...
 *     GROVE_WARM_UP(load_model);
 */
#define GROVE_WARM_UP(FUNCTION)                                                     \
    static const struct grove_worker_entry grove_warm_up_##FUNCTION __attribute__(( \
        used, section("grove_workers"), aligned(sizeof(void *)))) = {.warm_up = (FUNCTION)}

/*
 * Makes a service known to this process; spawn, pools and verbs do it on
 * first use. Any thread. Returns 0, GROVE_EUSAGE if the generated code is of
 * another generator version (grove_why() names it), GROVE_EFULL beyond
 * 65 000 methods. Never suspends.
 */
GROVE_API int grove_service_register(const struct grove_service *service);

#endif
