-- A slot's batches, on a table that others write to meanwhile: not in a transaction, and begun anew where it was cut short.
CREATE INDEX CONCURRENTLY pings_batch ON pings (slot, batch_seq) WHERE slot IS NOT NULL
