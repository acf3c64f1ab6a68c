/* Ledger: one shard of the bank's accounts. See ledger.h. */
#include "apps/bank/ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <grove.h>

static const char *name_of(const struct ledger *me, uint32_t account)
{
    return account < me->n_names ? me->names[account] : NULL;
}

/* --- the replay ------------------------------------------------------------------------------- */

static int make_room(struct ledger *me, uint32_t number)
{
    size_t n = me->n_names != 0 ? me->n_names : 64;
    char **names;

    while (n <= number)
        n *= 2;
    if (n == me->n_names)
        return 0;
    names = realloc(me->names, n * sizeof *names);
    if (names == NULL)
        return GROVE_ENOMEM;
    memset(names + me->n_names, 0, (n - me->n_names) * sizeof *names);
    me->names = names;
    me->n_names = n;
    return 0;
}

static int open_accounts(struct ledger *me, const Bank__V1__OpenAccountsRequest *request,
                         Bank__V1__OpenAccountsResponse *response)
{
    (void)response; /* An empty message. */
    for (size_t i = 0; i < request->n_accounts; i++) {
        const Bank__V1__Account *account = request->accounts[i];

        if (account->number >= BANK_LEDGER_ACCOUNTS_MAX)
            return grove_refuse(BANK__V1__REFUSAL__REFUSAL_UNKNOWN_ACCOUNT,
                                "%s: more than %d accounts", account->name,
                                BANK_LEDGER_ACCOUNTS_MAX);
    }
    for (size_t i = 0; i < request->n_accounts; i++) {
        const Bank__V1__Account *account = request->accounts[i];
        int rc = make_room(me, account->number);

        if (rc != 0)
            return rc;
        if (me->names[account->number] == NULL)
            me->names[account->number] = strdup(account->name);
        if (me->names[account->number] == NULL)
            return GROVE_ENOMEM;
    }
    return 0;
}

static int post_entry(struct ledger *me, const Bank__V1__Entry *entry)
{
    const char *name = name_of(me, entry->account);
    struct bank_ledger_row *row;
    int64_t sum;

    if (name == NULL)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_UNKNOWN_ACCOUNT, "no account %" PRIu32,
                            entry->account);
    row = bank_ledger_rows_add(&me->rows, entry->account, entry->commodity);
    if (row == NULL)
        return GROVE_ENOMEM;
    if (__builtin_add_overflow(row->amount, entry->amount, &sum))
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_OVERFLOW,
                            "the balance of %s does not fit 64 bits", name);
    row->amount = sum;
    return 0;
}

/* The balance fitted before the entry, so it fits again without it. */
static void take_back(struct ledger *me, const Bank__V1__Entry *entry)
{
    struct bank_ledger_row *row =
        bank_ledger_rows_find(&me->rows, entry->account, entry->commodity);

    row->amount -= entry->amount;
}

static int post(struct ledger *me, const Bank__V1__PostRequest *request,
                Bank__V1__PostResponse *response)
{
    (void)response; /* An empty message. */
    if (me->sealed)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_SEALED, "the replay is over");
    for (size_t i = 0; i < request->n_entries; i++) {
        int rc = post_entry(me, request->entries[i]);

        if (rc == 0)
            continue;
        while (i-- > 0)
            take_back(me, request->entries[i]);
        return rc;
    }
    return 0;
}

static int seal(struct ledger *me, const Bank__V1__SealRequest *request,
                Bank__V1__SealResponse *response)
{
    (void)request; /* Both are empty messages. */
    (void)response;
    if (me->sealed)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_SEALED, "the replay is over already");
    for (size_t i = 0; i < me->rows.n_rows; i++) {
        struct bank_ledger_row *row = &me->rows.rows[i];

        row->floor = row->amount < 0 ? row->amount : 0;
    }
    me->sealed = true;
    return 0;
}

/* --- transfers -------------------------------------------------------------------------------- */

/* What a reservation and a credit have in common. */
struct side {
    uint64_t key;
    uint32_t account;
    uint32_t commodity;
    int64_t amount;
};

