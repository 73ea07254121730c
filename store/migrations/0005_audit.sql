-- The journal becomes append-only and sealed: events are numbered without gaps, sum seals
-- each one and all before it (journal.Chain), and they go from the oldest on, by pruning.
CREATE TABLE sealed (
    id        INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    user_name TEXT    NOT NULL, -- "" when it is not known whose
    by_whom   TEXT    NOT NULL, -- who did it, when it was not the user
    factor    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    detail    TEXT    NOT NULL,
    session   TEXT    NOT NULL,
    request   TEXT    NOT NULL,
    addr      TEXT    NOT NULL,
    browser   TEXT    NOT NULL,
    sum       BLOB    NOT NULL  -- x'' for events from before there were sums
) STRICT;

INSERT INTO sealed SELECT row_number() OVER (ORDER BY id), at, kind, user_name, '', factor, reason, detail, session, request, addr, browser, x'' FROM events;
DROP TABLE events;
ALTER TABLE sealed RENAME TO events;

CREATE INDEX events_at ON events (at);
CREATE INDEX events_user ON events (user_name, at);

-- How far events were pruned and copied: one row.
CREATE TABLE event_marks (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    pruned INTEGER NOT NULL, -- the last event that was removed
    sum    BLOB    NOT NULL, -- of that one
    copied INTEGER NOT NULL  -- the last event that was written out
) STRICT;

INSERT INTO event_marks VALUES (1, 0, x'', 0);

CREATE TRIGGER events_follow BEFORE INSERT ON events
WHEN NEW.id IS NOT (SELECT 1 + max(pruned, coalesce((SELECT max(id) FROM events), 0)) FROM event_marks)
BEGIN SELECT RAISE(ABORT, 'an event follows the last one'); END;

CREATE TRIGGER events_stay BEFORE UPDATE OF id, at, kind, user_name, by_whom, factor, reason, detail, session, request, addr, browser ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER events_sealed BEFORE UPDATE OF sum ON events WHEN length(OLD.sum) > 0
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER events_kept BEFORE DELETE ON events WHEN OLD.id > (SELECT pruned FROM event_marks)
BEGIN SELECT RAISE(ABORT, 'events are removed by pruning alone'); END;

CREATE TRIGGER marks_grow BEFORE UPDATE OF pruned ON event_marks
WHEN NEW.pruned < OLD.pruned OR NEW.pruned > coalesce((SELECT max(id) FROM events), OLD.pruned)
BEGIN SELECT RAISE(ABORT, 'events are pruned from the oldest on'); END;

CREATE TRIGGER marks_stay BEFORE DELETE ON event_marks
BEGIN SELECT RAISE(ABORT, 'the marks stay'); END;
