// Asks libdwfl, in a child process that answers one name after the other.

#define _GNU_SOURCE

#include "process/symbols.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/proc.h"

enum { MOST_SECONDS = 20, MOST_NAME = 255 };
#define MOST_MEMORY (UINT64_C(4) << 30)

// ---------------------------------------------------------------------------------------------------------------
// In the child

static int process_folder; // a callback of libdwfl gets no context

// Whether a mapping of the process is of this file, under this name.
static bool is_mapped(int file, const char *name)
{
    struct stat status;
    size_t length, name_length = strlen(name);
    char *maps = tm_proc_read(process_folder, "maps", &length);
    bool found = false;
    for (const char *line = maps, *end; line && !found && fstat(file, &status) == 0 && (end = strchr(line, '\n'));
         line = end + 1) {
        unsigned long long inode = 0;
        found = (size_t)(end - line) > name_length && strncmp(end - name_length, name, name_length) == 0 &&
                sscanf(line, "%*s %*s %*s %*s %llu", &inode) == 1 && inode == status.st_ino;
    }
    free(maps);
    return found;
}

// A file of a live process as that process names it: below its own root. A process in a changed root of our own mount
// namespace has names from our root.
static int find_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **file_name, Elf **elf)
{
    char path[PATH_MAX];
    if (name[0] != '/')
        return dwfl_linux_proc_find_elf(module, data, name, base, file_name, elf);
    snprintf(path, sizeof(path), "root%s", name);
    int file = openat(process_folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0 && (file = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) >= 0 && !is_mapped(file, name)) {
        close(file);
        file = -1;
    }
    *file_name = file < 0 ? NULL : strdup(name);
    return file;
}

struct search {
    const char *name;
    uint64_t address;
};

// Debug information has the versions of libc's symbols in their names: "dlopen@@GLIBC_2.34".
static bool is_named(const char *found, const char *name)
{
    size_t length = strlen(name);
    return found && strncmp(found, name, length) == 0 && (found[length] == '\0' || found[length] == '@');
}

static int look_in(Dwfl_Module *module, void **data, const char *module_name, Dwarf_Addr base, void *context)
{
    struct search *search = context;
    (void)data, (void)module_name, (void)base;

    int count = dwfl_module_getsymtab(module);
    for (int i = 1; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(module, i, &symbol, &address, NULL, NULL, NULL);
        if (!is_named(name, search->name) || symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) == STT_TLS)
            continue;
        search->address = address;
        return DWARF_CB_ABORT;
    }
    return DWARF_CB_OK;
}

static Dwfl *open_session(const struct tm_symbols *symbols)
{
    static char *debug_path; // NULL: the usual folders
    static const Dwfl_Callbacks of_process = {
        .find_elf = find_file, .find_debuginfo = dwfl_standard_find_debuginfo, .debuginfo_path = &debug_path};
    static const Dwfl_Callbacks of_core = {.find_elf = dwfl_build_id_find_elf,
                                           .find_debuginfo = dwfl_standard_find_debuginfo,
                                           .debuginfo_path = &debug_path};

    unsetenv("DEBUGINFOD_URLS"); // no network
    elf_version(EV_CURRENT);
    process_folder = symbols->file;
    Dwfl *session = dwfl_begin(symbols->pid ? &of_process : &of_core);
    Elf *core = symbols->pid ? NULL : elf_begin(symbols->file, ELF_C_READ, NULL);
    if (!session || (!symbols->pid && !core))
        return NULL;
    bool is_fine = symbols->pid ? dwfl_linux_proc_report(session, symbols->pid) == 0
                                : dwfl_core_file_report(session, core, NULL) >= 0;
    // It is freed when the process ends.
    return is_fine && dwfl_report_end(session, NULL, NULL) == 0 ? session : NULL;
}

static void limit_child(void)
{
    const struct rlimit memory = {MOST_MEMORY, MOST_MEMORY}, seconds = {MOST_SECONDS, MOST_SECONDS}, none = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL); // Ctrl-C ends the look-up
    setrlimit(RLIMIT_AS, &memory);
    setrlimit(RLIMIT_CPU, &seconds);
    setrlimit(RLIMIT_CORE, &none);
    // What it prints when it crashes is for nobody.
    int nothing = open("/dev/null", O_WRONLY);
    if (nothing >= 0)
        dup2(nothing, STDERR_FILENO);
}

static void answer_names(const struct tm_symbols *symbols, int socket)
{
    char name[MOST_NAME + 1];
    limit_child();
    Dwfl *session = open_session(symbols);
    for (ssize_t length; (length = recv(socket, name, MOST_NAME, 0)) > 0;) {
        name[length] = '\0';
        struct search search = {name, 0};
        if (session)
            dwfl_getmodules(session, look_in, &search, 0);
        if (send(socket, &search.address, sizeof(search.address), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

// ---------------------------------------------------------------------------------------------------------------
// In the parent

static bool start_child(struct tm_symbols *symbols)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return false;
    symbols->child = fork();
    if (symbols->child == 0) {
        close(ends[0]);
        answer_names(symbols, ends[1]);
    }
    close(ends[1]);
    symbols->socket = ends[0];
    if (symbols->child > 0)
        return true;
    close(ends[0]);
    symbols->child = 0;
    return false;
}

// False: the child crashed, or takes too long.
static bool receive(int socket, uint64_t *address)
{
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    int ready;
    do
        ready = poll(&wait, 1, 2 * MOST_SECONDS * 1000);
    while (ready < 0 && errno == EINTR);
    return ready == 1 && recv(socket, address, sizeof(*address), 0) == sizeof(*address);
}

static uint64_t ask_child(struct tm_symbols *symbols, const char *name, size_t length)
{
    uint64_t address = 0;
    if (!symbols->failed && !symbols->child)
        symbols->failed = !start_child(symbols);
    if (!symbols->failed)
        symbols->failed = send(symbols->socket, name, length, MSG_NOSIGNAL) < 0 || !receive(symbols->socket, &address);
    return symbols->failed ? 0 : address;
}

uint64_t tm_symbols_find(struct tm_symbols *symbols, const char *name)
{
    size_t length = strlen(name), count = symbols->known_count;

    for (size_t i = 0; i < count; i++)
        if (strcmp(symbols->known[i].name, name) == 0)
            return symbols->known[i].address;
    if (length == 0 || length > MOST_NAME)
        return 0;
    uint64_t address = ask_child(symbols, name, length);
    if (count < sizeof(symbols->known) / sizeof(symbols->known[0]) && length < sizeof(symbols->known[0].name)) {
        memcpy(symbols->known[count].name, name, length + 1);
        symbols->known[count].address = address;
        symbols->known_count++;
    }
    return address;
}

void tm_symbols_deinit(struct tm_symbols *symbols)
{
    if (!symbols->child)
        return;
    close(symbols->socket);
    kill(symbols->child, SIGKILL);
    while (waitpid(symbols->child, NULL, 0) < 0 && errno == EINTR)
        ;
    symbols->child = 0;
}
