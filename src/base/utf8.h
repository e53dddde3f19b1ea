/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef PING_BASE_UTF8_H
#define PING_BASE_UTF8_H

#include "base/slice.h"

/* Bytes of the character that `text` begins with; 0 where there is none or it is malformed. */
size_t utf8_character_size(struct slice text);
bool utf8_valid(struct slice text);
/* Writes a character, which must not be a surrogate nor lie above U+10FFFF; returns its bytes. */
size_t utf8_put(uint32_t character, uint8_t ret_bytes[4]);

#endif
