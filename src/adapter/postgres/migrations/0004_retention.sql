-- What stays of days that are dropped: their sums by client and window, for audit and rebuild. PingCount's roll-up goes on counting
-- their pings, as a partition that is dropped fires no trigger.

CREATE TABLE ledger_sums (
	client_ip inet,          -- NULL: written by others
	window_start_ms bigint NOT NULL,
	pings bigint NOT NULL,
	first_ms bigint NOT NULL,
	last_ms bigint NOT NULL,
	position bigint,         -- the greatest; NULL: none of them had one
	day date NOT NULL        -- of received_at
);
CREATE INDEX ledger_sums_client ON ledger_sums (client_ip, window_start_ms);

CREATE TABLE ledger_days_dropped (
	day date PRIMARY KEY,
	pings bigint NOT NULL,
	dropped_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Every ping that ever was: those that are there one by one, the others as sums.
CREATE VIEW ledger_pings AS
	SELECT client_ip, ping_ms(pinged_at) AS first_ms, ping_ms(pinged_at) AS last_ms, 1::bigint AS pings, position FROM pings
	UNION ALL
	SELECT client_ip, first_ms, last_ms, pings, position FROM ledger_sums;

-- A lock that all who write would have to wait behind is asked for in short attempts, between the transactions of others.
CREATE FUNCTION pings_drop_partition(target regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL lock_timeout = '100ms';
	FOR attempt IN 1..600 LOOP
		BEGIN
			EXECUTE format('DROP TABLE %s', target);
			RETURN;
		EXCEPTION WHEN lock_not_available THEN
			PERFORM pg_sleep(1);
		END;
	END LOOP;
	RAISE EXCEPTION USING ERRCODE = 'lock_not_available', MESSAGE = format('no moment was found to drop %s: something reads or'
		' writes pings all the time in transactions that last', target);
END
$$;

-- Drops the oldest day before `before`, if there is one: its sums and the day's end are one transaction. Stays: what is not in the
-- log yet; then `waiting` says how many rows, and nothing was done.
CREATE FUNCTION pings_drop_day(before date, OUT dropped date, OUT pings bigint, OUT waiting bigint) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	target regclass;
BEGIN
	IF NOT pg_try_advisory_xact_lock(1346981447, -3) THEN
		RETURN;
	END IF;
	SELECT c.oid::regclass INTO target FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
	WHERE i.inhparent = 'pings'::regclass AND c.relname ~ '^pings_[0-9]{8}$' AND right(c.relname, 8) < to_char(before, 'YYYYMMDD')
	ORDER BY c.relname LIMIT 1;
	IF NOT FOUND THEN
		RETURN;
	END IF;
	dropped := to_date(right(target::text, 8), 'YYYYMMDD');
	EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', target);
	EXECUTE format('SELECT count(*), count(*) FILTER (WHERE slot IS NOT NULL AND position IS NULL) FROM %s', target) INTO pings, waiting;
	IF waiting = 0 THEN
		EXECUTE format('INSERT INTO ledger_sums (client_ip, window_start_ms, pings, first_ms, last_ms, position, day)'
			' SELECT client_ip, ms - ms %% 300000, count(*), min(ms), max(ms), max(position), $1'
			' FROM (SELECT client_ip, ping_ms(pinged_at) AS ms, position FROM %s) p'
			' GROUP BY client_ip, ms - ms %% 300000, position IS NULL', target) USING dropped;
		INSERT INTO ledger_days_dropped VALUES (dropped, pings);
		PERFORM pings_drop_partition(target);
	END IF;
	RETURN NEXT;
END
$$;

REVOKE EXECUTE ON FUNCTION pings_drop_day(date) FROM PUBLIC;

DO $$
DECLARE
	path text := (SELECT string_agg(quote_ident(s), ', ') FROM unnest(current_schemas(false)) s);
BEGIN
	EXECUTE format('ALTER FUNCTION pings_drop_day(date) SET search_path = %s, pg_temp', path);
END
$$;
