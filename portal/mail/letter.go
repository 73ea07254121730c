package mail

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/mail"
	"os"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// letter is a message with everything that goes out.
type letter struct {
	Message
	body body
	logo []byte
	from *mail.Address
	id   string // of the Message-ID, before the @
	date time.Time
}

// messageID makes the first half of a Message-ID.
func messageID() string { return strings.ToLower(rand.Text()) }

// fullID has the sender's domain behind the @, and not the name of this machine.
func (l letter) fullID() string {
	_, domain, _ := strings.Cut(l.from.Address, "@")
	return l.id + "@" + domain
}

// compose makes the MIME message: text, HTML, and the logo when there is one.
func (l letter) compose() (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	m.FromMailAddress(l.from)
	m.ToMailAddress(&mail.Address{Name: l.Name, Address: l.To})
	m.Subject(l.Subject)
	m.SetDateWithValue(l.date)
	m.SetMessageIDWithValue(l.fullID())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office replies
	m.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	if l.Lang != "" {
		m.SetGenHeader(gomail.HeaderContentLang, l.Lang)
	}
	m.SetBodyString(gomail.TypeTextPlain, l.body.text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.body.html)
	if kind, ext := logoType(l.logo); kind != "" {
		err := m.EmbedReader("logo"+ext, bytes.NewReader(l.logo), gomail.WithFileContentType(gomail.ContentType(kind)), gomail.WithFileContentID("logo"))
		if err != nil {
			return nil, fmt.Errorf("mail: logo: %w", err)
		}
	}
	return m, nil
}

// append writes the text of the letter to a file in mbox format, readable as it stands.
func (l letter) append(path string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From %s %s\n", l.from.Address, l.date.UTC().Format(time.ANSIC))
	fmt.Fprintf(&b, "From: %s\nTo: %s\nSubject: %s\n", shown(l.from), shown(&mail.Address{Name: l.Name, Address: l.To}), l.Subject)
	fmt.Fprintf(&b, "Date: %s\nMessage-ID: <%s>\n", l.date.Format(time.RFC1123Z), l.fullID())
	fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n\n")
	for line := range strings.Lines(l.body.text) {
		if strings.HasPrefix(strings.TrimLeft(line, ">"), "From ") {
			b.WriteByte('>')
		}
		b.WriteString(line)
	}
	b.WriteString("\n")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if _, err := f.Write(b.Bytes()); err != nil {
		f.Close()
		return fmt.Errorf("mail: %w", err)
	}
	return f.Close()
}

// shown is an address as people read it.
func shown(a *mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	name, err := new(mime.WordDecoder).DecodeHeader(a.Name)
	if err != nil {
		name = a.Name
	}
	return fmt.Sprintf("%q <%s>", name, a.Address)
}

// checkFile says whether the file can be written to. It leaves none behind: one that an
// operator's command made would not be the daemon's.
func checkFile(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	made := err == nil
	if errors.Is(err, fs.ErrExist) {
		f, err = os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if made {
		err = os.Remove(path)
	}
	return errors.Join(err, f.Close())
}

// logoType tells what kind of picture it is, by its first bytes.
func logoType(logo []byte) (kind, ext string) {
	switch {
	case bytes.HasPrefix(logo, []byte("\x89PNG\r\n\x1a\n")):
		return "image/png", ".png"
	case bytes.HasPrefix(logo, []byte("\xff\xd8\xff")):
		return "image/jpeg", ".jpg"
	}
	return "", ""
}
