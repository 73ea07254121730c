package main

import (
	"database/sql"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/agent"
	"postern/cmd/postern/config"
	"postern/portal/journal"
	"postern/store"
)

// openTestRecord is a journal on a store of its own.
func openTestRecord(t *testing.T) *record {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return localRecord(s, keys{journal: []byte("a key of the test")})
}

func addEvents(t *testing.T, r *record, from time.Time, n int) {
	t.Helper()
	all := make([]journal.Event, n)
	for i := range all {
		all[i] = journal.Event{At: from.Add(time.Duration(i) * time.Minute), Kind: journal.SignIn, User: "bob"}
	}
	if err := r.AddEvents(t.Context(), all); err != nil {
		t.Fatal(err)
	}
}

// TestPruneIsDueOnceADay, and whenever a tenth too many events are there.
func TestPruneIsDueOnceADay(t *testing.T) {
	r := openTestRecord(t)
	start := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	addEvents(t, r, start, 100)
	keep := journal.Config{Keep: time.Hour}
	prune := func(what string, c journal.Config, now time.Time, want int) {
		t.Helper()
		if n, err := r.prune(t.Context(), c, now); n != want || err != nil {
			t.Errorf("%s: %d, %v, want %d", what, n, err, want)
		}
		if report, err := r.Verify(t.Context()); err != nil || len(report.Faults) > 0 {
			t.Errorf("%s: %+v, %v", what, report, err)
		}
	}
	prune("for ever", journal.Config{}, start.AddDate(10, 0, 0), 0)
	prune("what is older than an hour", keep, start.Add(90*time.Minute), 30)
	prune("an hour later, which is no day", keep, start.Add(150*time.Minute), 0)
	prune("a day later", keep, start.Add(26*time.Hour), 71) // the 70, and what said that 30 went
	addEvents(t, r, start.Add(27*time.Hour), 1099)
	most := journal.Config{Keep: time.Hour, Max: 1000}
	prune("1100, and 1000 may be there", most, start.Add(27*time.Hour), 0)
	addEvents(t, r, start.Add(27*time.Hour), 1)
	prune("1101", most, start.Add(27*time.Hour), 102)
	prune("1000", most, start.Add(27*time.Hour), 0)
}

