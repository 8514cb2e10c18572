// Steps a traced Python through corpus.py. After each instruction in the tracer the engine looks at the process.
//
//     torn [-f FRAMES] [-e EVERY] [-s SEED] [-w STEPS] [-l STOPS] [-p PERIOD] TRACER PYTHON CORPUS [PART]...
//
// -e: look at one in EVERY calls into the tracer, chosen at random; -w: switch to another thread after about so many steps;
// -l: end after so many stops; -p: in the sampled profile, picking a byte in so many. Exit status: 0 if all that was seen is right, 1 if not, 2 if the program did not begin.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "instruction.h"
#include "layout/trace_table.h"
#include "oracle.h"

struct options {
    const char *frames;
    unsigned every, seed, switch_every;
    uint64_t limit;
};

struct counts {
    uint64_t inside, in_libc; // stops: at the tracer's own instructions, and in functions of libc that it called
    uint64_t harmless;        // of these, the instruction before cannot have written to memory
    uint64_t unchanged;       // nothing that the engine has read was changed
    uint64_t looked;          // the engine was run
    uint64_t calls, skipped;  // into the tracer; not looked at
    uint64_t switches;        // to another thread inside a call
    uint64_t violations;
};

/** A process that is looked at: the `owner` of tracee's. */
struct looked_at {
    struct view *view;
    struct oracle oracle;
    bool stale; // calls were skipped, so the blocks are not known
};

struct torn {
    struct options options;
    struct tracee tracee;
    struct looked_at looked_at[TRACEE_THREADS];
    struct counts counts;
    volatile uint16_t *cells;
    unsigned char *code; // the tracer's text, and 16 bytes
    uint64_t root_variable;
    struct thread *last; // that went on before
    bool harmless;       // its instruction cannot have written
};

// ---------------------------------------------------------------------------------------------------------------
// Violations

enum { SHOWN = 40 };

static void report(struct torn *torn, const struct thread *thread, const char *problem)
{
    static uint64_t reported[SHOWN];
    static unsigned reported_count;
    uint64_t rip = thread->registers.rip;
    torn->counts.violations++;
    for (unsigned i = 0; i < reported_count; i++)
        if (reported[i] == rip)
            return;
    if (reported_count == SHOWN)
        return;
    reported[reported_count++] = rip;
    const struct symbol *at = tracee_symbol_at(&torn->tracee, rip);
    uint64_t offset = at == NULL ? 0 : rip - torn->tracee.places.tracer_base - at->address;
    printf("VIOLATION at %s+%#llx (%#llx), stop %llu\n    %s\n", at == NULL ? "outside" : at->name,
           (unsigned long long)offset, (unsigned long long)rip,
           (unsigned long long)(torn->counts.inside + torn->counts.in_libc), problem);
    for (unsigned i = 0; i < thread->depth; i++) {
        const struct call *call = &thread->calls[i];
        const struct symbol *function = tracee_symbol_at(&torn->tracee, call->function);
        printf("    in %s(%#llx, %#llx, %#llx)\n", function == NULL ? "?" : function->name,
               (unsigned long long)call->arguments[0], (unsigned long long)call->arguments[1],
               (unsigned long long)call->arguments[2]);
    }
    fflush(stdout);
}

// ---------------------------------------------------------------------------------------------------------------
// Looking

static struct looked_at *looked_at(struct torn *torn, struct process *process)
{
    if (process->owner == NULL) {
        struct looked_at *new = &torn->looked_at[process - torn->tracee.processes];
        new->view = view_create(process, torn->root_variable, torn->looked_at[0].view);
        process->owner = new;
    }
    return process->owner;
}

/** Begin again with what is seen now. */
static void adopt(struct looked_at *at)
{
    view_changed(at->view);
    oracle_adopt(&at->oracle, view_look(at->view));
    at->stale = false;
}

static void look(struct torn *torn, struct thread *thread, struct flight *ended, uint64_t result)
{
    char problem[2048];
    struct looked_at *at = looked_at(torn, thread->process);
    bool changed = view_changed(at->view);
    if (!changed && ended == NULL) {
        torn->counts.unchanged++;
        return;
    }
    torn->counts.looked += ended == NULL;
    if (!oracle_check(&at->oracle, at->view, view_look(at->view), ended, result, problem, sizeof problem))
        report(torn, thread, problem);
}

static unsigned random_below(struct torn *torn, unsigned limit)
{
    return (unsigned)rand_r(&torn->options.seed) % limit;
}

