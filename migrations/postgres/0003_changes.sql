-- What administrators changed, written in the transaction of the change itself. The decision log takes it over.
CREATE TABLE changes (
    id        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL,
    made_at   BIGINT NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    target_id TEXT COLLATE "C" NOT NULL,
    detail    TEXT COLLATE "C" NOT NULL,
    logged_at BIGINT
);

CREATE INDEX changes_by_logged ON changes (logged_at, id);
