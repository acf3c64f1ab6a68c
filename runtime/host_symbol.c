/*
 * What an address of code means: function, file and line; and how to get
 * from a frame to its caller. By libdw, from what the compiler left behind.
 *
 * libdw is loaded on the first need, so that nobody pays for it who never
 * stalls: with what it reads of a program it is 4 MiB and more. It takes a
 * few ms, or long from a slow disk; so that is read ahead. A machine without
 * it gets names from the symbol tables (host_elf.c). One thread, the monitor's, is in here at a time. What has
 * been loaded or dropped by dlopen since is looked up anew at each report.
 *
 * No file is fetched over a network: where debuginfod is configured, debug
 * files apart from the program are not looked for.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/host_monitor.h"

/* Known when this was compiled; loaded when it is needed, if it is there. */
#if __has_include(<elfutils/libdwfl.h>) && __has_include(<dwarf.h>)

#    include <dwarf.h>
#    include <elfutils/libdw.h>
#    include <elfutils/libdwfl.h>

/* clang-format 14 never comes to an end with a list like this. */
/* clang-format off */
#    define FUNCTIONS(X) \
        X(dwfl_begin) \
        X(dwfl_linux_proc_find_elf) \
        X(dwfl_standard_find_debuginfo) \
        X(dwfl_linux_proc_report) \
        X(dwfl_report_begin) \
        X(dwfl_report_end) \
        X(dwfl_addrmodule) \
        X(dwfl_module_addrinfo) \
        X(dwfl_module_getsrc) \
        X(dwfl_lineinfo) \
        X(dwfl_module_addrdie) \
        X(dwfl_module_info) \
        X(dwfl_module_eh_cfi) \
        X(dwarf_getscopes) \
        X(dwarf_tag) \
        X(dwarf_attr_integrate) \
        X(dwarf_formstring) \
        X(dwarf_getscopes_die) \
        X(dwarf_getsrcfiles) \
        X(dwarf_filesrc) \
        X(dwarf_formudata) \
        X(dwarf_cfi_addrframe) \
        X(dwarf_frame_cfa) \
        X(dwarf_frame_info) \
        X(dwarf_frame_register)
/* clang-format on */

static struct {
    bool tried, loaded;
    Dwfl *dwfl;
#    define POINTER(function) __typeof__(&function) function;
    FUNCTIONS(POINTER)
#    undef POINTER
} dw;

/* Debug data in files of their own are looked for beside the program: those of the system take long to read. */
static char debug_path[] = ":.debug", *the_debug_path = debug_path;

/* What libdw hands to who finds such a file. */
#    define FILE_WANTED                                                                        \
        Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file, \
            const char *link, GElf_Word crc, char **found

