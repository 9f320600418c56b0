-- Facts about the database itself: which root key made it, and how far it is.
CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

INSERT INTO meta (name, value) VALUES ('sequence', '0');

CREATE TABLE tenants (
    id         TEXT NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

-- Applications that ask. The key itself is never stored: key_hash is its keyed hash.
CREATE TABLE callers (
    id           TEXT NOT NULL PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (id),
    name         TEXT NOT NULL,
    key_hash     TEXT NOT NULL UNIQUE,
    packs        TEXT NOT NULL,
    default_pack TEXT,
    rights       TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT
);

CREATE INDEX callers_by_tenant ON callers (tenant_id, id);
