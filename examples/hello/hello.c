#include <grove.h> /* An actor, and one call to it from main. Prints "Hello, world!". */
#include <stdio.h>

#include "hello.grove.h"

static int say(struct hi *me, const Hi__V1__SayRequest *request, Hi__V1__SayResponse *response)
{
    return (response->text = grove_strdup("Hello, world!")) != NULL ? 0 : GROVE_ENOMEM;
}

int main(int argc, char **argv)
{
    Hi__V1__SayRequest request = HI__V1__SAY_REQUEST__INIT;
    Hi__V1__SayResponse response = HI__V1__SAY_RESPONSE__INIT;
    grove_ref hi;

    return grove_init(&argc, &argv) || hi_spawn(&(struct hi_service){.say = say}, NULL, NULL, &hi)
           || hi_say_await(hi, &request, &response) || puts(response.text) < 0 || grove_deinit();
}