static int check_side(const struct ledger *me, const struct side *side)
{
    if (!me->sealed)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_NOT_SEALED, "the replay is not over yet");
    if (name_of(me, side->account) == NULL)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_UNKNOWN_ACCOUNT, "no account %" PRIu32,
                            side->account);
    if (side->amount <= 0)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_INVALID_AMOUNT,
                            "an amount of %" PRId64 " cannot be moved", side->amount);
    return 0;
}

/* Answers a request whose key is known: as before if it is the same one. */
static int answer_again(const struct ledger *me, const struct bank_ledger_key *record,
                        const struct side *side)
{
    const struct bank_ledger_row *row = &me->rows.rows[record->row];

    if (row->account == side->account && row->commodity == side->commodity
        && record->amount == side->amount)
        return 0;
    return grove_refuse(BANK__V1__REFUSAL__REFUSAL_KEY_REUSED,
                        "key %" PRIu64 " stands for another transfer", side->key);
}

static int reserve(struct ledger *me, const Bank__V1__ReserveRequest *request,
                   Bank__V1__ReserveResponse *response)
{
    const struct side side = {request->key, request->account, request->commodity, request->amount};
    struct bank_ledger_key *record = bank_ledger_keys_find(&me->keys, side.key, BANK_SOURCE);
    struct bank_ledger_row *row;
    __int128 available = 0;
    int rc;

    (void)response; /* An empty message. */
    if (record != NULL)
        return answer_again(me, record, &side);
    rc = check_side(me, &side);
    if (rc != 0)
        return rc;
    row = bank_ledger_rows_find(&me->rows, side.account, side.commodity);
    if (row != NULL)
        available = (__int128)row->amount - row->held - row->floor;
    if (side.amount > available)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_OVERDRAWN, "%s is short by %" PRId64,
                            name_of(me, side.account), (int64_t)(side.amount - available));
    if (side.amount > INT64_MAX - row->held)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_OVERFLOW,
                            "what is held of %s does not fit 64 bits", name_of(me, side.account));
    record = bank_ledger_keys_add(&me->keys, side.key, BANK_SOURCE);
    if (record == NULL)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_TOO_MANY_HOLDS,
                            "too many transfers at once");

    record->amount = side.amount;
    record->row = (uint32_t)(row - me->rows.rows);
    row->held += side.amount;
    return 0;
}

/* Finds what is held under a key. *record is NULL if it has got that end before. */
static int find_held(struct ledger *me, uint64_t key, enum bank_key_state end,
                     struct bank_ledger_key **record)
{
    struct bank_ledger_key *found = bank_ledger_keys_find(&me->keys, key, BANK_SOURCE);

    if (found == NULL)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_UNKNOWN_KEY,
                            "nothing is held under key %" PRIu64, key);
    if (found->state != BANK_HELD && found->state != end)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_KEY_REUSED,
                            "key %" PRIu64 " has ended otherwise", key);
    *record = found->state == BANK_HELD ? found : NULL;
    return 0;
}

static int settle(struct ledger *me, const Bank__V1__SettleRequest *request,
                  Bank__V1__SettleResponse *response)
{
    struct bank_ledger_key *record;
    int rc = find_held(me, request->key, BANK_SETTLED, &record);

    (void)response; /* An empty message. */
    if (rc != 0 || record == NULL)
        return rc;
    me->rows.rows[record->row].held -= record->amount;
    me->rows.rows[record->row].amount -= record->amount; /* stays above the floor */
    me->settled++;
    bank_ledger_keys_finish(&me->keys, record, BANK_SETTLED);
    return 0;
}

static int release(struct ledger *me, const Bank__V1__ReleaseRequest *request,
                   Bank__V1__ReleaseResponse *response)
{
    struct bank_ledger_key *record;
    int rc = find_held(me, request->key, BANK_RELEASED, &record);

    (void)response; /* An empty message. */
    if (rc != 0 || record == NULL)
        return rc;
    me->rows.rows[record->row].held -= record->amount;
    me->released++;
    bank_ledger_keys_finish(&me->keys, record, BANK_RELEASED);
    return 0;
}

