// A module for ctypes: forks a child that runs no Python until a byte comes through a pipe.

#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/** In the child: waits for a byte, and returns 0. In the parent: the child's process id. */
pid_t fork_idle(int told)
{
    char byte;
    pid_t child = fork();
    if (child == 0)
        (void)!read(told, &byte, 1);
    return child;
}

/** Forks and calls exec at once, `count` times. How many went well. */
int fork_and_exec(int count)
{
    int good = 0;
    for (int i = 0; i < count; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            execl("/bin/true", "true", (char *)NULL);
            _exit(9);
        }
        good += child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    return good;
}

/** Forks as the system does, without the handlers that fork() calls. */
pid_t raw_fork(void)
{
    return (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}
