-- Sets of packs that were served: by the digest of their files, newest first by when they last became active. What a set
-- consists of is `files`, JSON of `[pack, name, digest, bytes]`; texts are kept once, by their digests.
CREATE TABLE revisions (
    id              TEXT NOT NULL PRIMARY KEY,
    hash            TEXT NOT NULL,
    origin          TEXT NOT NULL,
    packs           TEXT NOT NULL,
    files           TEXT NOT NULL,
    bytes           BIGINT NOT NULL,
    has_texts       BIGINT NOT NULL,
    first_active_at BIGINT NOT NULL,
    activated_at    BIGINT NOT NULL,
    last_active_at  BIGINT NOT NULL
);

CREATE INDEX revisions_by_activation ON revisions (activated_at, id);

CREATE TABLE revision_texts (
    digest  TEXT NOT NULL PRIMARY KEY,
    content TEXT NOT NULL
);

-- The set that is served whatever the folder holds; one row, and without an id the folder counts.
CREATE TABLE revision_pins (
    place       BIGINT NOT NULL PRIMARY KEY,
    revision_id TEXT,
    origin      TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    version     BIGINT NOT NULL
);
