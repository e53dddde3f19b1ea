#include "net.h"

static enum fate unknown_fate(struct net *net)
{
	static const enum fate fates[] = {REPLY_LOST, VANISHED, LATE};
	return fates[random_below(world_random(net->world), 3)];
}

enum fate net_request(struct net *net, enum server server, struct process *process)
{
	net->doubled = false;
	if (process->dead)
		return VANISHED;
	if (net->quiet)
		return CARRIED_OUT;
	if (world_once_in(net->world, net->crash_once_in)) {
		process->dead = true;
		net->crashes++;
		return unknown_fate(net);
	}
	if (net->world->true_us < net->down_until_us[server]) {
		net->failures++;
		return world_once_in(net->world, 4) ? VANISHED : REFUSED;
	}
	if (!world_once_in(net->world, net->fail_once_in)) {
		net->doubled = world_once_in(net->world, 100);
		return CARRIED_OUT;
	}
	net->failures++;
	return world_once_in(net->world, 3) ? REFUSED : unknown_fate(net);
}

enum error net_reply(enum fate fate, bool in_doubt, struct error_note *note)
{
	if (fate == CARRIED_OUT)
		return ERROR_OK;
	if (fate == REFUSED || !in_doubt)
		return error_noted(note, ERROR_UNAVAILABLE, "not carried out");
	return error_noted(note, ERROR_IN_DOUBT, "the reply was lost");
}
