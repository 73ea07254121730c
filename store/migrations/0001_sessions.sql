-- Sessions, under the SHA-256 of their tokens. Times are Unix nanoseconds, lists JSON.
CREATE TABLE sessions (
    hash      BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    id        TEXT    NOT NULL UNIQUE,
    domain    TEXT    NOT NULL,
    user_name TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    email     TEXT    NOT NULL,
    groups    TEXT    NOT NULL,
    level     INTEGER NOT NULL,
    proofs    TEXT    NOT NULL,
    remember  INTEGER NOT NULL,
    created   INTEGER NOT NULL,
    expires   INTEGER NOT NULL,
    seen      INTEGER NOT NULL,
    addr      TEXT    NOT NULL,
    browser   TEXT    NOT NULL
) STRICT;

CREATE INDEX sessions_user ON sessions (user_name, created, id);
CREATE INDEX sessions_expires ON sessions (expires);