static int find_none(FILE_WANTED)
{
    (void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc,
        (void)found;
    return -1;
}

static bool load_functions(void)
{
    void *library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);

    if (library == NULL)
        return false;
#    define LOAD(function)                                          \
        *(void **)(void *)&dw.function = dlsym(library, #function); \
        if (dw.function == NULL)                                    \
            return false;
    FUNCTIONS(LOAD)
#    undef LOAD
    return true;
}

static bool is_ready(void)
{
    static Dwfl_Callbacks callbacks;

    if (dw.tried)
        return dw.dwfl != NULL;
    dw.tried = true;
    dw.loaded = load_functions();
    if (!dw.loaded)
        return false;
    callbacks.find_elf = dw.dwfl_linux_proc_find_elf;
    callbacks.debuginfo_path = &the_debug_path;
    callbacks.find_debuginfo =
        getenv("DEBUGINFOD_URLS") == NULL ? dw.dwfl_standard_find_debuginfo : find_none;
    dw.dwfl = dw.dwfl_begin(&callbacks);
    if (dw.dwfl == NULL)
        return false;
    (void)dw.dwfl_linux_proc_report(dw.dwfl,
                                    gv_host_process()); /* What it did not find has no names. */
    (void)dw.dwfl_report_end(dw.dwfl, NULL, NULL);
    return true;
}

/* The module of an address; looks at the process anew once if there is none. */
static Dwfl_Module *module_of(uintptr_t address)
{
    Dwfl_Module *module;

    if (!is_ready())
        return NULL;
    module = dw.dwfl_addrmodule(dw.dwfl, address);
    if (module != NULL)
        return module;
    dw.dwfl_report_begin(dw.dwfl);
    (void)dw.dwfl_linux_proc_report(dw.dwfl, gv_host_process());
    (void)dw.dwfl_report_end(dw.dwfl, NULL, NULL);
    return dw.dwfl_addrmodule(dw.dwfl, address);
}

/* A path as the compiler was given it, without the climb out of the build folder. */
static const char *plain_path(const char *path)
{
    const char *climb = strstr(path, "/../");

    for (const char *next = climb; next != NULL; next = strstr(next + 3, "/../"))
        climb = next;
    path = climb != NULL ? climb + 4 : path;
    while (strncmp(path, "../", 3) == 0)
        path += 3;
    return path;
}

static const char *last_part(const char *path)
{
    const char *slash = path != NULL ? strrchr(path, '/') : NULL;

    return slash != NULL ? slash + 1 : path;
}

/* A place in the source. */
struct source {
    const char *file; /* NULL: not known */
    int line;
};

/* Where the function that was inlined as scope is called from. */
static struct source caller_of(Dwarf_Die *unit, Dwarf_Die *scope)
{
    Dwarf_Attribute attribute;
    Dwarf_Word number = 0, line = 0;
    Dwarf_Files *files;
    struct source source = {NULL, 0};

    if (dw.dwarf_getsrcfiles(unit, &files, NULL) == 0
        && dw.dwarf_formudata(dw.dwarf_attr_integrate(scope, DW_AT_call_file, &attribute), &number)
               == 0
        && dw.dwarf_formudata(dw.dwarf_attr_integrate(scope, DW_AT_call_line, &attribute), &line)
               == 0)
        source = (struct source){dw.dwarf_filesrc(files, number, NULL, NULL), (int)line};
    return source;
}

/* What is written down of one frame: its functions, the inlined ones first. */
struct out {
    char *text;
    size_t room;
    unsigned skip; /* so many of them are passed over */
    bool done;
};

static void tell(struct out *out, const char *name, struct source at, const char *module)
{
    if (out->done || name == NULL || out->skip-- > 0)
        return;
    out->done = true;
    if (at.file != NULL)
        (void)snprintf(out->text, out->room, "%s at %s:%d", name, plain_path(at.file), at.line);
    else
        (void)snprintf(out->text, out->room, "%s in %s", name,
                       module != NULL ? last_part(module) : "?"); /* Cut, both are still hints. */
}

/* By the debug data of the program. */
static void tell_scopes(struct out *out, Dwfl_Module *module, uintptr_t address, struct source at)
{
    Dwarf_Addr bias;
    Dwarf_Die *unit = dw.dwfl_module_addrdie(module, address, &bias), *inner = NULL, *scopes = NULL;
    int n = unit != NULL ? dw.dwarf_getscopes(unit, address - bias, &inner) : 0;

    /* The innermost function of all, then what contains it in the code, not in the text. */
    for (int i = 0; i < n && scopes == NULL; i++)
        if (dw.dwarf_tag(&inner[i]) == DW_TAG_inlined_subroutine
            || dw.dwarf_tag(&inner[i]) == DW_TAG_subprogram)
            n = dw.dwarf_getscopes_die(&inner[i], &scopes);
    for (int i = 0; scopes != NULL && i < n; i++) {
        int tag = dw.dwarf_tag(&scopes[i]);
        Dwarf_Attribute attribute;

        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
            continue;
        tell(out, dw.dwarf_formstring(dw.dwarf_attr_integrate(&scopes[i], DW_AT_name, &attribute)),
             at, NULL);
        if (tag == DW_TAG_subprogram)
            break;
        at = caller_of(unit, &scopes[i]);
    }
    free(scopes);
    free(inner);
}

/* Function i of the frame, 0 being the innermost. False if there are not so many. */
static bool dw_name(uintptr_t address, unsigned i, char *text, size_t room)
{
    Dwfl_Module *module = module_of(address);
    struct out out = {text, room, i, false};
    struct source at = {NULL, 0};
    const char *path = NULL;
    GElf_Off offset = 0;
    GElf_Sym symbol;
    Dwfl_Line *line;

    if (module == NULL)
        return false;
    line = dw.dwfl_module_getsrc(module, address);
    if (line != NULL)
        at.file = dw.dwfl_lineinfo(line, NULL, &at.line, NULL, NULL, NULL);
    tell_scopes(&out, module, address, at);
    if (out.done || out.skip < i)
        return out.done;
    path = dw.dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    tell(&out, dw.dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL), at,
         path);
    return out.done;
}

static uintptr_t dw_entry(uintptr_t address)
{
    Dwfl_Module *module = module_of(address);
    GElf_Off offset = 0;
    GElf_Sym symbol;

    if (module == NULL
        || dw.dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL) == NULL)
        return 0;
    return address - offset;
}

/* --- call frame information ------------------------------------------------------------------- */

#    if defined(__x86_64__)
enum { REGISTER_SP = 7, REGISTER_FP = 6 };
#    else
enum { REGISTER_SP = 31, REGISTER_FP = 29 };
#    endif

