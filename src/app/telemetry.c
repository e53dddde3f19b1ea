#include "app/telemetry.h"
#include <stdlib.h>
struct telemetry { int x; };
enum error telemetry_create(struct telemetry **r) { *r = calloc(1, sizeof **r); return ERROR_OK; }
void telemetry_destroy(struct telemetry *t) { free(t); }
void telemetry_batch(void *c, size_t p, int64_t t, enum error e) { (void)c;(void)p;(void)t;(void)e; }
void telemetry_rpc_finished(void *c, const struct method_type *m, enum error e, int64_t l) { (void)c;(void)m;(void)e;(void)l; }
void telemetry_watch(struct telemetry *t, struct pipeline *p, struct server *s) { (void)t;(void)p;(void)s; }
enum error telemetry_render(struct telemetry *t, struct buffer *o) { (void)t;(void)o; return ERROR_OK; }
