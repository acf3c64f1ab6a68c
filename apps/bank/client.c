/* Client: asks for transfers. See client.h. */
#include "apps/bank/client.h"

#include <stdbool.h>

enum { KEY_CLIENT_SHIFT = 40 }; /* a key is the client's number and that of its transfer */

static void transfer_await(const struct bank_client *client, grove_ref teller, uint64_t number)
{
    Bank__V1__TransferRequest request = BANK__V1__TRANSFER_REQUEST__INIT;
    Bank__V1__TransferResponse response = BANK__V1__TRANSFER_RESPONSE__INIT;
    Bank__V1__NoteTransferRequest note = BANK__V1__NOTE_TRANSFER_REQUEST__INIT;
    char payee[BANK_PAYEE_MAX];
    unsigned long long start_ns;

    bank_plan_draw(client->plan, &request, payee);
    request.key = (uint64_t)client->number << KEY_CLIENT_SHIFT | number;
    start_ns = grove_now_ns();
    /* The teller bounds each of its steps; a transfer in doubt must be brought to an end. */
    grove_within(GROVE_INFINITE);
    note.code = teller_transfer_await(teller, &request, &response);
    note.took_ns = grove_now_ns() - start_ns;
    /* If this fails, the count of the demo does not add up, and it says so. */
    (void)tally_note_transfer_send_await(client->to.tally, &note);
}

static bool is_over(const struct bank_client *client, uint64_t n_asked)
{
    return n_asked == client->n_transfers
           || (client->until_ns != 0 && grove_now_ns() >= client->until_ns)
           || atomic_load(&client->lost->code) != 0;
}

static void run(void *argument)
{
    const struct bank_client *client = argument;
    Bank__V1__NoteEndRequest end = BANK__V1__NOTE_END_REQUEST__INIT;
    grove_ref teller;
    int rc = teller_spawn_await(&bank_teller, &client->to, NULL, &teller);

    if (rc == 0) {
        while (!is_over(client, end.asked)) {
            struct grove_scope scope;

            grove_scope_begin(&scope);
            transfer_await(client, teller, end.asked++);
            grove_scope_end(&scope);
        }
        (void)grove_stop_await(teller, GROVE_STOP_DRAIN); /* Gone already is as well. */
    } else {
        atomic_store(&client->lost->code, rc);
    }
    rc = tally_note_end_send_await(client->to.tally, &end);
    if (rc != 0) {
        atomic_store(&client->lost->code, rc);
        atomic_fetch_add(&client->lost->n_unnoted, 1);
    }
}

int bank_client_start(const struct bank_client *client, unsigned loop)
{
    const struct grove_spawn_options options = {
        .place = GROVE_ON_LOOP(loop),
        .label = "client",
        .argument_bytes = sizeof *client,
    };

    return grove_go(run, (void *)client, &options, NULL); /* The argument is only copied. */
}
