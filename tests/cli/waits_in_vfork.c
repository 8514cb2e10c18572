// A process that cannot be interrupted: it waits for a vforked child, which waits for a signal that ends both.

#define _GNU_SOURCE

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(void)
{
    if (vfork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (write(atoi(getenv("TM_READY")), "ready\n", 6) == 6)
            pause();
        _exit(0);
    }
    return 0;
}
