#include "stream/dropped.h"

void dropped_remove(struct dropped *dropped, int32_t number)
{
	for (size_t i = 0; i < dropped->count; i++)
		if (dropped->partitions[i].number == number)
			dropped->partitions[i--] = dropped->partitions[--dropped->count]; /* the last one fills the gap */
}

void dropped_add(struct dropped *dropped, int32_t number, int64_t now_us)
{
	dropped_remove(dropped, number);
	if (dropped->count < DROPPED_MAX)
		dropped->partitions[dropped->count++] = (struct dropped_partition){number, now_us + DROPPED_RETAKE_US};
}

bool dropped_take_due(struct dropped *dropped, int64_t now_us, int32_t *ret_number)
{
	for (size_t i = 0; i < dropped->count; i++) {
		if (now_us < dropped->partitions[i].retake_at_us)
			continue;
		*ret_number = dropped->partitions[i].number;
		dropped_remove(dropped, *ret_number);
		return true;
	}
	return false;
}
