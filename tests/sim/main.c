/* ping-sim: runs seeds, many at once, and says how to replay one that fails. Exit code 0: all held; 1: a promise was broken; 2:
 * bad usage.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "run.h"

enum {
	JOBS_MAX = 256,
	TWICE_EVERY = 16,   /* seeds: one of these is run again and must go the same way */
	SEED_LIMIT_S = 120, /* a seed that takes longer hangs */
};

/* What a job tells the one who waits for it; in shared memory. */
struct job {
	uint64_t seed; /* at work on */
	uint64_t seeds;
	struct run_result sum;
};

struct options {
	struct run_options run;
	uint64_t first_seed, last_seed;
	bool one_seed, mutations;
	unsigned jobs;
	int64_t seconds; /* 0: as many seeds as were asked for */
	char replay[256];
};

static void add_result(struct run_result *sum, const struct run_result *result)
{
	sum->hash ^= result->hash;
	sum->pings += result->pings;
	sum->rows_checked += result->rows_checked;
	sum->crashes += result->crashes;
	sum->failures += result->failures;
}

static void run_one(const struct options *options, struct job *job, uint64_t seed)
{
	job->seed = seed;
	alarm(SEED_LIMIT_S);
	struct run_result result = run_seed(seed, &options->run);
	if (seed % TWICE_EVERY == 0 && !options->run.trace) {
		struct run_result again = run_seed(seed, &options->run);
		if (again.hash != result.hash) {
			fprintf(stderr, "seed %" PRIu64 ": two runs differ (%016" PRIx64 ", %016" PRIx64 ")\n", seed, result.hash,
				again.hash);
			_exit(1);
		}
	}
	job->seeds++;
	add_result(&job->sum, &result);
}

static int64_t now_ms(void)
{
	return clock_monotonic_us(clock_system()) / 1000;
}

/* Seeds first + index, first + index + jobs, … */
static void run_job(const struct options *options, struct job *job, unsigned index)
{
	int64_t end_ms = options->seconds == 0 ? INT64_MAX : now_ms() + options->seconds * 1000;
	for (uint64_t seed = options->first_seed + index; seed <= options->last_seed && now_ms() < end_ms; seed += options->jobs)
		run_one(options, job, seed);
}

/* errors_to: a file that takes the place of stderr; −1: none. */
static pid_t start_job(const struct options *options, struct job *job, unsigned index, int errors_to)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid > 0)
		return pid;
	if (errors_to >= 0)
		dup2(errors_to, STDERR_FILENO);
	run_job(options, job, index);
	fflush(NULL);
	_exit(0);
}

static void say_signal(const struct options *options, const struct job *job, int signal_number)
{
	fprintf(stderr, "seed %" PRIu64 " ended by signal %d%s\n  replay: %s --seed %" PRIu64 " --trace\n", job->seed,
		signal_number, signal_number == SIGALRM ? " (it hangs)" : "", options->replay, job->seed);
}

/* True when all held. With the first that did not, the other jobs end too. */
static bool run_jobs(const struct options *options, struct job *jobs, int errors_to)
{
	pid_t pids[JOBS_MAX];
	memset(jobs, 0, options->jobs * sizeof *jobs);
	for (unsigned i = 0; i < options->jobs; i++)
		pids[i] = start_job(options, &jobs[i], i, errors_to);
	bool held = true;
	for (unsigned i = 0; i < options->jobs; i++) {
		int status;
		if (!held)
			kill(pids[i], SIGKILL);
		while (waitpid(pids[i], &status, 0) < 0 && errno == EINTR)
			;
		if (!held || (WIFEXITED(status) && WEXITSTATUS(status) == 0))
			continue;
		held = false;
		if (WIFSIGNALED(status))
			say_signal(options, &jobs[i], WTERMSIG(status));
	}
	return held;
}

static int run_seeds(const struct options *options, struct job *jobs)
{
	int64_t start_ms = now_ms();
	if (!run_jobs(options, jobs, -1))
		return 1;
	double seconds = (double)(now_ms() - start_ms) / 1000;
	struct rusage used;
	getrusage(RUSAGE_CHILDREN, &used);
	double cpu_seconds =
		(double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6 + (double)used.ru_stime.tv_sec + 0.001;
	struct job sum = {0};
	for (unsigned i = 0; i < options->jobs; i++) {
		sum.seeds += jobs[i].seeds;
		add_result(&sum.sum, &jobs[i].sum);
	}
	printf("%" PRIu64 " seeds held: %" PRIu64 " pings, %" PRIu64 " crashes, %" PRIu64 " failed calls, %" PRIu64
	       " rows checked; %.1f s, %.0f seeds per CPU second; trace %016" PRIx64 "\n",
	       sum.seeds, sum.sum.pings, sum.sum.crashes, sum.sum.failures, sum.sum.rows_checked, seconds,
	       (double)sum.seeds / cpu_seconds, sum.sum.hash);
	return 0;
}

/* Each safeguard that is left out must make some seed fail. */
/* NULL: no such mutation. */
static const struct mutation *find_mutation(const char *name)
{
	size_t i = 0;
	while (mutation_at(i) != NULL && strcmp(mutation_at(i)->name, name) != 0)
		i++;
	return mutation_at(i);
}

static int run_mutations(struct options *options, struct job *jobs)
{
	int missed = 0;
	for (size_t i = 1; mutation_at(i) != NULL; i++) {
		options->run.mutation = mutation_at(i);
		FILE *errors = tmpfile();
		if (errors == NULL) {
			perror("tmpfile");
			return 2;
		}
		bool found = !run_jobs(options, jobs, fileno(errors));
		char line[300] = "";
		rewind(errors);
		if (fgets(line, sizeof line, errors) == NULL || !found)
			snprintf(line, sizeof line, "NOT FOUND\n");
		printf("%s: %s\n    %s", mutation_at(i)->name, mutation_at(i)->what, line);
		missed += !found;
		fclose(errors);
	}
	return missed == 0 ? 0 : 1;
}

static _Noreturn void usage(FILE *to, int code)
{
	fprintf(to,
		"usage: ping-sim [options]\n"
		"  --seed N            one seed; its trace's hash is printed\n"
		"  --seeds A..B        these seeds (1..PING_SIM_SEEDS, or %" PRIu64 ")\n"
		"  --seconds S         new seeds for so long\n"
		"  --steps N           a seed (%" PRIu64 ")\n"
		"  --jobs N            processes at once (as many as there are cores)\n"
		"  --adapter NAME      model, or sqlite: real files on a RAM disk\n"
		"  --mutation NAME     with this safeguard left out:\n",
		run_defaults.seeds, run_defaults.steps);
	for (size_t i = 0; mutation_at(i) != NULL; i++)
		fprintf(to, "                        %-24s %s\n", mutation_at(i)->name, mutation_at(i)->what);
	fprintf(to, "  --mutations         each of them must be found by one of the seeds\n"
		    "  --trace             print every step\n");
	exit(code);
}

static uint64_t parse_number(const char *text, char stop, const char **ret_end)
{
	char *end;
	errno = 0;
	uint64_t number = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != stop) {
		fprintf(stderr, "ping-sim: \"%s\" is not what was asked for\n", text);
		usage(stderr, 2);
	}
	if (ret_end != NULL)
		*ret_end = end;
	return number;
}

