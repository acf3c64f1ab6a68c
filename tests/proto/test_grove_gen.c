/*
 * grove-gen: what it refuses, word by word with line and column, and what
 * it writes. Each test writes a .proto into a folder of its own and runs the
 * program on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PLAIN "syntax = \"proto3\";\npackage t.v1;\n"
#define HEAD  "syntax = \"proto3\";\npackage t.v1;\nimport \"grove/options.proto\";\n"

static char folder[] = "/tmp/test_grove_gen.XXXXXX";
static char said[16384];

static void write_file(const char *name, const char *text)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Runs grove-gen inside the folder; what it says goes into said. Its exit status. */
static int run(const char *arguments)
{
    char command[1024];

    (void)snprintf(command, sizeof command, "cd %s && '%s' --proto_path='%s/proto' %s 2>&1", folder,
                   GROVE_GEN, GV_SOURCE_ROOT, arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t n = fread(said, 1, sizeof said - 1, pipe);
    said[n] = '\0';
    int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_refused(const char *proto, const char *expected)
{
    char path[256];

    write_file("t.proto", proto);
    assert_int_equal(run("--out=out t.proto"), 1);
    assert_string_equal(said, expected);
    (void)snprintf(path, sizeof path, "%s/out/t.grove.h", folder);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void assert_has(const char *path, const char *text)
{
    static char bytes[1 << 20];
    char full[256];

    (void)snprintf(full, sizeof full, "%s/%s", folder, path);
    FILE *file = fopen(full, "r");
    assert_non_null(file);
    size_t n = fread(bytes, 1, sizeof bytes - 1, file);
    bytes[n] = '\0';
    assert_int_equal(fclose(file), 0);
    if (strstr(bytes, text) == NULL)
        fail_msg("%s has no: %s", path, text);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

/* --- what it refuses ----------------------------------------------------------------------- */

static void test_streams_of_actors_are_refused(void **state)
{
    (void)state;
    assert_refused(PLAIN "service AService {\n"
                         "  rpc Watch(WatchRequest) returns (stream WatchResponse);\n"
                         "}\nmessage WatchRequest {}\nmessage WatchResponse {}\n",
                   "t.proto:4:3: a stream of items comes from a worker, as a slow reader would "
                   "stop an actor; add option (grove.isolation) = WORKER, or return a page and a "
                   "token for the next one\n");
}

static void test_streams_of_requests_are_refused(void **state)
{
    (void)state;
    assert_refused(PLAIN "service AService {\n"
                         "  rpc Load(stream LoadRequest) returns (LoadResponse);\n"
                         "}\nmessage LoadRequest {}\nmessage LoadResponse {}\n",
                   "t.proto:4:3: the requests of a streaming rpc are not streamed in grove; send "
                   "the parts one by one, or make them a repeated field of one request\n");
    assert_refused(HEAD "service AService {\n"
                        "  rpc Load(stream LoadRequest) returns (stream LoadResponse) {\n"
                        "    option (grove.isolation) = WORKER;\n"
                        "  }\n}\nmessage LoadRequest {}\nmessage LoadResponse {}\n",
                   "t.proto:5:3: the requests of a streaming rpc are not streamed in grove; send "
                   "the parts one by one, or make them a repeated field of one request\n");
}

static void test_credit_is_for_streams_and_bounded(void **state)
{
    (void)state;
    assert_refused(HEAD "service AService {\n"
                        "  rpc Do(DoRequest) returns (DoResponse) {\n"
                        "    option (grove.isolation) = WORKER;\n"
                        "    option (grove.credit) = 3;\n"
                        "  }\n}\nmessage DoRequest {}\nmessage DoResponse {}\n",
                   "t.proto:7:5: only a streaming rpc has credit; remove (grove.credit), or "
                   "return a stream\n");
    assert_refused(HEAD "service AService {\n"
                        "  rpc Do(DoRequest) returns (stream DoResponse) {\n"
                        "    option (grove.isolation) = WORKER;\n"
                        "    option (grove.credit) = 1025;\n"
                        "  }\n}\nmessage DoRequest {}\nmessage DoResponse {}\n",
                   "t.proto:7:5: credit = 1025 items would pile up at a slow reader; use at most "
                   "1024\n");
}

/* buf lint wants DoResponse; many call it DoItem. */
static void test_items_are_called_items_or_responses(void **state)
{
    (void)state;
    assert_refused(HEAD "service AService {\n"
                        "  rpc Do(DoRequest) returns (stream DoThing) {\n"
                        "    option (grove.isolation) = WORKER;\n"
                        "  }\n}\nmessage DoRequest {}\nmessage DoThing {}\n",
                   "t.proto:5:37: the items of rpc Do are called DoThing; call them DoItem or "
                   "DoResponse\n");
}

static void test_pools_of_rpcs_that_are_no_workers_are_refused(void **state)
{
    (void)state;
    assert_refused(HEAD "service AService {\n"
                        "  rpc Do(DoRequest) returns (DoResponse) {\n"
                        "    option (grove.isolation) = THREAD;\n"
                        "    option (grove.pool) = \"p\";\n"
                        "  }\n}\nmessage DoRequest {}\nmessage DoResponse {}\n",
                   "t.proto:7:5: only a WORKER rpc runs in a pool; add (grove.isolation) = WORKER "
                   "or remove the pool\n");
}

static void test_a_priority_without_a_worker_is_refused(void **state)
{
    (void)state;
    assert_refused(HEAD "service AService {\n"
                        "  rpc Do(DoRequest) returns (DoResponse) {\n"
                        "    option (grove.priority) = HIGH;\n"
                        "  }\n}\nmessage DoRequest {}\nmessage DoResponse {}\n",
                   "t.proto:6:5: only jobs for workers have a priority, a mailbox is first come, "
                   "first served; add (grove.isolation) = WORKER or remove the priority\n");
}

static void test_dropping_from_a_pool_is_refused(void **state)
{
    (void)state;
    assert_refused(HEAD "service AService {\n"
                        "  rpc Do(DoRequest) returns (DoResponse) {\n"
                        "    option (grove.isolation) = WORKER;\n"
                        "    option (grove.overflow) = DROP_OLDEST;\n"
                        "  }\n}\nmessage DoRequest {}\nmessage DoResponse {}\n",
                   "t.proto:7:5: a WORKER rpc waits in its pool's queue, from which nothing is "
                   "dropped; remove (grove.overflow), and make the queue as long as you want "
                   "(queue_max)\n");
}

static void test_optional_is_refused_with_its_cure(void **state)
{
    (void)state;
    assert_refused(PLAIN "message M {\n  optional int32 x = 1;\n}\n",
                   "t.proto:4:3: protobuf-c knows no optional in proto3; put x alone into a oneof, "
                   "or use a message-typed field, which can be absent\n");
}

static void test_code_size_and_proto2_are_refused(void **state)
{
    (void)state;
    assert_refused(PLAIN "option optimize_for = CODE_SIZE;\n",
                   "t.proto:3:1: optimize_for = CODE_SIZE leaves the descriptors without names, "
                   "which reports and JSON need; remove it\n");
    assert_refused("syntax = \"proto2\";\npackage t.v1;\n",
                   "t.proto:1:1: this is proto2; begin the file with: syntax = \"proto3\";\n");
}

static void test_messages_that_contain_themselves_are_refused(void **state)
{
    (void)state;
    assert_refused(PLAIN "message Tree {\n  Branch branch = 1;\n}\n"
                         "message Branch {\n  repeated Tree trees = 1;\n}\n",
                   "t.proto:7:3: t.v1.Tree contains itself through trees, so nothing bounds how "
                   "deep it is; use a flat list with ids, or send the parts as bytes\n");
    assert_refused(PLAIN "message Node {\n  map<string, Node> nodes = 1;\n}\n",
                   "t.proto:3:1: t.v1.Node contains itself through value, so nothing bounds how "
                   "deep it is; use a flat list with ids, or send the parts as bytes\n");
}

static void test_files_of_google_are_refused(void **state)
{
    (void)state;
    assert_refused(PLAIN "import \"google/protobuf/timestamp.proto\";\n"
                         "message M {\n  google.protobuf.Timestamp at = 1;\n}\n",
                   "t.proto:3:1: \"google/protobuf/timestamp.proto\" has no code in a grove "
                   "program; declare the fields you need in a message of your own\n");
}

static void test_refusals_come_from_an_enum_that_is_there(void **state)
{
    (void)state;
    assert_refused(HEAD "service AService {\n"
                        "  option (grove.refusals) = \"t.v1.Nope\";\n"
                        "  rpc Do(DoRequest) returns (DoResponse);\n"
                        "}\nmessage DoRequest {}\nmessage DoResponse {}\n",
                   "t.proto:5:3: there is no enum \"t.v1.Nope\" for the refusals; write its full "
                   "name with the package, and import its file\n");
    assert_refused(HEAD "service AService {\n"
                        "  option (grove.refusals) = \"t.v1.No\";\n"
                        "  rpc Do(DoRequest) returns (DoResponse);\n"
                        "}\nmessage DoRequest {}\nmessage DoResponse {}\n"
                        "enum No {\n  NO_UNSPECIFIED = 0;\n  NO_WAY = -1;\n}\n",
                   "t.proto:5:3: NO_WAY is -1, but a refusal is a positive number; renumber it\n");
}

static void test_keys_are_single_values_and_secrets_are_not_shown(void **state)
{
    (void)state;
    assert_refused(HEAD "message M {\n"
                        "  repeated string key = 1 [(grove.key) = true];\n"
                        "  M2 where = 2 [(grove.placement) = true];\n"
                        "  int32 pin = 3 [(grove.show) = true, (grove.secret) = true];\n"
                        "}\nmessage M2 {}\n",
                   "t.proto:7:3: pin is marked (grove.show) and (grove.secret); choose one\n"
                   "t.proto:5:3: (grove.key) needs one value that is always there; mark a number, "
                   "string or bytes field that is neither repeated nor in a oneof\n"
                   "t.proto:6:3: (grove.placement) needs one value that is always there; mark a "
                   "number, string or bytes field that is neither repeated nor in a oneof\n");
}

static void test_names_follow_buf_lint(void **state)
{
    (void)state;
    assert_refused("syntax = \"proto3\";\npackage t;\n"
                   "enum Color {\n  RED = 0;\n  COLOR_blue = 1;\n}\n"
                   "message low {\n  int32 camelCase = 1;\n"
                   "  oneof Big {\n    int32 x = 2;\n  }\n}\n",
                   "t.proto:2:1: package t has no version; call it t.v1\n"
                   "t.proto:7:1: message low is not in PascalCase; rename it\n"
                   "t.proto:8:3: field camelCase is not in lower_snake_case; call it camel_case\n"
                   "t.proto:9:3: oneof Big is not in lower_snake_case; call it big\n"
                   "t.proto:4:3: enum value RED shares its scope with others; call it COLOR_RED\n"
                   "t.proto:4:3: enum value RED is what nobody has set; call it "
                   "COLOR_UNSPECIFIED\n"
                   "t.proto:5:3: enum value COLOR_blue is not in UPPER_SNAKE_CASE; rename it\n");
}

static void test_services_and_rpcs_follow_buf_lint(void **state)
{
    (void)state;
    assert_refused(PLAIN "service Account {\n"
                         "  rpc take(M) returns (TakeResponse);\n"
                         "  rpc Give(GiveRequest) returns (M);\n"
                         "}\nmessage M {}\nmessage TakeResponse {}\nmessage GiveRequest {}\n",
                   "t.proto:5:34: the response of rpc Give is called M; call it GiveResponse\n"
                   "t.proto:3:1: service Account does not end in Service; call it AccountService\n"
                   "t.proto:4:3: rpc take is not in PascalCase; rename it\n"
                   "t.proto:4:3: t.v1.M is taken or returned by another rpc too, which could then "
                   "not change alone; give rpc take messages of its own\n");
    assert_refused(PLAIN "service EmptyService {\n}\n",
                   "t.proto:3:1: service EmptyService has no rpc; add one or remove it\n");
}

static void test_names_that_collide_in_c_are_refused(void **state)
{
    (void)state;
    assert_refused(PLAIN "service HTTPService {\n"
                         "  rpc Do(DoRequest) returns (DoResponse);\n}\n"
                         "service HttpService {\n"
                         "  rpc Go(GoRequest) returns (GoResponse);\n}\n"
                         "message DoRequest {}\nmessage DoResponse {}\n"
                         "message GoRequest {}\nmessage GoResponse {}\n",
                   "t.proto:6:1: service t.v1.HTTPService and service t.v1.HttpService are both "
                   "called http in C; rename one\n"
                   "t.proto:6:1: service t.v1.HTTPService and service t.v1.HttpService are both "
                   "called http_service in C; rename one\n"
                   "t.proto:6:1: service t.v1.HTTPService and service t.v1.HttpService are both "
                   "called http_service_table in C; rename one\n"
                   "t.proto:6:1: service t.v1.HTTPService and service t.v1.HttpService are both "
                   "called http_spawn in C; rename one\n"
                   "t.proto:6:1: service t.v1.HTTPService and service t.v1.HttpService are both "
                   "called http_spawn_await in C; rename one\n");
    assert_refused(PLAIN "service AService {\n"
                         "  rpc Tell(TellRequest) returns (TellResponse);\n"
                         "  rpc TellSend(TellSendRequest) returns (TellSendResponse);\n"
                         "  rpc Init(InitRequest) returns (InitResponse);\n}\n"
                         "message TellRequest {}\nmessage TellResponse {}\n"
                         "message TellSendRequest {}\nmessage TellSendResponse {}\n"
                         "message InitRequest {}\nmessage InitResponse {}\n",
                   "t.proto:6:3: init is a member of every actor's functions already; rename rpc "
                   "Init\n"
                   "t.proto:5:3: rpc t.v1.AService/Tell and rpc t.v1.AService/TellSend are both "
                   "called a_tell_send_await in C; rename one\n");
    assert_refused(PLAIN "message M {\n  int32 base = 1;\n  repeated int32 x = 2;\n"
                         "  int32 n_x = 3;\n  oneof kind {\n    int32 a = 4;\n  }\n"
                         "  int32 kind_case = 5;\n}\n",
                   "t.proto:4:3: every message in C has a member base already; rename the field\n"
                   "t.proto:6:3: n_x is the length of x in C; rename one\n"
                   "t.proto:10:3: kind_case tells in C which field of a oneof is set; rename it\n");
}

static void test_a_broken_file_gets_protocs_own_complaint(void **state)
{
    (void)state;
    write_file("t.proto", PLAIN "message {}\n");
    assert_int_equal(run("--out=out t.proto"), 1);
    assert_string_equal(said, "t.proto:3:9: Expected message name.\n");
}

static void test_wrong_usage_has_status_2(void **state)
{
    (void)state;
    assert_int_equal(run(""), 2);
    assert_int_equal(strncmp(said, "usage: grove-gen ", 17), 0);
    assert_int_equal(run("--nonsense t.proto"), 2);
    assert_int_equal(run("t.c"), 2);
    assert_int_equal(run("--help"), 2); /* beside --proto_path */
}

static void test_a_program_that_is_not_there_is_named(void **state)
{
    (void)state;
    write_file("t.proto", PLAIN);
    assert_int_equal(run("--protoc=/nowhere/protoc t.proto"), 1);
    assert_string_equal(said, "grove-gen: cannot run /nowhere/protoc: No such file or directory; "
                              "install it or name it with --protoc=PATH\n");
}

/* --- what it writes ------------------------------------------------------------------------ */

static void test_four_files_and_a_depfile_are_written(void **state)
{
    (void)state;
    write_file("good.proto", HEAD "// Says hello.\nservice HelloService {\n"
                                  "  // To whom\n  // it may concern.\n"
                                  "  rpc Do(DoRequest) returns (DoResponse);\n}\n"
                                  "message DoRequest {\n  string key = 1 [(grove.key) = true];\n}\n"
                                  "message DoResponse {}\n");
    assert_int_equal(run("--out=deep/er --depfile=deep/d good.proto"), 0);
    assert_string_equal(said, "");
    assert_has("deep/d", "deep/er/good.pb-c.h: ");
    assert_has("deep/d", "/grove/options.proto");
    assert_has("deep/d", "good.proto");
    assert_has("deep/er/good.pb-c.h", "struct  T__V1__DoRequest");
    assert_has("deep/er/good.pb-c.c", "\"good.pb-c.h\"");
    assert_has("deep/er/good.grove.h", "/* Says hello. */\nstruct hello_service {");
    assert_has("deep/er/good.grove.h", "    /*\n     * To whom\n     * it may concern.\n     */\n"
                                       "    int (*do_)(struct hello *me,");
    assert_has("deep/er/good.grove.h", "int hello_do_await(grove_ref ref,");
    assert_has("deep/er/good.grove.c", ".key_field = 1,");
}

static void test_the_same_input_gives_the_same_output(void **state)
{
    char command[256];

    (void)state;
    write_file("same.proto", HEAD "service SameService {\n"
                                  "  rpc Do(DoRequest) returns (DoResponse) {\n"
                                  "    option (grove.isolation) = WORKER;\n  }\n}\n"
                                  "message DoRequest {}\nmessage DoResponse {}\n");
    assert_int_equal(run("--out=one same.proto"), 0);
    assert_int_equal(run("--out=two same.proto"), 0);
    (void)snprintf(command, sizeof command, "diff -r '%s/one' '%s/two'", folder, folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_of_actors_are_refused),
        cmocka_unit_test(test_streams_of_requests_are_refused),
        cmocka_unit_test(test_credit_is_for_streams_and_bounded),
        cmocka_unit_test(test_items_are_called_items_or_responses),
        cmocka_unit_test(test_pools_of_rpcs_that_are_no_workers_are_refused),
        cmocka_unit_test(test_a_priority_without_a_worker_is_refused),
        cmocka_unit_test(test_dropping_from_a_pool_is_refused),
        cmocka_unit_test(test_optional_is_refused_with_its_cure),
        cmocka_unit_test(test_code_size_and_proto2_are_refused),
        cmocka_unit_test(test_messages_that_contain_themselves_are_refused),
        cmocka_unit_test(test_files_of_google_are_refused),
        cmocka_unit_test(test_refusals_come_from_an_enum_that_is_there),
        cmocka_unit_test(test_keys_are_single_values_and_secrets_are_not_shown),
        cmocka_unit_test(test_names_follow_buf_lint),
        cmocka_unit_test(test_services_and_rpcs_follow_buf_lint),
        cmocka_unit_test(test_names_that_collide_in_c_are_refused),
        cmocka_unit_test(test_a_broken_file_gets_protocs_own_complaint),
        cmocka_unit_test(test_wrong_usage_has_status_2),
        cmocka_unit_test(test_a_program_that_is_not_there_is_named),
        cmocka_unit_test(test_four_files_and_a_depfile_are_written),
        cmocka_unit_test(test_the_same_input_gives_the_same_output),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