/** A call begins: is it looked at? A call inside another one is part of that one. */
static void begin(struct torn *torn, struct thread *thread)
{
    struct call *call = &thread->calls[thread->depth - 1];
    struct looked_at *at = looked_at(torn, thread->process);
    torn->counts.calls++;
    bool nested = thread->depth > 1;
    // With other threads, all calls must be known.
    bool is_alone = true;
    for (unsigned i = 0; i < torn->tracee.thread_count; i++) {
        const struct thread *other = &torn->tracee.threads[i];
        is_alone &= other == thread || other->ended || other->process != thread->process;
    }
    if (!nested && is_alone && random_below(torn, torn->options.every) != 0) {
        torn->counts.skipped++;
        call->runs_through = true;
        at->stale = true;
        return;
    }
    if (nested && thread->calls[thread->depth - 2].owner == NULL)
        return;
    if (at->stale)
        adopt(at);
    const struct symbol *function = tracee_symbol_at(&torn->tracee, call->function);
    call->owner = oracle_begin(&at->oracle, thread->process, call, function == NULL ? "" : function->name, nested,
                               torn->cells, thread->number);
}

static bool is_looked_at(const struct thread *thread)
{
    return thread->depth > 0 && thread->calls[thread->depth - 1].owner != NULL;
}

static void at_instruction(struct torn *torn, struct thread *thread)
{
    const struct range *text = &torn->tracee.places.tracer;
    uint64_t rip = thread->registers.rip;
    bool in_tracer = rip >= text->start && rip < text->end;
    bool harmless = torn->harmless && torn->last == thread;
    torn->last = thread;
    torn->harmless = in_tracer && instruction_is_harmless(torn->code + (rip - text->start));
    if (!is_looked_at(thread))
        return;
    torn->counts.inside += in_tracer;
    torn->counts.in_libc += !in_tracer;
    if (harmless)
        torn->counts.harmless++;
    else
        look(torn, thread, NULL, 0);
}

static void on_stop(struct torn *torn, struct thread *thread, const struct stop *stop)
{
    switch (stop->event) {
    case EVENT_ENTERED:
        begin(torn, thread);
        torn->last = NULL;
        at_instruction(torn, thread);
        return;
    case EVENT_INSIDE:
        at_instruction(torn, thread);
        return;
    case EVENT_LEFT:
        torn->last = NULL;
        if (stop->ended_call.owner != NULL)
            look(torn, thread, stop->ended_call.owner, stop->result);
        return;
    case EVENT_FORKED: {
        struct looked_at *child = looked_at(torn, stop->forked);
        struct looked_at *parent = looked_at(torn, thread->process);
        oracle_copy(&child->oracle, &parent->oracle);
        child->stale = parent->stale;
        torn->last = NULL;
        return;
    }
    default:
        torn->last = NULL;
    }
}

// ---------------------------------------------------------------------------------------------------------------
// Which thread goes on

static struct thread *next_thread(struct torn *torn, struct thread *now, enum event event)
{
    struct tracee *tracee = &torn->tracee;
    bool inside = event == EVENT_INSIDE || event == EVENT_ENTERED;
    bool stay =
        inside ? random_below(torn, torn->options.switch_every) != 0 : event != EVENT_WAITING && event != EVENT_ENDED;
    // A thread that has left the tracer sometimes gives way too.
    if (event == EVENT_LEFT)
        stay = random_below(torn, 4) != 0;
    if (stay && !now->ended)
        return now;
    unsigned start = random_below(torn, tracee->thread_count);
    struct thread *found = now->ended ? NULL : now;
    bool with_waiting = event == EVENT_WAITING || event == EVENT_ENDED || random_below(torn, 16) == 0;
    for (unsigned i = 0; i < tracee->thread_count; i++) {
        struct thread *other = &tracee->threads[(start + i) % tracee->thread_count];
        if (other == now || other->ended || (other->waits && !with_waiting))
            continue;
        if (found == NULL || found == now || (found->waits && !other->waits))
            found = other;
    }
    torn->counts.switches += inside && found != now;
    return found;
}

static void step_all(struct torn *torn)
{
    struct tracee *tracee = &torn->tracee;
    struct thread *thread = &tracee->threads[0];
    struct stop stop;
    adopt(looked_at(torn, thread->process));
    do {
        tracee_go_on(tracee, thread, &stop);
        on_stop(torn, thread, &stop);
        if (stop.event == EVENT_ASKED && thread->process == &tracee->processes[0])
            break;
        if (torn->options.limit != 0 && torn->counts.inside >= torn->options.limit)
            break;
        thread = next_thread(torn, thread, stop.event);
    } while (thread != NULL);
}

// ---------------------------------------------------------------------------------------------------------------

