package portal

import "strings"

// programs and systems are what a User-Agent is read for, the telling ones first: most
// browsers claim to be several others.
var (
	programs = [...][2]string{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"},
		{"Version/", "Safari"}, {"curl/", "curl"},
	}
	systems = [...][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "macOS"}, {"Linux", "Linux"},
	}
)

// browserText names a browser for people: "Firefox on Linux". It shows words of ours
// alone and nothing that a User-Agent says: whoever signs in as somebody else could
// otherwise write a line into that person's mail.
func browserText(words *speaker, agent string) string {
	program, system := firstIn(agent, programs[:]), firstIn(agent, systems[:])
	switch {
	case program != "" && system != "":
		return words.say("browser.on", "Program", program, "System", system)
	case program+system != "":
		return program + system
	}
	return words.say("browser.unknown")
}

// firstIn is the name of the first mark that agent holds, "" when it holds none.
func firstIn(agent string, marks [][2]string) string {
	for _, m := range marks {
		if strings.Contains(agent, m[0]) {
			return m[1]
		}
	}
	return ""
}