static int credit(struct ledger *me, const Bank__V1__CreditRequest *request,
                  Bank__V1__CreditResponse *response)
{
    const struct side side = {request->key, request->account, request->commodity, request->amount};
    struct bank_ledger_key *record = bank_ledger_keys_find(&me->keys, side.key, BANK_DESTINATION);
    struct bank_ledger_row *row;
    int rc;

    (void)response; /* An empty message. */
    if (record != NULL)
        return answer_again(me, record, &side);
    rc = check_side(me, &side);
    if (rc != 0)
        return rc;
    row = bank_ledger_rows_add(&me->rows, side.account, side.commodity);
    if (row == NULL)
        return GROVE_ENOMEM;
    if (row->amount > 0 && side.amount > INT64_MAX - row->amount)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_OVERFLOW,
                            "the balance of %s would not fit 64 bits", name_of(me, side.account));
    record = bank_ledger_keys_add(&me->keys, side.key, BANK_DESTINATION);
    if (record == NULL)
        return grove_refuse(BANK__V1__REFUSAL__REFUSAL_TOO_MANY_HOLDS,
                            "too many transfers at once");

    record->amount = side.amount;
    record->row = (uint32_t)(row - me->rows.rows);
    row->amount += side.amount;
    me->credited++;
    bank_ledger_keys_finish(&me->keys, record, BANK_CREDITED);
    return 0;
}

/* --- reports ---------------------------------------------------------------------------------- */

static int list_balances(struct ledger *me, const Bank__V1__ListBalancesRequest *request,
                         Bank__V1__ListBalancesResponse *response)
{
    size_t first = request->first, n = 0;
    Bank__V1__Balance *balances;

    if (first < me->rows.n_rows)
        n = me->rows.n_rows - first;
    if (n > BANK_LEDGER_PAGE)
        n = BANK_LEDGER_PAGE;
    response->balances = grove_alloc((n + 1) * sizeof *response->balances);
    balances = grove_alloc((n + 1) * sizeof *balances);
    if (response->balances == NULL || balances == NULL)
        return GROVE_ENOMEM;

    for (size_t i = 0; i < n; i++) {
        const struct bank_ledger_row *row = &me->rows.rows[first + i];

        bank__v1__balance__init(&balances[i]);
        balances[i].account = row->account;
        balances[i].commodity = row->commodity;
        balances[i].amount = row->amount;
        balances[i].floor = row->floor;
        response->balances[i] = &balances[i];
    }
    response->n_balances = n;
    response->next = first + n < me->rows.n_rows ? (uint32_t)(first + n) : 0;
    return 0;
}

static int audit(struct ledger *me, const Bank__V1__AuditRequest *request,
                 Bank__V1__AuditResponse *response)
{
    (void)request; /* An empty message. */
    for (size_t i = 0; i < me->rows.n_rows; i++) {
        const struct bank_ledger_row *row = &me->rows.rows[i];

        if (row->held != 0)
            response->partly_held++;
        if (row->held >= 0 && (__int128)row->amount - row->held >= row->floor)
            continue;
        if (response->below_floor++ == 0)
            response->lowest = me->names[row->account];
    }
    response->credited = me->credited;
    response->settled = me->settled;
    response->released = me->released;
    response->held = me->keys.n_open;
    return 0;
}

static void deinit(struct ledger *me)
{
    for (size_t i = 0; i < me->n_names; i++)
        free(me->names[i]);
    free(me->names);
    bank_ledger_rows_deinit(&me->rows);
    bank_ledger_keys_deinit(&me->keys);
}

const struct ledger_service bank_ledger = {
    .state_bytes = sizeof(struct ledger),
    .deinit = deinit,
    .open_accounts = open_accounts,
    .post = post,
    .seal = seal,
    .reserve = reserve,
    .settle = settle,
    .release = release,
    .credit = credit,
    .list_balances = list_balances,
    .audit = audit,
};
