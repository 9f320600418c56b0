-- Where in the decision log's segment files what stands: one row for each block of records.
CREATE TABLE log_blocks (
    node      TEXT NOT NULL,
    segment   BIGINT NOT NULL,
    start_at  BIGINT NOT NULL,
    end_at    BIGINT NOT NULL,
    first_seq BIGINT NOT NULL,
    last_seq  BIGINT NOT NULL,
    min_time  BIGINT NOT NULL,
    max_time  BIGINT NOT NULL,
    min_id    TEXT NOT NULL,
    max_id    TEXT NOT NULL,
    PRIMARY KEY (node, segment, start_at)
);

CREATE INDEX log_blocks_by_time ON log_blocks (max_time, min_time);
CREATE INDEX log_blocks_by_id ON log_blocks (max_id, min_id);
