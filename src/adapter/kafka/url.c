#include "adapter/kafka/kafka.h"

/* HOST:PORT, an IPv6 address in brackets; the rest is the resolver's to judge. */
static bool is_broker(const char *begin, const char *end)
{
	const char *colon = end;
	while (colon > begin && *colon != ':')
		colon--;
	unsigned port = 0, digits = 0;
	for (const char *p = colon + 1; p < end; p++, digits++) {
		if (*p < '0' || *p > '9' || digits == 5)
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	if (colon == begin || digits == 0 || port == 0 || port > UINT16_MAX)
		return false;
	bool brackets = *begin == '[' && colon[-1] == ']';
	for (const char *p = begin; p < colon; p++)
		if (*p <= ' ' || strchr("/@?#\\", *p) != NULL || (*p == ':' && !brackets))
			return false;
	return true;
}

enum error kafka_url_parse(const char *url, const char **ret_brokers, struct error_note *note)
{
	static const char scheme[] = "kafka://";
	const char *brokers = url + sizeof scheme - 1;
	if (strncmp(url, scheme, sizeof scheme - 1) != 0)
		return error_noted(note, ERROR_MALFORMED, "log: expected kafka://HOST:PORT[,HOST:PORT…]");
	for (const char *begin = brokers;;) {
		const char *end = begin + strcspn(begin, ",");
		if (!is_broker(begin, end))
			return error_noted(note, ERROR_MALFORMED,
					   "log: \"%.*s\" is no HOST:PORT; user and password are set by --kafka",
					   (int)(end - begin < 80 ? end - begin : 80), begin);
		if (*end == 0)
			break;
		begin = end + 1;
	}
	*ret_brokers = brokers;
	return ERROR_OK;
}
