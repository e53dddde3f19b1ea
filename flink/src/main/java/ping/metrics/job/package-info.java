/** The job's operators, and what they hand on to each other. */
package ping.metrics.job;
