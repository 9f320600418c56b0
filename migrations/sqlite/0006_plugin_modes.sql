-- How much a plugin counts, where callers say otherwise than the configuration: for a tenant (none is all), for a route
-- (none is all). One that was taken back has no mode, and stays as a mark, so that every node learns of it.
CREATE TABLE plugin_modes (
    tenant_id  TEXT NOT NULL,
    plugin     TEXT NOT NULL,
    route      TEXT NOT NULL,
    mode       TEXT,
    updated_at BIGINT NOT NULL,
    version    BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, plugin, route)
);

CREATE INDEX plugin_modes_by_version ON plugin_modes (version);
