-- Principals, groups, roles and everything else that policies judge by. A deleted one stays as a mark, so that every
-- node learns of it; `version` is the number of the last change.
CREATE TABLE entities (
    tenant_id  TEXT COLLATE "C" NOT NULL,
    pack       TEXT COLLATE "C" NOT NULL,
    type       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    attributes TEXT COLLATE "C" NOT NULL,
    tags       TEXT COLLATE "C" NOT NULL,
    parents    TEXT COLLATE "C" NOT NULL,
    settings   TEXT COLLATE "C" NOT NULL,
    status     TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, pack, type, id)
);

CREATE INDEX entities_by_version ON entities (version);

-- Who has which role, where and from when to when.
CREATE TABLE role_assignments (
    id                TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id         TEXT COLLATE "C" NOT NULL,
    pack              TEXT COLLATE "C" NOT NULL,
    subject_kind      TEXT COLLATE "C" NOT NULL,
    subject_type      TEXT COLLATE "C" NOT NULL,
    subject_id        TEXT COLLATE "C" NOT NULL,
    role_type         TEXT COLLATE "C" NOT NULL,
    role_id           TEXT COLLATE "C" NOT NULL,
    scope             TEXT COLLATE "C" NOT NULL,
    scope_type        TEXT COLLATE "C",
    scope_id          TEXT COLLATE "C",
    starts_at         BIGINT,
    ends_at           BIGINT,
    delegated_by_type TEXT COLLATE "C",
    delegated_by_id   TEXT COLLATE "C",
    reason            TEXT COLLATE "C",
    status            TEXT COLLATE "C" NOT NULL,
    requested_by      TEXT COLLATE "C" NOT NULL,
    made_by           TEXT COLLATE "C" NOT NULL,
    decided_by        TEXT COLLATE "C",
    decided_at        BIGINT,
    elevation_id      TEXT COLLATE "C",
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    version           BIGINT NOT NULL
);

CREATE INDEX role_assignments_by_version ON role_assignments (version);
CREATE INDEX role_assignments_by_tenant ON role_assignments (tenant_id, id);
CREATE INDEX role_assignments_by_subject ON role_assignments (tenant_id, pack, subject_type, subject_id);
CREATE INDEX role_assignments_by_role ON role_assignments (tenant_id, pack, role_type, role_id);

-- Roles for a while: asked for, approved by another, over by themselves.
CREATE TABLE elevations (
    id            TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id     TEXT COLLATE "C" NOT NULL,
    pack          TEXT COLLATE "C" NOT NULL,
    subject_kind  TEXT COLLATE "C" NOT NULL,
    subject_type  TEXT COLLATE "C" NOT NULL,
    subject_id    TEXT COLLATE "C" NOT NULL,
    role_type     TEXT COLLATE "C" NOT NULL,
    role_id       TEXT COLLATE "C" NOT NULL,
    scope         TEXT COLLATE "C" NOT NULL,
    scope_type    TEXT COLLATE "C",
    scope_id      TEXT COLLATE "C",
    reason        TEXT COLLATE "C" NOT NULL,
    duration_us   BIGINT NOT NULL,
    break_glass   BIGINT NOT NULL,
    status        TEXT COLLATE "C" NOT NULL,
    requested_by  TEXT COLLATE "C" NOT NULL,
    made_by       TEXT COLLATE "C" NOT NULL,
    decided_by    TEXT COLLATE "C",
    decided_at    BIGINT,
    assignment_id TEXT COLLATE "C",
    ends_at       BIGINT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    version       BIGINT NOT NULL
);

CREATE INDEX elevations_by_tenant ON elevations (tenant_id, id);
CREATE INDEX elevations_by_subject ON elevations (tenant_id, pack, subject_type, subject_id);

-- What a POST with an Idempotency-Key was answered, in the transaction of what it made.
CREATE TABLE idempotency_keys (
    tenant_id       TEXT COLLATE "C" NOT NULL,
    caller_id       TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    request_hash    TEXT COLLATE "C" NOT NULL,
    answer          TEXT COLLATE "C" NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, caller_id, idempotency_key)
);

CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at);

-- Imports wait here until they are complete: nobody sees half of one.
CREATE TABLE imports (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    tenant_id    TEXT COLLATE "C" NOT NULL,
    pack         TEXT COLLATE "C" NOT NULL,
    content_hash TEXT COLLATE "C" NOT NULL,
    staged       BIGINT NOT NULL,
    status       TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

CREATE INDEX imports_by_content ON imports (tenant_id, pack, content_hash);

CREATE TABLE import_rows (
    import_id  TEXT COLLATE "C" NOT NULL,
    place      BIGINT NOT NULL,
    type       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    attributes TEXT COLLATE "C" NOT NULL,
    tags       TEXT COLLATE "C" NOT NULL,
    parents    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (import_id, place)
);

-- Callers change as entities do: each node takes over what is newer than what it knows.
ALTER TABLE callers ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
CREATE INDEX callers_by_version ON callers (version);

-- Who made a change: a caller's id, or none for the command line; and which node is taking it into its log.
ALTER TABLE changes ADD COLUMN caller_id TEXT COLLATE "C";
ALTER TABLE changes ADD COLUMN taken_until BIGINT;
