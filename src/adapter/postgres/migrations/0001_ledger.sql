-- The ledger: pings, their roll-up for PingCount, idempotency keys, publisher slots.
--
-- A new table is partitioned by day of received_at. The original server's table (id, pinged_at) becomes ours where it is: columns
-- without a rewrite, under a lock of a moment. Its rows are those without received_at; the next migration counts them.

DO $$
BEGIN
	IF to_regclass('pings') IS NULL THEN
		CREATE TABLE pings (
			id uuid NOT NULL DEFAULT gen_random_uuid(),
			pinged_at timestamptz NOT NULL,
			client_ip inet,          -- NULL: written by others
			received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
			position bigint,         -- in the log; NULL: none
			batch_seq bigint,        -- the batch of the publisher slot
			slot integer,
			PRIMARY KEY (id, received_at)
		) PARTITION BY RANGE (received_at);
		CREATE INDEX pings_batch ON pings (slot, batch_seq) WHERE slot IS NOT NULL;
		CREATE TABLE pings_default PARTITION OF pings DEFAULT;
	ELSE
		IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pings'::regclass AND attname = 'id'
				AND atttypid = 'uuid'::regtype)
			OR NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pings'::regclass AND attname = 'pinged_at'
				AND atttypid = 'timestamptz'::regtype)
			OR NOT EXISTS (SELECT FROM pg_class WHERE oid = 'pings'::regclass AND relkind = 'r' AND NOT relispartition) THEN
			RAISE EXCEPTION USING ERRCODE = 'PF002', MESSAGE = 'there is a table pings already, and it is not'
				' (id uuid, pinged_at timestamptz): rename it, or use another database or schema';
		END IF;
		ALTER TABLE pings
			ADD COLUMN client_ip inet, ADD COLUMN received_at timestamptz, ADD COLUMN position bigint,
			ADD COLUMN batch_seq bigint, ADD COLUMN slot integer;
		-- Set afterwards, a default is for new rows alone.
		ALTER TABLE pings
			ALTER COLUMN received_at SET DEFAULT clock_timestamp(),
			ADD CONSTRAINT pings_received_at CHECK (received_at IS NOT NULL) NOT VALID;
	END IF;
END
$$;

-- The roll-up: pings by pinged_at, in buckets of 2^(10·level) ms. What is added up of one bucket is spread over shards, so that no
-- two transactions ever wait for one row.
CREATE TABLE ping_counts (
	bucket bigint NOT NULL,
	count bigint NOT NULL,
	level smallint NOT NULL,
	shard smallint NOT NULL,
	PRIMARY KEY (level, bucket, shard)
) WITH (fillfactor = 80);

-- One row. counted: the rows that were there before the triggers are in the roll-up.
CREATE TABLE ping_counts_state (
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	counted boolean NOT NULL
);
INSERT INTO ping_counts_state (counted) VALUES (false);

CREATE TABLE idempotency_keys (
	client_ip inet NOT NULL,
	key bytea NOT NULL,
	pinged_at timestamptz NOT NULL,
	received_at timestamptz NOT NULL,
	PRIMARY KEY (client_ip, key)
);
CREATE INDEX idempotency_keys_received_at ON idempotency_keys (received_at);

-- held and the lease ran out: dead, may have left a batch unfinished. Not held: free. epoch 0: never used.
CREATE TABLE publisher_slots (
	slot integer PRIMARY KEY,
	epoch bigint NOT NULL DEFAULT 0,
	batch_seq bigint NOT NULL DEFAULT 0,
	last_id uuid,
	held boolean NOT NULL DEFAULT false,
	lease_until timestamptz NOT NULL DEFAULT '-infinity',
	owner text
) WITH (fillfactor = 50);
INSERT INTO publisher_slots (slot) SELECT generate_series(0, 31);

-- ── The roll-up's triggers ──

