/* The allocator of pingd and pingctl: jemalloc where they were built with it (-Djemalloc=auto), else the C library's. librdkafka
 * takes memory on its threads and we give it back on ours, a few pieces an event: the C library's allocator then locks the other
 * thread's arena each time, jemalloc gathers them by thread. docs/PERFORMANCE.md has what that is worth.
 */
#ifndef PING_APP_ALLOCATOR_H
#define PING_APP_ALLOCATOR_H

/* For --version: "jemalloc 5.3.0", as it is loaded now, or "the C library's allocator". Its own; the first call is no concurrent
 * one. */
const char *allocator_text(void);

#endif
