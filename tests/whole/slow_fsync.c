/* A disk that takes its time: each fsync waits first for as long as the file named by
 * SLOW_FSYNC_FILE says, in ms. Loaded before the program by LD_PRELOAD (test_sensing_faults.py).
 * Where there is no such file nothing waits, so that a server can start before its disk slows
 * down. It knows nothing of who writes what.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_first(void)
{
    const char *name = getenv("SLOW_FSYNC_FILE");
    FILE *file = name ? fopen(name, "r") : NULL;
    long delay_ms = 0;
    struct timespec left;

    if (file == NULL)
        return;
    if (fscanf(file, "%ld", &delay_ms) != 1)
        delay_ms = 0;
    fclose(file);
    left.tv_sec = delay_ms / 1000;
    left.tv_nsec = delay_ms % 1000 * 1000000;
    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        ;
}

int fsync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    wait_first();
    return real(descriptor);
}

int fdatasync(int descriptor)
{
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

    wait_first();
    return real(descriptor);
}
