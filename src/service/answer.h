/* How an error is told to a client.
 */
#ifndef PING_SERVICE_ANSWER_H
#define PING_SERVICE_ANSWER_H

#include "rpc/call.h"

/* The note's text goes out where it speaks of the request or the configuration; of other errors only the table's text does, for
 * notes name files and hosts. */
static inline void answer_error(struct rpc_call *call, enum error error, const struct error_note *note)
{
	bool tells = error == ERROR_INVALID_ARGUMENT || error == ERROR_FAILED_PRECONDITION;
	rpc_call_fail(call, error, tells && note->text[0] != '\0' ? note->text : NULL);
}

#endif