-- Others may write times that a ping cannot have: those before 1970 count at its first moment, those after 9999 at its last.
CREATE FUNCTION ping_ms(at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
	SELECT CASE
		WHEN at IS NULL OR at < '1970-01-01 00:00:00+00' THEN 0
		WHEN at >= '10000-01-01 00:00:00+00' THEN 253402300799999
		ELSE floor(extract(epoch FROM at) * 1000)::bigint
	END
$$;

-- A shard that is this transaction's alone until it ends: the first that nobody has, so that few are in use when few write.
CREATE FUNCTION ping_counts_shard() RETURNS smallint LANGUAGE plpgsql AS $$
BEGIN
	FOR shard IN 0..63 LOOP
		IF pg_try_advisory_xact_lock(1346981447, shard) THEN
			RETURN shard;
		END IF;
	END LOOP;
	PERFORM pg_advisory_xact_lock(1346981447, pg_backend_pid() % 64);
	RETURN pg_backend_pid() % 64;
END
$$;

-- Times (ms) and how many pings of each are added; less than 0: are taken away.
CREATE FUNCTION ping_counts_add(times bigint[], numbers bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	own_shard smallint;
BEGIN
	IF cardinality(times) IS NULL OR cardinality(times) = 0 THEN
		RETURN;
	END IF;
	own_shard := ping_counts_shard();
	INSERT INTO ping_counts AS c (level, bucket, shard, count)
	WITH level0 AS MATERIALIZED (SELECT * FROM unnest(times, numbers) AS t (bucket, n)),
		level1 AS MATERIALIZED (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level0 GROUP BY 1),
		level2 AS MATERIALIZED (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level1 GROUP BY 1),
		level3 AS MATERIALIZED (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level2 GROUP BY 1),
		level4 AS (SELECT bucket >> 10 AS bucket, sum(n)::bigint AS n FROM level3 GROUP BY 1)
	SELECT 0, bucket, own_shard, n FROM level0
	UNION ALL SELECT 1, bucket, own_shard, n FROM level1
	UNION ALL SELECT 2, bucket, own_shard, n FROM level2
	UNION ALL SELECT 3, bucket, own_shard, n FROM level3
	UNION ALL SELECT 4, bucket, own_shard, n FROM level4
	ON CONFLICT (level, bucket, shard) DO UPDATE SET count = c.count + excluded.count;
END
$$;

CREATE FUNCTION ping_counts_inserted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	PERFORM ping_counts_add(array_agg(ms), array_agg(n))
	FROM (SELECT ping_ms(pinged_at) AS ms, count(*) AS n FROM added GROUP BY 1) t;
	RETURN NULL;
END
$$;

-- A row older than the triggers (without received_at) is taken away once all of those are counted. The lock makes who removes one
-- wait while they are being counted, and who counts them wait for who removes one: each is counted and taken away, or neither.
CREATE FUNCTION ping_counts_of_old_rows() RETURNS boolean LANGUAGE sql AS $$
	SELECT counted FROM ping_counts_state FOR SHARE
$$;

CREATE FUNCTION ping_counts_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	with_old boolean := true;
BEGIN
	IF EXISTS (SELECT FROM removed WHERE received_at IS NULL) THEN
		with_old := ping_counts_of_old_rows();
	END IF;
	PERFORM ping_counts_add(array_agg(ms), array_agg(-n))
	FROM (SELECT ping_ms(pinged_at) AS ms, count(*) AS n FROM removed WHERE with_old OR received_at IS NOT NULL GROUP BY 1) t;
	RETURN NULL;
END
$$;

-- Before, as there are no rows to see after it. Fires for each table that is emptied: of a partitioned one, for its partitions.
CREATE FUNCTION ping_counts_truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	EXECUTE format('SELECT ping_counts_add(array_agg(ms), array_agg(-n)) FROM'
		' (SELECT ping_ms(pinged_at) AS ms, count(*) AS n FROM ONLY %s WHERE $1 OR received_at IS NOT NULL GROUP BY 1) t',
		TG_RELID::regclass) USING ping_counts_of_old_rows();
	RETURN NULL;
END
$$;

CREATE FUNCTION pings_keep_time() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'pinged_at and received_at of a ping never change: delete the row and insert another';
END
$$;

-- A statement's triggers are those of the table that it names, so a partition needs its own.
CREATE FUNCTION pings_add_triggers(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TRIGGER ping_counts_inserted AFTER INSERT ON %s REFERENCING NEW TABLE AS added'
		' FOR EACH STATEMENT EXECUTE FUNCTION ping_counts_inserted()', target);
	EXECUTE format('CREATE TRIGGER ping_counts_deleted AFTER DELETE ON %s REFERENCING OLD TABLE AS removed'
		' FOR EACH STATEMENT EXECUTE FUNCTION ping_counts_deleted()', target);
	EXECUTE format('CREATE TRIGGER ping_counts_truncated BEFORE TRUNCATE ON %s'
		' FOR EACH STATEMENT EXECUTE FUNCTION ping_counts_truncated()', target);
END
$$;

SELECT pings_add_triggers('pings');
SELECT pings_add_triggers(to_regclass('pings_default')) WHERE to_regclass('pings_default') IS NOT NULL;
CREATE TRIGGER pings_keep_time BEFORE UPDATE OF pinged_at, received_at ON pings FOR EACH ROW
	WHEN (OLD.pinged_at IS DISTINCT FROM NEW.pinged_at OR OLD.received_at IS DISTINCT FROM NEW.received_at)
	EXECUTE FUNCTION pings_keep_time();

-- ── What pingd calls ──

-- Makes the partitions of today and `ahead` days more, where pings has partitions; how many it made. A day whose rows lie in the
-- default partition already stays there. Attaching, unlike CREATE … PARTITION OF, lets others write meanwhile.
CREATE FUNCTION pings_make_days(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	today date := (clock_timestamp() AT TIME ZONE 'UTC')::date;
	day date;
	name text;
	made integer := 0;
BEGIN
	IF NOT EXISTS (SELECT FROM pg_class WHERE oid = 'pings'::regclass AND relkind = 'p')
		OR NOT pg_try_advisory_xact_lock(1346981447, -1) THEN
		RETURN 0;
	END IF;
	FOR number IN 0..ahead LOOP
		day := today + number;
		name := to_char(day, '"pings_"YYYYMMDD');
		CONTINUE WHEN to_regclass(name) IS NOT NULL;
		BEGIN
			EXECUTE format('CREATE TABLE %I (LIKE pings INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', name);
			PERFORM pings_add_triggers(name::regclass);
			EXECUTE format('ALTER TABLE pings ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name,
				to_char(day, 'YYYY-MM-DD" 00:00:00+00"'), to_char(day + 1, 'YYYY-MM-DD" 00:00:00+00"'));
			made := made + 1;
		EXCEPTION WHEN check_violation THEN
			NULL;
		END;
	END LOOP;
	RETURN made;
END
$$;

-- Moves the slot on to a batch. Raises when another has taken over, so that nothing of the transaction is kept.
CREATE FUNCTION publisher_slot_move(of_slot integer, of_epoch bigint, batch bigint, id uuid, lease interval) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	UPDATE publisher_slots
	SET batch_seq = coalesce(batch, batch_seq), last_id = greatest(last_id, id), lease_until = clock_timestamp() + lease
	WHERE slot = of_slot AND epoch = of_epoch;
	IF NOT FOUND THEN
		RAISE EXCEPTION USING ERRCODE = 'PF001', MESSAGE = format('publisher slot %s has another owner', of_slot);
	END IF;
END
$$;

-- The triggers run for whoever writes to pings: with its owner's rights, and only with tables of this schema.
DO $$
DECLARE
	name text;
	path text := (SELECT string_agg(quote_ident(s), ', ') FROM unnest(current_schemas(false)) s);
BEGIN
	FOREACH name IN ARRAY ARRAY['ping_counts_inserted()', 'ping_counts_deleted()', 'ping_counts_truncated()',
		'pings_make_days(integer)'] LOOP
		EXECUTE format('ALTER FUNCTION %s SET search_path = %s, pg_temp', name, path);
	END LOOP;
END
$$;
