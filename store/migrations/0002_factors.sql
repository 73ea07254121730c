-- What users prove besides a password. Times are Unix nanoseconds.
CREATE TABLE factors (
    id        TEXT    NOT NULL PRIMARY KEY,
    user_name TEXT    NOT NULL CHECK (user_name <> ''),
    kind      TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    site      TEXT    NOT NULL,
    created   INTEGER NOT NULL,
    used      INTEGER NOT NULL,
    warned    INTEGER NOT NULL,
    lookup    BLOB    UNIQUE, -- NULL where the kind has none
    count     INTEGER NOT NULL,
    sealed    BLOB    NOT NULL
) STRICT;

CREATE INDEX factors_user ON factors (user_name, created, id);

-- Recovery codes, as their MACs; spent is when.
CREATE TABLE recovery_codes (
    user_name TEXT    NOT NULL,
    mac       BLOB    NOT NULL CHECK (length(mac) = 32),
    created   INTEGER NOT NULL,
    spent     INTEGER NOT NULL,
    PRIMARY KEY (user_name, mac)
) STRICT, WITHOUT ROWID;

-- Codes sent by mail, as their MACs. A closed one stays until it expires: it counts.
CREATE TABLE mailed_codes (
    id        TEXT    NOT NULL PRIMARY KEY,
    user_name TEXT    NOT NULL,
    slot      BLOB    NOT NULL CHECK (length(slot) = 32),
    mac       BLOB    NOT NULL CHECK (length(mac) = 32),
    expires   INTEGER NOT NULL,
    tries     INTEGER NOT NULL,
    closed    INTEGER NOT NULL
) STRICT;

CREATE INDEX mailed_codes_user ON mailed_codes (user_name);
CREATE INDEX mailed_codes_expires ON mailed_codes (expires);
CREATE UNIQUE INDEX mailed_codes_open ON mailed_codes (slot) WHERE closed = 0;

-- What works once and has been used: tokens, ceremonies, enrolments.
CREATE TABLE spent (
    key     BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_expires ON spent (expires);
