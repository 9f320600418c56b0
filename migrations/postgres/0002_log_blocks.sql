-- Where in the decision log's segment files what stands: one row for each block of records.
-- Filled behind the log, and rebuilt from it when it is lost. A block never spans two segments.
CREATE TABLE log_blocks (
    node        TEXT COLLATE "C" NOT NULL,
    first_seq   BIGINT NOT NULL,
    last_seq    BIGINT NOT NULL,
    records     BIGINT NOT NULL,
    segment     BIGINT NOT NULL,
    start_byte  BIGINT NOT NULL,
    end_byte    BIGINT NOT NULL,
    min_time_us BIGINT NOT NULL,
    max_time_us BIGINT NOT NULL,
    min_id      TEXT COLLATE "C" NOT NULL,
    max_id      TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (node, first_seq)
);

CREATE INDEX log_blocks_by_id ON log_blocks (node, max_id, first_seq, min_id);
