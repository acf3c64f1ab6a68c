/*
 * Names: what protobuf-c and grove call things in C.
 *
 * The first group repeats the rules of protoc-c 1.4, whose output ours is
 * compiled against; a name that differs shows up as a compile error, never
 * as wrong behaviour. All results live as long as the program.
 */
#ifndef GEN_NAMES_H
#define GEN_NAMES_H

#include <stdbool.h>

/* bank.v1.WithdrawRequest: Bank__V1__WithdrawRequest, bank__v1__withdraw_request, BANK__V1__WITHDRAW_REQUEST. */
char *gen_c_type(const char *full_name);
char *gen_c_lower(const char *full_name);
char *gen_c_upper(const char *full_name);

/* The member of a field: in lower case, with an underscore behind a keyword. */
char *gen_c_member(const char *field);

/* WithdrawAll: withdraw_all, WITHDRAW_ALL. */
char *gen_lower(const char *camel);
char *gen_upper(const char *camel);

/* AccountService: account. */
char *gen_service_local(const char *service);

/* text, with an underscore behind it if it is a keyword of C or C++. */
char *gen_not_keyword(char *text);

bool gen_is_pascal(const char *name);
bool gen_is_lower_snake(const char *name);
bool gen_is_upper_snake(const char *name);

#endif
