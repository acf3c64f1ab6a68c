/* Teller: carries transfers through. See teller.h. */
#include "apps/bank/teller.h"

enum {
    ASK_AGAIN_MAX = 250, /* times one step is asked again */
    ASK_AGAIN_PAUSE_MS = 20,
};

struct teller {
    struct bank_teller_argument to;
};

static int init(struct teller *me, const void *argument)
{
    me->to = *(const struct bank_teller_argument *)argument;
    return 0;
}

/*
 * After a step returned rc: true if it should be asked again, because its
 * outcome is not known, or because it must not be left out and failed. Waits
 * a little before.
 */
static bool again_await(int rc, bool must, unsigned *n_asked)
{
    bool unknown = rc < 0 && grove_failure()->started != GROVE_STARTED_NO;

    if (rc >= 0 || (!unknown && !must) || *n_asked == ASK_AGAIN_MAX)
        return false;
    (*n_asked)++;
    return grove_sleep_await(ASK_AGAIN_PAUSE_MS) == 0;
}

/* Passes a refusal on as our own, a failure as it is. */
static int pass_on(int rc)
{
    return rc > 0 ? grove_refuse(rc, "%s", grove_why()) : rc;
}

static int reserve_await(const struct teller *me, const Bank__V1__TransferRequest *transfer)
{
    Bank__V1__ReserveRequest request = BANK__V1__RESERVE_REQUEST__INIT;
    Bank__V1__ReserveResponse response = BANK__V1__RESERVE_RESPONSE__INIT;
    grove_ref shard = bank_shards_of(me->to.shards, transfer->source);
    unsigned n_asked = 0;
    int rc;

    request.key = transfer->key;
    request.account = transfer->source;
    request.commodity = transfer->commodity;
    request.amount = transfer->amount;
    do
        rc = ledger_reserve_await(shard, &request, &response);
    while (again_await(rc, false, &n_asked));
    return rc;
}

static int credit_await(const struct teller *me, const Bank__V1__TransferRequest *transfer)
{
    Bank__V1__CreditRequest request = BANK__V1__CREDIT_REQUEST__INIT;
    Bank__V1__CreditResponse response = BANK__V1__CREDIT_RESPONSE__INIT;
    grove_ref shard = bank_shards_of(me->to.shards, transfer->destination);
    unsigned n_asked = 0;
    int rc;

    request.key = transfer->key;
    request.account = transfer->destination;
    request.commodity = transfer->commodity;
    request.amount = transfer->amount;
    do
        rc = ledger_credit_await(shard, &request, &response);
    while (again_await(rc, false, &n_asked));
    return rc;
}

static int settle_await(const struct teller *me, const Bank__V1__TransferRequest *transfer)
{
    Bank__V1__SettleRequest request = BANK__V1__SETTLE_REQUEST__INIT;
    Bank__V1__SettleResponse response = BANK__V1__SETTLE_RESPONSE__INIT;
    grove_ref shard = bank_shards_of(me->to.shards, transfer->source);
    unsigned n_asked = 0;
    int rc;

    request.key = transfer->key;
    do
        rc = ledger_settle_await(shard, &request, &response);
    while (again_await(rc, true, &n_asked));
    return rc;
}

static int release_await(const struct teller *me, const Bank__V1__TransferRequest *transfer)
{
    Bank__V1__ReleaseRequest request = BANK__V1__RELEASE_REQUEST__INIT;
    Bank__V1__ReleaseResponse response = BANK__V1__RELEASE_RESPONSE__INIT;
    grove_ref shard = bank_shards_of(me->to.shards, transfer->source);
    unsigned n_asked = 0;
    int rc;

    request.key = transfer->key;
    do
        rc = ledger_release_await(shard, &request, &response);
    while (again_await(rc, true, &n_asked));
    return rc;
}

/* Screens the payee and notes how long that took. Returns what the screening returned. */
static int screen_await(const struct teller *me, const Bank__V1__TransferRequest *transfer,
                        const char **why)
{
    Bank__V1__ScreenRequest request = BANK__V1__SCREEN_REQUEST__INIT;
    Bank__V1__ScreenResponse response = BANK__V1__SCREEN_RESPONSE__INIT;
    Bank__V1__NoteScreeningRequest note = BANK__V1__NOTE_SCREENING_REQUEST__INIT;
    unsigned long long start_ns = grove_now_ns();

    request.name = transfer->payee;
    note.code = screening_screen_await(me->to.pool, &request, &response);
    if (note.code != 0)
        *why = grove_strdup(grove_why());
    note.took_ns = grove_now_ns() - start_ns;
    note.work_ns = response.work_ns;
    /* If this fails, the count of the demo does not add up, and it says so. */
    (void)tally_note_screening_send_await(me->to.tally, &note);
    return note.code;
}

/* Screens and credits what is held. *unknown is set if it may or may not have been credited. */
static int deliver_await(const struct teller *me, const Bank__V1__TransferRequest *transfer,
                         const char **why, bool *unknown)
{
    int rc = screen_await(me, transfer, why);

    if (rc != 0)
        return rc;
    rc = credit_await(me, transfer);
    if (rc != 0)
        *why = grove_strdup(grove_why());
    *unknown = rc < 0 && grove_failure()->started != GROVE_STARTED_NO;
    return rc;
}

static int transfer(struct teller *me, const Bank__V1__TransferRequest *request,
                    Bank__V1__TransferResponse *response)
{
    const char *why = NULL;
    bool unknown = false;
    int rc, rc_of_release;

    (void)response; /* An empty message. */
    rc = reserve_await(me, request);
    if (rc != 0)
        return pass_on(rc);
    rc = deliver_await(me, request, &why, &unknown);
    if (rc == 0)
        return pass_on(settle_await(me, request));
    if (unknown)
        return rc; /* What is held stays held: it is neither lost nor spent twice. */

    rc_of_release = release_await(me, request);
    if (rc_of_release != 0)
        return pass_on(rc_of_release);
    return rc > 0 ? grove_refuse(rc, "%s", why != NULL ? why : "") : rc;
}

const struct teller_service bank_teller = {
    .state_bytes = sizeof(struct teller),
    .init = init,
    .transfer = transfer,
};
