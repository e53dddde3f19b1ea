#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"

void json_init(struct json *json, struct slice text)
{
	*json = (struct json){.start = text.data, .next = text.data, .end = text.size == 0 ? text.data : text.data + text.size};
}

static enum error fail(struct json *json, const uint8_t *at, const char *problem)
{
	json->next = at;
	json->problem = problem;
	return ERROR_MALFORMED;
}

enum error json_problem(const struct json *json, enum error error, struct error_note *note)
{
	return error_noted(note, error, "JSON, byte %zu: %s", (size_t)(json->next - json->start), json->problem);
}

/* The next byte that is no blank; 0 at the end (a NUL in the text begins nothing either). */
static uint8_t next_byte(struct json *json)
{
	const uint8_t *p = json->next;
	while (p < json->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	json->next = p;
	return p < json->end ? *p : 0;
}

enum json_kind json_peek(struct json *json)
{
	switch (next_byte(json)) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case '-':
	case '0' ... '9':
		return JSON_NUMBER;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_INVALID;
	}
}

const char *json_kind_text(enum json_kind kind)
{
	static const char *const texts[] = {"no value", "an object", "an array", "a string", "a number", "true", "false", "null"};
	return texts[kind];
}

/* --- strings --- */

/* Steps over what needs no look: ASCII but control characters, quotes and backslashes; eight bytes at a time. Borrows can make a
 * word look special that isn't: the bytes are then looked at one by one. */
