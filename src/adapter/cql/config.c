#include "adapter/cql/config.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_TIMEOUT_MS = 5000, MAX_TIMEOUT_MS = 600000, MAX_CONTACT_POINTS_BYTES = 1 << 16 };

static const char scheme[] = "scylla://", default_port[] = ":9042";

static enum error malformed(struct error_note *note, const char *what, struct slice part)
{
	int size = part.size < 80 ? (int)part.size : 80;
	return error_noted(note, ERROR_MALFORMED, "store: \"%.*s\" is no %s; expected scylla://HOST:PORT,…/KEYSPACE?NAME=VALUE",
			   size, (const char *)part.data, what);
}

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The part with its %XX resolved. `what` stands in the note in its place: it may be a password. */
static enum error unescape(struct slice part, const char *what, char **ret_text, struct error_note *note)
{
	char *text = malloc(part.size + 1);
	size_t size = 0;
	if (text == NULL)
		return ERROR_NO_MEMORY;
	for (size_t i = 0; i < part.size; i++) {
		int value = part.data[i];
		if (value == '%') {
			int high = i + 2 < part.size ? hex_digit(part.data[i + 1]) : -1;
			int low = i + 2 < part.size ? hex_digit(part.data[i + 2]) : -1;
			value = high < 0 || low < 0 ? 0 : high * 16 + low;
			i += 2;
		}
		if (value == 0) {
			free(text);
			return error_noted(note, ERROR_MALFORMED, "store: %s has a %% without two hexadecimal digits behind it",
					   what);
		}
		text[size++] = (char)value;
	}
	text[size] = 0;
	free(*ret_text);
	*ret_text = text;
	return ERROR_OK;
}

/* Splits at the first (or last) `byte`; without one, `left` is all and `right` empty. True where there was one. */
static bool split(struct slice text, char byte, bool last, struct slice *ret_left, struct slice *ret_right)
{
	const uint8_t *at = text.size == 0 ? NULL
			    : last	   ? memrchr(text.data, byte, text.size)
					   : memchr(text.data, byte, text.size);
	size_t size = at == NULL ? text.size : (size_t)(at - text.data);
	*ret_left = slice_make(text.data, size);
	*ret_right = at == NULL ? slice_make(NULL, 0) : slice_make(at + 1, text.size - size - 1);
	return at != NULL;
}

static bool is_port(struct slice text)
{
	unsigned port = 0;
	for (size_t i = 0; i < text.size && i < 6; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text.data[i] - '0');
	}
	return text.size > 0 && port > 0 && port <= UINT16_MAX;
}

/* HOST[:PORT], an IPv6 address in brackets; the rest is the resolver's to judge. */
static bool is_host(struct slice text, bool *ret_has_port)
{
	size_t host = 0;
	bool brackets = text.size > 0 && text.data[0] == '[';
	while (host < text.size && text.data[host] != (brackets ? ']' : ':'))
		host++;
	if (brackets && host < text.size)
		host++;
	if (host < (brackets ? 3u : 1u) || (brackets && text.data[host - 1] != ']'))
		return false;
	for (size_t i = 0; i < host; i++)
		if (text.data[i] <= ' ' || strchr("/@?#\\%", text.data[i]) != NULL)
			return false;
	*ret_has_port = host < text.size;
	return host == text.size || (text.data[host] == ':' && is_port(slice_make(text.data + host + 1, text.size - host - 1)));
}

static enum error read_hosts(struct cql_config *config, struct slice hosts, struct error_note *note)
{
	struct slice host, rest = hosts;
	bool more = true;
	while (more) {
		bool has_port = false;
		more = split(rest, ',', false, &host, &rest);
		if (!is_host(host, &has_port))
			return malformed(note, "HOST[:PORT]", host);
		enum error error = config->contact_points.size == 0 ? ERROR_OK : buffer_append_byte(&config->contact_points, ',');
		if (error == ERROR_OK)
			error = buffer_append(&config->contact_points, host.data, host.size);
		if (error == ERROR_OK && !has_port)
			error = buffer_append_string(&config->contact_points, default_port);
		if (error != ERROR_OK)
			return error;
	}
	return buffer_append_byte(&config->contact_points, 0);
}

static enum error read_user(struct cql_config *config, struct slice user, struct error_note *note)
{
	struct slice name, password;
	bool has_password = split(user, ':', false, &name, &password);
	enum error error = unescape(name, "the user", &config->user, note);
	return error == ERROR_OK && has_password ? unescape(password, "the password", &config->password, note) : error;
}

/* A name that needs no quotes in CQL, so none is ever quoted wrongly. */
static enum error read_keyspace(struct cql_config *config, struct slice name, struct error_note *note)
{
	bool fine = name.size < CQL_KEYSPACE_SIZE;
	for (size_t i = 0; i < name.size && fine; i++) {
		uint8_t c = name.data[i];
		fine = (c >= 'a' && c <= 'z') || (i > 0 && ((c >= '0' && c <= '9') || c == '_'));
	}
	if (!fine)
		return malformed(note, "keyspace (a-z, then a-z, 0-9 and _, 48 at most)", name);
	if (name.size == 0)
		name = SLICE_LITERAL("metrics");
	memcpy(config->keyspace, name.data, name.size);
	config->keyspace[name.size] = 0;
	return ERROR_OK;
}

