-- Adds the partition of a day in UTC, named by its date.
CREATE FUNCTION stepway_add_logs_partition_v1(day date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name text := 'project_initialization_logs_' || to_char(day, 'YYYYMMDD');
    midnight timestamptz := day::timestamp AT TIME ZONE 'UTC';
    next_midnight timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass(name) IS NOT NULL THEN
        RETURN;
    END IF;
    -- A partition cannot be added for rows that the default partition has.
    IF EXISTS (SELECT FROM project_initialization_logs_default WHERE at >= midnight AND at < next_midnight) THEN
        RETURN;
    END IF;
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF project_initialization_logs FOR VALUES FROM (%L) TO (%L)',
        name, midnight, next_midnight
    );
END $$;
-- Adds the partitions of today and the next `ahead` days.
CREATE FUNCTION stepway_add_logs_partitions_v1(ahead integer DEFAULT 3) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    -- One process at a time; the others have nothing to do.
    IF NOT pg_try_advisory_xact_lock(hashtext('stepway_keep_logs')) THEN
        RETURN;
    END IF;
    FOR number IN 0..ahead LOOP
        PERFORM stepway_add_logs_partition_v1(today + number);
    END LOOP;
END $$;
-- Removes the lines of days that are more than `keep` days ago; null keeps all. Returns the number of
-- partitions that it has dropped. Readers can hold it up, so it is not part of adding partitions.
CREATE FUNCTION stepway_keep_logs_v1(keep integer) RETURNS integer
LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date;
    part text;
    dropped integer := 0;
BEGIN
    IF keep IS NULL OR NOT pg_try_advisory_xact_lock(hashtext('stepway_keep_logs')) THEN
        RETURN 0;
    END IF;
    FOR part IN
        SELECT child.relname
          FROM pg_inherits
          JOIN pg_class AS child ON child.oid = inhrelid
         WHERE inhparent = 'project_initialization_logs'::regclass
           AND child.relname ~ '^project_initialization_logs_[0-9]{8}$'
    LOOP
        IF to_date(right(part, 8), 'YYYYMMDD') < today - keep THEN
            EXECUTE format('DROP TABLE %I', part);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    DELETE FROM project_initialization_logs_default
     WHERE at < (today - keep)::timestamp AT TIME ZONE 'UTC';
    RETURN dropped;
END $$;
CREATE FUNCTION stepway_delete_logs_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM project_initialization_logs WHERE project_id = OLD.id;
    UPDATE project_initialization_logs_archived SET state = 'removed' WHERE project_id = OLD.id;
    RETURN NULL;
END $$;