static const uint8_t *skip_plain(const uint8_t *p, const uint8_t *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	for (uint64_t word; (size_t)(end - p) >= sizeof word; p += sizeof word) {
		memcpy(&word, p, sizeof word);
		uint64_t special = word | (word - ones * 0x20) | ((word ^ ones * '"') - ones) | ((word ^ ones * '\\') - ones);
		if ((special & ones * 0x80) != 0)
			break;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* The four hex digits at `p`; -1: they are none. */
static int32_t hex4(const uint8_t *p, const uint8_t *end)
{
	int32_t value = 0;
	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = p[i] >= '0' && p[i] <= '9'			   ? p[i] - '0'
			    : (p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'f' ? (p[i] | 0x20) - 'a' + 10
									   : -1;
		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

/* Reads the escape that begins at `p`; returns its size, 0 where it is none. */
static size_t read_escape(const uint8_t *p, const uint8_t *end, uint32_t *ret_character)
{
	static const uint8_t simple[256] = {
		['"'] = '"', ['\\'] = '\\', ['/'] = '/', ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
	if (end - p < 2)
		return 0;
	if (p[1] != 'u') {
		*ret_character = simple[p[1]];
		return *ret_character == 0 ? 0 : 2;
	}
	int32_t unit = hex4(p + 2, end);
	if (unit < 0 || (unit >= 0xdc00 && unit <= 0xdfff))
		return 0;
	*ret_character = (uint32_t)unit;
	if (unit < 0xd800 || unit > 0xdfff)
		return 6;
	int32_t low = end - p >= 12 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8, end) : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return 0;
	*ret_character = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
	return 12;
}

enum error json_read_string(struct json *json, struct json_string *ret_string)
{
	if (next_byte(json) != '"')
		return fail(json, json->next, "expected a string");
	const uint8_t *start = json->next + 1, *end = json->end, *p = start;
	bool escaped = false;
	for (;;) {
		p = skip_plain(p, end);
		if (p == end)
			return fail(json, p, "a string without its end");
		if (*p == '"')
			break;
		if (*p < 0x20)
			return fail(json, p, "a control character in a string");
		bool escape = *p == '\\';
		uint32_t character;
		size_t size = escape ? read_escape(p, end, &character) : utf8_character_size(slice_make(p, (size_t)(end - p)));
		if (size == 0)
			return fail(json, p, escape ? "a malformed escape" : "text that is not UTF-8");
		escaped |= escape;
		p += size;
	}
	*ret_string = (struct json_string){slice_make(start, (size_t)(p - start)), escaped};
	json->next = p + 1;
	return ERROR_OK;
}

size_t json_string_decode(const struct json_string *string, uint8_t *ret_text)
{
	const uint8_t *p = string->raw.data, *end = p + string->raw.size;
	uint8_t *to = ret_text;
	while (p < end) {
		if (*p != '\\') {
			*to++ = *p++;
			continue;
		}
		uint32_t character = 0;
		p += read_escape(p, end, &character);
		to += utf8_put(character, to);
	}
	return (size_t)(to - ret_text);
}

/* --- numbers --- */

static const uint8_t *skip_digits(const uint8_t *p, const uint8_t *end)
{
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

/* The end of the number that begins at `p`; NULL: there is none. */
static const uint8_t *scan_number(const uint8_t *p, const uint8_t *end)
{
	if (p < end && *p == '-')
		p++;
	const uint8_t *digits = p;
	p = skip_digits(p, end);
	if (p == digits || (*digits == '0' && p - digits > 1))
		return NULL;
	if (p < end && *p == '.') {
		digits = p + 1;
		p = skip_digits(digits, end);
		if (p == digits)
			return NULL;
	}
	if (p < end && (*p == 'e' || *p == 'E')) {
		digits = p + 1 < end && (p[1] == '+' || p[1] == '-') ? p + 2 : p + 1;
		p = skip_digits(digits, end);
		if (p == digits)
			return NULL;
	}
	return p;
}

enum error json_read_number(struct json *json, struct slice *ret_number)
{
	next_byte(json);
	const uint8_t *start = json->next, *end = scan_number(start, json->end);
	if (end == NULL)
		return fail(json, start, "a malformed number");
	*ret_number = slice_make(start, (size_t)(end - start));
	json->next = end;
	return ERROR_OK;
}

bool json_is_number(struct slice text)
{
	return text.size > 0 && scan_number(text.data, text.data + text.size) == text.data + text.size;
}

/* The exponent behind `p`, held within what no text is long enough to make up for. */
static int64_t read_exponent(const uint8_t *p, const uint8_t *end)
{
	const int64_t limit = INT64_MAX / 16;
	if (p == end)
		return 0;
	bool negative = p[1] == '-';
	int64_t exponent = 0;
	for (p += p[1] == '-' || p[1] == '+' ? 2 : 1; p < end && exponent < limit; p++)
		exponent = exponent * 10 + (*p - '0');
	return negative ? -exponent : exponent;
}

/* Moves the point by the exponent, then takes the digits in front of it; those behind it must be zeros. */
static enum error read_magnitude(const uint8_t *p, const uint8_t *end, uint64_t *ret_value)
{
	const uint8_t *mantissa_end = p;
	while (mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E')
		mantissa_end++;
	const uint8_t *point = memchr(p, '.', (size_t)(mantissa_end - p));
	int64_t whole = (point == NULL ? mantissa_end : point) - p + read_exponent(mantissa_end, end), seen = 0;
	uint64_t value = 0;
	for (; p < mantissa_end; p++) {
		if (p == point)
			continue;
		uint64_t digit = *p - '0';
		if (seen++ >= whole) {
			if (digit != 0)
				return ERROR_MALFORMED;
		} else if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, digit, &value)) {
			return ERROR_OUT_OF_RANGE;
		}
	}
	for (; seen < whole && value != 0; seen++)
		if (__builtin_mul_overflow(value, 10, &value))
			return ERROR_OUT_OF_RANGE;
	*ret_value = value;
	return ERROR_OK;
}

enum error json_number_to_uint64(struct slice number, uint64_t *ret_value)
{
	bool negative = number.data[0] == '-';
	uint64_t value;
	enum error error = read_magnitude(number.data + negative, number.data + number.size, &value);
	if (error != ERROR_OK)
		return error;
	if (negative && value != 0)
		return ERROR_OUT_OF_RANGE;
	*ret_value = value;
	return ERROR_OK;
}

enum error json_number_to_int64(struct slice number, int64_t *ret_value)
{
	bool negative = number.data[0] == '-';
	uint64_t value;
	enum error error = read_magnitude(number.data + negative, number.data + number.size, &value);
	if (error != ERROR_OK)
		return error;
	if (value > (uint64_t)INT64_MAX + negative)
		return ERROR_OUT_OF_RANGE;
	*ret_value = (int64_t)(negative ? 0 - value : value);
	return ERROR_OK;
}

/* --- literals, objects and arrays --- */

static enum error read_literal(struct json *json, const char *text, size_t size)
{
	next_byte(json);
	if ((size_t)(json->end - json->next) < size || memcmp(json->next, text, size) != 0)
		return fail(json, json->next, "expected a value");
	json->next += size;
	return ERROR_OK;
}

enum error json_read_bool(struct json *json, bool *ret_value)
{
	bool value = next_byte(json) == 't';
	enum error error = value ? read_literal(json, "true", 4) : read_literal(json, "false", 5);
	if (error == ERROR_OK)
		*ret_value = value;
	return error;
}

enum error json_read_null(struct json *json)
{
	return read_literal(json, "null", 4);
}

enum error json_enter(struct json *json)
{
	uint8_t byte = next_byte(json);
	if (byte != '{' && byte != '[')
		return fail(json, json->next, "expected an object or an array");
	if (json->depth == JSON_MAX_DEPTH) {
		fail(json, json->next, "more than 100 levels of nesting");
		return ERROR_TOO_LARGE;
	}
	json->next++;
	json->depth++;
	json->first = true;
	return ERROR_OK;
}

/* To the next member or element, over its comma; or out of the object or array. */
static enum error advance(struct json *json, uint8_t closing, const char *problem, bool *ret_more)
{
	uint8_t byte = next_byte(json);
	if (byte == closing) {
		json->next++;
		json->depth--;
		json->first = false;
		*ret_more = false;
		return ERROR_OK;
	}
	if (!json->first) {
		if (byte != ',')
			return fail(json, json->next, problem);
		json->next++;
	}
	json->first = false;
	*ret_more = true;
	return ERROR_OK;
}

enum error json_next_member(struct json *json, struct json_string *ret_name, bool *ret_more)
{
	bool more;
	enum error error = advance(json, '}', "expected ',' or '}'", &more);
	if (error == ERROR_OK && more) {
		error = json_read_string(json, ret_name);
		if (error != ERROR_OK)
			return error;
		if (next_byte(json) != ':')
			return fail(json, json->next, "expected ':'");
		json->next++;
	}
	if (error == ERROR_OK)
		*ret_more = more;
	return error;
}

enum error json_next_element(struct json *json, bool *ret_more)
{
	return advance(json, ']', "expected ',' or ']'", ret_more);
}

/* As deep as json_enter allows. */
static enum error skip_nested(struct json *json, bool object)
{
	enum error error = json_enter(json);
	while (error == ERROR_OK) {
		struct json_string name;
		bool more;
		error = object ? json_next_member(json, &name, &more) : json_next_element(json, &more);
		if (error != ERROR_OK || !more)
			break;
		error = json_skip(json);
	}
	return error;
}

enum error json_skip(struct json *json)
{
	struct json_string string;
	struct slice number;
	bool value;
	enum json_kind kind = json_peek(json);
	switch (kind) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		return skip_nested(json, kind == JSON_OBJECT);
	case JSON_STRING:
		return json_read_string(json, &string);
	case JSON_NUMBER:
		return json_read_number(json, &number);
	case JSON_TRUE:
	case JSON_FALSE:
		return json_read_bool(json, &value);
	case JSON_NULL:
		return json_read_null(json);
	case JSON_INVALID:
		break;
	}
	return fail(json, json->next, "expected a value");
}

enum error json_finish(struct json *json)
{
	next_byte(json);
	return json->next == json->end ? ERROR_OK : fail(json, json->next, "something follows the value");
}

/* --- writing --- */

static enum error append_escape(struct buffer *output, uint8_t byte)
{
	static const char letters[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	if (byte < sizeof letters && letters[byte] == 0)
		return buffer_append_format(output, "\\u%04x", byte);
	char escape[2] = {'\\', byte < sizeof letters ? letters[byte] : (char)byte};
	return buffer_append(output, escape, sizeof escape);
}

enum error json_append_string(struct buffer *output, struct slice text)
{
	size_t before = output->size;
	const uint8_t *p = text.data, *end = text.size == 0 ? p : p + text.size;
	enum error error = buffer_append_byte(output, '"');
	while (error == ERROR_OK && p < end) {
		const uint8_t *plain = p;
		p = skip_plain(p, end);
		error = buffer_append(output, plain, (size_t)(p - plain));
		if (error != ERROR_OK || p == end)
			break;
		size_t size = utf8_character_size(slice_make(p, (size_t)(end - p)));
		if (size == 0)
			error = ERROR_MALFORMED;
		else
			error = size == 1 ? append_escape(output, *p) : buffer_append(output, p, size);
		p += size;
	}
	if (error == ERROR_OK)
		error = buffer_append_byte(output, '"');
	if (error != ERROR_OK)
		output->size = before;
	return error;
}

enum error json_append_uint64(struct buffer *output, uint64_t value)
{
	char text[20], *p = text + sizeof text;
	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return buffer_append(output, p, (size_t)(text + sizeof text - p));
}

enum error json_append_int64(struct buffer *output, int64_t value)
{
	if (value >= 0)
		return json_append_uint64(output, (uint64_t)value);
	enum error error = buffer_append_byte(output, '-');
	if (error != ERROR_OK)
		return error;
	error = json_append_uint64(output, 0 - (uint64_t)value);
	if (error != ERROR_OK)
		output->size--;
	return error;
}

enum error json_append_double(struct buffer *output, double value)
{
	char text[32];
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return buffer_append_string(output, text);
}