/* The address that ops say, of a register or the canonical frame address, and a distance; false for all else. */
static bool evaluate(const Dwarf_Op *ops, size_t n, const struct gv_registers *frame, uintptr_t cfa,
                     uintptr_t *value)
{
    unsigned number;
    int64_t distance;

    if (n == 0 || n > 2)
        return false;
    if (ops[0].atom == DW_OP_call_frame_cfa) {
        *value = cfa + (n == 2 ? ops[1].number : 0);
        return cfa != 0 && (n == 1 || ops[1].atom == DW_OP_plus_uconst);
    }
    if (n == 2)
        return false;
    if (ops[0].atom == DW_OP_bregx) {
        number = (unsigned)ops[0].number;
        distance = (int64_t)ops[0].number2;
    } else if (ops[0].atom >= DW_OP_breg0 && ops[0].atom <= DW_OP_breg31) {
        number = ops[0].atom - DW_OP_breg0;
        distance = (int64_t)ops[0].number;
    } else {
        return false;
    }
    if (number != REGISTER_SP && (number != REGISTER_FP || frame->fp == 0))
        return false;
    *value = (number == REGISTER_SP ? frame->sp : frame->fp) + (uintptr_t)distance;
    return true;
}

bool gv_host_unwind_step(const struct gv_registers *frame, bool innermost,
                         bool (*read)(uintptr_t address, uintptr_t *word),
                         struct gv_registers *caller)
{
    uintptr_t address = frame->pc - !innermost, cfa = 0, place;
    Dwfl_Module *module = module_of(address);
    Dwarf_Frame *rules = NULL;
    Dwarf_Op spare[3], *ops;
    Dwarf_Addr bias;
    Dwarf_CFI *cfi;
    size_t n;
    int return_register;
    bool done = false, is_signal;

    cfi = module != NULL ? dw.dwfl_module_eh_cfi(module, &bias) : NULL;
    if (cfi == NULL || dw.dwarf_cfi_addrframe(cfi, address - bias, &rules) != 0)
        return false;
    return_register = dw.dwarf_frame_info(rules, NULL, NULL, &is_signal);
    if (return_register < 0 || dw.dwarf_frame_cfa(rules, &ops, &n) != 0
        || !evaluate(ops, n, frame, 0, &cfa))
        goto out;
    caller->sp = cfa;
    caller->fp = frame->fp;
    if (dw.dwarf_frame_register(rules, REGISTER_FP, spare, &ops, &n) == 0
        && evaluate(ops, n, frame, cfa, &place) && !read(place, &caller->fp))
        goto out;
    done = dw.dwarf_frame_register(rules, return_register, spare, &ops, &n) == 0
           && evaluate(ops, n, frame, cfa, &place) && read(place, &caller->pc);
out:
    free(rules);
    return done;
}

#else /* without libdw */

static bool dw_name(uintptr_t address, unsigned i, char *text, size_t room)
{
    (void)address;
    (void)i;
    (void)text;
    (void)room;
    return false;
}

static uintptr_t dw_entry(uintptr_t address)
{
    (void)address;
    return 0;
}

bool gv_host_unwind_step(const struct gv_registers *frame, bool innermost,
                         bool (*read)(uintptr_t address, uintptr_t *word),
                         struct gv_registers *caller)
{
    (void)frame;
    (void)innermost;
    (void)read;
    (void)caller;
    return false;
}

#endif

/* --- either way ------------------------------------------------------------------------------- */

/* Into the page cache, while nobody waits; what is not there is not read. */
static void read_ahead(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED); /* It is a wish. */
    (void)close(fd);                                    /* Nothing was written. */
}

void gv_host_names_prepare(void)
{
    static const char *const libraries[] = {"libdw.so.1", "libelf.so.1"};
    Dl_info here, libc;
    char path[512];

    read_ahead("/proc/self/exe");
    if (dladdr((void *)(uintptr_t)gv_host_names_prepare, &here) != 0)
        read_ahead(here.dli_fname); /* The library, or the same again. */
    if (dladdr((void *)(uintptr_t)posix_fadvise, &libc) == 0 || strchr(libc.dli_fname, '/') == NULL)
        return;
    /* As a rule they lie beside the C library. */
    for (unsigned i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        int n = (int)(strrchr(libc.dli_fname, '/') - libc.dli_fname);

        (void)snprintf(path, sizeof path, "%.*s/%s", n, libc.dli_fname,
                       libraries[i]); /* Cut, it is not there. */
        read_ahead(path);
    }
}

bool gv_host_name(uintptr_t frame, bool innermost, unsigned i, char *text, size_t room)
{
    /* A caller's frame is where it goes on; the call is before. */
    uintptr_t address = frame - !innermost, entry;

    if (dw_name(address, i, text, room))
        return true;
    if (i > 0)
        return false;
    /* That knows what is loaded here. */
    if (gv_host_process() != getpid() || !gv_host_elf_name(address, text, room, &entry))
        (void)snprintf(text, room, "0x%llx", (unsigned long long)frame); /* It fits. */
    return true;
}

uintptr_t gv_host_entry(uintptr_t frame)
{
    uintptr_t entry = dw_entry(frame);
    char name[8];

    if (entry == 0 && gv_host_process() != getpid())
        return 0;
    if (entry == 0 && !gv_host_elf_name(frame, name, sizeof name, &entry))
        return 0;
    return entry;
}