static enum error read_timeout(struct cql_config *config, struct slice value, struct error_note *note)
{
	unsigned timeout_ms = 0;
	bool fine = value.size > 0 && value.size <= 6;
	for (size_t i = 0; i < value.size && fine; i++) {
		fine = value.data[i] >= '0' && value.data[i] <= '9';
		timeout_ms = timeout_ms * 10 + (unsigned)(value.data[i] - '0');
	}
	if (!fine || timeout_ms == 0 || timeout_ms > MAX_TIMEOUT_MS)
		return malformed(note, "timeout (1 to 600000 milliseconds)", value);
	config->timeout_ms = timeout_ms;
	return ERROR_OK;
}

static bool named(struct slice name, const char *text)
{
	return slice_equal(name, slice_from_string(text));
}

static enum error read_option(struct cql_config *config, struct slice option, struct error_note *note)
{
	struct {
		const char *name;
		char **text;
		bool tls;
	} texts[] = {
		{"datacenter", &config->datacenter, false},
		{"replication", &config->replication, false},
		{"keyspace_options", &config->keyspace_options, false},
		{"tls_ca", &config->tls_ca, true},
		{"tls_cert", &config->tls_cert, true},
		{"tls_key", &config->tls_key, true},
	};
	struct slice name, value;
	if (!split(option, '=', false, &name, &value))
		return malformed(note, "NAME=VALUE", option);
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (named(name, texts[i].name)) {
			config->tls |= texts[i].tls;
			return unescape(value, texts[i].name, texts[i].text, note);
		}
	if (named(name, "timeout"))
		return read_timeout(config, value, note);
	if (!named(name, "tls"))
		return malformed(note,
				 "option (datacenter, replication, keyspace_options, tls, tls_ca, tls_cert, tls_key, timeout)",
				 name);
	if (!named(value, "true") && !named(value, "false"))
		return malformed(note, "value of tls (true, false)", value);
	config->tls = named(value, "true");
	return ERROR_OK;
}

/* "dc1:3,dc2:2"; the names stand between quotes later. */
static enum error check_replication(const struct cql_config *config, struct error_note *note)
{
	struct slice part, rest = slice_from_string(config->replication == NULL ? "" : config->replication);
	bool more = rest.size > 0;
	while (more) {
		struct slice name, count;
		more = split(rest, ',', false, &part, &rest);
		bool fine = split(part, ':', true, &name, &count) && name.size > 0 && count.size > 0 && count.size <= 2;
		for (size_t i = 0; i < name.size && fine; i++)
			fine = name.data[i] > ' ' && name.data[i] != '\'';
		for (size_t i = 0; i < count.size && fine; i++)
			fine = count.data[i] >= '0' && count.data[i] <= '9';
		if (!fine)
			return malformed(note, "replication (DATACENTER:COPIES,…)", part);
	}
	return ERROR_OK;
}

static enum error read_url(struct cql_config *config, struct slice url, struct error_note *note)
{
	struct slice server, options, hosts, keyspace, user, option;
	bool more = split(url, '?', false, &server, &options);
	split(server, '/', false, &server, &keyspace);
	enum error error = ERROR_OK;
	if (split(server, '@', true, &user, &hosts))
		error = read_user(config, user, note);
	else
		hosts = server;
	if (error == ERROR_OK)
		error = read_hosts(config, hosts, note);
	if (error == ERROR_OK)
		error = read_keyspace(config, keyspace, note);
	while (error == ERROR_OK && more) {
		more = split(options, '&', false, &option, &options);
		error = read_option(config, option, note);
	}
	return error == ERROR_OK ? check_replication(config, note) : error;
}

enum error cql_config_create(const char *url, struct cql_config **ret_config, struct error_note *note)
{
	struct slice text = slice_from_string(url);
	size_t size = sizeof scheme - 1;
	if (text.size < size || memcmp(text.data, scheme, size) != 0)
		return error_noted(note, ERROR_MALFORMED, "store: expected scylla://HOST:PORT,…/KEYSPACE?NAME=VALUE");
	struct cql_config *config = calloc(1, sizeof *config);
	if (config == NULL)
		return ERROR_NO_MEMORY;
	buffer_init(&config->contact_points, MAX_CONTACT_POINTS_BYTES);
	config->timeout_ms = DEFAULT_TIMEOUT_MS;
	enum error error = read_url(config, slice_make(text.data + size, text.size - size), note);
	if (error != ERROR_OK) {
		cql_config_destroy(config);
		return error;
	}
	*ret_config = config;
	return ERROR_OK;
}

void cql_config_destroy(struct cql_config *config)
{
	if (config == NULL)
		return;
	char *texts[] = {config->user,	 config->password, config->datacenter, config->replication, config->keyspace_options,
			 config->tls_ca, config->tls_cert, config->tls_key};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		free(texts[i]);
	buffer_release(&config->contact_points);
	free(config);
}

const char *cql_config_keyspace(const struct cql_config *config)
{
	return config->keyspace;
}
