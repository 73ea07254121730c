-- Failed attempts, under keyed hashes of whom they count against. Times are Unix
-- nanoseconds; failed is a JSON list of them, oldest first, each with its number behind it.
CREATE TABLE counts (
    subject BLOB    NOT NULL PRIMARY KEY CHECK (length(subject) = 16),
    failed  TEXT    NOT NULL,
    waits   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX counts_expires ON counts (expires);

-- Who may not try, by failures (subject says whose) or by an operator (subject is NULL).
-- until is 0 for a ban without an end.
CREATE TABLE bans (
    id        TEXT    NOT NULL PRIMARY KEY,
    subject   BLOB    UNIQUE CHECK (length(subject) = 16),
    user_name TEXT    NOT NULL,
    network   TEXT    NOT NULL,
    browser   INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    failures  INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    author    TEXT    NOT NULL,
    since     INTEGER NOT NULL,
    until     INTEGER NOT NULL
) STRICT;
