/**
 * How the job's values travel between tasks and lie in state: by hand, for speed, and so that a
 * later build can read them.
 */
package ping.metrics.types;
