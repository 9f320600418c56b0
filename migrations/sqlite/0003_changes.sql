-- What administrators changed, written in the transaction of the change itself. The decision log takes it over.
CREATE TABLE changes (
    id        TEXT NOT NULL PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    made_at   BIGINT NOT NULL,
    kind      TEXT NOT NULL,
    target_id TEXT NOT NULL,
    detail    TEXT NOT NULL,
    logged_at BIGINT
);

CREATE INDEX changes_by_logged ON changes (logged_at, id);
