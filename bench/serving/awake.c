/* For LD_PRELOAD: a program that waits for its connections looks for what comes without sleeping. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

typedef int wait_fn(int, struct epoll_event *, int, int);
typedef int pwait_fn(int, struct epoll_event *, int, int, const sigset_t *);

static long long now_ms(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000LL + at.tv_nsec / 1000000;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout) {
    static wait_fn *wait;
    if (!wait) wait = (wait_fn *)dlsym(RTLD_NEXT, "epoll_wait");
    long long end = now_ms() + timeout;
    for (;;) {
        int found = wait(poll, events, most, 0);
        if (found || (timeout >= 0 && now_ms() >= end)) return found;
    }
}

int epoll_pwait(int poll, struct epoll_event *events, int most, int timeout, const sigset_t *mask) {
    static pwait_fn *wait;
    if (!wait) wait = (pwait_fn *)dlsym(RTLD_NEXT, "epoll_pwait");
    long long end = now_ms() + timeout;
    for (;;) {
        int found = wait(poll, events, most, 0, mask);
        if (found || (timeout >= 0 && now_ms() >= end)) return found;
    }
}
