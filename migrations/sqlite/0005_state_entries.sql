-- The state of a server without Redis: claims, values and sets at once, counts a second behind. A set is a row of its
-- own (no member), which is its lock, and a row for each member.
CREATE TABLE state_entries (
    kind    TEXT NOT NULL,
    entry   TEXT NOT NULL,
    member  TEXT NOT NULL,
    value   TEXT NOT NULL,
    number  BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (kind, entry, member)
);

CREATE INDEX state_entries_by_end ON state_entries (ends_at);
