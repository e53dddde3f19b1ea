-- Counts the rows that were there before the triggers, all in one statement and so in one snapshot, while others go on inserting:
-- what they insert has received_at and is counted by the triggers. Where the table is new there are none.

DO $$
BEGIN
	PERFORM FROM ping_counts_state FOR UPDATE;
	INSERT INTO ping_counts (level, bucket, shard, count)
	WITH level0 AS MATERIALIZED (
			SELECT ping_ms(pinged_at) AS bucket, count(*) AS n FROM pings WHERE received_at IS NULL GROUP BY 1),
		level1 AS MATERIALIZED (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level0 GROUP BY 1),
		level2 AS MATERIALIZED (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level1 GROUP BY 1),
		level3 AS MATERIALIZED (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level2 GROUP BY 1),
		level4 AS (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level3 GROUP BY 1)
	SELECT 0, bucket, -1, n FROM level0
	UNION ALL SELECT 1, bucket, -1, n FROM level1
	UNION ALL SELECT 2, bucket, -1, n FROM level2
	UNION ALL SELECT 3, bucket, -1, n FROM level3
	UNION ALL SELECT 4, bucket, -1, n FROM level4;
	UPDATE ping_counts_state SET counted = true;
END
$$;

SELECT pings_make_days(7);
