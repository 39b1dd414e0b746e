/*
 * heap.h: makes allocations fail, one after the other, in one run of a job.
 *
 * heap.c takes the place of malloc and its kin, of mmap and of pthread_create, for the program and
 * every library that it uses. While heap_explore is on, each allocation (or every stride-th) forks
 * twice: in one child it fails once, in the other it and all later ones fail. The child goes on
 * with the job in its own copy of everything and reports how that ended (heap_report); the parent
 * waits, keeps count, and gives the memory. So all N are tried in the time of one run and 2 N
 * forks, with no setting up again for each.
 *
 * In a child nothing may be done to what it shares with its parent: writes to files, unlink and
 * rename are made to succeed without doing anything; threads that were lost at the fork are not
 * waited for; getpid is the parent's, because the library refuses to use what belongs to another
 * process.
 */
#ifndef TSR_HEAP_H
#define TSR_HEAP_H

/* How a child's job ended; its exit status. */
enum heap_end {
    HEAP_MEMORY,    /* the error code memory, everything freed */
    HEAP_TOLERATED, /* complete and right: the allocation was not needed */
    HEAP_LEAK,
    HEAP_WRONG_STATUS,
    HEAP_WRONG_RESULT,
    HEAP_ENDS
};

enum { HEAP_SHOWN_MAX = 12 }; /* of bad ends are told in full */

struct heap_count {
    unsigned long allocations; /* that were met */
    unsigned long spared; /* inside hwloc and jansson's parser, which assert that they get memory */
    unsigned long tried;  /* children */
    unsigned long ends[HEAP_ENDS];
    unsigned long signals; /* died of one; a hang dies of SIGALRM */
    unsigned long shown;   /* of those that ended badly */
};

/* From here on every stride-th allocation of the calling thread is explored; stride 0: no more. */
void heap_explore(unsigned stride);
struct heap_count heap_counted(void);
/* Blocks that are allocated now. */
long heap_live(void);
int heap_in_child(void);

/* Of the user of heap.c: called in a new child; and in the parent, for how a child ended (waitpid's
 * status). */
void heap_child_begins(void);
enum heap_end heap_child_ended(int status);
/* Ends a child: exits with `end`; what is said is printed by the parent, with the place of the
 * failure. */
void heap_report(enum heap_end end, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

#endif
