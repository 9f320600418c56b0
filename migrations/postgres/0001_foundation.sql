-- Facts about the database itself: which root key made it, and how far it is.
CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

INSERT INTO meta (name, value) VALUES ('sequence', '0');

CREATE TABLE tenants (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    created_at BIGINT NOT NULL
);

-- Applications that ask. The key itself is never stored: key_hash is its keyed hash.
CREATE TABLE callers (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id    TEXT COLLATE "C" NOT NULL REFERENCES tenants (id),
    name         TEXT COLLATE "C" NOT NULL,
    key_hash     TEXT COLLATE "C" NOT NULL UNIQUE,
    packs        TEXT COLLATE "C" NOT NULL,
    default_pack TEXT COLLATE "C",
    rights       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT
);

CREATE INDEX callers_by_tenant ON callers (tenant_id, id);
