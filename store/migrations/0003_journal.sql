-- What happened to accounts. at is Unix nanoseconds; events are never changed.
CREATE TABLE events (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    user_name TEXT    NOT NULL, -- "" when it is not known whose
    factor    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    session   TEXT    NOT NULL,
    request   TEXT    NOT NULL,
    addr      TEXT    NOT NULL,
    browser   TEXT    NOT NULL
) STRICT;

CREATE INDEX events_at ON events (at);
CREATE INDEX events_user ON events (user_name, at);
