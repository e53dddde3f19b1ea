#include "adapter/kafka/kafka.h"

static bool is_port(const char *begin, const char *end)
{
	unsigned port = 0;
	if (begin == end || end - begin > 5)
		return false;
	for (; begin < end; begin++) {
		if (*begin < '0' || *begin > '9')
			return false;
		port = port * 10 + (unsigned)(*begin - '0');
	}
	return port > 0 && port <= UINT16_MAX;
}

/* HOST[:PORT], an IPv6 address in brackets; the rest is the resolver's to judge. */
static bool is_broker(const char *begin, const char *end)
{
	bool brackets = *begin == '[';
	const char *host_end = begin;
	while (host_end < end && *host_end != (brackets ? ']' : ':'))
		host_end++;
	if (brackets && host_end < end)
		host_end++;
	if (host_end - begin < (brackets ? 3 : 1) || (brackets && host_end[-1] != ']'))
		return false;
	for (const char *p = begin; p < host_end; p++)
		if (*p <= ' ' || strchr("/@?#\\", *p) != NULL)
			return false;
	return host_end == end || (*host_end == ':' && is_port(host_end + 1, end));
}

enum error kafka_url_parse(const char *url, const char **ret_brokers, struct error_note *note)
{
	static const char scheme[] = "kafka://";
	const char *brokers = url + sizeof scheme - 1;
	if (strncmp(url, scheme, sizeof scheme - 1) != 0)
		return error_noted(note, ERROR_MALFORMED, "log: expected kafka://HOST[:PORT][,HOST[:PORT]…]");
	for (const char *begin = brokers;;) {
		const char *end = begin + strcspn(begin, ",");
		if (!is_broker(begin, end))
			return error_noted(note, ERROR_MALFORMED,
					   "log: \"%.*s\" is no HOST[:PORT]; user and password are set by --kafka",
					   (int)(end - begin < 80 ? end - begin : 80), begin);
		if (*end == 0)
			break;
		begin = end + 1;
	}
	*ret_brokers = brokers;
	return ERROR_OK;
}