static void copy_code(struct torn *torn)
{
    const struct range *text = &torn->tracee.places.tracer;
    size_t size = text->end - text->start;
    torn->code = calloc(1, size + 16);
    if (torn->code == NULL || !tracee_read(&torn->tracee.processes[0], text->start, torn->code, size))
        exit(2);
}

/** The file that both sides map. */
static volatile uint16_t *make_cells(int *file)
{
    *file = memfd_create("cells", 0);
    if (*file < 0 || ftruncate(*file, CELLS * sizeof(uint16_t)) != 0)
        exit(2);
    return mmap(NULL, CELLS * sizeof(uint16_t), PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0);
}

static bool start(struct torn *torn, char **words, int count)
{
    static char preload[4300], frames[64], cells[64], period[64], path[4200];
    int file;
    torn->cells = make_cells(&file);
    if (realpath(words[0], path) == NULL)
        return false;
    snprintf(preload, sizeof preload, "LD_PRELOAD=%s", path);
    snprintf(frames, sizeof frames, "TRACEMORTEM=%s", torn->options.frames);
    snprintf(cells, sizeof cells, "TM_TORN_CELLS=%d", file);
    snprintf(period, sizeof period, "TRACEMORTEM_SAMPLE=%llu", (unsigned long long)oracle_sample_period);
    const char *detail = oracle_sample_period != 0 ? "TRACEMORTEM_DETAIL=sampled" : "TRACEMORTEM_DETAIL=";
    char *environment[] = {preload,
                           frames,
                           cells,
                           (char *)detail,
                           oracle_sample_period != 0 ? period : (char *)"TRACEMORTEM_SAMPLE=",
                           (char *)"TRACEMORTEM_SEED=1",
                           (char *)"LD_BIND_NOW=1",
                           (char *)"PYTHONHASHSEED=0",
                           NULL};
    char **arguments = calloc((size_t)count + 8, sizeof *arguments);
    int n = 0;
    arguments[n++] = words[1];
    arguments[n++] = (char *)"-S";
    arguments[n++] = (char *)"-s";
    for (int i = 2; i < count; i++)
        arguments[n++] = words[i];
    if (!tracee_start(&torn->tracee, path, arguments, environment))
        return false;
    torn->root_variable = tracee_symbol(&torn->tracee, TM_ROOT_SYMBOL);
    copy_code(torn);
    return true;
}

static void summarize(const struct torn *torn)
{
    const struct counts *counts = &torn->counts;
    printf("%llu stops in the tracer and %llu in functions of libc it called, in %llu of %llu calls: "
           "%llu after instructions that cannot write, %llu with nothing changed, %llu looked at; "
           "%llu changes of thread; %llu violations\n",
           (unsigned long long)counts->inside, (unsigned long long)counts->in_libc,
           (unsigned long long)(counts->calls - counts->skipped), (unsigned long long)counts->calls,
           (unsigned long long)counts->harmless, (unsigned long long)counts->unchanged,
           (unsigned long long)counts->looked, (unsigned long long)counts->switches,
           (unsigned long long)counts->violations);
}

int main(int count, char **words)
{
    static struct torn torn;
    int option;
    torn.options = (struct options){.frames = "5", .every = 1, .seed = 1, .switch_every = 40};
    while ((option = getopt(count, words, "f:e:s:w:l:p:")) >= 0) {
        unsigned long number = optarg == NULL ? 0 : strtoul(optarg, NULL, 10);
        if (option == 'f')
            torn.options.frames = optarg;
        else if (option == 'e')
            torn.options.every = (unsigned)number;
        else if (option == 's')
            torn.options.seed = (unsigned)number;
        else if (option == 'w')
            torn.options.switch_every = (unsigned)number;
        else if (option == 'l')
            torn.options.limit = number;
        else if (option == 'p')
            oracle_sample_period = number;
        else
            return 2;
    }
    if (count - optind < 3 || torn.options.every == 0 || torn.options.switch_every == 0) {
        fputs("usage: torn [-f FRAMES] [-e EVERY] [-s SEED] [-w STEPS] [-l STOPS] [-p PERIOD] TRACER PYTHON CORPUS "
              "[PART]...\n",
              stderr);
        return 2;
    }
    if (!start(&torn, words + optind, count - optind)) {
        fputs("torn: the program did not begin\n", stderr);
        return 2;
    }
    step_all(&torn);
    summarize(&torn);
    if (torn.options.limit != 0 && torn.counts.inside >= torn.options.limit)
        return torn.counts.violations != 0;
    for (unsigned i = 0; i < torn.tracee.process_count; i++)
        tracee_let_go(&torn.tracee, &torn.tracee.processes[i]);
    int status = tracee_wait(&torn.tracee);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        printf("the program ended with status %#x\n", status);
        return 1;
    }
    return torn.counts.violations != 0;
}