// TestOldEventsAreRemoved when the daemon starts, and young ones stay.
func TestOldEventsAreRemoved(t *testing.T) {
	dir := shortDir(t)
	writeMailSite(t, dir, "journal: {keep: 48h}\n")
	cfg, err := readConfig(filepath.Join(dir, "postern.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openSecret(cfg.Secret); err != nil {
		t.Fatal(err)
	}
	s, err := openStore(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err = withRecord(t.Context(), cfg, func(r *record) error {
		for _, age := range []time.Duration{1000 * time.Hour, 49 * time.Hour, 47 * time.Hour} {
			if err := r.AddEvent(t.Context(), journal.Event{At: time.Now().Add(-age), Kind: journal.SignIn, User: "bob"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h := startHouse(t, dir)
	until(t, "pruned", func() bool {
		left, err := h.store.ListEvents(t.Context(), journal.Filter{User: "bob"})
		return err == nil && len(left) == 1 && time.Since(left[0].At) < 48*time.Hour
	})
	code, stdout, stderr := h.postern("audit", "--verify")
	if code != 0 || !strings.Contains(stdout, "store: events 3 to 5 are as they were written") {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// TestJournalFileThatCannotBeWritten: postern does not start without it; once it runs,
// nothing that happens to the file stops anybody, and nothing is lost.
func TestJournalFileThatCannotBeWritten(t *testing.T) {
	dir := shortDir(t)
	writeMailSite(t, dir, "journal: {file: logs/audit.jsonl}\n")
	path := filepath.Join(dir, "logs", "audit.jsonl")
	code, _, stderr := typed("", "postern", "serve", "--config", filepath.Join(dir, "postern.yml"))
	if code == 0 || !strings.Contains(stderr, "journal.file: ") || !strings.Contains(stderr, "logs/audit.jsonl") {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if dials(filepath.Join(dir, "agent.sock")) {
		t.Error("it listens all the same")
	}
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	h := startHouse(t, dir)
	until(t, "a line", func() bool {
		_, err := os.Stat(path)
		return err == nil && strings.Contains(readAll(t, path), `"started"`)
	})
	if err := os.Rename(filepath.Join(dir, "logs"), filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := h.postern("user", "disable", "alice"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	until(t, "word of it", func() bool { return strings.Contains(h.said.String(), "events are not copied") })
	if code, _, stderr := h.postern("user", "enable", "alice"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if err := os.Rename(filepath.Join(dir, "gone"), filepath.Join(dir, "logs")); err != nil {
		t.Fatal(err)
	}
	until(t, "both commands", func() bool { return strings.Count(readAll(t, path), `"admin"`) == 2 })
	if n := strings.Count(h.said.String(), "events are not copied"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
	// logrotate needs no signal.
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := h.postern("user", "disable", "alice"); code != 0 {
		t.Errorf("exit %d: %s", code, stderr)
	}
	until(t, "a new file", func() bool {
		_, err := os.Stat(path)
		return err == nil && strings.Contains(readAll(t, path), `"user disable"`)
	})
	h.stop()
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(dir, "all.jsonl")
	write(t, dir, "all.jsonl", readAll(t, path+".1")+readAll(t, path))
	if code, stdout, stderr := h.postern("audit", "--verify", all); code != 0 || strings.Count(stdout, "are as they were written") != 2 || !strings.Contains(readAll(t, path), `"stopped"`) {
		t.Errorf("exit %d: %s%s", code, stdout, stderr)
	}
}

// apart is a command in a process of its own.
func apart(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), self(t), append(args, "--config", filepath.Join(dir, "postern.yml"))...)
	cmd.Env = append(os.Environ(), asPostern)
	return cmd
}

// TestJournalSurvivesAKill: what was acknowledged is there, once, in order, and sealed.
func TestJournalSurvivesAKill(t *testing.T) {
	s := startStory(t, "journal: {file: audit.jsonl}\n")
	var commands sync.WaitGroup
	for i := range 4 {
		commands.Go(func() {
			for range 3 {
				if out, err := apart(t, s.dir, "session", "revoke", "--user", fmt.Sprint("u", i)).CombinedOutput(); err != nil || string(out) != "0 ended\n" {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	commands.Wait()
	s.kill()
	before := len(s.events())
	if before != 2+12 {
		t.Errorf("%d events, want 14", before)
	}
	s.start(t)
	until(t, "the start", func() bool { return strings.Count(readAll(t, filepath.Join(s.dir, "audit.jsonl")), "\n") >= before+1 })
	if out := s.postern("", "audit", "--verify", filepath.Join(s.dir, "audit.jsonl")); strings.Count(out, "events 1 to 15 are as they were written") != 2 {
		t.Errorf("verified: %s", out)
	}
}

// TestThreat26CutsAreFound: what somebody did to the store behind Postern's back is found
// by its chain, and what he cut at the end by the file.
func TestCutsAreFound(t *testing.T) {
	s := startStory(t, "journal: {file: audit.jsonl}\n")
	s.postern("", "session", "revoke", "--user", "mallory")
	s.stop(t)
	path := filepath.Join(s.dir, "audit.jsonl")
	whole := readAll(t, path)
	lines := strings.SplitAfter(whole, "\n")
	verify := func() (code int, stdout string) {
		t.Helper()
		code, stdout, _ = typed("", "postern", "audit", "--verify", path, "--config", filepath.Join(s.dir, "postern.yml"))
		return code, stdout
	}
	if code, out := verify(); code != 0 {
		t.Errorf("exit %d: %s", code, out)
	}
	write(t, s.dir, "audit.jsonl", strings.Replace(whole, "mallory", "nobody", 1))
	if code, out := verify(); code != 1 || !strings.Contains(out, "file: event 3, or one before it, is not as it was written") {
		t.Errorf("a changed line: exit %d: %s", code, out)
	}
	write(t, s.dir, "audit.jsonl", lines[0]+lines[1]+lines[3])
	if code, out := verify(); code != 1 || !strings.Contains(out, "file: events 3 to 3 are missing") {
		t.Errorf("a line that was cut out: exit %d: %s", code, out)
	}
	write(t, s.dir, "audit.jsonl", whole+strings.Replace(lines[3], `"seq":4`, `"seq":5`, 1))
	if code, out := verify(); code != 1 || !strings.Contains(out, "store: events 5 to 5 are missing: the file has them") {
		t.Errorf("the store's end is missing: exit %d: %s", code, out)
	}
	code, stdout, _ := typed("", "postern", "audit", "--verify", "-o", "json", "--config", filepath.Join(s.dir, "postern.yml"))
	if code != 0 || !strings.HasPrefix(stdout, `{"store":{"first":1,"last":4,"sum":"`) || !strings.Contains(stdout, `"faults":[]`) {
		t.Errorf("exit %d: %s", code, stdout)
	}
	// The newest events are cut, and Postern goes on behind what is left: as many as before,
	// in a chain that holds.
	write(t, s.dir, "old.jsonl", whole)
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`DROP TRIGGER events_kept`, `DELETE FROM events WHERE id >= 3`} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.stop(t)
	code, stdout, _ = typed("", "postern", "audit", "--verify", filepath.Join(s.dir, "old.jsonl"), "--config", filepath.Join(s.dir, "postern.yml"))
	if code != 1 || !strings.Contains(stdout, "store: event 4 is another one than in the file") {
		t.Errorf("others in place of the newest: exit %d: %s", code, stdout)
	}
	if code, _, stderr := typed("", "postern", "audit", "--verify", "none.jsonl", "--config", filepath.Join(s.dir, "postern.yml")); code != 1 || !strings.Contains(stderr, "none.jsonl") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestThreat35AuditKnowsOneName: whatever a user is called at the sign-in or on the command
// line, his events stand under one name.
func TestThreat35AuditKnowsOneName(t *testing.T) {
	dir := shortDir(t)
	writeMailSite(t, dir, "")
	path := filepath.Join(dir, "postern.yml")
	write(t, dir, "postern.yml", strings.Replace(readAll(t, path), "{file: users.yml}", "{file: users.yml, search: {email: true, case_insensitive: true}}", 1))
	h := startHouse(t, dir)
	for _, name := range []string{"DORA", "dora@example.com", "Dora@Example.Com"} {
		if code, _, stderr := h.postern("user", "disable", name); code != 0 {
			t.Fatalf("exit %d: %s", code, stderr)
		}
		code, stdout, stderr := h.postern("audit", "--user", name, "--kind", "admin", "-o", "jsonl")
		if code != 0 || strings.Count(stdout, `"user":"dora"`) == 0 || strings.Count(stdout, `"user":"dora"`) != strings.Count(stdout, "\n") {
			t.Errorf("%s: exit %d: %s%s", name, code, stdout, stderr)
		}
	}
	if code, stdout, _ := h.postern("audit", "--user", "somebody who is gone"); code != 0 || strings.Count(stdout, "\n") != 1 {
		t.Errorf("exit %d: %s", code, stdout)
	}
	write(t, dir, "users.yml", "users: 7")
	if code, stdout, stderr := h.postern("audit", "--user", "dora", "-o", "jsonl"); code != 0 || strings.Count(stdout, "\n") < 3 {
		t.Errorf("with a broken users file: exit %d: %s%s", code, stdout, stderr)
	}
}

// TestThreat68JournalTakesCommandsOnly: whoever may ask the control socket can tell what
// he did, as himself, and nothing else.
func TestThreat68JournalTakesCommandsOnly(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	d := daemon{filepath.Join(dir, "control.sock")}
	for name, e := range map[string]any{
		"another kind":       journal.Event{Kind: journal.SignIn, User: "alice"},
		"in another's name":  journal.Event{Kind: journal.Admin, By: "os:somebody"},
		"at another time":    journal.Event{Kind: journal.Admin, At: time.Now().Add(-time.Hour)},
		"what is not known":  map[string]string{"Kind": "admin", "Seq": "1"},
		"no event whatever":  "hello",
		"more than one text": []string{"admin"},
	} {
		if err := d.call(t.Context(), "/journal/add", e, nil); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if err := d.call(t.Context(), "/journal/list", map[string]any{"Filter": map[string]string{"Usr": "alice"}}, nil); err == nil {
		t.Error("a misspelt filter lists everything")
	}
	if err := d.call(t.Context(), "/journal/add", journal.Event{Kind: journal.Admin, Detail: "x\nevent 99"}, nil); err != nil {
		t.Error(err)
	}
	all, err := h.store.ListEvents(t.Context(), journal.Filter{Kinds: []journal.Kind{journal.Admin}})
	if err != nil || len(all) != 1 || all[0].By != osUser(os.Getuid()) || all[0].Detail != "x event 99" {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestDecisionsAreCounted, and logged where the configuration says so, whatever the level.
func TestDecisionsAreCounted(t *testing.T) {
	s := startStory(t, "log: {level: info}\n")
	s.ask("")
	s.ask("")
	if out := s.postern("", "status"); !strings.Contains(out, "decisions    2: allow 0, login 0, step_up 0, challenge 2, deny 0, error 0") {
		t.Errorf("status:\n%s", out)
	}
	if strings.Contains(s.said.String(), "msg=decision") {
		t.Error("a decision is logged that nobody asked for")
	}
	path := filepath.Join(s.dir, "postern.yml")
	write(t, s.dir, "postern.yml", strings.Replace(readAll(t, path), "log: {level: info}", "log: {level: error, decisions: denied}", 1))
	s.postern("", "reload")
	s.ask("")
	until(t, "a line", func() bool { return strings.Contains(s.said.String(), "msg=decision") })
	_, line, _ := strings.Cut(s.said.String(), "msg=decision")
	line, _, _ = strings.Cut(line, "\n")
	if !strings.HasSuffix(line, ` rid=rid-of-agent verdict=challenge method=GET host=wiki.example.com path=/page rule=rules[0] reason=sign_in user="" session="" addr=192.0.2.77`) {
		t.Errorf("the line is %s", line)
	}
	if strings.Contains(s.said.String(), "hush") {
		t.Error("the query is logged")
	}
}

func TestStdoutIsNotThePrograms(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := (unbroken{w}).Write([]byte("one\n")); n != 4 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := (unbroken{w}).Write([]byte("two\n")); err == nil {
		t.Error("nobody reads, and nobody says so")
	}
	w.Close()
}

func TestLinesPassWhateverTheLevel(t *testing.T) {
	var out strings.Builder
	log, _ := newLogger(&out, config.Log{Level: "error", Format: "text"})
	passed := slog.New(always{log.Handler()}).With("a", 1).WithGroup("g")
	passed.Info("decision", "b", 2)
	log.Info("not this one")
	if got := out.String(); !strings.Contains(got, "msg=decision a=1 g.b=2") || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
	if err := agent.NewDecisions(log).Set(config.Default().Log.Decisions); err != nil {
		t.Error(err)
	}
}

func TestWhen(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ text, want string }{
		{"", "0001-01-01T00:00:00Z"}, {"24h", "2026-11-27T12:00:00Z"}, {"90m", "2026-11-28T10:30:00Z"}, {"7d", "2026-11-21T12:00:00Z"}, {"0s", "2026-11-28T12:00:00Z"},
		{"2026-11-01", "2026-11-01T00:00:00Z"}, {"2026-11-01 15:04", "2026-11-01T15:04:00Z"}, {"2026-11-01T15:04:05", "2026-11-01T15:04:05Z"},
		{"2026-11-01T15:04:05+02:00", "2026-11-01T13:04:05Z"},
		{"-1h", ""}, {"yesterday", ""}, {"1000000d", ""}, {"d", ""}, {"2026-13-01", ""}, {"24", ""},
	} {
		got, err := when("since", tt.text, now)
		if (err != nil) != (tt.want == "") || err == nil && got.UTC().Format(time.RFC3339) != tt.want {
			t.Errorf("%q is %v, %v, want %s", tt.text, got, err, tt.want)
		}
	}
	for text, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1/32", "2001:db8::1": "2001:db8::1/128", "192.0.2.9/24": "192.0.2.0/24"} {
		if got, err := network(text); err != nil || got != netip.MustParsePrefix(want) {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
}

func TestChangesSayNoValue(t *testing.T) {
	old, now := config.Default(), config.Default()
	if got := changes(&old, &now); len(got) > 0 {
		t.Errorf("%q", got)
	}
	now.Secret.Value = "a secret of thirty-two characters"
	now.Log.Level = "debug"
	now.Journal.Max = 5000
	now.Access.DefaultPolicy = 1
	now.Access.Rules = append(now.Access.Rules, now.Access.Rules...)
	got := strings.Join(changes(&old, &now), "; ")
	if want := "journal.max changed; access_control.default_policy changed; secret.value changed; log.level changed"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestFollowEndsWithTheDaemon(t *testing.T) {
	dir := shortDir(t)
	writeSite(t, dir)
	h := startHouse(t, dir)
	var out tail
	out.limit = 1 << 20
	follow := apart(t, dir, "audit", "--follow")
	follow.Stdout, follow.Stderr = &out, &out
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	until(t, "the list", func() bool { return strings.Contains(out.String(), "started") })
	if code, _, stderr := h.postern("user", "disable", "alice"); code != 0 {
		t.Fatal(stderr)
	}
	until(t, "what happened", func() bool { return strings.Contains(out.String(), "user disable") })
	h.stop()
	if err := follow.Wait(); follow.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "postern: postern has stopped") {
		t.Errorf("%v: %s", err, out.String())
	}
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := h.postern("audit", "-f"); code != 1 || !strings.Contains(stderr, "postern is not running, so nothing happens that could be followed") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