static void parse_seeds(struct options *options, const char *text)
{
	const char *dots;
	options->first_seed = parse_number(text, '.', &dots);
	if (dots[1] != '.')
		usage(stderr, 2);
	options->last_seed = parse_number(dots + 2, 0, NULL);
}

static void parse_option(struct options *options, int option, const char *value)
{
	switch (option) {
	case 's':
		options->one_seed = true;
		options->first_seed = options->last_seed = parse_number(value, 0, NULL);
		break;
	case 'S':
		parse_seeds(options, value);
		break;
	case 't':
		options->seconds = (int64_t)parse_number(value, 0, NULL);
		options->first_seed = (uint64_t)clock_wall_ms(clock_system()) << 16; /* others than last time */
		options->last_seed = UINT64_MAX - JOBS_MAX;
		break;
	case 'n':
		options->run.steps = parse_number(value, 0, NULL);
		break;
	case 'j':
		options->jobs = (unsigned)parse_number(value, 0, NULL);
		break;
	case 'a':
		options->run.sqlite = strcmp(value, "sqlite") == 0;
		if (!options->run.sqlite && strcmp(value, "model") != 0)
			usage(stderr, 2);
		break;
	case 'm':
		options->run.mutation = find_mutation(value);
		if (options->run.mutation == NULL)
			usage(stderr, 2);
		break;
	case 'M':
		options->mutations = true;
		break;
	case 'T':
		options->run.trace = true;
		break;
	default:
		usage(option == 'h' ? stdout : stderr, option == 'h' ? 0 : 2);
	}
}

static void parse_options(struct options *options, int argc, char **argv)
{
	static const struct option names[] = {{"seed", required_argument, NULL, 's'},
					      {"seeds", required_argument, NULL, 'S'},
					      {"seconds", required_argument, NULL, 't'},
					      {"steps", required_argument, NULL, 'n'},
					      {"jobs", required_argument, NULL, 'j'},
					      {"adapter", required_argument, NULL, 'a'},
					      {"mutation", required_argument, NULL, 'm'},
					      {"mutations", no_argument, NULL, 'M'},
					      {"trace", no_argument, NULL, 'T'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	const char *seeds = getenv("PING_SIM_SEEDS");
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	*options = (struct options){.run = {.steps = run_defaults.steps, .mutation = mutation_at(0)},
				    .first_seed = 1,
				    .last_seed = seeds != NULL ? parse_number(seeds, 0, NULL) : run_defaults.seeds,
				    .jobs = cores > 0 ? (unsigned)cores : 1};
	for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;)
		parse_option(options, option, optarg);
	if (optind != argc || options->jobs == 0 || options->jobs > JOBS_MAX)
		usage(stderr, 2);
	snprintf(options->replay, sizeof options->replay, "%s --steps %" PRIu64 "%s%s%s", argv[0], options->run.steps,
		 options->run.sqlite ? " --adapter sqlite" : "", options->run.mutation == mutation_at(0) ? "" : " --mutation ",
		 options->run.mutation == mutation_at(0) ? "" : options->run.mutation->name);
	options->run.replay = options->replay;
}

int main(int argc, char **argv)
{
	struct options options;
	parse_options(&options, argc, argv);
	if (options.one_seed) {
		struct run_result result = run_seed(options.first_seed, &options.run);
		printf("seed %" PRIu64 " held: %" PRIu64 " pings, %" PRIu64 " crashes, %" PRIu64 " failed calls, %" PRIu64
		       " rows checked; trace %016" PRIx64 "\n",
		       options.first_seed, result.pings, result.crashes, result.failures, result.rows_checked, result.hash);
		return 0;
	}
	struct job *jobs = mmap(NULL, JOBS_MAX * sizeof *jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (jobs == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	return options.mutations ? run_mutations(&options, jobs) : run_seeds(&options, jobs);
}
