-- Tokens and application passwords, under the SHA-256 of their secrets. Times are Unix
-- nanoseconds, lists JSON.
CREATE TABLE credentials (
    id       TEXT    NOT NULL PRIMARY KEY,
    hash     BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    kind     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    owner    TEXT    NOT NULL CHECK (owner <> ''),
    level    INTEGER NOT NULL,
    hosts    TEXT    NOT NULL,
    methods  TEXT    NOT NULL,
    path     TEXT    NOT NULL,
    networks TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    expires  INTEGER NOT NULL, -- 0: never
    used     INTEGER NOT NULL  -- 0: never
) STRICT;

CREATE INDEX credentials_owner ON credentials (owner, created, id);
