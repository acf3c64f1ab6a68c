/*
 * The parts of the real monitor (monitor.h): host_monitor.c is its thread,
 * host_thread.c looks at threads, host_call.c names system calls,
 * host_unwind.c walks stacks, host_symbol.c and host_elf.c name addresses.
 */
#ifndef GV_HOST_MONITOR_H
#define GV_HOST_MONITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runtime/monitor.h"

#define GV_SAMPLE_BYTES 8192u /* of the stack, which the signal handler copies */

/* Registers of a frame. fp 0: not known. */
struct gv_registers {
    uintptr_t pc, sp, fp;
};

enum gv_sample_state { GV_SAMPLE_NONE, GV_SAMPLE_WANTED, GV_SAMPLE_TAKEN };

/* Where a running thread stood when the signal came. */
struct gv_sample {
    _Atomic int state; /* enum gv_sample_state */
    struct gv_registers at;
    size_t n_bytes; /* copied from at.sp on */
    unsigned char bytes[GV_SAMPLE_BYTES];
};

struct gv_thread {
    pid_t tid;
    int stat, syscall, schedstat, status; /* files of /proc, -1 if they could not be opened */
    uint64_t n_waits;                     /* how often it had waited at the last look that asked */
    bool polled;                          /* it did when it had used polled_ns of a CPU */
    uint64_t polled_ns;
    struct gv_sample sample;
};

/* host_monitor.c: copies up to n_bytes of our memory that may not be there; how many. Safe in a signal handler. */
size_t gv_host_read(uintptr_t address, void *into, size_t n_bytes);

/* Memory, names and frames are those of another process from now on. False if we may not. */
bool gv_host_look_into(pid_t process);

/* Whose they are. */
pid_t gv_host_process(void);

/* The same works best between these two, which may nest: before the first, after the last reader. */
void gv_host_memory_open(void);
void gv_host_memory_close(void);

/* host_thread.c */
struct gv_thread *gv_host_thread_enter(void);
void gv_host_thread_leave(struct gv_thread *thread);
bool gv_host_thread_polls(struct gv_thread *thread);
void gv_host_thread_look(struct gv_thread *thread, struct gv_look *look);

/* Fills thread->sample by a signal; false if the thread did not get to it in time. */
bool gv_host_thread_sample(struct gv_thread *thread);

/* host_call.c */
bool gv_host_call_polls(int64_t call);
bool gv_host_call_on_disk(const struct gv_look *look);
void gv_host_call_describe(const struct gv_look *look, char *text, size_t room);

/* host_unwind.c */
unsigned gv_host_frames(struct gv_thread *thread, const struct gv_look *look,
                        uintptr_t frames[GV_FRAMES_MAX]);

/* The same from given registers on, in memory that lies still. */
unsigned gv_host_walk(struct gv_registers at, uintptr_t frames[GV_FRAMES_MAX]);

/* host_symbol.c */

/* Fills *caller from *frame by the call frame information of its function; false if that does not tell. */
bool gv_host_unwind_step(const struct gv_registers *frame, bool innermost,
                         bool (*read)(uintptr_t address, uintptr_t *word),
                         struct gv_registers *caller);
bool gv_host_name(uintptr_t frame, bool innermost, unsigned i, char *text, size_t room);
uintptr_t gv_host_entry(uintptr_t frame);
void gv_host_names_prepare(void);

/* host_elf.c: the function that address lies in, by the symbols of its file; false if none is known. */
bool gv_host_elf_name(uintptr_t address, char *name, size_t room, uintptr_t *entry);

#endif
